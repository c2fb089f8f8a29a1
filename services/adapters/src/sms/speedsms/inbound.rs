//! Calls into events.

use crate::texting::{
    Inbox, Received, TextSettings,
    arrivals::{Arrivals, said},
    error, text_part,
};
use omnigate_core::{account::Account, time::Moment};
use omnigate_proto::v1::{ErrorClass, Event, Message, Receipt, ReceiptState, SendError, event::Kind};
use serde::de::IgnoredAny;
use serde_json::{Value, value::RawValue};
use std::fmt::Write as _;

/// Most elements of one call.
const MAX_ELEMENTS: usize = 1_000;
/// Docs, `status` of a report: from here on it will not arrive; below it is tried again.
const FIRST_FINAL_FAILURE: i64 = 64;

/// Translates the calls of one account.
pub(super) struct Translator<'a> {
    pub(super) account: &'a Account,
    pub(super) text: &'a TextSettings,
    pub(super) arrivals: &'a Arrivals,
    pub(super) received_at: Moment,
}

/// A value that is text or a number.
fn plain(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

impl Translator<'_> {
    fn inbox(&self) -> Inbox<'_> {
        Inbox {
            account: self.account,
            settings: self.text,
            received_at: self.received_at,
        }
    }

    /// The events of a body, which is one report or message, or a list of them; an error only when it is no JSON.
    pub(super) fn events(&self, body: &[u8]) -> Result<Vec<Event>, serde_json::Error> {
        // Skipping values is lenient where reading texts is not.
        serde_json::from_slice::<IgnoredAny>(body)?;
        let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(body) else {
            return Ok(self.element(body, 0));
        };
        if elements.is_empty() || elements.len() > MAX_ELEMENTS {
            return Ok(vec![self.inbox().unsupported("list", body, "malformed", "")]);
        }
        let events = elements.iter().enumerate();
        Ok(events
            .flat_map(|(index, element)| self.element(element.get().as_bytes(), index))
            .collect())
    }

    fn element(&self, raw: &[u8], index: usize) -> Vec<Event> {
        let value: Value = serde_json::from_slice(raw).unwrap_or_default();
        let kind = plain(value.get("type")).unwrap_or_default().to_lowercase();
        let events = match kind.as_str() {
            "report" => self.report(&value).map(|event| vec![event]),
            // Which of the two is sent is not known for certain.
            "incoming" | "sms" => self.message(&value),
            _ => None,
        };
        events.unwrap_or_else(|| {
            let is_known = matches!(kind.as_str(), "report" | "incoming" | "sms" | "");
            let name = if kind.is_empty() { "callback" } else { &kind };
            let about = plain(value.get("phone")).unwrap_or_default();
            let reason = if is_known { "malformed" } else { "" };
            let mut event = self.inbox().unsupported(name, raw, reason, &about);
            // Equal elements of one list are told apart.
            write!(event.stable_key, "/{index}").unwrap_or_default();
            vec![event]
        })
    }

    fn report(&self, value: &Value) -> Option<Event> {
        let id = plain(value.get("tranId"))?;
        let status: i64 = plain(value.get("status"))?.parse().ok()?;
        let state = match status {
            0 => ReceiptState::Delivered,
            1..FIRST_FINAL_FAILURE => ReceiptState::Sent,
            FIRST_FINAL_FAILURE.. => ReceiptState::Failed,
            _ => return None,
        };
        let inbox = self.inbox();
        let peer = plain(value.get("phone")).and_then(|phone| inbox.peer(&phone));
        let error = (state == ReceiptState::Failed).then(|| SendError {
            provider_code: status.to_string(),
            ..error(ErrorClass::RecipientTemporary, "not delivered")
        });
        inbox.taken(Event {
            peer: peer.map(|(identifier, _)| identifier),
            provider_message_id: id.clone(),
            kind: Some(Kind::Receipt(Receipt {
                provider_message_id: id,
                state: state.into(),
                error,
                ..Receipt::default()
            })),
            ..inbox.event()
        })
    }

    /// Messages have neither id nor time: what one is again is decided by [`Arrivals`].
    fn message(&self, value: &Value) -> Option<Vec<Event>> {
        let phone = plain(value.get("phone"))?;
        let content = value
            .get("content")
            .and_then(Value::as_str)
            .filter(|content| !content.is_empty());
        let said = said(
            "speedsms message",
            &[phone.as_bytes(), content.unwrap_or_default().as_bytes()],
        );
        let stable_key = self.arrivals.arrive(said, "", 0, self.received_at).whole();
        self.inbox().events(Received {
            from: &phone,
            stable_key,
            message: Message {
                parts: content.map(text_part).into_iter().collect(),
                ..Message::default()
            },
            ..Received::default()
        })
    }
}
