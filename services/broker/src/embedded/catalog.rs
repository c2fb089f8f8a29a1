//! What has been declared.

use super::{
    log::Log,
    queue::Queue,
    tables::{Known, MARKS, Marks, NAMES, RETURNS, StorageError},
};
use crate::parked;
use omnigate_core::{
    port::broker::{BrokerError, LogName, LogSpec, QueueName, QueueSpec, Topology},
    time::Moment,
    topology,
};
use redb::{Database, ReadableDatabase as _};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::watch;

/// Where subscriptions and readers find queues and logs.
#[derive(Default)]
pub(super) struct Directory {
    queues: RwLock<HashMap<QueueName, Arc<Queue>>>,
    logs: RwLock<HashMap<LogName, Arc<Log>>>,
}

impl Directory {
    /// A declared queue.
    pub(super) fn queue(&self, name: &QueueName) -> Option<Arc<Queue>> {
        self.queues
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// A declared log.
    pub(super) fn log(&self, name: &LogName) -> Option<Arc<Log>> {
        self.logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Ends all subscriptions and readers.
    pub(super) fn close(&self) {
        for (_, queue) in self.queues.write().unwrap_or_else(PoisonError::into_inner).drain() {
            queue.close();
        }
        self.logs.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A declared queue as the writer sees it.
pub(super) struct QueueRow {
    pub(super) queue: Arc<Queue>,
    pub(super) journal: Option<LogName>,
    pub(super) max_length: u64,
    pub(super) marks: Marks,
}

/// A declared log as the writer sees it.
pub(super) struct LogRow {
    pub(super) log: Arc<Log>,
    pub(super) retention: Duration,
    pub(super) next: u64,
}

/// Everything declared since the start, and what disk knows from before. The writer's own.
pub(super) struct Catalog {
    pub(super) queues: HashMap<QueueName, QueueRow>,
    pub(super) logs: HashMap<LogName, LogRow>,
    known: HashMap<String, Known>,
    last_number: u32,
    directory: Arc<Directory>,
}

impl Catalog {
    /// A catalog that knows what is on disk.
    pub(super) fn new(known: Vec<Known>, directory: Arc<Directory>) -> Self {
        let last_number = known.iter().map(|known| known.number).max().unwrap_or(0);
        let known = known.into_iter().map(|known| (known.key.clone(), known)).collect();
        Self {
            queues: HashMap::new(),
            logs: HashMap::new(),
            known,
            last_number,
            directory,
        }
    }

    /// Shortest retention of all logs.
    pub(super) fn shortest_retention(&self) -> Option<Duration> {
        self.logs.values().map(|row| row.retention).min()
    }

    /// Declares queues and logs, durably.
    pub(super) fn declare(&mut self, database: &Database, declared: Topology) -> Result<(), BrokerError> {
        let declared = own(declared);
        self.check(&declared)?;
        self.number(database, &declared)
            .map_err(|error| BrokerError::Unavailable(error.to_string()))?;
        for spec in declared.logs {
            self.take_log(spec);
        }
        for spec in declared.queues {
            let number = self.known.get(&queue_key(&spec.name)).map_or(0, |known| known.number);
            let returns = if self.queues.contains_key(&spec.name) {
                Vec::new()
            } else {
                returns(database, number).map_err(|error| BrokerError::Unavailable(error.to_string()))?
            };
            self.take_queue(spec, returns);
        }
        Ok(())
    }

    fn check(&self, declared: &Topology) -> Result<(), BrokerError> {
        for spec in &declared.queues {
            if self
                .known
                .get(&queue_key(&spec.name))
                .is_some_and(|known| known.ordered != spec.ordered)
            {
                return Err(BrokerError::Unusable(format!(
                    "queue {} exists with another order; drain it and choose another name, or remove the data folder",
                    spec.name
                )));
            }
            if let Some(journal) = &spec.journal
                && !self.logs.contains_key(journal)
                && !declared.logs.iter().any(|log| log.name == *journal)
            {
                return Err(BrokerError::Unusable(format!(
                    "log {journal}, journal of queue {}, is not declared",
                    spec.name
                )));
            }
        }
        Ok(())
    }

    /// Gives numbers to names that are new.
    fn number(&mut self, database: &Database, declared: &Topology) -> Result<(), StorageError> {
        let queues = declared.queues.iter().map(|spec| (queue_key(&spec.name), spec.ordered));
        let logs = declared.logs.iter().map(|spec| (log_key(&spec.name), true));
        let mut new = Vec::new();
        for (key, ordered) in queues.chain(logs) {
            if !self.known.contains_key(&key) && !new.iter().any(|known: &Known| known.key == key) {
                let number = self.last_number + 1 + u32::try_from(new.len()).unwrap_or(u32::MAX);
                new.push(Known {
                    key,
                    number,
                    ordered,
                    marks: Marks::default(),
                });
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        write_names(database, &new).map_err(StorageError::of)?;
        self.last_number += u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.known
            .extend(new.into_iter().map(|known| (known.key.clone(), known)));
        Ok(())
    }

    fn take_log(&mut self, spec: LogSpec) {
        if let Some(row) = self.logs.get_mut(&spec.name) {
            row.retention = spec.retention;
            return;
        }
        let Some(known) = self.known.get(&log_key(&spec.name)) else {
            return;
        };
        let log = Arc::new(Log {
            number: known.number,
            end: watch::Sender::new(known.marks.next),
        });
        let row = LogRow {
            log: Arc::clone(&log),
            retention: spec.retention,
            next: known.marks.next,
        };
        self.directory
            .logs
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(spec.name.clone(), log);
        self.logs.insert(spec.name, row);
    }

    fn take_queue(&mut self, spec: QueueSpec, returns: Vec<(u64, u32, Moment)>) {
        if let Some(row) = self.queues.get_mut(&spec.name) {
            (row.journal, row.max_length) = (spec.journal, spec.max_length);
            return;
        }
        let Some(known) = self.known.get(&queue_key(&spec.name)) else {
            return;
        };
        let marks = known.marks;
        let queue = Arc::new(Queue::new(
            spec.name.clone(),
            known.number,
            spec.ordered,
            marks,
            returns,
        ));
        let row = QueueRow {
            queue: Arc::clone(&queue),
            journal: spec.journal,
            max_length: spec.max_length,
            marks,
        };
        self.directory
            .queues
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(spec.name.clone(), queue);
        self.queues.insert(spec.name, row);
    }
}

/// The parked queue belongs to the broker: it is always declared, and the same whatever the caller says of it.
fn own(mut declared: Topology) -> Topology {
    let name = topology::parked();
    declared.queues.retain(|spec| spec.name != name);
    declared.queues.push(QueueSpec {
        name,
        ordered: false,
        journal: None,
        max_length: parked::MAX_PARKED,
    });
    declared
}

fn write_names(database: &Database, new: &[Known]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let (mut names, mut marks) = (transaction.open_table(NAMES)?, transaction.open_table(MARKS)?);
        for known in new {
            names.insert(known.key.as_str(), (known.number, known.ordered))?;
            marks.insert(known.number, (0, 0, 0))?;
        }
    }
    Ok(transaction.commit()?)
}

fn returns(database: &Database, queue: u32) -> Result<Vec<(u64, u32, Moment)>, redb::Error> {
    let table = database.begin_read()?.open_table(RETURNS)?;
    let mut rows = Vec::new();
    for row in table.range((queue, 0)..=(queue, u64::MAX))? {
        let (key, value) = row?;
        let (deliveries, due) = value.value();
        rows.push((key.value().1, deliveries, Moment(due)));
    }
    Ok(rows)
}

fn queue_key(name: &QueueName) -> String {
    format!("q:{name}")
}

fn log_key(name: &LogName) -> String {
    format!("l:{name}")
}
