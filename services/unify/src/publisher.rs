//! Publishes CustomerEvents. One publication is under way, and what threads bring meanwhile gathers into the next: order is
//! kept, and the cost of each falls as load rises.

use crate::engine::Engine;
use omnigate_core::protocol::outbox::Outgoing;
use omnigate_core::protocol::publish::publish;
use omnigate_runtime::beat::Beat;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Threads that may wait for their turn; more wait outside.
const WAITING: usize = 4096;
/// Publications begin this far apart: what a CustomerEvent may wait for others, while there are any.
const BEAT: Duration = Duration::from_millis(5);
/// CustomerEvents in one publication.
const ROUND: usize = 16 * 1024;

struct Job {
    outgoing: Vec<Outgoing>,
    done: oneshot::Sender<()>,
}

/// Hands CustomerEvents to the task that publishes them.
#[derive(Clone)]
pub(crate) struct Publisher(mpsc::Sender<Job>);

/// Starts the task.
pub(crate) fn start(engine: &Arc<Engine>, tasks: &mut JoinSet<()>) -> Publisher {
    let (sender, jobs) = mpsc::channel(WAITING);
    tasks.spawn(work(engine.clone(), jobs));
    Publisher(sender)
}

impl Publisher {
    /// Publishes; returns when each was confirmed or was left in the outbox for the shard's lease holder.
    pub(crate) async fn publish(&self, outgoing: Vec<Outgoing>) {
        if outgoing.is_empty() {
            return;
        }
        let (done, published) = oneshot::channel();
        // A publisher that is gone has left them in the outbox.
        if self.0.send(Job { outgoing, done }).await.is_ok() {
            published.await.ok();
        }
    }
}

async fn work(engine: Arc<Engine>, mut jobs: mpsc::Receiver<Job>) {
    let beat = Beat::new(BEAT);
    while let Some(first) = jobs.recv().await {
        beat.turn().await;
        let mut outgoing = first.outgoing;
        let mut done = vec![first.done];
        while outgoing.len() < ROUND
            && let Ok(job) = jobs.try_recv()
        {
            outgoing.extend(job.outgoing);
            done.push(job.done);
        }
        let events = outgoing.len();
        let left = publish(
            &*engine.broker,
            &engine.ports.outbox,
            engine.settings.partitions,
            outgoing,
        )
        .await;
        engine.metrics.published(events - left.min(events), left);
        for done in done {
            // Nobody waits any more when the partition was given up meanwhile.
            done.send(()).ok();
        }
    }
}
