//! Intents: what is about to be submitted is on the broker's log before the provider is called.
//!
//! Submissions that arrive while an entry is in flight gather into the next one. An entry that is not
//! confirmed is sent again first; meanwhile nothing new is claimed.

use crate::{metrics::Metrics, shared::Pauses};
use omnigate_core::{
    port::{Clock, broker::Broker},
    shard::Shard,
    topology,
};
use omnigate_proto::state::v1::{Intent, IntentBatch, IntentItem};
use omnigate_runtime::beat::Beat;
use prost::Message as _;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// Longest wait for the broker's confirm.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// Submissions that gather while an entry is in flight.
const GATHERED: usize = 256;
/// Under load entries begin once in this time, so that there are fewer.
const BEAT: Duration = Duration::from_millis(4);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The intent is not known to be durable: the provider must not be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotDurable;

struct Waiting {
    shard: Shard,
    /// Number of the intent in its shard; 0 for a submission that is not numbered.
    number: u64,
    items: Vec<IntentItem>,
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
        self.announce_all(shard, 0, vec![item]).await
    }

    /// Makes an intent with its number durable.
    pub(crate) async fn announce_all(
        &self,
        shard: Shard,
        number: u64,
        items: Vec<IntentItem>,
    ) -> Result<(), NotDurable> {
        let (done, confirmed) = oneshot::channel();
        let waiting = Waiting {
            shard,
            number,
            items,
            done,
        };
        let announced = async {
            self.queue.send(waiting).await.map_err(|_| NotDurable)?;
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
        let beat = Beat::new(BEAT);
        while self.queue.recv_many(&mut gathered, GATHERED).await > 0 {
            beat.gather(&mut self.queue, &mut gathered, GATHERED).await;
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

/// Appends one entry for all of them; gives them back when it is not confirmed.
async fn append(broker: &dyn Broker, clock: &dyn Clock, waiting: Vec<Waiting>) -> Vec<Waiting> {
    let entry = entry(&waiting, clock.now().0).encode_to_vec().into();
    let answer = broker.append(&topology::intents(), vec![entry]).await.pop();
    if let Some(Ok(())) = answer {
        for one in waiting {
            // Whoever does not listen any more has given up, and calls no provider.
            one.done.send(()).ok();
        }
        return Vec::new();
    }
    let problem = answer.and_then(Result::err).map(|error| error.to_string());
    tracing::warn!(submissions = waiting.len(), problem, "intents were not confirmed");
    waiting
}

fn entry(waiting: &[Waiting], at_ms: i64) -> IntentBatch {
    // What is not numbered goes together.
    let mut by_number: BTreeMap<(Shard, u64), Vec<IntentItem>> = BTreeMap::new();
    for one in waiting {
        let items = by_number.entry((one.shard, one.number)).or_default();
        items.extend(one.items.iter().cloned());
    }
    let intent = |((shard, number), items): ((Shard, u64), Vec<IntentItem>)| Intent {
        shard: u32::from(shard.number()),
        number,
        items,
        at_ms,
    };
    IntentBatch {
        intents: by_number.into_iter().map(intent).collect(),
        ..IntentBatch::default()
    }
}
