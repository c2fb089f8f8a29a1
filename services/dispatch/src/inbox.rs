//! Hints of one account, transactional ones first.

use crate::shared::Pauses;
use omnigate_core::{
    port::broker::{Broker, Delivery, QueueName},
    topology,
};
use omnigate_proto::v1::Lane;
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinSet};

/// One hint in this many is taken from the bulk lane first, so that it never starves.
const BULK_TURN: u32 = 8;
/// Hints of a lane at hand: enough that the other lane does not go first only because a task had no turn.
const AT_HAND: usize = 32;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Dropping it gives back what was not taken.
pub(crate) struct Inbox {
    transactional: Source,
    bulk: Source,
    taken: u32,
    _pumps: JoinSet<()>,
}

struct Source {
    arrivals: mpsc::Receiver<Delivery>,
    held: Option<Delivery>,
}

impl Inbox {
    /// Subscribes to both lanes of an account, again and again where that fails.
    pub(crate) fn open(broker: &Arc<dyn Broker>, account_id: &str, prefetch: u16) -> Self {
        let mut pumps = JoinSet::new();
        let mut source = |lane| {
            let (sender, arrivals) = mpsc::channel(AT_HAND);
            let queue = topology::outbound(account_id, lane);
            pumps.spawn(pump(Arc::clone(broker), queue, prefetch, sender));
            Source { arrivals, held: None }
        };
        Self {
            transactional: source(Lane::Transactional),
            bulk: source(Lane::Bulk),
            taken: 0,
            _pumps: pumps,
        }
    }

    /// Waits until there is something to take.
    pub(crate) async fn wait(&mut self) {
        if self.transactional.held.is_some() || self.bulk.held.is_some() {
            return;
        }
        tokio::select! {
            Some(delivery) = self.transactional.arrivals.recv() => self.transactional.held = Some(delivery),
            Some(delivery) = self.bulk.arrivals.recv() => self.bulk.held = Some(delivery),
            // Pumps end only when they are dropped.
            else => std::future::pending().await,
        }
    }

    /// What goes first.
    pub(crate) fn take(&mut self) -> Option<Delivery> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(BULK_TURN) {
            self.bulk.take().or_else(|| self.transactional.take())
        } else {
            self.transactional.take().or_else(|| self.bulk.take())
        }
    }
}

impl Source {
    fn take(&mut self) -> Option<Delivery> {
        self.held.take().or_else(|| self.arrivals.try_recv().ok())
    }
}

async fn pump(broker: Arc<dyn Broker>, queue: QueueName, prefetch: u16, arrivals: mpsc::Sender<Delivery>) {
    let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match broker.subscribe(&queue, prefetch).await {
            Ok(mut subscription) => {
                while let Some(delivery) = subscription.next().await {
                    pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
                    if arrivals.send(delivery).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => tracing::warn!(%queue, %error, "not subscribed, trying again"),
        }
        pauses.wait().await;
    }
}
