//! A broker that confirms when the test says so.

use bytes::Bytes;
use omnigate_core::port::broker::{
    Broker, BrokerError, From, LogName, LogReader, Publication, PublishError, QueueName, Subscription, Topology,
};
use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::{Semaphore, watch};

/// One message that the broker was given, whatever it answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attempt {
    pub(crate) place: String,
    pub(crate) body: Bytes,
    pub(crate) confirmed: bool,
}

pub(crate) struct FakeBroker {
    /// Calls that were begun, including those still held.
    pub(crate) begun: watch::Sender<usize>,
    attempts: Mutex<Vec<Attempt>>,
    failures: Mutex<VecDeque<PublishError>>,
    gate: Semaphore,
    in_flight: Mutex<Vec<String>>,
    pub(crate) most_in_flight: AtomicUsize,
}

impl FakeBroker {
    /// Confirms everything at once.
    pub(crate) fn open() -> Self {
        let broker = Self::held();
        broker.release(Semaphore::MAX_PERMITS);
        broker
    }

    /// Answers no call until released.
    pub(crate) fn held() -> Self {
        Self {
            begun: watch::channel(0).0,
            attempts: Mutex::default(),
            failures: Mutex::default(),
            gate: Semaphore::new(0),
            in_flight: Mutex::default(),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    /// Lets this many calls be answered.
    pub(crate) fn release(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    /// The next messages fail, each with one of these.
    pub(crate) fn fail(&self, errors: impl IntoIterator<Item = PublishError>) {
        self.failures.lock().unwrap().extend(errors);
    }

    /// Waits until this many calls were begun.
    pub(crate) async fn until_begun(&self, calls: usize) {
        self.begun.subscribe().wait_for(|begun| *begun >= calls).await.unwrap();
    }

    pub(crate) fn attempts(&self, place: &str) -> Vec<Attempt> {
        let attempts = self.attempts.lock().unwrap();
        attempts
            .iter()
            .filter(|attempt| attempt.place.starts_with(place))
            .cloned()
            .collect()
    }

    /// Bodies that were confirmed, in order.
    pub(crate) fn confirmed(&self, place: &str) -> Vec<Bytes> {
        let attempts = self.attempts(place).into_iter();
        attempts
            .filter(|attempt| attempt.confirmed)
            .map(|attempt| attempt.body)
            .collect()
    }

    async fn take(&self, messages: Vec<(String, Bytes)>) -> Vec<Result<(), PublishError>> {
        let place = messages[0].0.clone();
        {
            let mut in_flight = self.in_flight.lock().unwrap();
            in_flight.push(place.clone());
            let same = in_flight.iter().filter(|other| **other == place).count();
            self.most_in_flight.fetch_max(same, Ordering::SeqCst);
        }
        self.begun.send_modify(|begun| *begun += 1);
        self.gate.acquire().await.unwrap().forget();
        let answers = messages
            .into_iter()
            .map(|(place, body)| {
                let failure = self.failures.lock().unwrap().pop_front();
                self.attempts.lock().unwrap().push(Attempt {
                    place,
                    body,
                    confirmed: failure.is_none(),
                });
                failure.map_or(Ok(()), Err)
            })
            .collect();
        let mut in_flight = self.in_flight.lock().unwrap();
        let at = in_flight.iter().position(|other| *other == place).unwrap();
        in_flight.remove(at);
        answers
    }
}

#[async_trait::async_trait]
impl Broker for FakeBroker {
    async fn declare(&self, _: Topology) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn publish(&self, messages: Vec<Publication>) -> Vec<Result<(), PublishError>> {
        self.take(
            messages
                .into_iter()
                .map(|message| (message.queue.0, message.body))
                .collect(),
        )
        .await
    }

    async fn append(&self, log: &LogName, entries: Vec<Bytes>) -> Vec<Result<(), PublishError>> {
        self.take(entries.into_iter().map(|entry| (log.0.clone(), entry)).collect())
            .await
    }

    async fn subscribe(&self, _: &QueueName, _: u16) -> Result<Box<dyn Subscription>, BrokerError> {
        Err(BrokerError::Unusable("ingest reads nothing".to_owned()))
    }

    async fn read(&self, _: &LogName, _: From) -> Result<Box<dyn LogReader>, BrokerError> {
        Err(BrokerError::Unusable("ingest reads nothing".to_owned()))
    }

    fn is_connected(&self) -> bool {
        true
    }
}
