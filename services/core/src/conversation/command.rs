//! What people and bots of the company do with conversations.

use super::desk::{Desk, thread_id};
use super::life::{self, What};
use super::{MAX_COMMANDS, MAX_TAGS, MAX_THREADS, away, holder, is_open, key_of, show::etag};
use crate::id::{ConversationId, ConversationKey, ThreadId};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{ConversationRecord, ThreadConversation};
use omnigate_proto::v1::{Assignee, ConversationPriority, ConversationStatus};

/// Longest tag, in characters.
const MAX_TAG: usize = 64;

/// By which a command is recognised that comes again: part of a hash of its request id.
pub type Mark = [u8; 8];

/// A change of a conversation.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Gives it to somebody.
    Assign {
        /// Who gets it; `None` for nobody.
        assignee: Option<Assignee>,
        /// Who must have it; empty for nobody.
        expected: String,
        /// What it must look like; empty for anything.
        etag: String,
    },
    /// Changes what is written on it.
    Update {
        /// Priority; UNSPECIFIED leaves it.
        priority: ConversationPriority,
        /// Tags to add.
        add: Vec<String>,
        /// Tags to take away.
        remove: Vec<String>,
        /// What it must look like; empty for anything.
        etag: String,
    },
    /// Moves it on.
    SetStatus {
        /// Where to.
        status: ConversationStatus,
        /// Until when it is put aside, for SNOOZED.
        until: Moment,
        /// What it must look like; empty for anything.
        etag: String,
    },
    /// Lets it go on in another thread.
    Join {
        /// The thread.
        thread: ThreadId,
    },
    /// Takes a thread out.
    Leave {
        /// The thread.
        thread: ThreadId,
    },
}

/// A conversation that our side begins.
#[derive(Clone, PartialEq, Debug)]
pub struct Opening {
    /// Its key: the same for each repetition.
    pub key: ConversationKey,
    /// Thread it begins in.
    pub thread: ThreadId,
    /// Who gets it.
    pub assignee: Option<Assignee>,
    /// How urgent it is.
    pub priority: ConversationPriority,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Why nothing was done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such conversation that is not closed.
    #[error("there is no such conversation that is not closed")]
    Gone,
    /// It changed since.
    #[error("the conversation has changed since; look again")]
    Etag,
    /// Somebody else has it.
    #[error("somebody else has the conversation")]
    AssignedElsewhere(String),
    /// It would have too many tags.
    #[error("a conversation has at most {MAX_TAGS} tags")]
    TooManyTags,
    /// It would have too many threads.
    #[error("a conversation has at most {MAX_THREADS} threads")]
    TooManyThreads,
    /// The thread has one that is open.
    #[error("the thread has a conversation that is neither resolved nor closed")]
    Exists(ConversationKey),
    /// Too many are open.
    #[error("too many conversations are open there; resolve some")]
    Full,
    /// The thread belongs to somebody else.
    #[error("the thread does not belong to the customer of the conversation")]
    ThreadElsewhere,
    /// The thread is part of a conversation of a third home.
    #[error("the thread joined another conversation and has to leave that first")]
    ThreadTaken,
    /// It would have no thread.
    #[error("it is the only thread of the conversation")]
    LastThread,
}

/// True for what can be a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let length = text.chars().count();
    (1..=MAX_TAG).contains(&length) && text.trim() == text && !text.chars().any(char::is_control)
}

impl Desk<'_> {
    /// Carries a command out. False when there is nothing to do, also because it was carried out before.
    pub fn carry_out(&mut self, key: ConversationKey, mark: Mark, command: &Command) -> Result<bool, Refusal> {
        let before = self.find(key).ok_or(Refusal::Gone)?;
        if is_done(before, mark) {
            return Ok(false);
        }
        let mut record = before.clone();
        let what = match command {
            Command::Assign {
                assignee,
                expected,
                etag,
            } => {
                check_etag(&record, etag)?;
                let has = holder(&record).map_or("", |holder| holder.id.as_str());
                if has != expected {
                    return Err(Refusal::AssignedElsewhere(has.to_owned()));
                }
                life::assign(&mut record, assignee.as_ref(), self.now)
            }
            Command::Update {
                priority,
                add,
                remove,
                etag,
            } => {
                check_etag(&record, etag)?;
                update(&mut record, *priority, add, remove)?
            }
            Command::SetStatus { status, until, etag } => {
                check_etag(&record, etag)?;
                set_status(&mut record, *status, *until, self.now)
            }
            Command::Join { thread } => self.join(&mut record, key, *thread)?,
            Command::Leave { thread } => self.leave(&mut record, *thread)?,
        };
        if what.is_empty() {
            return Ok(false);
        }
        remember(&mut record, mark);
        self.change(key, "", |standing| {
            *standing = record;
            what
        });
        Ok(true)
    }

    /// Opens a conversation without a word of the customer.
    pub fn open_by_us(&mut self, opening: &Opening, mark: Mark) -> Result<(), Refusal> {
        let position = self.position(opening.thread).ok_or(Refusal::ThreadElsewhere)?;
        if away(&self.home.threads[position]).is_some() {
            return Err(Refusal::ThreadTaken);
        }
        let present = self.present(&self.home.threads[position]);
        let standing = present.and_then(|key| self.find(key));
        if let Some(key) = standing.filter(|record| is_open(record)).and_then(key_of) {
            return Err(Refusal::Exists(key));
        }
        let now = self.now;
        if let Some(resolved) = present {
            self.change(resolved, "", |record| life::close(record, now));
        }
        if !self.has_room("") {
            return Err(Refusal::Full);
        }
        let mut record = self.born(position, opening.key, opening.key.opened(), true);
        update(&mut record, opening.priority, &opening.tags, &[])?;
        life::assign(&mut record, opening.assignee.as_ref(), now);
        remember(&mut record, mark);
        self.open(position, record, "", |_| vec!["opened"]);
        Ok(())
    }

    pub(super) fn position(&self, thread: ThreadId) -> Option<usize> {
        let tenant_id = &self.home.tenant_id;
        let is_it = |record: &_| thread_id(tenant_id, record) == thread;
        self.home.threads.iter().position(is_it)
    }

    fn join(
        &mut self,
        record: &mut ConversationRecord,
        key: ConversationKey,
        thread: ThreadId,
    ) -> Result<What, Refusal> {
        let id = Bytes::copy_from_slice(&thread.0);
        let position = self.position(thread).ok_or(Refusal::ThreadElsewhere)?;
        if away(&self.home.threads[position]).is_some() {
            return Err(Refusal::ThreadTaken);
        }
        let former = self.present(&self.home.threads[position]);
        if former == Some(key) {
            return Ok(What::new());
        }
        if record.threads.len() >= MAX_THREADS {
            return Err(Refusal::TooManyThreads);
        }
        let now = self.now;
        let mut what = What::new();
        if !is_open(record) {
            what.extend(life::reopen(record, now, true));
        }
        if let Some(former) = former {
            let here = ConversationId::new(self.id, key);
            let waits = self.give_up(former, &id, here.to_bytes());
            // Whoever waited there waits here now.
            what.extend(waits.map(|since| life::heard(record, since, now)).unwrap_or_default());
        }
        if !record.threads.contains(&id) {
            record.threads.push(id);
        }
        self.home.threads[position].conversation = Some(ThreadConversation {
            key: key.to_bytes(),
            ..ThreadConversation::default()
        });
        what.push("threads");
        Ok(what)
    }

    /// Takes a thread from the conversation that it was part of, and closes that if it has no other. Since when the customer
    /// waited there, if it is closed.
    pub(super) fn give_up(&mut self, former: ConversationKey, thread: &Bytes, into: Bytes) -> Option<Moment> {
        let now = self.now;
        let record = self.find(former)?;
        let others = record.threads.iter().any(|other| other != thread);
        let waiting_ms = record.cycle.unwrap_or_default().waiting_since_ms;
        self.change(former, "", |record| {
            if others {
                record.threads.retain(|other| other != thread);
                return vec!["threads"];
            }
            life::join(record, into, now)
        });
        (!others && waiting_ms != 0).then_some(Moment(waiting_ms))
    }

    fn leave(&mut self, record: &mut ConversationRecord, thread: ThreadId) -> Result<What, Refusal> {
        let is_it = |other: &Bytes| other.as_ref() == thread.0.as_slice();
        if !record.threads.iter().any(is_it) {
            return Ok(What::new());
        }
        if record.threads.len() == 1 {
            return Err(Refusal::LastThread);
        }
        record.threads.retain(|other| !is_it(other));
        record.foreign.retain(|foreign| !is_it(&foreign.thread));
        if let Some(position) = self.position(thread) {
            self.home.threads[position].conversation = None;
        }
        Ok(vec!["threads"])
    }
}

fn check_etag(record: &ConversationRecord, expected: &str) -> Result<(), Refusal> {
    if expected.is_empty() || etag(record) == expected {
        Ok(())
    } else {
        Err(Refusal::Etag)
    }
}

/// True when the command took effect before.
pub(super) fn is_done(record: &ConversationRecord, mark: Mark) -> bool {
    record.commands.iter().any(|done| done.as_ref() == mark)
}

pub(super) fn remember(record: &mut ConversationRecord, mark: Mark) {
    if record.commands.len() >= MAX_COMMANDS {
        record.commands.remove(0);
    }
    record.commands.push(Bytes::copy_from_slice(&mark));
}

fn update(
    record: &mut ConversationRecord,
    priority: ConversationPriority,
    add: &[String],
    remove: &[String],
) -> Result<What, Refusal> {
    let mut what = What::new();
    if priority != ConversationPriority::Unspecified && priority != record.priority() {
        record.set_priority(priority);
        what.push("priority");
    }
    let mut tags = record.tags.clone();
    tags.retain(|tag| !remove.contains(tag));
    tags.extend(add.iter().cloned());
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MAX_TAGS {
        return Err(Refusal::TooManyTags);
    }
    if tags != record.tags {
        record.tags = tags;
        what.push("tags");
    }
    Ok(what)
}

fn set_status(record: &mut ConversationRecord, status: ConversationStatus, until: Moment, now: Moment) -> What {
    let present = record.status();
    let mut what = What::new();
    let goes_on = matches!(
        status,
        ConversationStatus::Open | ConversationStatus::Pending | ConversationStatus::Snoozed
    );
    if present == ConversationStatus::Resolved && goes_on {
        what.extend(life::reopen(record, now, true));
    }
    match status {
        ConversationStatus::Snoozed if (record.snoozed_until_ms, present) != (until.0, status) => {
            what.extend(life::snooze(record, until, now));
        }
        ConversationStatus::Open | ConversationStatus::Pending if record.status() != status => {
            what.extend(life::hand_over(record, status, now));
        }
        ConversationStatus::Resolved if is_open(record) => what.extend(life::resolve(record, now)),
        ConversationStatus::Closed => what.extend(life::close(record, now)),
        _ => {}
    }
    what
}
