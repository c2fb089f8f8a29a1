//! What ESMEs did: rings of requests, submissions, whole texts and settled deliveries, and counts.

use super::{
    fault::{Fault, draw},
    pdu::Address,
    pieces::{Long, Piece},
};
use bytes::Bytes;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher as _},
};

/// Counts since the start, over all accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections ended, by whichever side.
    pub disconnections: u64,
    /// Binds accepted.
    pub binds: u64,
    /// Binds refused.
    pub binds_refused: u64,
    /// `unbind` received.
    pub unbinds: u64,
    /// `submit_sm` and `data_sm` received.
    pub submits: u64,
    /// Of those, the ones that took effect, whether or not the answer arrived.
    pub accepted: u64,
    /// Of those received, the ones refused, faults included.
    pub refused: u64,
    /// Of those refused, the ones above the window or the throughput.
    pub throttled: u64,
    /// Whole texts received, those of one piece included.
    pub texts: u64,
    /// Of those, the ones whose content had been sent to the same number before.
    pub repeated_texts: u64,
    /// Pieces that had come before.
    pub repeated_pieces: u64,
    /// Requests that met a fault.
    pub faults: u64,
    /// Receipts made.
    pub receipts: u64,
    /// `deliver_sm` made for what people wrote.
    pub messages: u64,
    /// `deliver_sm` and `data_sm` sent, repetitions included.
    pub deliveries: u64,
    /// Of those, the ones that were repetitions.
    pub redeliveries: u64,
    /// Of those sent, the ones answered ESME_ROK.
    pub acknowledged: u64,
    /// Of those sent, the ones that the ESME wants again later.
    pub retried: u64,
    /// Of those sent, the ones answered with a permanent error.
    pub rejected: u64,
    /// Lost to the bound of the queue or of the attempts.
    pub dropped: u64,
    /// `enquire_link` received.
    pub enquiries: u64,
    /// `enquire_link` sent.
    pub enquiries_sent: u64,
    /// `generic_nack` received.
    pub nacks: u64,
    /// `generic_nack` sent.
    pub nacks_sent: u64,
    /// Responses that answer nothing.
    pub strays: u64,
}

/// One accepted submission.
#[derive(Clone, Debug, Serialize)]
pub struct Submission {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// Whose.
    pub account: String,
    /// As answered.
    pub message_id: String,
    /// From.
    pub source: Address,
    /// To.
    pub destination: Address,
    /// As sent.
    pub service_type: String,
    /// As sent.
    pub esm_class: u8,
    /// As sent.
    pub data_coding: u8,
    /// As sent.
    pub registered_delivery: u8,
    /// As sent.
    pub validity_period: String,
    /// Which piece, where it is one.
    pub piece: Option<Piece>,
    /// The text without its header; None where it is none.
    pub text: Option<String>,
    /// The user data in hexadecimal, header included.
    pub octets: String,
    /// The optional parameters, `message_payload` apart: tag and value in hexadecimal.
    pub tlvs: Vec<(u16, String)>,
}

/// One whole text that somebody got.
#[derive(Clone, Debug, Serialize)]
pub struct WholeText {
    /// Counts from 1.
    pub number: u64,
    /// Whose.
    pub account: String,
    /// From.
    pub source: String,
    /// To.
    pub destination: String,
    /// None where the octets are no text.
    pub text: Option<String>,
    /// Of how many pieces.
    pub pieces: u8,
    /// The message ids, as answered, in the pieces' order.
    pub message_ids: Vec<String>,
    /// How often this content was sent to this number, this time included: above one, the person saw it twice.
    pub copies: u32,
}

/// One `deliver_sm` that came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// As the maker of it was told.
    pub delivery: u64,
    /// How often it was sent.
    pub attempts: u32,
    /// What the ESME answered at last; None where it was given up.
    pub status: Option<u32>,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct JournalEntry {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// Which connection, counted from 1.
    pub session: u64,
    /// Whose, once bound.
    pub account: Option<String>,
    /// The command id.
    pub command: u32,
    /// As sent.
    pub sequence: u32,
    /// `command_status` of the answer; None where none came.
    pub status: Option<u32>,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

/// What makes pieces belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) account: usize,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) by: Long,
    pub(super) reference: u16,
    pub(super) total: u8,
}

/// A piece as it waits for the others.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) octets: Bytes,
    pub(super) message_id: String,
}

#[derive(Debug, Default)]
struct Incomplete {
    order: u64,
    pieces: BTreeMap<u8, Waiting>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) counters: Counters,
    pub(super) submissions: VecDeque<Submission>,
    pub(super) texts: VecDeque<WholeText>,
    pub(super) settled: VecDeque<Settled>,
    pub(super) requests: VecDeque<JournalEntry>,
    incomplete: HashMap<Key, Incomplete>,
    oldest: BTreeMap<u64, Key>,
    orders: u64,
    copies: HashMap<u64, u32>,
    contents: VecDeque<u64>,
    entries: u64,
    limit: usize,
    incomplete_limit: usize,
    content_limit: usize,
}

impl Journal {
    pub(super) fn new(limit: usize, incomplete_limit: usize, content_limit: usize) -> Self {
        Self {
            limit,
            incomplete_limit,
            content_limit,
            ..Self::default()
        }
    }

    pub(super) fn request(&mut self, mut entry: JournalEntry) {
        self.entries += 1;
        entry.number = self.entries;
        push(&mut self.requests, entry, self.limit);
    }

    pub(super) fn submission(&mut self, mut submission: Submission) {
        self.counters.accepted += 1;
        submission.number = self.counters.accepted;
        push(&mut self.submissions, submission, self.limit);
    }

    pub(super) fn settle(&mut self, settled: Settled) {
        push(&mut self.settled, settled, self.limit);
    }

    /// Takes a piece in; answers all of them, in order, once none is missing.
    pub(super) fn piece(&mut self, key: Key, number: u8, waiting: Waiting) -> Option<Vec<Waiting>> {
        let known = self
            .incomplete
            .get(&key)
            .and_then(|incomplete| incomplete.pieces.get(&number));
        match known.map(|known| known.octets == waiting.octets) {
            Some(true) => self.counters.repeated_pieces += 1,
            // The reference was used again before the message before was whole.
            Some(false) => self.forget(&key),
            None => {}
        }
        let incomplete = self.incomplete.entry(key.clone()).or_default();
        if incomplete.pieces.is_empty() {
            self.orders += 1;
            incomplete.order = self.orders;
            self.oldest.insert(self.orders, key.clone());
        }
        incomplete.pieces.insert(number, waiting);
        if incomplete.pieces.len() == usize::from(key.total) {
            self.oldest.remove(&incomplete.order);
            return Some(self.incomplete.remove(&key)?.pieces.into_values().collect());
        }
        if self.incomplete.len() > self.incomplete_limit
            && let Some((_, oldest)) = self.oldest.pop_first()
        {
            self.incomplete.remove(&oldest);
        }
        None
    }

    fn forget(&mut self, key: &Key) {
        if let Some(incomplete) = self.incomplete.remove(key) {
            self.oldest.remove(&incomplete.order);
        }
    }

    /// Long messages of which pieces are missing.
    pub(super) fn incomplete(&self) -> usize {
        self.incomplete.len()
    }

    /// Records a whole text; `content` is what makes it the same as another one to the same number.
    pub(super) fn text(&mut self, mut whole: WholeText, content: impl Hash) {
        self.counters.texts += 1;
        whole.number = self.counters.texts;
        whole.copies = self.count((&whole.account, &whole.destination, content));
        if whole.copies > 1 {
            self.counters.repeated_texts += 1;
        }
        push(&mut self.texts, whole, self.limit);
    }

    fn count(&mut self, content: impl Hash) -> u32 {
        if self.content_limit == 0 {
            return 1;
        }
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let key = draw(&mut hasher.finish());
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
        *self = Self::new(self.limit, self.incomplete_limit, self.content_limit);
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

/// `octets` in hexadecimal.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(reference: u16) -> Key {
        Key {
            account: 0,
            source: Address::of("A"),
            destination: Address::of("84911111111"),
            by: Long::Udh8,
            reference,
            total: 2,
        }
    }

    fn waiting(text: &'static str) -> Waiting {
        Waiting {
            octets: Bytes::from_static(text.as_bytes()),
            message_id: text.to_owned(),
        }
    }

    fn whole(pieces: &[Waiting]) -> Vec<&str> {
        pieces.iter().map(|piece| piece.message_id.as_str()).collect()
    }

    #[test]
    fn pieces_in_any_order_and_twice_make_one_text() {
        let mut journal = Journal::new(10, 10, 10);
        assert!(journal.piece(key(1), 2, waiting("b")).is_none());
        assert!(journal.piece(key(1), 2, waiting("b")).is_none());
        assert_eq!(journal.counters.repeated_pieces, 1);
        assert_eq!(whole(&journal.piece(key(1), 1, waiting("a")).unwrap()), ["a", "b"]);
        assert_eq!((journal.incomplete(), journal.oldest.len()), (0, 0));
    }

    #[test]
    fn a_reference_used_again_begins_another_message() {
        let mut journal = Journal::new(10, 10, 10);
        let key = Key { total: 3, ..key(1) };
        for (number, text) in [(1, "old"), (2, "b"), (1, "new"), (3, "c")] {
            assert!(journal.piece(key.clone(), number, waiting(text)).is_none(), "{text}");
        }
        let pieces = journal.piece(key, 2, waiting("b")).unwrap();
        assert_eq!(whole(&pieces), ["new", "b", "c"]);
        assert_eq!((journal.incomplete(), journal.oldest.len()), (0, 0));
    }

    #[test]
    fn what_stays_incomplete_is_bounded() {
        let mut journal = Journal::new(10, 2, 10);
        for reference in 0..5 {
            assert!(journal.piece(key(reference), 1, waiting("a")).is_none());
        }
        assert_eq!((journal.incomplete(), journal.oldest.len()), (2, 2));
        assert!(journal.piece(key(0), 2, waiting("b")).is_none(), "forgotten");
        assert!(journal.piece(key(4), 2, waiting("b")).is_some());
    }
}
