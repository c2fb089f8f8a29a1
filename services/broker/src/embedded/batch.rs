//! One transaction of the writer, and what it means in memory once it is durable.

use super::{
    catalog::{Catalog, QueueRow},
    queue::Queue,
    tables::{ENTRIES, MARKS, MESSAGES, Marks, Message, RETURNS},
    writer::{Answers, Effect, Operation, Settlement},
};
use bytes::Bytes;
use omnigate_core::{
    port::broker::{LogName, Publication, PublishError, QueueName, Settled},
    time::Moment,
    topology,
};
use redb::{Database, ReadableTable as _, Table, WriteTransaction};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::oneshot;

/// Expired entries of one log that one transaction removes at most.
const SWEEP_COUNT: usize = 10_000;

struct Tables<'a> {
    messages: Table<'a, (u32, u64), &'static [u8]>,
    marks: Table<'a, u32, (u64, u64, u64)>,
    returns: Table<'a, (u32, u64), (u32, i64)>,
    entries: Table<'a, (u32, u64), (i64, &'static [u8])>,
}

impl<'a> Tables<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            messages: transaction.open_table(MESSAGES)?,
            marks: transaction.open_table(MARKS)?,
            returns: transaction.open_table(RETURNS)?,
            entries: transaction.open_table(ENTRIES)?,
        })
    }
}

struct Stored {
    queue: Arc<Queue>,
    first: u64,
    messages: Vec<Message>,
}

struct Settling {
    queue: Arc<Queue>,
    sequence: u64,
    due: Option<Moment>,
    /// False when it must come again.
    done: bool,
    answer: oneshot::Sender<Settled>,
}

/// Operations that become durable together.
pub(super) struct Batch<'a> {
    catalog: &'a mut Catalog,
    now: Moment,
    /// Of queues, as they are after this transaction.
    marks: HashMap<QueueName, Marks>,
    /// Of logs, as they are after this transaction.
    ends: HashMap<LogName, u64>,
    stored: HashMap<QueueName, Stored>,
    settling: Vec<Settling>,
    answers: Vec<(Answers, oneshot::Sender<Answers>)>,
}

impl<'a> Batch<'a> {
    /// An empty batch.
    pub(super) fn new(catalog: &'a mut Catalog, now: Moment) -> Self {
        Self {
            catalog,
            now,
            marks: HashMap::new(),
            ends: HashMap::new(),
            stored: HashMap::new(),
            settling: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Writes everything in one durable transaction. With `sweep`, also removes expired entries; true when more of them
    /// are left.
    pub(super) fn write(
        &mut self,
        database: &Database,
        operations: Vec<Operation>,
        sweep: bool,
    ) -> Result<bool, redb::Error> {
        let mut operations = operations.into_iter();
        let written = self.try_write(database, &mut operations, sweep);
        // What a failure left is given back; nobody else would.
        for operation in operations {
            if let Operation::Settle(Settlement { queue, sequence, .. }, answer) = operation {
                self.settling.push(Settling {
                    queue,
                    sequence,
                    due: None,
                    done: false,
                    answer,
                });
            }
        }
        written
    }

    fn try_write(
        &mut self,
        database: &Database,
        operations: &mut impl Iterator<Item = Operation>,
        sweep: bool,
    ) -> Result<bool, redb::Error> {
        let transaction = database.begin_write()?;
        let more = {
            let mut tables = Tables::open(&transaction)?;
            self.write_notes(&mut tables)?;
            for operation in operations {
                match operation {
                    Operation::Publish(messages, answer) => self.publish(&mut tables, messages, answer)?,
                    Operation::Append(log, entries, answer) => self.append(&mut tables, &log, entries, answer)?,
                    Operation::Settle(settlement, answer) => self.settle(&mut tables, settlement, answer)?,
                    Operation::Declare(..) | Operation::Note | Operation::Stop => {}
                }
            }
            self.write_marks(&mut tables)?;
            sweep && self.sweep(&mut tables)?
        };
        transaction.commit()?;
        Ok(more)
    }

    /// Makes memory follow what is durable, then answers; or gives everything back.
    pub(super) fn finish(self, durable: bool) {
        if durable {
            for (name, marks) in self.marks {
                if let Some(row) = self.catalog.queues.get_mut(&name) {
                    row.marks = marks;
                }
            }
            for (_, stored) in self.stored {
                stored.queue.stored(stored.first, stored.messages);
            }
            for (name, end) in self.ends {
                if let Some(row) = self.catalog.logs.get_mut(&name) {
                    row.next = end;
                    row.log.end.send_replace(end);
                }
            }
        }
        for settling in self.settling {
            let done = durable && settling.done;
            if done {
                settling.queue.settled(settling.sequence, settling.due);
            } else {
                settling.queue.unsettled(settling.sequence);
            }
            // Nobody waits any more: the settlement holds all the same.
            let _gone = settling.answer.send(if done { Settled::Done } else { Settled::Stale });
        }
        for (answers, answer) in self.answers {
            let failed = |_| {
                Err(PublishError::Unconfirmed(
                    "the embedded broker could not write".to_owned(),
                ))
            };
            let answers = if durable {
                answers
            } else {
                answers.into_iter().map(failed).collect()
            };
            let _gone = answer.send(answers);
        }
    }

    fn publish(
        &mut self,
        tables: &mut Tables<'_>,
        messages: Vec<Publication>,
        answer: oneshot::Sender<Answers>,
    ) -> Result<(), redb::Error> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            let stored = Message {
                body: message.body,
                traceparent: message.traceparent,
            };
            answers.push(self.store(tables, &message.queue, stored)?);
        }
        self.answers.push((answers, answer));
        Ok(())
    }

    /// Stores a message in its queue and its journal.
    fn store(
        &mut self,
        tables: &mut Tables<'_>,
        name: &QueueName,
        message: Message,
    ) -> Result<Result<(), PublishError>, redb::Error> {
        let Some(row) = self.catalog.queues.get(name) else {
            return Ok(Err(PublishError::Unroutable(name.0.clone())));
        };
        let marks = self.marks.entry(name.clone()).or_insert(row.marks);
        if marks.stored >= row.max_length {
            return Ok(Err(PublishError::Full(name.0.clone())));
        }
        let sequence = marks.next;
        marks.next += 1;
        marks.stored += 1;
        tables
            .messages
            .insert((row.queue.number, sequence), message.encode().as_slice())?;
        let (queue, journal) = (Arc::clone(&row.queue), row.journal.clone());
        if let Some(journal) = journal {
            self.add_entry(tables, &journal, &message.body)?;
        }
        let stored = self.stored.entry(name.clone());
        let stored = stored.or_insert_with(|| Stored {
            queue,
            first: sequence,
            messages: Vec::new(),
        });
        stored.messages.push(message);
        Ok(Ok(()))
    }

    fn append(
        &mut self,
        tables: &mut Tables<'_>,
        log: &LogName,
        entries: Vec<Bytes>,
        answer: oneshot::Sender<Answers>,
    ) -> Result<(), redb::Error> {
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            let known = self.add_entry(tables, log, &entry)?;
            answers.push(if known {
                Ok(())
            } else {
                Err(PublishError::Unroutable(log.0.clone()))
            });
        }
        self.answers.push((answers, answer));
        Ok(())
    }

    /// False when there is no such log.
    fn add_entry(&mut self, tables: &mut Tables<'_>, name: &LogName, body: &Bytes) -> Result<bool, redb::Error> {
        let Some(row) = self.catalog.logs.get(name) else {
            return Ok(false);
        };
        let end = self.ends.entry(name.clone()).or_insert(row.next);
        tables
            .entries
            .insert((row.log.number, *end), (self.now.0, body.as_ref()))?;
        *end += 1;
        Ok(true)
    }

    fn settle(
        &mut self,
        tables: &mut Tables<'_>,
        settlement: Settlement,
        answer: oneshot::Sender<Settled>,
    ) -> Result<(), redb::Error> {
        let Settlement {
            queue,
            sequence,
            effect,
        } = settlement;
        let key = (queue.number, sequence);
        self.settling.push(Settling {
            queue: Arc::clone(&queue),
            sequence,
            due: None,
            done: true,
            answer,
        });
        let index = self.settling.len() - 1;
        match effect {
            Effect::Remove { returned } => self.remove(tables, &queue.name, key, returned)?,
            Effect::Delay { due, deliveries } => {
                tables.returns.insert(key, (deliveries, due.0))?;
                self.settling[index].due = Some(due);
            }
            Effect::Park { item, traceparent } => {
                let parked = self.store(
                    tables,
                    &topology::parked(),
                    Message {
                        body: item,
                        traceparent,
                    },
                )?;
                if parked.is_ok() {
                    self.remove(tables, &queue.name, key, true)?;
                } else {
                    self.settling[index].done = false;
                }
            }
        }
        Ok(())
    }

    fn remove(
        &mut self,
        tables: &mut Tables<'_>,
        name: &QueueName,
        key: (u32, u64),
        returned: bool,
    ) -> Result<(), redb::Error> {
        tables.messages.remove(key)?;
        if returned {
            tables.returns.remove(key)?;
        }
        if let Some(QueueRow { marks, .. }) = self.catalog.queues.get(name) {
            let marks = self.marks.entry(name.clone()).or_insert(*marks);
            marks.stored = marks.stored.saturating_sub(1);
        }
        Ok(())
    }

    /// Writes how often messages have been delivered, before their settlements remove that again.
    fn write_notes(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        for (name, row) in &self.catalog.queues {
            let Some(notes) = row.queue.notes() else { continue };
            self.marks.entry(name.clone()).or_insert(row.marks).delivered = notes.delivered;
            for (sequence, deliveries) in notes.again {
                let key = (row.queue.number, sequence);
                let due = tables.returns.get(key)?.map_or(0, |returned| returned.value().1);
                tables.returns.insert(key, (deliveries, due))?;
            }
        }
        Ok(())
    }

    fn write_marks(&self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        for (name, marks) in &self.marks {
            if let Some(row) = self.catalog.queues.get(name) {
                tables
                    .marks
                    .insert(row.queue.number, (marks.next, marks.stored, marks.delivered))?;
            }
        }
        for (name, end) in &self.ends {
            if let Some(row) = self.catalog.logs.get(name) {
                tables.marks.insert(row.log.number, (*end, 0, 0))?;
            }
        }
        Ok(())
    }

    /// Removes entries that are older than their log keeps them; true when more are left.
    fn sweep(&self, tables: &mut Tables<'_>) -> Result<bool, redb::Error> {
        let mut more = false;
        for row in self.catalog.logs.values() {
            let keep_from = self.now - row.retention;
            let mut expired = None;
            for (count, entry) in tables
                .entries
                .range((row.log.number, 0)..=(row.log.number, u64::MAX))?
                .enumerate()
            {
                let (key, value) = entry?;
                more |= count >= SWEEP_COUNT;
                if count >= SWEEP_COUNT || value.value().0 >= keep_from.0 {
                    break;
                }
                expired = Some(key.value().1);
            }
            if let Some(last) = expired {
                tables
                    .entries
                    .retain_in((row.log.number, 0)..=(row.log.number, last), |_, _| false)?;
            }
        }
        Ok(more)
    }
}
