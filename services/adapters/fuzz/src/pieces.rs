//! Pieces of long messages, as an SMSC delivers them and as unify takes them.

use bytes::Bytes;
use omnigate_core::{account::Account, append::Arrival, event::normalise, pieces::Whole, time::Moment};
use omnigate_proto::v1::{Event, event::Kind, part::Content};
use serde_json::json;

/// A `deliver_sm`.
pub struct Deliver<'a> {
    /// Whom it is for.
    pub destination: &'a str,
    /// `esm_class`.
    pub esm_class: u8,
    /// `data_coding`.
    pub data_coding: u8,
    /// `short_message`, of which 255 octets are taken.
    pub content: &'a [u8],
    /// Optional parameters.
    pub parameters: &'a [u8],
}

impl Default for Deliver<'_> {
    fn default() -> Self {
        Self {
            destination: "8041",
            esm_class: 0,
            data_coding: 0,
            content: &[],
            parameters: &[],
        }
    }
}

impl Deliver<'_> {
    /// The PDU.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let content = &self.content[..self.content.len().min(255)];
        // service_type, and the sender with its type and plan.
        let mut body = b"\0\x01\x0184912345678\0\x06\x00".to_vec();
        body.extend_from_slice(self.destination.as_bytes());
        body.extend_from_slice(&[0, self.esm_class]);
        // Everything from protocol_id to replace_if_present_flag is empty.
        body.extend_from_slice(&[0; 6]);
        body.extend_from_slice(&[self.data_coding, 0, content.len() as u8]);
        body.extend_from_slice(content);
        body.extend_from_slice(self.parameters);
        let mut pdu = Vec::new();
        for word in [body.len() as u32 + 16, 5, 0, 1] {
            pdu.extend_from_slice(&word.to_be_bytes());
        }
        pdu.extend_from_slice(&body);
        pdu
    }
}

/// The account that pieces come through.
#[must_use]
pub fn account_of_pieces() -> Account {
    let kind = omnigate_adapters::kind("sms", "smpp").unwrap();
    crate::account(kind, "shop", "shop", crate::settings(json!({})))
}

/// An event as ingest hands it to unify; `None` where ingest refuses it.
#[must_use]
pub fn arrival(mut event: Event, account: &Account, now: Moment) -> Option<Arrival> {
    let normalised = normalise(&mut event, account, now, "4bf92f3577b34da6a3ce929d0e0e4736").ok()?;
    Some(Arrival {
        bytes: Bytes::from(prost::Message::encode_to_vec(&event)),
        event,
        id: normalised.event_id,
        received_at: now,
    })
}

/// The text of a message that was put together, and whether something of it is missing.
#[must_use]
pub fn words(whole: &Whole) -> (&str, bool) {
    let Some(Kind::Message(message)) = &whole.arrival.event.kind else {
        panic!("no message: {whole:?}")
    };
    assert!(message.piece.is_none(), "still a piece: {message:?}");
    let Some(Content::Text(text)) = &message.parts[0].content else {
        panic!("no text: {message:?}")
    };
    (&text.text, message.is_partial)
}
