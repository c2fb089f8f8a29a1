//! Logs and their readers.

use super::{blocking, tables::Storage};
use bytes::Bytes;
use omnigate_core::port::broker::{From, LogEntry, LogReader};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::watch;

/// A declared log. Readers end when it is dropped.
pub(super) struct Log {
    pub(super) number: u32,
    /// Offset after the newest durable entry.
    pub(super) end: watch::Sender<u64>,
}

/// Reads a log from disk, in pieces, woken by appends.
pub(super) struct Reader {
    number: u32,
    storage: Arc<Storage>,
    end: watch::Receiver<u64>,
    next: u64,
    read: VecDeque<(u64, Bytes)>,
}

impl Reader {
    /// A reader of a log.
    pub(super) fn new(log: &Log, storage: Arc<Storage>, from: From) -> Self {
        let end = log.end.subscribe();
        let next = match from {
            From::Oldest => 0,
            From::Next => *end.borrow(),
            From::Offset(offset) => offset,
        };
        Self {
            number: log.number,
            storage,
            end,
            next,
            read: VecDeque::new(),
        }
    }
}

#[async_trait::async_trait]
impl LogReader for Reader {
    async fn next(&mut self) -> Option<LogEntry> {
        loop {
            if let Some((offset, body)) = self.read.pop_front() {
                self.next = offset + 1;
                return Some(LogEntry { offset, body });
            }
            let end = *self.end.borrow_and_update();
            if self.next >= end {
                self.end.changed().await.ok()?;
                continue;
            }
            let (storage, number, from) = (Arc::clone(&self.storage), self.number, self.next);
            let rows = blocking(move || storage.entries(number, from, end)).await?;
            if rows.is_empty() {
                // Retention took them.
                self.next = end;
            }
            self.read.extend(rows);
        }
    }
}
