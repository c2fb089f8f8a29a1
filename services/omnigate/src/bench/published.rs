//! Sees when messages are published: reads every partition of the events log as a consumer would.

use super::traffic::Traffic;
use anyhow::Context as _;
use omnigate_core::port::broker::{Broker, From, LogReader};
use omnigate_core::topology;
use omnigate_proto::state::v1::CustomerEventBatch;
use omnigate_proto::v1::CustomerEvent;
use omnigate_proto::v1::customer_event::Kind;
use prost::Message as _;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinSet;

/// Locks over which waiting messages are spread.
const SPREAD: u64 = 16;

type Waiting = Mutex<HashMap<u64, Waits>>;

/// What is done when a message is published.
enum Waits {
    /// Somebody is told.
    Told(oneshot::Sender<Instant>),
    /// It is counted, and makes room for another.
    Counted(Arc<AtomicU64>, OwnedSemaphorePermit),
}

impl Waits {
    fn seen(self, at: Instant) {
        match self {
            // Who gave up waiting has failed already.
            Self::Told(told) => drop(told.send(at)),
            Self::Counted(count, room) => {
                count.fetch_add(1, Ordering::Relaxed);
                drop(room);
            }
        }
    }
}

/// Who waits for which message.
pub(super) struct Published {
    traffic: Arc<Traffic>,
    waiting: Vec<Waiting>,
}

impl Published {
    /// Reads what is published from now on, until the tasks are given up.
    pub(super) async fn watch(
        broker: &Arc<dyn Broker>,
        partitions: u16,
        traffic: &Arc<Traffic>,
    ) -> anyhow::Result<(Arc<Self>, JoinSet<()>)> {
        let published = Arc::new(Self {
            traffic: Arc::clone(traffic),
            waiting: (0..SPREAD).map(|_| Waiting::default()).collect(),
        });
        let mut tasks = JoinSet::new();
        for partition in topology::event_logs(partitions) {
            let log = topology::events(partition);
            let reader = broker.read(&log, From::Next).await;
            let reader = reader.with_context(|| format!("{log} cannot be read"))?;
            tasks.spawn(Arc::clone(&published).read(reader));
        }
        Ok((published, tasks))
    }

    /// Tells when a message is published; to be asked before it is pushed.
    pub(super) fn expect(&self, number: u64) -> oneshot::Receiver<Instant> {
        let (told, waits) = oneshot::channel();
        self.add(number, Waits::Told(told));
        waits
    }

    /// Counts a message once it is published, and gives its room back; to be asked before it is pushed.
    pub(super) fn count(&self, number: u64, count: &Arc<AtomicU64>, room: OwnedSemaphorePermit) {
        self.add(number, Waits::Counted(Arc::clone(count), room));
    }

    fn add(&self, number: u64, waits: Waits) {
        let mut waiting = self.of(number).lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(number, waits);
    }

    fn of(&self, number: u64) -> &Waiting {
        let place = usize::try_from(number % SPREAD).unwrap_or(0);
        &self.waiting[place]
    }

    async fn read(self: Arc<Self>, mut reader: Box<dyn LogReader>) {
        while let Some(entry) = reader.next().await {
            let seen = Instant::now();
            let Ok(batch) = CustomerEventBatch::decode(entry.body) else {
                continue;
            };
            for event in batch.events {
                if let Some(number) = CustomerEvent::decode(event).ok().and_then(|event| self.number(event)) {
                    let waits = self
                        .of(number)
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&number);
                    // Repeats of an event have nobody waiting any more.
                    if let Some(waits) = waits {
                        waits.seen(seen);
                    }
                }
            }
        }
    }

    fn number(&self, event: CustomerEvent) -> Option<u64> {
        match event.kind? {
            Kind::EntryAdded(added) => self.traffic.number(&added.entry?.event?.provider_message_id),
            _ => None,
        }
    }
}
