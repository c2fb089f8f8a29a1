//! One way to the broker: what arrives while a batch is in flight gathers into the next one.
//!
//! At most one batch is in flight, and a batch that the broker did not confirm is sent again, first and unchanged. So
//! what was answered before something else arrived also stands before it. The busier the broker, the larger the batches;
//! and all lines begin theirs on one beat, so that the broker works on them together.

use crate::{
    gate::{Load, Permit},
    metrics::Metrics,
};
use bytes::{Bytes, BytesMut};
use omnigate_core::port::broker::{Broker, LogName, Publication, PublishError, QueueName};
use omnigate_runtime::beat::Beat;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// Pause before the first repetition of an unconfirmed batch; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Where a line leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outlet {
    /// A queue; many groups share one message.
    Batches(QueueName),
    /// A queue; every group is a message of its own.
    Singles(QueueName),
    /// A log; many groups share one entry.
    Log(LogName),
}

/// Why the broker has a group not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotTaken {
    /// The queue is at its limit.
    Full,
}

/// What one push puts on one line: an encoded batch message. Batch messages hold nothing but one repeated field, so
/// those of several groups are joined by writing one behind the other.
#[derive(Debug)]
pub(crate) struct Group {
    /// Encoded `EventBatch`, `RawBatch` or `Parked`.
    pub(crate) body: Bytes,
    /// For the broker's message.
    pub(crate) traceparent: String,
    /// Its share of the memory.
    pub(crate) permit: Permit,
    /// Told when the broker has it.
    pub(crate) done: oneshot::Sender<Result<(), NotTaken>>,
}

/// Groups that travel in one message.
#[derive(Debug)]
struct Parcel {
    body: Bytes,
    traceparent: String,
    groups: Vec<Group>,
}

impl Parcel {
    fn settle(self, outcome: Result<(), NotTaken>) {
        for group in self.groups {
            // The room is free before the caller knows, so that a caller who goes on at once finds it.
            drop(group.permit);
            // A caller who gave up needs no answer.
            group.done.send(outcome).ok();
        }
    }
}

/// A line.
#[derive(Debug)]
pub(crate) struct Line {
    outlet: Outlet,
    limit: Load,
    waiting: Mutex<VecDeque<Group>>,
    arrived: Notify,
}

impl Line {
    pub(crate) fn new(outlet: Outlet, limit: Load) -> Self {
        Self {
            outlet,
            limit,
            waiting: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Adds groups behind everything that waits.
    pub(crate) fn add(&self, groups: impl IntoIterator<Item = Group>) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(groups);
        self.arrived.notify_one();
    }

    /// Carries groups to the broker, on the beat of all lines, until stopped; then carries what still waits, and returns.
    pub(crate) async fn run(&self, broker: &dyn Broker, beat: &Beat, metrics: &Metrics, stop: &CancellationToken) {
        loop {
            if !self.is_empty() {
                beat.turn().await;
                self.deliver(broker, metrics, self.gather()).await;
                continue;
            }
            tokio::select! {
                () = self.arrived.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The next batch: as many waiting groups as fit, at least one. Groups whose caller gave up before they were in
    /// flight are left out: nothing of them was taken.
    fn gather(&self) -> Vec<Parcel> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gathered = Vec::new();
        let mut sum = Load::default();
        while let Some(group) = waiting.front() {
            let load = group.permit.load();
            let fits = sum.events + load.events <= self.limit.events && sum.bytes + load.bytes <= self.limit.bytes;
            if !fits && !gathered.is_empty() {
                break;
            }
            let Some(group) = waiting.pop_front() else { break };
            if group.done.is_closed() {
                continue;
            }
            sum.events += load.events;
            sum.bytes += load.bytes;
            gathered.push(group);
        }
        drop(waiting);
        match self.outlet {
            Outlet::Singles(_) => gathered.into_iter().map(|group| parcel(vec![group])).collect(),
            _ if gathered.is_empty() => vec![],
            _ => vec![parcel(gathered)],
        }
    }

    /// Sends a batch until the broker has confirmed or refused all of it.
    async fn deliver(&self, broker: &dyn Broker, metrics: &Metrics, mut parcels: Vec<Parcel>) {
        let mut pause = FIRST_PAUSE;
        let mut unconfirmed: u64 = 0;
        loop {
            let answers = self.write(broker, &parcels).await;
            let mut problem = None;
            let mut again = Vec::new();
            let mut answers = answers.into_iter();
            for parcel in parcels {
                match answers.next() {
                    Some(Ok(())) => {
                        metrics.confirmed(&self.outlet);
                        parcel.settle(Ok(()));
                    }
                    Some(Err(PublishError::Full(_))) => parcel.settle(Err(NotTaken::Full)),
                    Some(Err(error)) => {
                        problem = Some(error.to_string());
                        again.push(parcel);
                    }
                    // A broker that answers less than it was asked has confirmed nothing of the rest.
                    None => again.push(parcel),
                }
            }
            if again.is_empty() {
                if unconfirmed > 0 {
                    tracing::info!(line = %self.outlet, repetitions = unconfirmed, "broker confirms again");
                }
                return;
            }
            if unconfirmed == 0 {
                tracing::warn!(line = %self.outlet, problem, "broker did not confirm, the batch is sent again");
            }
            unconfirmed += 1;
            metrics.resent();
            parcels = again;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn write(&self, broker: &dyn Broker, parcels: &[Parcel]) -> Vec<Result<(), PublishError>> {
        match &self.outlet {
            Outlet::Batches(queue) | Outlet::Singles(queue) => {
                let messages = parcels.iter().map(|parcel| Publication {
                    queue: queue.clone(),
                    body: parcel.body.clone(),
                    traceparent: parcel.traceparent.clone(),
                });
                broker.publish(messages.collect()).await
            }
            Outlet::Log(log) => {
                let entries = parcels.iter().map(|parcel| parcel.body.clone()).collect();
                broker.append(log, entries).await
            }
        }
    }
}

fn parcel(groups: Vec<Group>) -> Parcel {
    let body = match groups.as_slice() {
        [group] => group.body.clone(),
        groups => {
            let mut joined = BytesMut::with_capacity(groups.iter().map(|group| group.body.len()).sum());
            groups.iter().for_each(|group| joined.extend_from_slice(&group.body));
            joined.freeze()
        }
    };
    Parcel {
        body,
        traceparent: groups
            .first()
            .map(|group| group.traceparent.clone())
            .unwrap_or_default(),
        groups,
    }
}

impl std::fmt::Display for Outlet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batches(queue) | Self::Singles(queue) => queue.fmt(formatter),
            Self::Log(log) => log.fmt(formatter),
        }
    }
}
