//! Queues and logs as roles read them. What came and is not opened yet is kept between calls, so that a reader that is
//! given up half-way has lost nothing.

use super::Desk;
use omnigate_core::port::broker::{Delivery, LogEntry, LogName, LogReader, QueueName, Subscription};
use std::sync::Arc;

/// A subscription whose bodies are opened.
pub(super) struct OpenedQueue {
    inner: Box<dyn Subscription>,
    desk: Arc<Desk>,
    queue: String,
    came: Option<Delivery>,
}

impl OpenedQueue {
    pub(super) fn new(inner: Box<dyn Subscription>, desk: Arc<Desk>, queue: &QueueName) -> Self {
        Self {
            inner,
            desk,
            queue: queue.0.clone(),
            came: None,
        }
    }
}

#[async_trait::async_trait]
impl Subscription for OpenedQueue {
    async fn next(&mut self) -> Option<Delivery> {
        if self.came.is_none() {
            self.came = self.inner.next().await;
        }
        let body = match &self.came {
            Some(delivery) => self.desk.open(&self.queue, &delivery.body).await,
            None => return None,
        };
        let delivery = self.came.take()?;
        Some(Delivery { body, ..delivery })
    }
}

/// A reader whose entries are opened.
pub(super) struct OpenedLog {
    inner: Box<dyn LogReader>,
    desk: Arc<Desk>,
    log: String,
    came: Option<LogEntry>,
}

impl OpenedLog {
    pub(super) fn new(inner: Box<dyn LogReader>, desk: Arc<Desk>, log: &LogName) -> Self {
        Self {
            inner,
            desk,
            log: log.0.clone(),
            came: None,
        }
    }
}

#[async_trait::async_trait]
impl LogReader for OpenedLog {
    async fn next(&mut self) -> Option<LogEntry> {
        if self.came.is_none() {
            self.came = self.inner.next().await;
        }
        let body = match &self.came {
            Some(entry) => self.desk.open(&self.log, &entry.body).await,
            None => return None,
        };
        let entry = self.came.take()?;
        Some(LogEntry { body, ..entry })
    }
}
