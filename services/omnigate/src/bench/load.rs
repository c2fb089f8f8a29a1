//! Pushes: as fast as answers come, or at a given rate.

use super::gateway::{Gateway, Pushes};
use super::lanes::{Lanes, call};
use super::published::{LOST, Published};
use super::traffic::Traffic;
use anyhow::Context as _;
use omnigate_proto::v1::Event;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior, timeout};

/// For each event being pushed, so many may be confirmed and not yet published.
const BACKLOG: usize = 10;
/// How often a paced load looks what is due.
const TICK: Duration = Duration::from_millis(1);
/// Pushes of a paced load at once.
const PACED: usize = 20_000;

/// A load as fast as answers come.
#[derive(Clone, Copy)]
pub(super) struct Full {
    /// Events being pushed at once.
    pub(super) concurrency: usize,
    /// Before anything counts.
    pub(super) warm_up: Duration,
    /// For how long it counts.
    pub(super) time: Duration,
}

/// How fast it went.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Speed {
    /// Events per second.
    pub(super) rate: f64,
    /// Processor time of this process for an event, in microseconds: it says the same on a busy machine.
    pub(super) cpu_us: f64,
}

impl Speed {
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    pub(super) fn new(count: u64, took: Duration, worked: Duration) -> Self {
        Self {
            rate: count as f64 / took.as_secs_f64(),
            cpu_us: worked.as_secs_f64() * 1e6 / count.max(1) as f64,
        }
    }
}

/// Latencies of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    /// From when it was due to the push's answer.
    pub(super) confirmed: Duration,
    /// From when it was due to its CustomerEvent.
    pub(super) published: Duration,
}

/// What pushes work with.
#[derive(Clone)]
pub(super) struct Load<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) traffic: Arc<Traffic>,
    /// `None` where only the confirm is waited for.
    pub(super) published: Option<Arc<Published>>,
    /// `None` where each event is a call.
    pub(super) lanes: Option<Arc<Lanes>>,
}

impl Load<'_> {
    /// Events per second that came to their end while a constant number of them was being pushed.
    pub(super) async fn full(&self, full: Full) -> anyhow::Result<Speed> {
        let done = Arc::new(AtomicU64::new(0));
        let room = Arc::new(Semaphore::new(full.concurrency * BACKLOG));
        let end = Instant::now() + full.warm_up + full.time;
        let mut workers = JoinSet::new();
        for number in 0..full.concurrency {
            let worker = self.worker(number)?;
            let (done, room) = (Arc::clone(&done), Arc::clone(&room));
            workers.spawn(async move {
                while Instant::now() < end {
                    worker.counted(&done, &room).await?;
                }
                anyhow::Ok(())
            });
        }
        time::sleep(full.warm_up).await;
        let (begun, before, worked) = (Instant::now(), done.load(Ordering::Relaxed), processor_time());
        time::sleep(end.saturating_duration_since(begun)).await;
        let count = done.load(Ordering::Relaxed) - before;
        let speed = Speed::new(count, begun.elapsed(), processor_time() - worked);
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        let all = u32::try_from(full.concurrency * BACKLOG)?;
        drop(timeout(LOST, room.acquire_many(all)).await.with_context(lost)??);
        Ok(speed)
    }

    /// Every customer writes once, `concurrency` at a time.
    pub(super) async fn everybody(&self, customers: usize, concurrency: usize) -> anyhow::Result<()> {
        let mut workers = JoinSet::new();
        for number in 0..concurrency {
            let worker = self.worker(number)?;
            workers.spawn(async move {
                for place in (number..customers).step_by(concurrency.max(1)) {
                    worker
                        .send(worker.traffic.of(u64::try_from(place)?), Instant::now())
                        .await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Latencies at a rate. They count from when a message was due, so that a gateway that stalls cannot hide it.
    pub(super) async fn paced(&self, rate: f64, warm_up: Duration, time: Duration) -> anyhow::Result<Vec<Latency>> {
        let workers: Vec<Arc<Worker>> = (0..4)
            .map(|number| self.worker(number).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let room = Arc::new(Semaphore::new(PACED));
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let mut pushes = JoinSet::new();
        let mut ticks = time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let begun = Instant::now();
        let mut sent = 0_u32;
        loop {
            ticks.tick().await;
            let due = begun + Duration::from_secs_f64(f64::from(sent) / rate);
            if due > begun + warm_up + time {
                break;
            }
            while begun + Duration::from_secs_f64(f64::from(sent) / rate) <= Instant::now() {
                let due = begun + Duration::from_secs_f64(f64::from(sent) / rate);
                let worker = Arc::clone(&workers[usize::try_from(sent).unwrap_or(0) % workers.len()]);
                let (room, latencies) = (Arc::clone(&room).acquire_owned().await?, Arc::clone(&latencies));
                pushes.spawn(async move {
                    let latency = worker.send(worker.traffic.next(), due).await?;
                    if due >= begun + warm_up {
                        latencies.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
                    }
                    drop(room);
                    anyhow::Ok(())
                });
                sent += 1;
            }
            while let Some(ended) = pushes.try_join_next() {
                ended??;
            }
        }
        while let Some(ended) = pushes.join_next().await {
            ended??;
        }
        let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut latencies))
    }

    fn worker(&self, number: usize) -> anyhow::Result<Worker> {
        Ok(Worker {
            pushes: self.gateway.pushes(number)?,
            traffic: Arc::clone(&self.traffic),
            published: self.published.clone(),
            lanes: self.lanes.clone(),
        })
    }
}

/// Pushes one event after the other.
struct Worker {
    pushes: Pushes,
    traffic: Arc<Traffic>,
    published: Option<Arc<Published>>,
    lanes: Option<Arc<Lanes>>,
}

impl Worker {
    /// Pushes and returns when all is confirmed; counts what is confirmed, or published where that is watched.
    async fn counted(&self, count: &Arc<AtomicU64>, room: &Arc<Semaphore>) -> anyhow::Result<()> {
        let (number, event) = self.traffic.next();
        if let Some(published) = &self.published {
            published.count(number, count, Arc::clone(room).acquire_owned().await?);
        }
        self.confirmed(event).await?;
        if self.published.is_none() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Pushes a message that was due then; returns when it is confirmed, and published where that is watched.
    async fn send(&self, (number, event): (u64, Event), due: Instant) -> anyhow::Result<Latency> {
        let seen = self.published.as_ref().map(|published| published.expect(number));
        self.confirmed(event).await?;
        let confirmed = due.elapsed();
        let published = match seen {
            Some(seen) => {
                let seen = timeout(LOST, seen).await.with_context(lost)?;
                seen.context("the events log ended")?.saturating_duration_since(due)
            }
            None => Duration::ZERO,
        };
        Ok(Latency { confirmed, published })
    }

    async fn confirmed(&self, event: Event) -> anyhow::Result<()> {
        match &self.lanes {
            Some(lanes) => lanes.push(event).await,
            None => call(&self.pushes, vec![event]).await,
        }
    }
}

fn lost() -> String {
    format!("a confirmed message was not published within {} s", LOST.as_secs())
}

/// Processor time that this process took so far; nought where the system does not tell.
pub(super) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, time in user mode and in the kernel are the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    // Linux tells it in hundredths of a second everywhere.
    Duration::from_millis(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}
