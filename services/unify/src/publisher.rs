//! Publishes CustomerEvents. One publication is under way per partition of the events log, and what threads bring meanwhile
//! gathers into the next: order is kept, and the cost of each falls as load rises.

use crate::engine::Engine;
use omnigate_core::id::CustomerId;
use omnigate_core::protocol::outbox::Outgoing;
use omnigate_core::protocol::publish::{partition_of, publish};
use omnigate_core::shard::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Threads that may wait for their turn, each partition; more wait outside.
const WAITING: usize = 256;
/// CustomerEvents in one round.
const ROUND: usize = 4096;

struct Job {
    outgoing: Vec<Outgoing>,
    done: oneshot::Sender<()>,
}

/// Hands CustomerEvents to the partition that publishes them.
#[derive(Clone)]
pub(crate) struct Publishers(Arc<Vec<mpsc::Sender<Job>>>);

/// Starts one task per partition.
pub(crate) fn start(engine: &Arc<Engine>, tasks: &mut JoinSet<()>) -> Publishers {
    let senders = (0..engine.settings.partitions.max(1)).map(|_| {
        let (sender, jobs) = mpsc::channel(WAITING);
        tasks.spawn(work(engine.clone(), jobs));
        sender
    });
    Publishers(Arc::new(senders.collect()))
}

impl Publishers {
    /// Publishes; returns when each was confirmed or was left in the outbox for the shard's lease holder.
    pub(crate) async fn publish(&self, outgoing: Vec<Outgoing>) {
        let partitions = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        let mut by_partition: BTreeMap<Partition, Vec<Outgoing>> = BTreeMap::new();
        for event in outgoing {
            let home = event.member.get(..16).and_then(CustomerId::from_bytes);
            let partition = home.map_or(Partition(0), |home| partition_of(home, partitions));
            by_partition.entry(partition).or_default().push(event);
        }
        let mut waiting = Vec::new();
        for (partition, outgoing) in by_partition {
            let (done, published) = oneshot::channel();
            if let Some(sender) = self.0.get(usize::from(partition.0))
                && sender.send(Job { outgoing, done }).await.is_ok()
            {
                waiting.push(published);
            }
        }
        for published in waiting {
            // A publisher that is gone has left them in the outbox.
            published.await.ok();
        }
    }
}

async fn work(engine: Arc<Engine>, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.recv().await {
        let mut round = vec![first];
        let mut events = round.iter().map(|job| job.outgoing.len()).sum::<usize>();
        while events < ROUND
            && let Ok(job) = jobs.try_recv()
        {
            events += job.outgoing.len();
            round.push(job);
        }
        let (outgoing, done): (Vec<_>, Vec<_>) = round.into_iter().map(|job| (job.outgoing, job.done)).unzip();
        let outgoing = outgoing.into_iter().flatten().collect();
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
