//! What the bot did: a ring of requests, a ring of sent messages, and counts.

use super::fault::Fault;
use crate::contents::{Contents, keep};
use serde::Serialize;
use serde_json::Value;
use std::{collections::VecDeque, sync::Arc};

/// Counts since the start, of one bot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// API calls that reached a known bot.
    pub requests: u64,
    /// Messages accepted, whether or not the answer arrived.
    pub sent: u64,
    /// Of those, the ones whose content had been sent to the same chat before.
    pub repeated: u64,
    /// Edits accepted.
    pub edited: u64,
    /// Deletions accepted.
    pub deleted: u64,
    /// Reactions set or cleared by the bot.
    pub reactions: u64,
    /// Button presses answered.
    pub callbacks_answered: u64,
    /// Files downloaded.
    pub downloads: u64,
    /// Calls answered with an error, faults included.
    pub refused: u64,
    /// Of those, calls answered 429 for their rate.
    pub throttled: u64,
    /// Calls that met a fault.
    pub faults: u64,
    /// Updates made for the bot.
    pub updates: u64,
    /// Updates that the bot did not ask for.
    pub unwanted: u64,
    /// Webhook requests made.
    pub deliveries: u64,
    /// Updates accepted by the webhook or confirmed by an offset.
    pub delivered: u64,
    /// Webhook requests that failed.
    pub failed_deliveries: u64,
    /// Updates lost to expiry, to `drop_pending_updates` or to the bound.
    pub dropped: u64,
}

/// One message that the bot sent.
#[derive(Clone, Debug, Serialize)]
pub struct SentMessage {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// Where to.
    pub chat_id: i64,
    /// As answered.
    pub message_id: i64,
    /// In lower case.
    pub method: String,
    /// Text or caption.
    pub text: Option<String>,
    /// How often this content was sent to this chat, this time included: above one, the customer saw it twice.
    pub copies: u32,
    /// The whole message, as answered.
    #[serde(serialize_with = "shared")]
    pub message: Arc<Value>,
}

fn shared<S: serde::Serializer>(value: &Arc<Value>, serializer: S) -> Result<S::Ok, S::Error> {
    Value::serialize(value, serializer)
}

/// One API call.
#[derive(Clone, Debug, Serialize)]
pub struct JournalEntry {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// In lower case.
    pub method: String,
    /// Without the bytes of files.
    pub params: Value,
    /// HTTP status; 0 where the connection was reset or no answer came.
    pub status: u16,
    /// The error's description.
    pub error: Option<String>,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) counters: Counters,
    pub(super) sent: VecDeque<SentMessage>,
    pub(super) calls: VecDeque<JournalEntry>,
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

    /// Whether calls are remembered at all.
    pub(super) fn remembers(&self) -> bool {
        self.limit > 0
    }

    pub(super) fn call(&mut self, mut entry: JournalEntry) {
        entry.number = self.counters.requests;
        keep(&mut self.calls, entry, self.limit);
    }

    /// Records a message sent; `content` is what makes it the same as another one in the same chat.
    pub(super) fn message(&mut self, mut sent: SentMessage, content: &Value) {
        self.counters.sent += 1;
        sent.number = self.counters.sent;
        sent.copies = self.contents.count((sent.chat_id, &sent.method, content.to_string()));
        if sent.copies > 1 {
            self.counters.repeated += 1;
        }
        keep(&mut self.sent, sent, self.limit);
    }

    /// Forgets what was recorded; counts too.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit, self.contents.limit());
    }
}
