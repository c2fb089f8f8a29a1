//! What is kept on disk, and how it is read back.

use bytes::Bytes;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::sync::{PoisonError, RwLock};

/// Numbers of queues and logs: `q:NAME` or `l:NAME` to number and whether it is ordered.
pub(super) const NAMES: TableDefinition<'_, &str, (u32, bool)> = TableDefinition::new("names");
/// Messages: queue, sequence number.
pub(super) const MESSAGES: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("messages");
/// Counts of a queue or log.
pub(super) const MARKS: TableDefinition<'_, u32, (u64, u64, u64)> = TableDefinition::new("marks");
/// Messages that came back: deliveries so far and due time in milliseconds.
pub(super) const RETURNS: TableDefinition<'_, (u32, u64), (u32, i64)> = TableDefinition::new("returns");
/// Entries of logs: log, offset to time of appending in milliseconds and body.
pub(super) const ENTRIES: TableDefinition<'_, (u32, u64), (i64, &[u8])> = TableDefinition::new("entries");

/// Messages or entries that one read takes from disk at most.
const READ_COUNT: usize = 256;
/// Bytes after which a read from disk stops.
const READ_BYTES: usize = 1 << 20;

/// Counts of a queue; of a log only `next` is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Marks {
    /// Next sequence number or offset; never used again, even when everything before it is gone.
    pub(super) next: u64,
    /// Messages stored.
    pub(super) stored: u64,
    /// Messages below this have been delivered at least once.
    pub(super) delivered: u64,
}

/// A message as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) body: Bytes,
    pub(super) traceparent: String,
}

impl Message {
    /// Length of the traceparent in one byte, traceparent, body. A traceparent that is longer is none.
    pub(super) fn encode(&self) -> Vec<u8> {
        let traceparent = if self.traceparent.len() > 255 {
            ""
        } else {
            &self.traceparent
        };
        let mut bytes = Vec::with_capacity(1 + traceparent.len() + self.body.len());
        bytes.push(u8::try_from(traceparent.len()).unwrap_or(0));
        bytes.extend_from_slice(traceparent.as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let (length, rest) = bytes
            .split_first()
            .map_or((0, bytes), |(length, rest)| (usize::from(*length), rest));
        let (traceparent, body) = rest.split_at_checked(length).unwrap_or((&[], rest));
        Self {
            body: Bytes::copy_from_slice(body),
            traceparent: String::from_utf8_lossy(traceparent).into_owned(),
        }
    }
}

/// What a queue must read back before it can deliver on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// The oldest messages of this range of sequence numbers.
    Range(u64, u64),
    /// These messages.
    These(Vec<u64>),
}

/// A queue or log known on disk.
pub(super) struct Known {
    pub(super) key: String,
    pub(super) number: u32,
    pub(super) ordered: bool,
    pub(super) marks: Marks,
}

/// Why disk could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("embedded broker storage: {0}")]
pub(super) struct StorageError(#[from] redb::Error);

impl StorageError {
    /// From any of redb's errors.
    pub(super) fn of(error: impl Into<redb::Error>) -> Self {
        Self(error.into())
    }

    /// redb's own error.
    pub(super) fn into_inner(self) -> redb::Error {
        self.0
    }
}

/// The database until the broker is closed.
pub(super) struct Storage(RwLock<Option<Database>>);

impl Storage {
    pub(super) const fn new(database: Database) -> Self {
        Self(RwLock::new(Some(database)))
    }

    /// Waits for readers and frees the file.
    pub(super) fn close(&self) {
        drop(self.0.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Works on the database; `None` after it was closed.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, StorageError> {
        let guard = self.0.read().unwrap_or_else(PoisonError::into_inner);
        guard.as_ref().map(work).transpose().map_err(StorageError::of)
    }

    /// Messages of a queue, oldest first; none when the broker is closed.
    pub(super) fn messages(&self, queue: u32, wanted: &Wanted) -> Result<Vec<(u64, Message)>, StorageError> {
        let read = self.with(|database| {
            let table = database.begin_read()?.open_table(MESSAGES)?;
            let mut found = Found::default();
            match wanted {
                Wanted::Range(from, to) => {
                    for row in table.range((queue, *from)..(queue, *to))? {
                        let (key, value) = row?;
                        if !found.add(key.value().1, Message::decode(value.value()), value.value().len()) {
                            break;
                        }
                    }
                }
                Wanted::These(numbers) => {
                    for number in numbers {
                        let Some(value) = table.get((queue, *number))? else {
                            continue;
                        };
                        if !found.add(*number, Message::decode(value.value()), value.value().len()) {
                            break;
                        }
                    }
                }
            }
            Ok(found.rows)
        })?;
        Ok(read.unwrap_or_default())
    }

    /// Entries of a log in a range of offsets, oldest first; none when the broker is closed.
    pub(super) fn entries(&self, log: u32, from: u64, to: u64) -> Result<Vec<(u64, Bytes)>, StorageError> {
        let read = self.with(|database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let mut found = Found::default();
            for row in table.range((log, from)..(log, to))? {
                let (key, value) = row?;
                let body = value.value().1;
                if !found.add(key.value().1, Bytes::copy_from_slice(body), body.len()) {
                    break;
                }
            }
            Ok(found.rows)
        })?;
        Ok(read.unwrap_or_default())
    }

    /// Everything that was ever declared. Creates the tables the first time.
    pub(super) fn prepare(&self) -> Result<Vec<Known>, StorageError> {
        let known = self.with(|database| {
            if database.begin_read()?.open_table(NAMES).is_err() {
                let transaction = database.begin_write()?;
                transaction.open_table(NAMES)?;
                transaction.open_table(MESSAGES)?;
                transaction.open_table(MARKS)?;
                transaction.open_table(RETURNS)?;
                transaction.open_table(ENTRIES)?;
                transaction.commit()?;
            }
            let transaction = database.begin_read()?;
            let (names, marks) = (transaction.open_table(NAMES)?, transaction.open_table(MARKS)?);
            let mut known = Vec::new();
            for row in names.iter()? {
                let (key, value) = row?;
                let (number, ordered) = value.value();
                let (next, stored, delivered) = marks.get(number)?.map(|row| row.value()).unwrap_or_default();
                let marks = Marks {
                    next,
                    stored,
                    delivered,
                };
                known.push(Known {
                    key: key.value().to_owned(),
                    number,
                    ordered,
                    marks,
                });
            }
            Ok(known)
        })?;
        Ok(known.unwrap_or_default())
    }
}

struct Found<T> {
    rows: Vec<(u64, T)>,
    bytes: usize,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
        }
    }
}

impl<T> Found<T> {
    /// False when enough has been read.
    fn add(&mut self, number: u64, row: T, bytes: usize) -> bool {
        self.rows.push((number, row));
        self.bytes += bytes;
        self.rows.len() < READ_COUNT && self.bytes < READ_BYTES
    }
}
