//! Conversations that go on in threads of other homes.
//!
//! Nothing commits across homes. So the thread writes down what is said in it, in the commit of the message, and the words are
//! carried to the conversation afterwards: each has the number of its entry in the thread, the conversation knows up to which
//! number it took them, and so takes each once.

use super::command::{Mark, Refusal, is_done, remember};
use super::desk::{Desk, thread_id};
use super::life::{self, What};
use super::{MAX_THREADS, Word, is_open};
use crate::id::{Birth, ConversationId, ConversationKey, CustomerId, EventId, ThreadId};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{
    ConversationRecord, ForeignThread, HomeRecord, ThreadConversation, ThreadRecord, WordKind, WordRecord,
};
use std::time::Duration;

/// Most words of a thread that wait to be carried.
const MAX_WORDS: usize = 16;
/// When somebody looks whether words still wait to be carried: whoever wrote them down carries them at once.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// Words on their way to a conversation of another home.
#[derive(Clone, PartialEq, Debug)]
pub struct Carried {
    /// Thread they were said in.
    pub thread: ThreadId,
    /// Its place in its home.
    pub position: usize,
    /// The conversation.
    pub to: ConversationId,
    /// The words.
    pub words: Vec<WordRecord>,
}

/// True when words of a home's threads wait to be carried to other homes.
#[must_use]
pub fn has_words(home: &HomeRecord) -> bool {
    let mut parts = home.threads.iter().filter_map(|thread| thread.conversation.as_ref());
    parts.any(|part_of| !part_of.words.is_empty())
}

/// The conversation of another home that a thread is part of.
#[must_use]
pub fn away(thread: &ThreadRecord) -> Option<ConversationId> {
    let part_of = thread.conversation.as_ref()?;
    let home = CustomerId::from_bytes(&part_of.home)?;
    Some(ConversationId::new(home, ConversationKey::from_bytes(&part_of.key)?))
}

/// The words of the first thread whose words wait.
#[must_use]
pub fn carried(home: &HomeRecord) -> Option<Carried> {
    let waits = |thread: &ThreadRecord| {
        let part_of = thread.conversation.as_ref();
        part_of.is_some_and(|part_of| !part_of.words.is_empty())
    };
    let position = home.threads.iter().position(waits)?;
    let thread = &home.threads[position];
    Some(Carried {
        thread: thread_id(&home.tenant_id, thread),
        position,
        to: away(thread)?,
        words: thread.conversation.as_ref()?.words.clone(),
    })
}

fn written(word: &Word, number: u64) -> WordRecord {
    let (kind, at, cause) = match word {
        Word::Theirs { at, event } => (WordKind::Theirs, at, event.to_string()),
        Word::Answer { at, cause } => (WordKind::Answer, at, cause.clone()),
        Word::Aside { at } => (WordKind::Aside, at, String::new()),
    };
    WordRecord {
        number,
        kind: kind.into(),
        at_ms: at.0,
        cause,
    }
}

fn said(word: &WordRecord) -> Word {
    let at = Moment(word.at_ms);
    match word.kind() {
        WordKind::Theirs => Word::Theirs {
            at,
            event: word.cause.parse().unwrap_or(EventId([0; 16])),
        },
        WordKind::Answer => Word::Answer {
            at,
            cause: word.cause.clone(),
        },
        WordKind::Aside | WordKind::Unspecified => Word::Aside { at },
    }
}

impl Desk<'_> {
    /// Writes down what was said in a thread whose conversation lives elsewhere.
    pub(super) fn write_down(&mut self, position: usize, word: &Word) {
        let thread = &mut self.home.threads[position];
        let number = thread.thread_seq;
        let Some(part_of) = thread.conversation.as_mut() else {
            return;
        };
        if part_of.words.is_empty() {
            self.changes.due.push(self.now + LOOK_AFTER);
        }
        // A burst in one commit: how it began and how it ended is what counts.
        if part_of.words.len() >= MAX_WORDS {
            part_of.words.remove(1);
        }
        part_of.words.push(written(word, number));
    }

    /// Takes words that were said in a thread of another home. The number up to which they are taken; `None` when the
    /// conversation takes none of that thread any more.
    pub fn take_words(&mut self, key: ConversationKey, thread: ThreadId, words: &[WordRecord]) -> Option<u64> {
        let now = self.now;
        for word in words {
            let record = self.find(key)?;
            let seen = seen(record, thread)?;
            if word.number <= seen {
                continue;
            }
            let resolved = Moment(record.cycle.unwrap_or_default().resolved_ms);
            let at = Moment(word.at_ms);
            let is_theirs = word.kind() == WordKind::Theirs;
            if !is_open(record) && is_theirs && !self.rules.of(&record.account_id).reopens(resolved, at) {
                self.change(key, &word.cause, |record| life::close(record, now));
                return None;
            }
            self.change(key, &word.cause, |record| {
                let what = take(record, &said(word), now);
                if let Some(foreign) = foreign(record, thread) {
                    foreign.seen = word.number;
                }
                what
            });
        }
        seen(self.find(key)?, thread)
    }

    /// The words up to a number are carried.
    pub fn carried_up_to(&mut self, carried: &Carried, seen: u64) {
        if let Some(part_of) = self.part_of(carried) {
            part_of.words.retain(|word| word.number > seen);
        }
    }

    /// The conversation takes no words of the thread any more: those that it has not taken count here.
    pub fn bring_back(&mut self, carried: &Carried, seen: u64) {
        let Some(part_of) = self.part_of(carried) else {
            return;
        };
        let words = std::mem::take(&mut part_of.words);
        let thread = &mut self.home.threads[carried.position];
        thread.conversation = None;
        let (account_id, birth) = (thread.account_id.clone(), Birth::from_bytes(&thread.birth));
        let Some(birth) = birth else { return };
        for word in words.iter().filter(|word| word.number > seen) {
            self.note(birth, &account_id, &said(word));
        }
    }

    /// What a thread of the home is part of, if that is still what was carried.
    fn part_of(&mut self, carried: &Carried) -> Option<&mut ThreadConversation> {
        let tenant_id = &self.home.tenant_id;
        let thread = self.home.threads.get_mut(carried.position)?;
        let is_it = thread_id(tenant_id, thread) == carried.thread && away(thread) == Some(carried.to);
        thread.conversation.as_mut().filter(|_| is_it)
    }

    /// Lets a conversation take words of a thread of another home. False when it does already.
    pub fn listen(
        &mut self,
        key: ConversationKey,
        mark: Mark,
        (thread, home): (ThreadId, CustomerId),
    ) -> Result<bool, Refusal> {
        let before = self.find(key).ok_or(Refusal::Gone)?;
        if is_done(before, mark) || seen(before, thread).is_some() {
            return Ok(false);
        }
        if before.threads.len() >= MAX_THREADS {
            return Err(Refusal::TooManyThreads);
        }
        let now = self.now;
        self.change(key, "", |record| {
            let mut what = What::new();
            if !is_open(record) {
                what.extend(life::reopen(record, now, true));
            }
            record.threads.push(Bytes::copy_from_slice(&thread.0));
            record.foreign.push(ForeignThread {
                thread: Bytes::copy_from_slice(&thread.0),
                home: home.to_bytes(),
                seen: 0,
            });
            remember(record, mark);
            what.push("threads");
            what
        });
        Ok(true)
    }

    /// Lets what is said in a thread of the home go to a conversation elsewhere. What it was part of here loses it. False when
    /// it does already.
    pub fn send_away(&mut self, thread: ThreadId, to: ConversationId) -> Result<bool, Refusal> {
        let position = self.position(thread).ok_or(Refusal::ThreadElsewhere)?;
        match away(&self.home.threads[position]) {
            Some(there) if there == to => return Ok(false),
            Some(_) => return Err(Refusal::ThreadTaken),
            None => {}
        }
        let former = self.present(&self.home.threads[position]);
        let id = Bytes::copy_from_slice(&thread.0);
        let waits = former.and_then(|former| self.give_up(former, &id, to.to_bytes()));
        self.home.threads[position].conversation = Some(ThreadConversation {
            key: to.key().to_bytes(),
            home: to.home().to_bytes(),
            words: Vec::new(),
        });
        if let Some(at) = waits {
            let event = EventId([0; 16]);
            self.write_down(position, &Word::Theirs { at, event });
        }
        Ok(true)
    }

    /// Ends what [`Desk::send_away`] began.
    pub fn come_back(&mut self, thread: ThreadId, from: ConversationId) {
        let Some(position) = self.position(thread) else {
            return;
        };
        let carried = Carried {
            thread,
            position,
            to: from,
            words: Vec::new(),
        };
        self.bring_back(&carried, 0);
    }

    /// Lets a conversation take no more words of a thread.
    pub fn forget(&mut self, key: ConversationKey, thread: ThreadId) {
        self.change(key, "", |record| {
            let before = record.foreign.len();
            record
                .foreign
                .retain(|foreign| foreign.thread.as_ref() != thread.0.as_slice());
            if record.foreign.len() == before {
                return What::new();
            }
            record.threads.retain(|other| other.as_ref() != thread.0.as_slice());
            vec!["threads"]
        });
    }

    /// Parts threads of this home from conversations of another customer: a thread belongs to whoever has its birth, a
    /// conversation to whoever has the birth and the time that it began by. True when some were parted.
    pub fn part(&mut self, has_thread: impl Fn(&[u8]) -> bool, has: impl Fn(&ConversationRecord) -> bool) -> bool {
        let mut parted = false;
        for position in 0..self.home.threads.len() {
            let thread = &self.home.threads[position];
            let Some(key) = self.present(thread) else { continue };
            let theirs = self.find(key).is_some_and(&has);
            if has_thread(&thread.birth) == theirs {
                continue;
            }
            let id = Bytes::copy_from_slice(&thread_id(&self.home.tenant_id, thread).0);
            self.home.threads[position].conversation = None;
            self.change(key, "", |record| match record.threads.len() {
                // It was held there, also where it goes on nowhere.
                0 | 1 => What::new(),
                _ => {
                    record.threads.retain(|other| *other != id);
                    vec!["threads"]
                }
            });
            parted = true;
        }
        parted
    }
}

/// Up to which number a conversation took words of a thread; `None` when it takes none.
#[must_use]
pub fn seen(record: &ConversationRecord, thread: ThreadId) -> Option<u64> {
    let mut all = record.foreign.iter();
    let found = all.find(|foreign| foreign.thread.as_ref() == thread.0.as_slice());
    found.map(|foreign| foreign.seen)
}

fn foreign(record: &mut ConversationRecord, thread: ThreadId) -> Option<&mut ForeignThread> {
    let mut all = record.foreign.iter_mut();
    all.find(|foreign| foreign.thread.as_ref() == thread.0.as_slice())
}

fn take(record: &mut ConversationRecord, word: &Word, now: Moment) -> What {
    match word {
        Word::Theirs { at, .. } if is_open(record) => life::heard(record, *at, now),
        Word::Theirs { at, .. } => {
            let mut what = life::reopen(record, *at, false);
            what.extend(life::heard(record, *at, now));
            what
        }
        Word::Answer { at, .. } if is_open(record) => life::answered(record, *at),
        Word::Answer { at, .. } | Word::Aside { at } => {
            record.active_ms = record.active_ms.max(at.0);
            What::new()
        }
    }
}
