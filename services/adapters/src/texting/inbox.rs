//! What came in: messages, and the opt-outs and opt-ins among them.

use super::{recipient::SENDER_TYPE, settings::TextSettings};
use omnigate_core::{
    account::Account,
    event::normalise,
    id::hash,
    sms::{opt_out::Asked, phone},
    time::Moment,
};
use omnigate_proto::v1::{
    Direction, Event, Evidence, Identifier, IdentifierEvidence, Message, Part, Subscription, SubscriptionState, Text,
    Unsupported, event::Kind, part::Content,
};
use pbjson_types::Timestamp;
use std::fmt::Write as _;
use unicode_normalization::UnicodeNormalization as _;

/// The contract's limit of `Unsupported.raw`.
const MAX_RAW: usize = 256 * 1024;
/// Characters kept of a type's name; within the contract's 256 bytes.
const MAX_TYPE_NAME: usize = 64;

/// Builds the events of one account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inbox<'a> {
    /// Account they came through.
    pub(crate) account: &'a Account,
    /// Its settings.
    pub(crate) settings: &'a TextSettings,
    /// When they came.
    pub(crate) received_at: Moment,
}

/// A message as a provider tells it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Received<'a> {
    /// Who wrote, in the provider's form.
    pub(crate) from: &'a str,
    /// The provider's id; may be empty when `stable_key` is not.
    pub(crate) provider_message_id: &'a str,
    /// In place of an id, where the provider has none.
    pub(crate) stable_key: String,
    /// When it was written, if the provider says so.
    pub(crate) occurred_at: Option<Timestamp>,
    /// The provider's time as it was written, if it is not plain UTC.
    pub(crate) provider_time: &'a str,
    /// What was written.
    pub(crate) message: Message,
}

impl Inbox<'_> {
    /// An event with what all have in common.
    pub(crate) fn event(&self) -> Event {
        Event {
            account_id: self.account.id.clone(),
            received_at: Some(self.received_at.to_timestamp()),
            direction: Direction::Inbound.into(),
            ..Event::default()
        }
    }

    /// The message, and the opt-out or opt-in that it is. `None` when the contract cannot carry it: nobody wrote it, or
    /// something in it is too long.
    pub(crate) fn events(&self, received: Received<'_>) -> Option<Vec<Event>> {
        let (peer, evidence) = self.peer(received.from)?;
        let event = Event {
            occurred_at: received.occurred_at,
            peer: Some(peer),
            identifiers: vec![evidence],
            provider_message_id: received.provider_message_id.to_owned(),
            stable_key: received.stable_key,
            provider_time: received.provider_time.to_owned(),
            kind: Some(Kind::Message(received.message)),
            ..self.event()
        };
        self.taken(event).map(|event| self.with_subscription(event))
    }

    /// The event, if the contract can carry it: one that ingest refuses would be lost.
    pub(crate) fn taken(&self, event: Event) -> Option<Event> {
        let is_taken = normalise(&mut event.clone(), self.account, self.received_at, "").is_ok();
        is_taken.then_some(event)
    }

    /// A message event, followed by the opt-out or opt-in that all of its text is. Both tell of the same message; the kind
    /// tells their ids apart.
    pub(crate) fn with_subscription(&self, event: Event) -> Vec<Event> {
        let Some(subscription) = self.subscription(&event) else {
            return vec![event];
        };
        let wish = Event {
            kind: Some(Kind::Subscription(subscription)),
            ..event.clone()
        };
        vec![event, wish]
    }

    fn subscription(&self, event: &Event) -> Option<Subscription> {
        let Some(Kind::Message(message)) = &event.kind else {
            return None;
        };
        let [part] = message.parts.as_slice() else { return None };
        let Some(Content::Text(text)) = &part.content else {
            return None;
        };
        let state = match self.settings.words.asked(&text.text)?.asked {
            Asked::OptOut => SubscriptionState::Unsubscribed,
            Asked::OptIn => SubscriptionState::Subscribed,
            Asked::Help => return None,
        };
        // Nobody but a phone can be told anything.
        let is_phone = event.peer.as_ref().is_some_and(|peer| peer.r#type == "phone");
        let confirmation = if state == SubscriptionState::Unsubscribed && is_phone {
            self.settings.confirmation(&self.company(), self.received_at)
        } else {
            String::new()
        };
        Some(Subscription {
            state: state.into(),
            topic: self.settings.opt_out_topic.clone(),
            source: text.text.trim().to_owned(),
            confirmation,
            expires_at: None,
        })
    }

    /// Whom a person knows as the writer: the account's name, else its sender.
    fn company(&self) -> String {
        let sender = self.settings.sender.as_ref().map(|sender| sender.address().to_owned());
        Some(self.account.display_name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .or(sender)
            .unwrap_or_else(|| self.account.id.clone())
    }

    /// Who somebody is: a phone, or a sender that is none. `None` when that is nobody.
    pub(crate) fn peer(&self, written: &str) -> Option<(Identifier, IdentifierEvidence)> {
        let written = written.trim();
        let identifier = match phone::parse(written, Some(&self.settings.region)) {
            Ok(number) => Identifier {
                r#type: "phone".to_owned(),
                scope: String::new(),
                value: number.e164().to_owned(),
            },
            Err(_) => Identifier {
                r#type: SENDER_TYPE.to_owned(),
                scope: self.account.id.clone(),
                value: written.to_owned(),
            },
        };
        let identifier = omnigate_core::identifier::canonical(&identifier).ok()?;
        let evidence = IdentifierEvidence {
            provider_form: if written == identifier.value {
                String::new()
            } else {
                written.to_owned()
            },
            identifier: Some(identifier.clone()),
            evidence: Evidence::Vouched.into(),
        };
        Some((identifier, evidence))
    }

    /// A fact without a shape. `about` is whom it is about, if anybody.
    pub(crate) fn unsupported(&self, type_name: &str, raw: &[u8], reason: &str, about: &str) -> Event {
        let peer = (!about.trim().is_empty()).then(|| self.peer(about)).flatten();
        let mut stable_key = "sha256:".to_owned();
        for byte in hash("sms callback", &[raw]) {
            write!(stable_key, "{byte:02x}").unwrap_or_default();
        }
        let type_name: String = type_name.chars().take(MAX_TYPE_NAME).collect();
        Event {
            peer: peer.as_ref().map(|(identifier, _)| identifier.clone()),
            identifiers: peer.map(|(_, evidence)| evidence).into_iter().collect(),
            stable_key,
            kind: Some(Kind::Unsupported(Unsupported {
                type_name: if type_name.is_empty() {
                    "unknown".to_owned()
                } else {
                    type_name
                },
                raw: bytes::Bytes::copy_from_slice(&raw[..raw.len().min(MAX_RAW)]),
                truncated: raw.len() > MAX_RAW,
                reason: reason.to_owned(),
            })),
            ..self.event()
        }
    }
}

/// A text part, NFC.
pub(crate) fn text_part(text: &str) -> Part {
    Part {
        content: Some(Content::Text(Text {
            text: text.nfc().collect(),
            ..Text::default()
        })),
    }
}

#[cfg(test)]
mod tests;
