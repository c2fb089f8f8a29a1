//! Sees when messages are published: reads every partition of the events log as a consumer would.

use super::traffic::Traffic;
use anyhow::Context as _;
use omnigate_core::port::broker::{Broker, From, LogReader};
use omnigate_core::topology;
use omnigate_proto::state::v1::CustomerEventBatch;
use omnigate_proto::v1::customer_event::Kind;
use omnigate_proto::v1::{CustomerEvent, Event};
use prost::Message as _;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinSet;

/// A message that is not published for so long is lost.
pub(super) const LOST: Duration = Duration::from_secs(30);
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
        let told = Arc::clone(&published);
        let tasks = watch(broker, partitions, move |event| told.saw(event)).await?;
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

    fn saw(&self, event: &Event) {
        let seen = Instant::now();
        let Some(number) = self.traffic.number(&event.provider_message_id) else {
            return;
        };
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

/// Tells of every event that is added to a timeline from now on, until the tasks are given up.
pub(super) async fn watch(
    broker: &Arc<dyn Broker>,
    partitions: u16,
    saw: impl Fn(&Event) + Clone + Send + Sync + 'static,
) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for partition in topology::event_logs(partitions) {
        let log = topology::events(partition);
        let reader = broker.read(&log, From::Next).await;
        let reader = reader.with_context(|| format!("{log} cannot be read"))?;
        tasks.spawn(read(reader, saw.clone()));
    }
    Ok(tasks)
}

async fn read(mut reader: Box<dyn LogReader>, saw: impl Fn(&Event)) {
    while let Some(entry) = reader.next().await {
        let Ok(batch) = CustomerEventBatch::decode(entry.body) else {
            continue;
        };
        for event in batch.events {
            if let Some(event) = CustomerEvent::decode(event).ok().and_then(added) {
                saw(&event);
            }
        }
    }
}

fn added(event: CustomerEvent) -> Option<Event> {
    match event.kind? {
        Kind::EntryAdded(added) => added.entry?.event,
        _ => None,
    }
}
