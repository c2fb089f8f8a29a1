//! Sending.

use super::binds::{Binds, NoPlace, ticks};
use super::header::{self, Place, Told};
use super::line::{Answer, Line};
use super::message_id::canonical;
use super::pdu::{Sar, Submit};
use super::settings::{Addressing, LongMessages, SmppSettings};
use super::status;
use crate::texting::{Recipient, Rules, content_error, error, plan, recipient};
use bytes::BytesMut;
use omnigate_core::{
    id::{MessageId, hash},
    port::adapter::{Channel, ChannelHost, Outgoing},
    sms::{
        alphabet::National,
        coding::{self, Coding},
        segment::{Encoding, Options, Plan, Reference},
        sender,
    },
};
use omnigate_proto::v1::{Capabilities, ErrorClass, Message, ReceiptState, SendAccepted, SendError};
use std::{ops::Range, sync::Arc, time::Duration};

/// `esm_class` of content that a header leads.
const UDHI: u8 = 0x40;
/// Septets of one SMS.
const SEPTETS: u32 = 160;
/// UCS-2 units of one SMS, and of a piece behind a header of six and of seven octets.
const UNITS: usize = 70;
const UNITS_UDH: usize = 67;
const UNITS_UDH16: usize = 66;
/// Before another bind may be up, or the SMSC well again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const SYSTEM_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Sends through the binds of an account.
pub(super) struct SmppChannel {
    settings: SmppSettings,
    binds: Arc<Binds>,
}

/// A text as it goes out.
#[derive(PartialEq, Eq, Debug)]
struct Prepared {
    text: String,
    /// Its pieces.
    ranges: Vec<Range<usize>>,
    coding: Coding,
    data_coding: u8,
    /// National tables in use.
    national: National,
}

impl SmppChannel {
    pub(super) const fn new(settings: SmppSettings, binds: Arc<Binds>) -> Self {
        Self { settings, binds }
    }

    fn prepare(&self, message: &Message) -> Result<Prepared, SendError> {
        let national = self.settings.submit.national;
        let rules = Rules {
            national,
            ..Rules::default()
        };
        let mut plan = plan(message, &self.settings.text, rules)?.plan;
        let long = self.settings.submit.long_messages;
        if long == LongMessages::Udh16 && plan.segments.len() > 1 {
            let options = Options {
                reference: Reference::Bits16,
                national,
                max_segments: self.settings.text.max_segments,
                ..Options::default()
            };
            plan = Plan::of(&plan.text, &options);
            plan.check().map_err(|problem| content_error(problem.to_string()))?;
        }
        let mut prepared = Prepared {
            ranges: plan.segments.iter().map(|segment| segment.range.clone()).collect(),
            coding: Coding::Ucs2,
            data_coding: self.settings.submit.ucs2_data_coding,
            national: plan.national,
            text: plan.text,
        };
        if plan.encoding == Encoding::Gsm7 {
            let coding = Coding::of_data_coding(0, self.settings.default_alphabet, plan.national);
            if matches!(coding, Coding::Gsm7(_)) || coding::encode(coding, &prepared.text).is_ok() {
                (prepared.coding, prepared.data_coding) = (coding, 0);
            } else {
                // The account's default alphabet lacks a letter that GSM has.
                prepared.ranges = cut_ucs2(&prepared.text, long);
            }
        }
        if long == LongMessages::Payload {
            prepared.ranges = std::iter::once(0..prepared.text.len()).collect();
        }
        let (pieces, most) = (prepared.ranges.len(), self.settings.text.max_segments);
        if pieces > most {
            return Err(content_error(format!(
                "the text takes {pieces} SMS segments; at most {most} are allowed"
            )));
        }
        Ok(prepared)
    }

    fn pdu(&self, outgoing: &Outgoing) -> Result<BytesMut, SendError> {
        let settings = &self.settings.submit;
        let prepared = self.prepare(&outgoing.message)?;
        let index = usize::try_from(outgoing.piece).unwrap_or(usize::MAX);
        let range = prepared.ranges.get(index).cloned();
        let text = range.and_then(|range| prepared.text.get(range));
        let text = text.ok_or_else(|| content_error("the message has no such piece"))?;
        let text = coding::encode(prepared.coding, text).map_err(|problem| content_error(problem.to_string()))?;
        let recipient = recipient(outgoing, &self.settings.text)?;
        let number = match &recipient {
            Recipient::Number(number) => Some(number),
            Recipient::ShortCode(_) => None,
        };
        let sender = self.settings.text.sender_to(number);
        let sender_form = sender.map_or(sender::Addressing { ton: 0, npi: 0 }, sender::Sender::addressing);
        let recipient_form = match &recipient {
            Recipient::Number(_) => sender::Addressing { ton: 1, npi: 1 },
            Recipient::ShortCode(_) => sender::Addressing { ton: 6, npi: 0 },
        };
        let place = place(outgoing, prepared.ranges.len(), settings.long_messages);
        let (mut content, sar) = match place {
            Some(place) if place.told == Told::Sar => (Vec::new(), Some(sar(place))),
            place => (header::write(place, prepared.national), None),
        };
        let has_header = !content.is_empty();
        content.extend_from_slice(&text);
        let submit = Submit {
            service_type: &settings.service_type,
            source: address(settings.source, sender_form, sender.map_or("", sender::Sender::address)),
            destination: address(settings.destination, recipient_form, recipient.digits()),
            esm_class: if has_header { UDHI } else { 0 },
            priority: settings.priority,
            validity_period: &settings.validity_period,
            registered_delivery: settings.registered_delivery,
            data_coding: prepared.data_coding,
            content: &content,
            sar,
            as_payload: settings.long_messages == LongMessages::Payload,
        };
        Ok(submit.to_pdu())
    }

    /// Whether the account hears what becomes of its messages.
    const fn has_receipts(&self) -> bool {
        self.settings.submit.registered_delivery & 0x03 != 0
    }

    fn accepted(&self, message_id: &[u8]) -> SendAccepted {
        let state = if self.has_receipts() {
            ReceiptState::Accepted
        } else {
            ReceiptState::Sent
        };
        SendAccepted {
            provider_message_id: canonical(message_id, self.settings.receipt.submit_id),
            state: state.into(),
            ..SendAccepted::default()
        }
    }

    fn refused(&self, status: u32, line: usize) -> SendError {
        let class = status::class(status, &self.settings.submit.classes);
        let pause = match class {
            ErrorClass::Throttled => {
                if let Some(line) = self.binds.lines.get(line) {
                    line.rest(ticks(self.settings.throttle_pause));
                }
                self.settings.throttle_pause
            }
            ErrorClass::NotSent => SYSTEM_RETRY_AFTER,
            _ => Duration::ZERO,
        };
        SendError {
            provider_code: status::code(status),
            ..waiting(
                error(class, format!("the SMSC answered {}", status::name(status))),
                pause,
            )
        }
    }
}

#[async_trait::async_trait]
impl Channel for SmppChannel {
    fn capabilities(&self) -> Capabilities {
        let mut receipts = Vec::new();
        if self.has_receipts() {
            receipts = vec![ReceiptState::Delivered.into(), ReceiptState::Failed.into()];
        }
        Capabilities {
            channel: "sms".to_owned(),
            max_text: SEPTETS,
            text_unit: "septets".to_owned(),
            receipts,
            messages_per_second: self.settings.submit.messages_per_second,
            ..Capabilities::default()
        }
    }

    fn piece_count(&self, message: &Message) -> Result<u32, SendError> {
        let pieces = self.prepare(message)?.ranges.len();
        u32::try_from(pieces).map_err(|_| content_error("the text is too long"))
    }

    fn calls_at_once(&self) -> Option<usize> {
        Some(self.binds.at_once())
    }

    fn sends_through(&self) -> Vec<String> {
        self.binds.transmitters().map(|line| line.name.clone()).collect()
    }

    fn is_connected(&self) -> bool {
        self.binds.transmitters().any(Line::is_open)
    }

    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError> {
        let pdu = self.pdu(outgoing)?;
        let since = host.now();
        // The other half is the answer's.
        let is_late = || host.now().since(since) >= outgoing.time_limit / 2;
        match self.binds.submit(pdu, is_late).await {
            Ok((Answer::Response { status, message_id }, _)) if status == status::ESME_ROK => {
                Ok(self.accepted(&message_id))
            }
            Ok((Answer::Response { status, .. }, line)) => Err(self.refused(status, line)),
            Ok((Answer::NotSent, _)) => Err(waiting(
                error(ErrorClass::NotSent, "the connection ended before it was written"),
                RETRY_AFTER,
            )),
            Ok((Answer::Unknown, _)) => Err(error(ErrorClass::Ambiguous, "the SMSC did not answer")),
            Err(NoPlace::Down) => Err(waiting(
                error(ErrorClass::NotSent, "no bind of the account is up"),
                RETRY_AFTER,
            )),
            Err(NoPlace::Resting(pause)) => Err(waiting(
                error(ErrorClass::Throttled, "the SMSC asked to be slower"),
                pause,
            )),
            Err(NoPlace::Full) => Err(waiting(
                error(ErrorClass::Throttled, "the windows of all binds are full"),
                RETRY_AFTER,
            )),
        }
    }
}

fn waiting(error: SendError, pause: Duration) -> SendError {
    SendError {
        retry_after_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        ..error
    }
}

fn address(said: Addressing, form: sender::Addressing, address: &str) -> (u8, u8, &str) {
    (said.ton.unwrap_or(form.ton), said.npi.unwrap_or(form.npi), address)
}

/// Place of a piece among its message's. The reference is the same for all pieces and at every attempt, since it follows
/// from the message; two messages to one phone differ in it as far as its width allows.
fn place(outgoing: &Outgoing, pieces: usize, long: LongMessages) -> Option<Place> {
    if pieces < 2 {
        return None;
    }
    let (told, mask) = match long {
        LongMessages::Udh => (Told::Octet, 0xff),
        LongMessages::Udh16 => (Told::TwoOctets, 0xffff),
        LongMessages::Sar => (Told::Sar, 0xffff),
        LongMessages::Payload => return None,
    };
    let message = MessageId::from_send_key(&outgoing.send_key).map(|(message, _)| message.send_key(0));
    // A key that is none of ours is the same for all pieces, or it says nothing.
    let message = message.unwrap_or_else(|| format!("{:?}", outgoing.message.parts));
    let hash = hash("sms reference", &[message.as_bytes(), outgoing.peer.as_bytes()]);
    Some(Place {
        reference: u16::from_be_bytes([hash[0], hash[1]]) & mask,
        total: u8::try_from(pieces).ok()?,
        number: u8::try_from(outgoing.piece + 1).ok()?,
        told,
    })
}

const fn sar(place: Place) -> Sar {
    Sar {
        reference: place.reference,
        total: place.total,
        number: place.number,
    }
}

/// Pieces of a text in UCS-2; a character is never cut.
fn cut_ucs2(text: &str, long: LongMessages) -> Vec<Range<usize>> {
    if text.encode_utf16().count() <= UNITS {
        return std::iter::once(0..text.len()).collect();
    }
    let most = if long == LongMessages::Udh16 {
        UNITS_UDH16
    } else {
        UNITS_UDH
    };
    let mut ranges = Vec::new();
    let (mut start, mut units) = (0, 0);
    for (at, character) in text.char_indices() {
        if units + character.len_utf16() > most {
            ranges.push(start..at);
            (start, units) = (at, 0);
        }
        units += character.len_utf16();
    }
    ranges.push(start..text.len());
    ranges
}

#[cfg(test)]
mod tests;
