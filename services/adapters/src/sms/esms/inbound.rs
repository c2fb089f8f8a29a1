//! Parameters into events.

mod detail;

use crate::texting::{
    Inbox, Received, TextSettings,
    callback::{Parameters, kept},
    error, text_part,
};
use detail::Detail;
use jiff::{civil::DateTime, tz::TimeZone};
use omnigate_core::{account::Account, port::adapter::WebhookRequest, sms::vietnam::Operator, time::Moment};
use omnigate_proto::v1::{ErrorClass, Event, Message, Receipt, ReceiptState, SendError, event::Kind};
use pbjson_types::Timestamp;

/// What a call is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Called {
    /// Nothing at all.
    Nothing,
    /// Somebody wrote to a short code.
    Message,
    /// What became of a message of ours.
    Receipt,
    /// Something new.
    Other,
}

impl Called {
    pub(super) fn of(parameters: &Parameters) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| parameters.raw(name).is_some());
        if has(&["SendStatus", "SMSID", "RequestId"]) {
            Self::Receipt
        } else if has(&["sender", "content", "receiverTime", "smsid"]) {
            Self::Message
        } else if parameters.names().next().is_none() {
            Self::Nothing
        } else {
            Self::Other
        }
    }
}

/// Translates one call.
pub(super) struct Translator<'a> {
    pub(super) account: &'a Account,
    pub(super) text: &'a TextSettings,
    pub(super) request: &'a WebhookRequest,
    pub(super) parameters: &'a Parameters,
}

impl Translator<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }

    fn inbox(&self) -> Inbox<'_> {
        Inbox {
            account: self.account,
            settings: self.text,
            received_at: self.request.received_at,
        }
    }

    /// A call without a shape.
    pub(super) fn unsupported(&self, name: &str, reason: &str) -> Event {
        let about = self
            .get("sender")
            .or_else(|| self.get("phonenumber"))
            .unwrap_or_default();
        self.inbox().unsupported(name, &kept(self.request), reason, about)
    }

    /// Somebody wrote to a short code; the opt-out or opt-in that it is comes with it.
    pub(super) fn message(&self) -> Vec<Event> {
        self.message_of()
            .unwrap_or_else(|| vec![self.unsupported("receive_mo", "malformed")])
    }

    fn message_of(&self) -> Option<Vec<Event>> {
        let written = self.get("receiverTime").unwrap_or_default();
        let content = self.parameters.raw("content").filter(|content| !content.is_empty());
        self.inbox().events(Received {
            from: self.get("sender")?,
            provider_message_id: self.get("smsid")?,
            occurred_at: self.time(written),
            provider_time: written,
            message: Message {
                parts: content.map(text_part).into_iter().collect(),
                ..Message::default()
            },
            ..Received::default()
        })
    }

    /// `yyyyMMddHHmmss`, in the account's own time.
    fn time(&self, written: &str) -> Option<Timestamp> {
        if written.len() != 14 || !written.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let local = DateTime::strptime("%Y%m%d%H%M%S", written).ok()?;
        let at = local.to_zoned(TimeZone::fixed(self.text.utc_offset)).ok()?;
        Some(Moment(at.timestamp().as_millisecond()).to_timestamp())
    }

    /// What became of a message of ours.
    pub(super) fn receipt(&self) -> Event {
        self.receipt_of().unwrap_or_else(|| {
            let is_known = self
                .get("SendStatus")
                .is_some_and(|status| status.parse::<u8>().is_ok_and(|status| status <= 7));
            self.unsupported("delivery", if is_known { "malformed" } else { "" })
        })
    }

    fn receipt_of(&self) -> Option<Event> {
        let count = |name: &str| self.get(name).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        let state = match self.get("SendStatus")? {
            "1" | "2" => ReceiptState::Accepted,
            "4" => ReceiptState::Failed,
            "5" if count("SendFailed") > 0 => ReceiptState::Failed,
            "5" if count("SendSuccess") > 0 => ReceiptState::Delivered,
            // Finished without a count of either proves only that it went on.
            "5" | "7" => ReceiptState::Sent,
            _ => return None,
        };
        let id = self.get("SMSID").unwrap_or_default();
        let inbox = self.inbox();
        let peer = self.get("phonenumber").and_then(|phone| inbox.peer(phone));
        let receipt = Receipt {
            provider_message_id: id.to_owned(),
            client_reference: self.get("RequestId").unwrap_or_default().to_owned(),
            state: state.into(),
            watermark: None,
            error: (state == ReceiptState::Failed).then(|| self.failure()),
        };
        inbox.taken(Event {
            peer: peer.map(|(identifier, _)| identifier),
            provider_message_id: id.to_owned(),
            kind: Some(Kind::Receipt(receipt)),
            ..inbox.event()
        })
    }

    /// eSMS says that it failed, and of the reason only what the network behind it answered.
    fn failure(&self) -> SendError {
        let rejected = self.get("SendStatus") == Some("4");
        let detail = self.get("error_info").map(Detail::of).unwrap_or_default();
        let network = self
            .get("telcoid")
            .and_then(|id| Operator::of_telco_id(id.parse().ok()?))
            .map(|operator| format!("network {}", operator.name()));
        let words = if rejected { "rejected" } else { "not delivered" };
        let told: Vec<String> = [Some(words.to_owned()), network, Some(detail.words)]
            .into_iter()
            .flatten()
            .filter(|words| !words.is_empty())
            .collect();
        // Whether the next attempt would fail too is not said.
        let class = if rejected {
            ErrorClass::Content
        } else {
            ErrorClass::RecipientTemporary
        };
        SendError {
            provider_code: detail.code,
            ..error(class, told.join(", "))
        }
    }
}
