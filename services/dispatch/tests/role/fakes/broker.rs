//! A broker in memory: queues that give back what is dropped, and logs that can refuse and be read.

use bytes::Bytes;
use omnigate_core::port::broker::{
    Broker, BrokerError, Delivery, From, LogEntry, LogName, LogReader, Publication, PublishError, QueueName, Settle,
    Settled, Subscription, Topology,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

#[derive(Clone, Default)]
pub(crate) struct FakeBroker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<QueueName, VecDeque<(Bytes, u32)>>,
    logs: BTreeMap<LogName, Vec<Bytes>>,
    refused: BTreeSet<LogName>,
    published: Vec<QueueName>,
    unsettled: usize,
    parked: usize,
    entries_read: usize,
}

impl FakeBroker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Refuses or confirms what is appended to a log.
    pub(crate) fn refuse(&self, log: &LogName, refuse: bool) {
        let mut state = self.state();
        if refuse {
            state.refused.insert(log.clone());
        } else {
            state.refused.remove(log);
        }
    }

    pub(crate) fn log(&self, log: &LogName) -> Vec<Bytes> {
        self.state().logs.get(log).cloned().unwrap_or_default()
    }

    /// Messages that wait or are not settled.
    pub(crate) fn left(&self) -> usize {
        let state = self.state();
        state.queues.values().map(VecDeque::len).sum::<usize>() + state.unsettled
    }

    /// What waits in a queue.
    pub(crate) fn waiting(&self, queue: &QueueName) -> Vec<Bytes> {
        let state = self.state();
        let waiting = state.queues.get(queue).into_iter().flatten();
        waiting.map(|(body, _)| body.clone()).collect()
    }

    /// How often something was published to a queue.
    pub(crate) fn published(&self, queue: &QueueName) -> usize {
        self.state().published.iter().filter(|name| *name == queue).count()
    }

    /// How many entries were read from logs.
    pub(crate) fn entries_read(&self) -> usize {
        self.state().entries_read
    }

    pub(crate) fn parked(&self) -> usize {
        self.state().parked
    }
}

struct Reader {
    broker: FakeBroker,
    queue: QueueName,
}

#[async_trait::async_trait]
impl Subscription for Reader {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let changed = self.broker.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let taken = {
                let mut state = self.broker.state();
                let taken = state.queues.entry(self.queue.clone()).or_default().pop_front();
                state.unsettled += usize::from(taken.is_some());
                taken
            };
            if let Some((body, attempt)) = taken {
                let settle = Unsettled {
                    reader: (self.broker.clone(), self.queue.clone()),
                    message: Some((body.clone(), attempt)),
                };
                return Some(Delivery {
                    body,
                    traceparent: String::new(),
                    attempt: attempt + 1,
                    settle: Box::new(settle),
                });
            }
            changed.await;
        }
    }
}

struct LogEnd {
    broker: FakeBroker,
    log: LogName,
    next: usize,
}

#[async_trait::async_trait]
impl LogReader for LogEnd {
    async fn next(&mut self) -> Option<LogEntry> {
        loop {
            let changed = self.broker.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let found = {
                let mut state = self.broker.state();
                let found = state.logs.get(&self.log).and_then(|log| log.get(self.next)).cloned();
                state.entries_read += usize::from(found.is_some());
                found
            };
            if let Some(body) = found {
                let offset = u64::try_from(self.next).unwrap();
                self.next += 1;
                return Some(LogEntry { offset, body });
            }
            changed.await;
        }
    }
}

struct Unsettled {
    reader: (FakeBroker, QueueName),
    message: Option<(Bytes, u32)>,
}

impl Unsettled {
    fn settled(&mut self) -> Settled {
        self.message = None;
        self.reader.0.state().unsettled -= 1;
        Settled::Done
    }
}

#[async_trait::async_trait]
impl Settle for Unsettled {
    async fn ack(mut self: Box<Self>) -> Settled {
        self.settled()
    }

    async fn retry(self: Box<Self>, after: Duration) -> Settled {
        tokio::time::sleep(after).await;
        Settled::Done
    }

    async fn park(mut self: Box<Self>, _: &str) -> Settled {
        self.reader.0.state().parked += 1;
        self.settled()
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some((body, attempt)) = self.message.take() {
            let (broker, queue) = &self.reader;
            let mut state = broker.state();
            state.unsettled -= 1;
            state
                .queues
                .entry(queue.clone())
                .or_default()
                .push_front((body, attempt + 1));
            drop(state);
            broker.0.changed.notify_waiters();
        }
    }
}

#[async_trait::async_trait]
impl Broker for FakeBroker {
    async fn declare(&self, _: Topology) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn publish(&self, messages: Vec<Publication>) -> Vec<Result<(), PublishError>> {
        let mut state = self.state();
        let answers = messages.into_iter().map(|message| {
            state.published.push(message.queue.clone());
            state
                .queues
                .entry(message.queue)
                .or_default()
                .push_back((message.body, 0));
            Ok(())
        });
        let answers = answers.collect();
        drop(state);
        self.0.changed.notify_waiters();
        answers
    }

    async fn subscribe(&self, queue: &QueueName, _: u16) -> Result<Box<dyn Subscription>, BrokerError> {
        Ok(Box::new(Reader {
            broker: self.clone(),
            queue: queue.clone(),
        }))
    }

    async fn append(&self, log: &LogName, entries: Vec<Bytes>) -> Vec<Result<(), PublishError>> {
        let mut state = self.state();
        if state.refused.contains(log) {
            let refused = || Err(PublishError::Unconfirmed("the test says so".into()));
            return entries.iter().map(|_| refused()).collect();
        }
        let answers = entries.iter().map(|_| Ok(())).collect();
        state.logs.entry(log.clone()).or_default().extend(entries);
        drop(state);
        self.0.changed.notify_waiters();
        answers
    }

    async fn read(&self, log: &LogName, from: From) -> Result<Box<dyn LogReader>, BrokerError> {
        let next = match from {
            From::Oldest => 0,
            From::Next => self.log(log).len(),
            From::Offset(offset) => usize::try_from(offset).unwrap(),
        };
        Ok(Box::new(LogEnd {
            broker: self.clone(),
            log: log.clone(),
            next,
        }))
    }

    fn is_connected(&self) -> bool {
        true
    }
}
