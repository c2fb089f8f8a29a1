//! Pushes: as fast as answers come, or at a given rate.

use super::gateway::{Gateway, Pushes};
use super::published::Published;
use super::traffic::Traffic;
use crate::commands::remote;
use anyhow::Context as _;
use omnigate_proto::v1::{Event, PushRequest, PushStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior, timeout};

/// A message that is not published for so long is lost.
const LOST: Duration = Duration::from_secs(30);
/// How often a paced load looks what is due.
const TICK: Duration = Duration::from_millis(1);
/// Pushes of a paced load at once.
const PACED: usize = 20_000;

/// A load as fast as answers come.
#[derive(Clone, Copy)]
pub(super) struct Full {
    /// Events in flight.
    pub(super) concurrency: usize,
    /// Events in one push.
    pub(super) events: usize,
    /// Before anything counts.
    pub(super) warm_up: Duration,
    /// For how long it counts.
    pub(super) time: Duration,
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
}

impl Load<'_> {
    /// Events per second that came to their end while a constant number of them was in flight.
    pub(super) async fn full(&self, full: Full) -> anyhow::Result<f64> {
        let done = Arc::new(AtomicU64::new(0));
        let end = Instant::now() + full.warm_up + full.time;
        let mut workers = JoinSet::new();
        for number in 0..full.concurrency.div_ceil(full.events.max(1)) {
            let worker = self.worker(number)?;
            let done = Arc::clone(&done);
            workers.spawn(async move {
                while Instant::now() < end {
                    let count = worker.push(full.events).await?;
                    done.fetch_add(count, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        time::sleep(full.warm_up).await;
        let (begun, before) = (Instant::now(), done.load(Ordering::Relaxed));
        time::sleep(end.saturating_duration_since(begun)).await;
        let (count, seconds) = (done.load(Ordering::Relaxed) - before, begun.elapsed().as_secs_f64());
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
        Ok(count as f64 / seconds)
    }

    /// Every customer writes once, `concurrency` at a time.
    pub(super) async fn everybody(&self, customers: usize, concurrency: usize) -> anyhow::Result<()> {
        let mut workers = JoinSet::new();
        for number in 0..concurrency {
            let worker = self.worker(number)?;
            workers.spawn(async move {
                for place in (number..customers).step_by(concurrency.max(1)) {
                    let message = worker.traffic.of(u64::try_from(place).unwrap_or(0));
                    worker.send(vec![message]).await?;
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
                    let latency = worker.timed(due).await?;
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
        })
    }
}

/// Pushes over one connection.
struct Worker {
    pushes: Pushes,
    traffic: Arc<Traffic>,
    published: Option<Arc<Published>>,
}

impl Worker {
    async fn push(&self, events: usize) -> anyhow::Result<u64> {
        let count = u64::try_from(events)?;
        self.send((0..events).map(|_| self.traffic.next()).collect()).await?;
        Ok(count)
    }

    /// Pushes; returns when all is confirmed, or published where that is watched.
    async fn send(&self, messages: Vec<(u64, Event)>) -> anyhow::Result<()> {
        let numbers = messages.iter().map(|(number, _)| *number);
        let waiting = numbers.filter_map(|number| Some(self.published.as_ref()?.expect(number)));
        let waiting: Vec<_> = waiting.collect();
        self.confirmed(messages.into_iter().map(|(_, event)| event).collect())
            .await?;
        for seen in waiting {
            wait(seen).await?;
        }
        Ok(())
    }

    async fn timed(&self, due: Instant) -> anyhow::Result<Latency> {
        let (number, event) = self.traffic.next();
        let seen = self.published.as_ref().map(|published| published.expect(number));
        self.confirmed(vec![event]).await?;
        let confirmed = due.elapsed();
        let published = match seen {
            Some(seen) => wait(seen).await?.saturating_duration_since(due),
            None => Duration::ZERO,
        };
        Ok(Latency { confirmed, published })
    }

    async fn confirmed(&self, events: Vec<Event>) -> anyhow::Result<()> {
        let request = PushRequest {
            events,
            ..PushRequest::default()
        };
        let answer = self.pushes.clone().push(request).await.map_err(remote::refused)?;
        let refused = answer
            .get_ref()
            .results
            .iter()
            .find(|result| result.status() != PushStatus::Accepted);
        match refused {
            Some(refused) => anyhow::bail!("a message was not accepted: {}", refused.problem),
            None => Ok(()),
        }
    }
}

async fn wait(seen: oneshot::Receiver<Instant>) -> anyhow::Result<Instant> {
    let lost = || format!("a confirmed message was not published within {} s", LOST.as_secs());
    timeout(LOST, seen).await.with_context(lost)?.context("the events log ended")
}
