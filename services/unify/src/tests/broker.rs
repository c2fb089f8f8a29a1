//! A broker that is played: ordered queues with one reader at a time, logs, and a place for parked messages.

use bytes::Bytes;
use omnigate_core::port::broker::{
    Broker, BrokerError, Delivery, From, LogName, LogReader, Publication, PublishError, QueueName, Settle, Settled,
    Subscription, Topology,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct FakeBroker {
    state: Mutex<State>,
    changed: Notify,
    pub(super) refuses_appends: AtomicBool,
    me: std::sync::Weak<Self>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<QueueName, Queue>,
    logs: BTreeMap<LogName, Vec<Bytes>>,
    parked: Vec<(Bytes, String)>,
    count: u64,
}

#[derive(Default)]
struct Queue {
    messages: BTreeMap<u64, (Bytes, u32)>,
    unsettled: BTreeSet<u64>,
    /// Subscriptions in the order of their coming; only the first reads.
    readers: Vec<u64>,
}

impl FakeBroker {
    pub(super) fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            ..Self::default()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts a message on a queue, delivered `attempt - 1` times before.
    pub(super) fn put(&self, queue: &QueueName, body: Bytes, attempt: u32) {
        let mut state = self.state();
        state.count += 1;
        let number = state.count;
        state
            .queues
            .entry(queue.clone())
            .or_default()
            .messages
            .insert(number, (body, attempt - 1));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Messages that are not acknowledged.
    pub(super) fn waiting(&self) -> usize {
        self.state().queues.values().map(|queue| queue.messages.len()).sum()
    }

    pub(super) fn subscriptions(&self) -> usize {
        self.state().queues.values().map(|queue| queue.readers.len()).sum()
    }

    pub(super) fn log(&self, log: &LogName) -> Vec<Bytes> {
        self.state().logs.get(log).cloned().unwrap_or_default()
    }

    pub(super) fn parked(&self) -> Vec<(Bytes, String)> {
        self.state().parked.clone()
    }
}

struct Reader {
    broker: Arc<FakeBroker>,
    queue: QueueName,
    id: u64,
    prefetch: usize,
}

#[async_trait::async_trait]
impl Subscription for Reader {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let changed = self.broker.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(delivery) = self.take() {
                return Some(delivery);
            }
            changed.await;
        }
    }
}

impl Reader {
    fn take(&self) -> Option<Delivery> {
        let mut state = self.broker.state();
        let queue = state.queues.get_mut(&self.queue)?;
        if queue.readers.first() != Some(&self.id) || queue.unsettled.len() >= self.prefetch {
            return None;
        }
        let unsettled = &queue.unsettled;
        let (number, (body, attempts)) = queue
            .messages
            .iter_mut()
            .find(|(number, _)| !unsettled.contains(number))?;
        *attempts += 1;
        let (number, attempt, body) = (*number, *attempts, body.clone());
        queue.unsettled.insert(number);
        let settle = Ticket {
            broker: self.broker.clone(),
            queue: self.queue.clone(),
            reader: self.id,
            number,
        };
        Some(Delivery {
            body,
            traceparent: String::new(),
            attempt,
            settle: Box::new(settle),
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.broker.state();
        let queue = state.queues.entry(self.queue.clone()).or_default();
        if queue.readers.first() == Some(&self.id) {
            queue.unsettled.clear();
        }
        queue.readers.retain(|reader| *reader != self.id);
        drop(state);
        self.broker.changed.notify_waiters();
    }
}

/// A dropped ticket comes again only when its reader goes: what the role drops, it drops with the reader.
struct Ticket {
    broker: Arc<FakeBroker>,
    queue: QueueName,
    reader: u64,
    number: u64,
}

impl Ticket {
    fn settle(&self, park: Option<&str>) -> Settled {
        let mut state = self.broker.state();
        let queue = state.queues.entry(self.queue.clone()).or_default();
        if queue.readers.first() != Some(&self.reader) || !queue.unsettled.remove(&self.number) {
            return Settled::Stale;
        }
        let message = queue.messages.remove(&self.number);
        if let (Some(reason), Some((body, _))) = (park, message) {
            state.parked.push((body, reason.to_owned()));
        }
        drop(state);
        self.broker.changed.notify_waiters();
        Settled::Done
    }
}

#[async_trait::async_trait]
impl Settle for Ticket {
    async fn ack(self: Box<Self>) -> Settled {
        self.settle(None)
    }

    async fn retry(self: Box<Self>, _: Duration) -> Settled {
        panic!("an ordered queue does not retry");
    }

    async fn park(self: Box<Self>, reason: &str) -> Settled {
        self.settle(Some(reason))
    }
}

#[async_trait::async_trait]
impl Broker for FakeBroker {
    async fn declare(&self, _: Topology) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn publish(&self, messages: Vec<Publication>) -> Vec<Result<(), PublishError>> {
        for message in &messages {
            self.put(&message.queue, message.body.clone(), 1);
        }
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Subscription>, BrokerError> {
        let mut state = self.state();
        state.count += 1;
        let id = state.count;
        state.queues.entry(queue.clone()).or_default().readers.push(id);
        Ok(Box::new(Reader {
            broker: self.me.upgrade().unwrap(),
            queue: queue.clone(),
            id,
            prefetch: prefetch.into(),
        }))
    }

    async fn append(&self, log: &LogName, entries: Vec<Bytes>) -> Vec<Result<(), PublishError>> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let refuses = self.refuses_appends.load(Ordering::SeqCst);
        let answer = |_: &Bytes| {
            if refuses {
                Err(PublishError::Unconfirmed("refused".into()))
            } else {
                Ok(())
            }
        };
        let answers = entries.iter().map(answer).collect();
        if !refuses {
            self.state().logs.entry(log.clone()).or_default().extend(entries);
        }
        answers
    }

    async fn read(&self, _: &LogName, _: From) -> Result<Box<dyn LogReader>, BrokerError> {
        Err(BrokerError::Unusable("not played".into()))
    }

    fn is_connected(&self) -> bool {
        true
    }
}
