//! What the apps did and what they were told: rings of requests, sent messages and events, and counts.

use super::{fault::Fault, schedule::EventServer};
use crate::contents::{Contents, keep};
use serde::Serialize;
use serde_json::Value;
use std::{collections::VecDeque, sync::Arc};

/// Counts since the start, over all apps and OAs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Calls, whether or not they were answered.
    pub requests: u64,
    /// Messages accepted on any way, whether or not the answer arrived.
    pub sent: u64,
    /// Of those, template messages by phone.
    pub zns: u64,
    /// Of those, the ones whose content had been sent to the same person before.
    pub repeated: u64,
    /// Reactions set or removed by the OA API.
    pub reactions: u64,
    /// Files uploaded.
    pub uploads: u64,
    /// Media fetched.
    pub downloads: u64,
    /// Calls answered with an error, faults included.
    pub refused: u64,
    /// Of those, calls answered `-32` for their rate.
    pub throttled: u64,
    /// Calls that met a fault.
    pub faults: u64,
    /// Pairs of tokens issued by OAuth.
    pub tokens: u64,
    /// Refresh tokens that were shown a second time, and refused.
    pub refresh_reuse: u64,
    /// Events made for a webhook.
    pub events: u64,
    /// Events that no webhook wanted: none registered, cancelled, switched off, or the OA has granted nothing.
    pub unwanted: u64,
    /// Webhook requests made.
    pub deliveries: u64,
    /// Events answered 200.
    pub delivered: u64,
    /// Webhook requests that failed.
    pub failed_deliveries: u64,
    /// Events lost to the bound, to the end of the retry ladder, or to another webhook.
    pub dropped: u64,
    /// Subscriptions that Zalo cancelled.
    pub cancelled: u64,
}

/// On which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `/v3.0/oa/message/cs`.
    Consultation,
    /// `/v3.0/oa/message/template`.
    TemplateByUid,
    /// `/message/template` by phone.
    Zns,
    /// `/message/template/hashphone`.
    ZnsByHash,
    /// To a visitor of the OA's web widget.
    Anonymous,
    /// `/v3.0/oa/group/message`.
    Group,
    /// An article to many.
    Broadcast,
}

/// One message that an app sent.
#[derive(Clone, Debug, Serialize)]
pub struct SentMessage {
    /// Counts from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub unix_ms: i64,
    /// From whom.
    pub oa_id: String,
    /// How.
    pub way: Way,
    /// User id, phone, hash of a phone, group id; `target` of a broadcast.
    pub to: String,
    /// As answered.
    pub message_id: String,
    /// The text, where there is one.
    pub text: Option<String>,
    /// ZNS only.
    pub tracking_id: Option<String>,
    /// How often this content was sent to this person, this time included: above one, the customer saw it twice.
    pub copies: u32,
    /// The request's body.
    pub body: Value,
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct JournalEntry {
    /// Counts from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub unix_ms: i64,
    /// Whose token it bore.
    pub oa_id: Option<String>,
    /// The path.
    pub endpoint: String,
    /// `GET` or `POST`.
    pub method: String,
    /// Query, form and JSON fields, without tokens and without the bytes of files.
    pub params: Value,
    /// HTTP status; 0 where the connection was reset or no answer came.
    pub status: u16,
    /// `error` in the body.
    pub error: i32,
    /// `message` in the body.
    pub message: Option<String>,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

/// One event that was made for a webhook.
#[derive(Clone, Debug, Serialize)]
pub struct EventRecord {
    /// Counts from 1.
    pub number: u64,
    /// `event_name`.
    pub name: String,
    /// Whose.
    pub oa_id: String,
    /// From which of Zalo's senders.
    pub server: EventServer,
    /// Exactly as it goes to the webhook.
    #[serde(serialize_with = "text")]
    pub body: Arc<str>,
}

fn text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) counters: Counters,
    pub(super) sent: VecDeque<SentMessage>,
    pub(super) calls: VecDeque<JournalEntry>,
    pub(super) events: VecDeque<EventRecord>,
    contents: Contents,
    limit: usize,
}

impl Journal {
    pub(super) fn new(limit: usize, content_limit: usize) -> Self {
        Self {
            limit,
            contents: Contents::new(content_limit),
            ..Self::default()
        }
    }

    pub(super) fn call(&mut self, mut entry: JournalEntry) {
        let counters = &mut self.counters;
        counters.requests += 1;
        counters.faults += u64::from(entry.fault.is_some());
        counters.refused += u64::from(entry.error != 0);
        counters.throttled += u64::from(entry.error == -32);
        entry.number = counters.requests;
        keep(&mut self.calls, entry, self.limit);
    }

    /// Records a message sent; `content` is what makes it the same as another one to the same person.
    pub(super) fn message(&mut self, mut sent: SentMessage, content: &Value) {
        self.counters.sent += 1;
        self.counters.zns += u64::from(matches!(sent.way, Way::Zns | Way::ZnsByHash));
        sent.number = self.counters.sent;
        sent.copies = self
            .contents
            .count((&sent.oa_id, &sent.to, sent.way, content.to_string()));
        self.counters.repeated += u64::from(sent.copies > 1);
        keep(&mut self.sent, sent, self.limit);
    }

    pub(super) fn event(&mut self, record: EventRecord) {
        keep(&mut self.events, record, self.limit);
    }

    /// Forgets what was recorded; counts too, but not how many events there were, which is what numbers them.
    pub(super) fn clear(&mut self) {
        let events = self.counters.events;
        *self = Self::new(self.limit, self.contents.limit());
        self.counters.events = events;
    }
}
