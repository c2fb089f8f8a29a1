//! Intents: what is about to be submitted is on the broker's log before the provider is called.
//!
//! Submissions that arrive while an entry is in flight gather into the next ones, one for each shard. An entry that is not
//! confirmed is sent again first; meanwhile nothing new is claimed.

use crate::{metrics::Metrics, shared::Pauses};
use omnigate_core::{
    port::{Clock, broker::Broker},
    shard::Shard,
    topology,
};
use omnigate_proto::state::v1::{Intent, IntentItem};
use prost::Message as _;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// Longest wait for the broker's confirm.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// Submissions that gather while an entry is in flight.
const GATHERED: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The intent is not known to be durable: the provider must not be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotDurable;

struct Waiting {
    shard: Shard,
    item: IntentItem,
    done: oneshot::Sender<()>,
}

/// Where submissions announce themselves.
pub(crate) struct Intents {
    queue: mpsc::Sender<Waiting>,
    healthy: watch::Receiver<bool>,
}

/// The other end: carries them to the broker.
pub(crate) struct Line {
    queue: mpsc::Receiver<Waiting>,
    healthy: watch::Sender<bool>,
}

/// Both ends.
pub(crate) fn line() -> (Intents, Line) {
    let (sender, receiver) = mpsc::channel(GATHERED);
    let (says, hears) = watch::channel(true);
    let intents = Intents {
        queue: sender,
        healthy: hears,
    };
    let line = Line {
        queue: receiver,
        healthy: says,
    };
    (intents, line)
}

impl Intents {
    /// Completes as soon as the broker confirms intents.
    pub(crate) async fn healthy(&self) {
        let mut healthy = self.healthy.clone();
        // A line that has ended is noticed by the one who waits for its confirm.
        healthy.wait_for(|healthy| *healthy).await.ok();
    }

    /// Makes one durable.
    pub(crate) async fn announce(&self, shard: Shard, item: IntentItem) -> Result<(), NotDurable> {
        let (done, confirmed) = oneshot::channel();
        let announced = async {
            self.queue
                .send(Waiting { shard, item, done })
                .await
                .map_err(|_| NotDurable)?;
            confirmed.await.map_err(|_| NotDurable)
        };
        tokio::time::timeout(CONFIRM_WITHIN, announced)
            .await
            .unwrap_or(Err(NotDurable))
    }
}

impl Line {
    /// Carries intents until nobody can announce any more.
    pub(crate) async fn run(mut self, broker: &dyn Broker, clock: &dyn Clock, metrics: &Metrics) {
        let mut gathered = Vec::new();
        while self.queue.recv_many(&mut gathered, GATHERED).await > 0 {
            let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
            loop {
                gathered = append(broker, clock, gathered).await;
                // Whoever gave up calls no provider.
                gathered.retain(|waiting| !waiting.done.is_closed());
                let confirmed = gathered.is_empty();
                self.healthy.send_if_modified(|healthy| {
                    let changed = *healthy != confirmed;
                    *healthy = confirmed;
                    changed
                });
                if confirmed {
                    break;
                }
                metrics.intent_unconfirmed();
                pauses.wait().await;
            }
        }
    }
}

/// Appends one entry for each shard; gives back what is not confirmed.
async fn append(broker: &dyn Broker, clock: &dyn Clock, waiting: Vec<Waiting>) -> Vec<Waiting> {
    let mut by_shard: BTreeMap<Shard, Vec<Waiting>> = BTreeMap::new();
    for one in waiting {
        by_shard.entry(one.shard).or_default().push(one);
    }
    let at_ms = clock.now().0;
    let entries = by_shard.iter().map(|(shard, waiting)| {
        let intent = Intent {
            shard: u32::from(shard.number()),
            // Not numbered: nothing compares intents with the store yet.
            number: 0,
            items: waiting.iter().map(|one| one.item.clone()).collect(),
            at_ms,
        };
        intent.encode_to_vec().into()
    });
    let answers = broker.append(&topology::intents(), entries.collect()).await;
    let mut answers = answers.into_iter();
    let mut left = Vec::new();
    let mut problem = None;
    for waiting in by_shard.into_values() {
        match answers.next() {
            Some(Ok(())) => {
                for one in waiting {
                    // Whoever does not listen any more has given up, and calls no provider.
                    one.done.send(()).ok();
                }
            }
            answer => {
                problem = answer.and_then(Result::err).or(problem);
                left.extend(waiting);
            }
        }
    }
    if !left.is_empty() {
        let problem = problem.map(|error| error.to_string());
        tracing::warn!(submissions = left.len(), problem, "intents were not confirmed");
    }
    left
}
