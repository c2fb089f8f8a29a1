//! Pushes as edge makes them: what comes while a call is in flight gathers into the next one.

use super::gateway::{Gateway, Pushes};
use crate::commands::remote;
use omnigate_proto::v1::{Event, PushRequest, PushStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Calls in flight at once, as many as edge has.
const LANES: usize = 8;
/// Most events in one call, as `ingest.proto` states it.
const MOST: usize = 1000;

struct Job {
    event: Event,
    confirmed: oneshot::Sender<()>,
}

/// Where events wait for the next call.
pub(super) struct Lanes {
    lanes: Vec<mpsc::Sender<Job>>,
    next: AtomicUsize,
    /// Ends with this.
    _calls: JoinSet<()>,
}

impl Lanes {
    pub(super) fn open(gateway: &Gateway) -> anyhow::Result<Arc<Self>> {
        let mut calls = JoinSet::new();
        let mut lanes = Vec::with_capacity(LANES);
        for number in 0..LANES {
            let (sender, jobs) = mpsc::channel(MOST);
            calls.spawn(carry(gateway.pushes(number)?, jobs));
            lanes.push(sender);
        }
        Ok(Arc::new(Self {
            lanes,
            next: AtomicUsize::new(0),
            _calls: calls,
        }))
    }

    /// Pushes and returns when it is confirmed.
    pub(super) async fn push(&self, event: Event) -> anyhow::Result<()> {
        let lane = &self.lanes[self.next.fetch_add(1, Ordering::Relaxed) % LANES];
        let (confirmed, done) = oneshot::channel();
        let sent = lane.send(Job { event, confirmed }).await;
        anyhow::ensure!(sent.is_ok() && done.await.is_ok(), "a push failed");
        Ok(())
    }
}

/// Ends with the first call that fails; who waits learns it by that.
async fn carry(pushes: Pushes, mut jobs: mpsc::Receiver<Job>) {
    let mut gathered = Vec::new();
    while jobs.recv_many(&mut gathered, MOST).await > 0 {
        let (events, confirmed): (Vec<_>, Vec<_>) = gathered.drain(..).map(|job| (job.event, job.confirmed)).unzip();
        if let Err(error) = call(&pushes, events).await {
            tracing::error!(%error, "push failed");
            return;
        }
        for confirmed in confirmed {
            confirmed.send(()).ok();
        }
    }
}

/// One call; an error unless all of it was accepted.
pub(super) async fn call(pushes: &Pushes, events: Vec<Event>) -> anyhow::Result<()> {
    let request = PushRequest {
        events,
        ..PushRequest::default()
    };
    let answer = pushes.clone().push(request).await.map_err(remote::refused)?;
    let results = &answer.get_ref().results;
    match results.iter().find(|result| result.status() != PushStatus::Accepted) {
        Some(refused) => anyhow::bail!("a message was not accepted: {}", refused.problem),
        None => Ok(()),
    }
}
