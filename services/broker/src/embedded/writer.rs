//! The one thread that writes: it drains what gathered while it committed and commits that together.

use super::{batch::Batch, catalog::Catalog, queue::Queue, tables::Storage};
use bytes::Bytes;
use omnigate_core::{
    port::{
        Clock,
        broker::{BrokerError, LogName, Publication, PublishError, Settled, Topology},
    },
    time::Moment,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Bytes that may wait for the writer, in KiB.
const WAITING_KIB: u32 = 64 << 10;
/// Operations in one transaction at most.
const BATCH_COUNT: usize = 1024;
/// How long a note about a delivery waits for other work to be written with.
const NOTE_PATIENCE: Duration = Duration::from_millis(10);
/// Expired entries of logs are looked for at least this often.
const LONGEST_SWEEP: Duration = Duration::from_mins(1);
/// … and not more often than this.
const SHORTEST_SWEEP: Duration = Duration::from_millis(50);

/// What a settlement does to its message.
pub(super) enum Effect {
    /// It is gone.
    Remove {
        /// True when disk may know how often it came back.
        returned: bool,
    },
    /// It comes again.
    Delay { due: Moment, deliveries: u32 },
    /// It moves to the parked queue.
    Park { item: Bytes, traceparent: String },
}

impl Effect {
    /// How much memory it takes while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Remove { .. } | Self::Delay { .. } => 0,
            Self::Park { item, .. } => item.len(),
        }
    }
}

/// A settlement on its way to disk.
pub(super) struct Settlement {
    pub(super) queue: Arc<Queue>,
    pub(super) sequence: u64,
    pub(super) effect: Effect,
}

/// Answers to publications or entries, in order.
pub(super) type Answers = Vec<Result<(), PublishError>>;

/// What the writer can be asked.
pub(super) enum Operation {
    Declare(Topology, oneshot::Sender<Result<(), BrokerError>>),
    Publish(Vec<Publication>, oneshot::Sender<Answers>),
    Append(LogName, Vec<Bytes>, oneshot::Sender<Answers>),
    Settle(Settlement, oneshot::Sender<Settled>),
    /// Deliveries happened that disk does not know.
    Note,
    Stop,
}

/// An operation and the room it takes.
struct Waiting {
    operation: Operation,
    room: Option<OwnedSemaphorePermit>,
}

/// The way to the writer.
pub(super) struct Intake {
    sender: Sender<Waiting>,
    room: Arc<Semaphore>,
    noted: Arc<AtomicBool>,
    healthy: Arc<AtomicBool>,
}

/// Room for one operation at the writer.
pub(super) struct Slot<'a> {
    intake: &'a Intake,
    room: OwnedSemaphorePermit,
}

impl Intake {
    /// Waits for room; `None` when the broker is closed.
    pub(super) async fn slot(&self, bytes: usize) -> Option<Slot<'_>> {
        let kib = u32::try_from(bytes >> 10)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .min(WAITING_KIB);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.ok()?;
        Some(Slot { intake: self, room })
    }

    /// Tells that deliveries happened, without waiting.
    pub(super) fn note(&self) {
        if !self.noted.swap(true, Ordering::AcqRel) {
            self.send(Operation::Note, None);
        }
    }

    /// True when the last transaction was committed.
    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire) && !self.room.is_closed()
    }

    /// Accepts nothing more and ends the writer after what it has.
    pub(super) fn stop(&self) {
        self.room.close();
        self.send(Operation::Stop, None);
    }

    fn send(&self, operation: Operation, room: Option<OwnedSemaphorePermit>) -> bool {
        self.sender.send(Waiting { operation, room }).is_ok()
    }
}

impl Slot<'_> {
    /// Hands an operation over and waits for its answer; `None` when the writer ended before it had one.
    pub(super) async fn ask<T>(self, operation: impl FnOnce(oneshot::Sender<T>) -> Operation) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        self.intake.send(operation(sender), Some(self.room));
        answer.await.ok()
    }

    /// Settles; stale when that did not reach the disk.
    pub(super) async fn settle(self, settlement: Settlement) -> Settled {
        self.ask(|answer| Operation::Settle(settlement, answer))
            .await
            .unwrap_or(Settled::Stale)
    }
}

/// Starts the writer.
pub(super) fn start(
    storage: Arc<Storage>,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
) -> std::io::Result<(Intake, JoinHandle<()>)> {
    let (sender, receiver) = channel();
    let noted = Arc::new(AtomicBool::new(false));
    let healthy = Arc::new(AtomicBool::new(true));
    let intake = Intake {
        sender,
        room: Arc::new(Semaphore::new(usize::try_from(WAITING_KIB).unwrap_or(usize::MAX))),
        noted: Arc::clone(&noted),
        healthy: Arc::clone(&healthy),
    };
    let mut writer = Writer {
        receiver,
        storage,
        catalog,
        clock,
        noted,
        healthy,
        swept: Instant::now(),
    };
    let thread = std::thread::Builder::new()
        .name("broker-writer".to_owned())
        .spawn(move || writer.run())?;
    Ok((intake, thread))
}

struct Writer {
    receiver: Receiver<Waiting>,
    storage: Arc<Storage>,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    noted: Arc<AtomicBool>,
    healthy: Arc<AtomicBool>,
    swept: Instant,
}

impl Writer {
    fn run(&mut self) {
        while let Some(gathered) = self.gather() {
            let mut operations = Vec::with_capacity(gathered.len());
            let mut rooms = Vec::with_capacity(gathered.len());
            let mut stop = false;
            for Waiting { operation, room } in gathered {
                rooms.push(room);
                match operation {
                    Operation::Stop => stop = true,
                    Operation::Declare(topology, answer) => self.declare(topology, answer),
                    operation => operations.push(operation),
                }
            }
            self.commit(operations);
            drop(rooms);
            if stop {
                break;
            }
        }
    }

    /// What is to be written next, together; `None` when nobody can ask any more.
    fn gather(&self) -> Option<Vec<Waiting>> {
        let first = match self.receiver.recv_timeout(self.until_sweep()) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let only_a_note = matches!(first.operation, Operation::Note);
        let mut gathered = vec![first];
        if only_a_note && let Ok(next) = self.receiver.recv_timeout(NOTE_PATIENCE) {
            gathered.push(next);
        }
        gathered.extend(self.receiver.try_iter().take(BATCH_COUNT));
        Some(gathered)
    }

    fn until_sweep(&self) -> Duration {
        self.sweep_interval().saturating_sub(self.swept.elapsed())
    }

    fn sweep_interval(&self) -> Duration {
        let shortest = self.catalog.shortest_retention().unwrap_or(LONGEST_SWEEP);
        (shortest / 8).clamp(SHORTEST_SWEEP, LONGEST_SWEEP)
    }

    fn declare(&mut self, topology: Topology, answer: oneshot::Sender<Result<(), BrokerError>>) {
        let catalog = &mut self.catalog;
        let declared = match self.storage.with(|database| Ok(catalog.declare(database, topology))) {
            Ok(Some(declared)) => declared,
            Ok(None) => Err(BrokerError::Unavailable("the embedded broker is closed".to_owned())),
            Err(error) => Err(BrokerError::Unavailable(error.to_string())),
        };
        // Nobody waits any more: it is declared all the same.
        let _gone = answer.send(declared);
    }

    fn commit(&mut self, operations: Vec<Operation>) {
        // Cleared first: a delivery from now on asks for another note.
        self.noted.store(false, Ordering::Release);
        let sweep = self.swept.elapsed() >= self.sweep_interval();
        let mut batch = Batch::new(&mut self.catalog, self.clock.now());
        let written = self.storage.with(|database| batch.write(database, operations, sweep));
        batch.finish(matches!(written, Ok(Some(_))));
        if sweep && !matches!(written, Ok(Some(true))) {
            self.swept = Instant::now();
        }
        if let Err(error) = &written {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "embedded broker could not write"
            );
        }
        self.healthy.store(written.is_ok(), Ordering::Release);
    }
}
