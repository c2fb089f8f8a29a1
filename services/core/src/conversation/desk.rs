//! All conversations of a home, while its record is in hand: every change of one goes through here, so that the list of the
//! tenant, the timers, the closed ones and what others are told follow from it.

use super::life::{self, What};
use super::{AccountRules, MAX_PRESENT, MAX_THREADS, Rules, Word, away, is_open, key_of, outline, show};
use crate::append::is_thread;
use crate::customer_event::Happened;
use crate::id::{Birth, ConversationKey, CustomerId, ThreadId};
use crate::identifier;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{
    ConversationOutline, ConversationRecord, HomeRecord, ThreadConversation, ThreadRecord,
};
use omnigate_proto::v1::{ConversationChanged, ConversationPriority, ConversationStatus};
use std::collections::BTreeMap;

/// What a commit writes beside the home's record.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Changes {
    /// CustomerEvents with their numbers.
    pub outbox: Vec<(u64, Bytes)>,
    /// The tenant's list: what stands there, `None` for what leaves it.
    pub outlines: BTreeMap<ConversationKey, Option<ConversationOutline>>,
    /// Those that are closed now.
    pub closed: BTreeMap<ConversationKey, ConversationRecord>,
    /// When somebody has to look at the home's conversations.
    pub due: Vec<Moment>,
}

/// The conversations of a home in hand.
pub struct Desk<'a> {
    /// The home.
    pub id: CustomerId,
    /// Its record.
    pub home: &'a mut HomeRecord,
    /// Rules of the accounts.
    pub rules: &'a AccountRules,
    /// The present moment.
    pub now: Moment,
    /// Trace of what happens.
    pub trace_id: &'a str,
    /// What follows from it.
    pub changes: &'a mut Changes,
}

/// The id of a thread that stands in a home.
#[must_use]
pub(super) fn thread_id(tenant_id: &str, thread: &ThreadRecord) -> ThreadId {
    let peer = thread.peer.clone().unwrap_or_default();
    ThreadId::new(identifier::key(tenant_id, &peer), &thread.account_id)
}

impl Desk<'_> {
    /// Takes note of something that was said in a thread of the home.
    pub fn note(&mut self, birth: Birth, account_id: &str, word: &Word) {
        let ours = |thread: &ThreadRecord| is_thread(thread, &birth.0, account_id);
        let Some(position) = self.home.threads.iter().position(ours) else {
            return;
        };
        if away(&self.home.threads[position]).is_some() {
            return self.write_down(position, word);
        }
        let present = self.present(&self.home.threads[position]);
        match (word, present) {
            (Word::Theirs { at, event }, None) => self.open_by_word(position, *at, &event.to_string(), &event.0),
            (Word::Theirs { at, event }, Some(key)) => self.hear(position, key, *at, (&event.to_string(), &event.0)),
            (Word::Answer { at, cause }, Some(key)) => {
                let answered = |record: &mut ConversationRecord| match is_open(record) {
                    true => life::answered(record, *at),
                    // Words of parting.
                    false => What::new(),
                };
                self.change(key, cause, answered);
            }
            (Word::Aside { at }, Some(key)) => self.change(key, "", |record| {
                record.active_ms = record.active_ms.max(at.0);
                What::new()
            }),
            (Word::Answer { .. } | Word::Aside { .. }, None) => {}
        }
    }

    /// What the customer says in a thread that has a conversation.
    fn hear(&mut self, position: usize, key: ConversationKey, at: Moment, (cause, event): (&str, &[u8])) {
        let now = self.now;
        let Some(record) = self.find(key) else { return };
        if is_open(record) {
            return self.change(key, cause, |record| life::heard(record, at, now));
        }
        let resolved = Moment(record.cycle.unwrap_or_default().resolved_ms);
        if self.rules.of(&record.account_id).reopens(resolved, at) {
            return self.change(key, cause, |record| {
                let mut what = life::reopen(record, at, false);
                what.extend(life::heard(record, at, now));
                what
            });
        }
        self.change(key, cause, |record| life::close(record, now));
        self.open_by_word(position, at, cause, event);
    }

    fn open_by_word(&mut self, position: usize, at: Moment, cause: &str, event: &[u8]) {
        let now = self.now;
        let thread = &self.home.threads[position];
        let id = thread_id(&self.home.tenant_id, thread);
        let key = ConversationKey::new(at, id, event);
        if !self.has_room(cause) {
            return self.crowd(position, id, at, cause);
        }
        let record = self.born(position, key, at, false);
        self.open(position, record, cause, |record| {
            let mut what = vec!["opened"];
            what.extend(life::heard(record, at, now));
            what
        });
    }

    /// A conversation that begins in a thread.
    pub(super) fn born(&self, position: usize, key: ConversationKey, at: Moment, by_us: bool) -> ConversationRecord {
        let thread = &self.home.threads[position];
        ConversationRecord {
            key: key.to_bytes(),
            status: ConversationStatus::Open.into(),
            birth: thread.birth.clone(),
            account_id: thread.account_id.clone(),
            threads: vec![Bytes::copy_from_slice(&thread_id(&self.home.tenant_id, thread).0)],
            priority: ConversationPriority::None.into(),
            cycle: Some(life::begun(1, at, by_us)),
            active_ms: at.0,
            ..ConversationRecord::default()
        }
    }

    pub(super) fn open(
        &mut self,
        position: usize,
        record: ConversationRecord,
        cause: &str,
        change: impl FnOnce(&mut ConversationRecord) -> What,
    ) {
        self.home.threads[position].conversation = Some(ThreadConversation {
            key: record.key.clone(),
            ..ThreadConversation::default()
        });
        let key = key_of(&record);
        self.home.conversations.push(record);
        if let Some(key) = key {
            self.change(key, cause, change);
        }
    }

    /// True when one more may be open; the one that was resolved longest ago makes room.
    pub(super) fn has_room(&mut self, cause: &str) -> bool {
        if self.home.conversations.len() < MAX_PRESENT {
            return true;
        }
        let resolved = self.home.conversations.iter().filter(|record| !is_open(record));
        let oldest = resolved.min_by_key(|record| record.cycle.unwrap_or_default().resolved_ms);
        let Some(key) = oldest.and_then(key_of) else {
            return false;
        };
        let now = self.now;
        self.change(key, cause, |record| life::close(record, now));
        true
    }

    /// No more may be open: the word goes to the one that was active last, so that somebody sees it.
    fn crowd(&mut self, position: usize, thread: ThreadId, at: Moment, cause: &str) {
        let now = self.now;
        let newest = self.home.conversations.iter().max_by_key(|record| record.active_ms);
        let Some(key) = newest.and_then(key_of) else { return };
        self.home.threads[position].conversation = Some(ThreadConversation {
            key: key.to_bytes(),
            ..ThreadConversation::default()
        });
        self.change(key, cause, |record| {
            let thread = Bytes::copy_from_slice(&thread.0);
            let is_new = !record.threads.contains(&thread) && record.threads.len() < MAX_THREADS;
            let mut what = life::heard(record, at, now);
            if is_new {
                record.threads.push(thread);
                what.push("threads");
            }
            what
        });
    }

    /// What happens by itself by now.
    pub fn ring(&mut self) {
        let (now, rules) = (self.now, self.rules);
        let rung = |record: &&ConversationRecord| record.timer_ms != 0 && record.timer_ms <= now.0;
        let keys: Vec<ConversationKey> = self.home.conversations.iter().filter(rung).filter_map(key_of).collect();
        for key in keys {
            self.change(key, "", |record| {
                record.timer_ms = 0;
                let due = rules.of(&record.account_id).due(record);
                match (due, record.status()) {
                    (Some(due), _) if due > now => What::new(),
                    (Some(_), ConversationStatus::Snoozed) => life::wake(record, now),
                    (Some(_), ConversationStatus::Open) => life::resolve(record, now),
                    (Some(_), ConversationStatus::Resolved) => life::close(record, now),
                    _ => What::new(),
                }
            });
        }
    }

    /// The conversation a thread is part of, if that is not closed.
    pub(super) fn present(&self, thread: &ThreadRecord) -> Option<ConversationKey> {
        let part_of = thread.conversation.as_ref().filter(|part_of| part_of.home.is_empty())?;
        let key = ConversationKey::from_bytes(&part_of.key)?;
        self.find(key).map(|_| key)
    }

    /// One that is not closed.
    #[must_use]
    pub fn find(&self, key: ConversationKey) -> Option<&ConversationRecord> {
        self.home
            .conversations
            .iter()
            .find(|record| record.key == key.0.as_slice())
    }

    /// Changes a conversation, and everything that follows from it.
    pub(super) fn change(
        &mut self,
        key: ConversationKey,
        cause: &str,
        change: impl FnOnce(&mut ConversationRecord) -> What,
    ) {
        let is_it = |record: &ConversationRecord| record.key == key.0.as_slice();
        let Some(position) = self.home.conversations.iter().position(is_it) else {
            return;
        };
        let record = &mut self.home.conversations[position];
        let what = change(record);
        set_timer(record, self.rules.of(&record.account_id), &mut self.changes.due);
        if what.is_empty() {
            return;
        }
        self.changes.outlines.insert(key, outline(record));
        self.tell(position, what, cause);
        if self.home.conversations[position].status() == ConversationStatus::Closed {
            let closed = self.home.conversations.remove(position);
            let left = |thread: &&mut ThreadRecord| {
                let part_of = thread.conversation.as_ref();
                part_of.is_some_and(|part_of| part_of.home.is_empty() && part_of.key == key.0.as_slice())
            };
            for thread in self.home.threads.iter_mut().filter(left) {
                thread.conversation = None;
            }
            self.changes.closed.insert(key, closed);
        }
    }

    fn tell(&mut self, position: usize, what: What, cause: &str) {
        self.home.home_seq += 1;
        let (home_seq, tenant_id) = (self.home.home_seq, self.home.tenant_id.as_str());
        let conversation = show(tenant_id, self.id, self.id, &self.home.conversations[position]);
        let happened = Happened {
            tenant_id,
            home: self.id,
            home_seq,
            at: self.now,
            trace_id: self.trace_id,
        };
        let changed = happened.conversation_changed(ConversationChanged {
            conversation: Some(conversation),
            changed: what.into_iter().map(str::to_owned).collect(),
            cause: cause.to_owned(),
        });
        self.changes.outbox.push((home_seq, changed));
    }
}

/// Sets the timer when it would fire too late. One that fires too early is set anew then.
fn set_timer(record: &mut ConversationRecord, rules: Rules, timers: &mut Vec<Moment>) {
    let Some(due) = rules.due(record) else { return };
    if record.timer_ms == 0 || due.0 < record.timer_ms {
        record.timer_ms = due.0;
        timers.push(due);
    }
}
