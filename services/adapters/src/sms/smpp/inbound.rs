//! What an SMSC delivers, as events.

use super::header::{self, Header, Place, Told};
use super::message_id::canonical;
use super::pdu::{Address, Pdu, ShortMessage, Tlvs, command, tag};
use super::receipt::{self, State};
use super::said;
use super::settings::SmppSettings;
use crate::texting::arrivals::{Arrival, Arrivals};
use crate::texting::{Inbox, Received, text_part};
use omnigate_core::{
    account::Account,
    sms::{
        alphabet::National,
        coding::{self, Coding},
    },
    time::Moment,
};
use omnigate_proto::v1::{
    ErrorClass, Event, Message, Piece, Reachability, ReachabilityState, Receipt, ReceiptState, SendError, event::Kind,
};
use pbjson_types::Timestamp;

/// Kinds of message in `esm_class` that are neither text nor receipt (SMPP 3.4, 5.2.12).
const TYPE_MASK: u8 = 0x3c;
const DELIVERY_ACKNOWLEDGEMENT: u8 = 0x08;
const MANUAL_ACKNOWLEDGEMENT: u8 = 0x10;
const CONVERSATION_ABORT: u8 = 0x18;
/// A header leads the text.
const UDHI: u8 = 0x40;
/// Type of number of international numbers, which are written without a plus.
const INTERNATIONAL: u8 = 1;
/// Shortest number that a country code is believed to lead.
const INTERNATIONAL_DIGITS: usize = 8;

/// Translates what comes over one connection.
#[derive(Clone, Copy)]
pub(super) struct Translator<'a> {
    /// Account it comes through.
    pub(super) account: &'a Account,
    /// Its settings.
    pub(super) settings: &'a SmppSettings,
    /// What came before.
    pub(super) arrivals: &'a Arrivals,
    /// Name of the bind.
    pub(super) bind: &'a str,
    /// Number of the connection.
    pub(super) connection: u64,
}

/// What a PDU came to.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Translated {
    /// Its events, at least one.
    pub(super) events: Vec<Event>,
    /// Which arrival it is.
    pub(super) arrival: Arrival,
}

impl Translator<'_> {
    /// Translates a request of the SMSC's; whatever it is, it becomes an event.
    pub(super) fn translate(&self, pdu: &Pdu, received_at: Moment) -> Translated {
        let message = match pdu.command {
            command::DELIVER_SM | command::DATA_SM => pdu.message().ok(),
            _ => None,
        };
        let said = message.as_ref().map_or_else(|| said::by_octets(&pdu.raw), said::by);
        let arrival = self.arrivals.arrive(said, self.bind, self.connection, received_at);
        let about = About {
            inbox: Inbox {
                account: self.account,
                settings: &self.settings.text,
                received_at,
            },
            settings: self.settings,
            pdu,
            key: arrival.key(),
        };
        let events = match (&message, pdu.command) {
            (Some(message), _) => about.message(message),
            (None, command::ALERT_NOTIFICATION) => about.alert(),
            (None, command::DELIVER_SM) => vec![about.unsupported("deliver_sm", "malformed", "")],
            (None, command::DATA_SM) => vec![about.unsupported("data_sm", "malformed", "")],
            (None, other) => vec![about.unsupported(&format!("command 0x{other:08x}"), "", "")],
        };
        Translated { events, arrival }
    }
}

/// One PDU and what its events have in common.
struct About<'a> {
    inbox: Inbox<'a>,
    settings: &'a SmppSettings,
    pdu: &'a Pdu,
    key: String,
}

impl About<'_> {
    fn message(&self, message: &ShortMessage<'_>) -> Vec<Event> {
        let from = written(message.source);
        if receipt::is_receipt(message, self.settings.receipt.by_text) {
            let report = receipt::read(message, &self.settings.receipt.states);
            return vec![self.receipt(&report, &from).unwrap_or_else(|| {
                // Without an id nobody can say which message it is about.
                self.unsupported("delivery_receipt", "malformed", &from)
            })];
        }
        let acknowledgement = match message.esm_class & TYPE_MASK {
            DELIVERY_ACKNOWLEDGEMENT => Some("sme_delivery_acknowledgement"),
            MANUAL_ACKNOWLEDGEMENT => Some("sme_manual_acknowledgement"),
            CONVERSATION_ABORT => Some("conversation_abort"),
            _ => None,
        };
        if let Some(name) = acknowledgement {
            return vec![self.unsupported(name, "", &from)];
        }
        let (header, text) = self.divided(message);
        let place = header.place.or_else(|| sar(message));
        let coding = self.coding(message.data_coding, header.national);
        if coding == Coding::Octets {
            return vec![self.unsupported("binary_message", "", &from)];
        }
        let mut units = coding::decode(coding, text);
        // Some count the NUL that ends their text. In septets 0 is a letter and gives another unit.
        while units.last() == Some(&0) {
            units.pop();
        }
        if units.is_empty() && place.is_none() {
            return vec![self.unsupported("empty_message", "", &from)];
        }
        let content = match place {
            Some(place) => Message {
                piece: Some(piece(place, message.destination, &units)),
                ..Message::default()
            },
            None => Message {
                parts: vec![text_part(&coding::text(&units))],
                ..Message::default()
            },
        };
        let events = self.inbox.events(Received {
            from: &from,
            stable_key: self.key.clone(),
            message: content,
            ..Received::default()
        });
        let mut events = events.unwrap_or_else(|| vec![self.unsupported("deliver_sm", "malformed", &from)]);
        for event in &mut events {
            with_provider_form(event, message.source);
        }
        events
    }

    /// A header that is none is text.
    fn divided<'m>(&self, message: &ShortMessage<'m>) -> (Header, &'m [u8]) {
        let plain = || (Header::default(), message.content);
        if message.esm_class & UDHI == 0 {
            return plain();
        }
        header::divide(message.content).unwrap_or_else(|| {
            tracing::debug!(account_id = self.inbox.account.id, "a user data header is malformed");
            plain()
        })
    }

    fn coding(&self, data_coding: u8, national: National) -> Coding {
        if data_coding == self.settings.submit.ucs2_data_coding && data_coding != 0 {
            return Coding::Ucs2;
        }
        Coding::of_data_coding(data_coding, self.settings.default_alphabet, national)
    }

    fn receipt(&self, report: &receipt::Report, from: &str) -> Option<Event> {
        let settings = &self.settings.receipt;
        let (id, is_parameter) = report.message_id.as_ref()?;
        let form = if *is_parameter {
            settings.receipt_tlv_id
        } else {
            settings.receipt_id
        };
        let provider_message_id = canonical(id, form);
        if provider_message_id.is_empty() {
            return None;
        }
        let state = report.state?;
        let error = failure(state).map(|(class, text)| SendError {
            class: settings.classes.get(&report.code).copied().unwrap_or(class).into(),
            provider_code: report.code.clone(),
            text: text.to_owned(),
            ..SendError::default()
        });
        let receipt_state = match state {
            State::Delivered => ReceiptState::Delivered,
            State::Accepted if settings.accepted_is_final => ReceiptState::Delivered,
            State::Enroute => ReceiptState::Sent,
            // Says nothing that was not known.
            State::Accepted | State::Unknown => ReceiptState::Accepted,
            State::Expired | State::Deleted | State::Undeliverable | State::Rejected => ReceiptState::Failed,
        };
        let peer = self.inbox.peer(from);
        let mut done_date = report.done_date.clone();
        done_date.truncate(done_date.floor_char_boundary(64));
        let mut event = Event {
            occurred_at: receipt::moment(&done_date, self.settings.text.utc_offset)
                .map(|seconds| Timestamp { seconds, nanos: 0 }),
            provider_time: done_date,
            peer: peer.map(|(identifier, _)| identifier),
            provider_message_id: provider_message_id.clone(),
            kind: Some(Kind::Receipt(Receipt {
                provider_message_id,
                state: receipt_state.into(),
                error,
                ..Receipt::default()
            })),
            ..self.inbox.event()
        };
        // A zero date stands for none.
        if event.provider_time.bytes().all(|byte| byte == b'0') {
            event.provider_time.clear();
        }
        Some(event)
    }

    /// A phone can be reached again, or cannot (SMPP 3.4, 4.12).
    fn alert(&self) -> Vec<Event> {
        let Ok((device, tlvs)) = self.pdu.alert() else {
            return vec![self.unsupported("alert_notification", "malformed", "")];
        };
        let about = written(device);
        let event = self.reachability(tlvs, &about);
        let mut event = event.unwrap_or_else(|| self.unsupported("alert_notification", "", &about));
        with_provider_form(&mut event, device);
        vec![event]
    }

    fn reachability(&self, tlvs: Tlvs<'_>, about: &str) -> Option<Event> {
        let (peer, evidence) = self.inbox.peer(about)?;
        // SMPP 3.4, 5.3.2.30.
        let state = match tlvs.get(tag::MS_AVAILABILITY_STATUS) {
            None | Some([0]) => ReachabilityState::Available,
            Some([1]) => ReachabilityState::Denied,
            Some([2]) => ReachabilityState::Unavailable,
            Some(_) => return None,
        };
        self.inbox.taken(Event {
            peer: Some(peer),
            identifiers: vec![evidence],
            stable_key: self.key.clone(),
            kind: Some(Kind::Reachability(Reachability { state: state.into() })),
            ..self.inbox.event()
        })
    }

    fn unsupported(&self, type_name: &str, reason: &str, about: &str) -> Event {
        Event {
            stable_key: self.key.clone(),
            ..self.inbox.unsupported(type_name, &self.pdu.raw, reason, about)
        }
    }
}

/// Class and words of a state that is a failure.
const fn failure(state: State) -> Option<(ErrorClass, &'static str)> {
    Some(match state {
        State::Expired => (
            ErrorClass::RecipientTemporary,
            "the network gave up: its time passed (EXPIRED)",
        ),
        State::Deleted => (ErrorClass::RecipientTemporary, "the network removed it (DELETED)"),
        State::Undeliverable => (
            ErrorClass::RecipientTemporary,
            "the network cannot deliver it (UNDELIV)",
        ),
        State::Rejected => (ErrorClass::Policy, "the network refused it (REJECTD)"),
        State::Enroute | State::Delivered | State::Accepted | State::Unknown => return None,
    })
}

/// Place of a piece told by optional parameters.
fn sar(message: &ShortMessage<'_>) -> Option<Place> {
    let octet = |tag| message.tlvs.number(tag).and_then(|number| u8::try_from(number).ok());
    let place = Place {
        reference: u16::try_from(message.tlvs.number(tag::SAR_MSG_REF_NUM)?).ok()?,
        total: octet(tag::SAR_TOTAL_SEGMENTS)?,
        number: octet(tag::SAR_SEGMENT_SEQNUM)?,
        told: Told::Sar,
    };
    place.checked()
}

/// A piece. Pieces to different numbers of ours are of different messages, and so are those whose references are told in
/// different ways.
fn piece(place: Place, destination: Address<'_>, units: &[u16]) -> Piece {
    let told = match place.told {
        Told::Octet => "udh8",
        Told::TwoOctets => "udh16",
        Told::Sar => "sar",
    };
    let (reference, total) = (place.reference, place.total);
    let destination: String = text_of(destination.digits).chars().take(40).collect();
    Piece {
        reference: format!("{told}:{reference}:{total}:{destination}"),
        total: u32::from(total),
        number: u32::from(place.number),
        utf16: units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    }
}

/// An address as it is understood: international numbers with their plus.
fn written(address: Address<'_>) -> String {
    let text = text_of(address.digits);
    let is_number = text.len() >= INTERNATIONAL_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if address.ton == INTERNATIONAL && is_number && !text.starts_with('0') {
        return format!("+{text}");
    }
    text
}

/// Names of senders come in UTF-8 and in Latin-1.
fn text_of(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => octets.iter().map(|octet| char::from(*octet)).collect(),
    }
}

fn with_provider_form(event: &mut Event, source: Address<'_>) {
    for evidence in &mut event.identifiers {
        let form = text_of(source.digits);
        let is_canonical = evidence
            .identifier
            .as_ref()
            .is_some_and(|identifier| identifier.value == form);
        evidence.provider_form = if is_canonical { String::new() } else { form };
    }
}
