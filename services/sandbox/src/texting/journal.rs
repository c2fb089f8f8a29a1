//! What the client did: rings of calls, messages and callbacks, and counts.

use super::{callback::SentCallback, fault::Fault};
use serde::Serialize;
use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Calls of the API.
    pub requests: u64,
    /// Messages accepted, whether or not the answer arrived.
    pub sent: u64,
    /// Of those, the ones whose text had been sent to the same number before.
    pub repeated: u64,
    /// Calls refused because their key was known.
    pub deduplicated: u64,
    /// Calls answered with an error, faults included.
    pub refused: u64,
    /// Of those, calls above the rate.
    pub throttled: u64,
    /// Calls that met a fault.
    pub faults: u64,
    /// Messages that people wrote.
    pub received: u64,
    /// Callback requests made.
    pub deliveries: u64,
    /// Callbacks accepted.
    pub delivered: u64,
    /// Callback requests that failed.
    pub failed_deliveries: u64,
    /// Callbacks given up, or dropped at the bound.
    pub dropped: u64,
}

/// One message that the client sent.
#[derive(Clone, Debug, Serialize)]
pub struct SentMessage {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// As answered.
    pub id: String,
    /// Digits with country code.
    pub to: String,
    /// Brandname, number, or messaging service.
    pub from: String,
    /// The text.
    pub text: String,
    /// Addresses of media.
    pub media: Vec<String>,
    /// The client's key, where the provider takes one.
    pub key: String,
    /// SMS segments.
    pub segments: usize,
    /// How often this text was sent to this number, this time included: above one, the person saw it twice.
    pub copies: u32,
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct JournalEntry {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// Method and path.
    pub call: String,
    /// HTTP status; 0 where the connection was reset or no answer came.
    pub status: u16,
    /// The provider's code of an error.
    pub error: Option<String>,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) counters: Counters,
    pub(super) sent: VecDeque<SentMessage>,
    pub(super) calls: VecDeque<JournalEntry>,
    pub(super) callbacks: VecDeque<SentCallback>,
    copies: HashMap<u64, u32>,
    contents: VecDeque<u64>,
    limit: usize,
    content_limit: usize,
}

impl Journal {
    pub(super) fn new(limit: usize, content_limit: usize) -> Self {
        Self {
            limit,
            content_limit,
            ..Self::default()
        }
    }

    pub(super) fn call(&mut self, mut entry: JournalEntry) {
        entry.number = self.counters.requests;
        push(&mut self.calls, entry, self.limit);
    }

    pub(super) fn callback(&mut self, mut sent: SentCallback) {
        sent.number = self.counters.deliveries;
        push(&mut self.callbacks, sent, self.limit);
    }

    pub(super) fn message(&mut self, mut sent: SentMessage) {
        self.counters.sent += 1;
        sent.number = self.counters.sent;
        sent.copies = self.count(&sent);
        self.counters.repeated += u64::from(sent.copies > 1);
        push(&mut self.sent, sent, self.limit);
    }

    fn count(&mut self, sent: &SentMessage) -> u32 {
        if self.content_limit == 0 {
            return 1;
        }
        let mut hasher = DefaultHasher::new();
        (&sent.to, &sent.text, &sent.media).hash(&mut hasher);
        let key = hasher.finish();
        let copies = self.copies.entry(key).or_insert(0);
        *copies += 1;
        let copies = *copies;
        if copies == 1 {
            self.contents.push_back(key);
            if self.contents.len() > self.content_limit
                && let Some(oldest) = self.contents.pop_front()
            {
                self.copies.remove(&oldest);
            }
        }
        copies
    }

    /// Forgets what was recorded; counts too.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit, self.content_limit);
    }
}

fn push<T>(ring: &mut VecDeque<T>, entry: T, limit: usize) {
    if limit == 0 {
        return;
    }
    if ring.len() == limit {
        ring.pop_front();
    }
    ring.push_back(entry);
}
