//! Compares the shards of a group with the log of intents when the store is not the one that counted there: until then
//! nothing of a campaign is written down or submitted in them.

use crate::shared::Shared;
use bytes::Bytes;
use omnigate_core::{
    delivery::LEASE_TIME,
    port::broker::{BrokerError, From, PublishError},
    port::store::StoreError,
    protocol::{
        Stop,
        campaign::{Comparison, mark, recheck},
    },
    shard::Shard,
    time::Moment,
    topology,
};
use omnigate_proto::state::v1::IntentBatch;
use prost::Message as _;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Pause between two looks at whether the store is the one that it was.
const LOOK: Duration = Duration::from_secs(2);
/// How long the next entry of the log is waited for: our own mark is in it.
const ENTRY_TIME: Duration = Duration::from_secs(30);

/// Why a comparison did not come to its end; it begins anew.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Store(#[from] Stop),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Mark(#[from] PublishError),
    #[error("the log of intents ended before its mark")]
    Ended,
    #[error("an entry of the log of intents cannot be read")]
    Entry(#[from] prost::DecodeError),
}

impl std::convert::From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// The comparisons of one group in the hands of this process.
pub(crate) struct Comparisons {
    shared: Arc<Shared>,
    group: u16,
    shards: Vec<Shard>,
}

/// What is known of the store behind the shards.
#[derive(Default)]
struct Known {
    /// What it was when a shard had been compared.
    compared: BTreeMap<Shard, Bytes>,
    /// Since when a shard is known to be behind which store.
    behind: BTreeMap<Shard, Behind>,
}

#[derive(Clone)]
struct Behind {
    incarnation: Bytes,
    since: Instant,
    at: Moment,
}

impl Comparisons {
    pub(crate) const fn new(shared: Arc<Shared>, group: u16, shards: Vec<Shard>) -> Self {
        Self { shared, group, shards }
    }

    /// Compares whenever the store is another one, until stopped. What is under way then is left where it is.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut known = Known::default();
        while !stop.is_cancelled() {
            let look = async {
                if let Err(error) = self.look(&mut known).await {
                    tracing::warn!(group = self.group, %error, "intents not compared for now, campaigns wait");
                }
                tokio::time::sleep(LOOK).await;
            };
            stop.run_until_cancelled(look).await;
        }
    }

    async fn look(&self, known: &mut Known) -> Result<(), Broken> {
        let store = self.shared.ports.store.as_ref();
        let mut others = BTreeMap::new();
        for shard in &self.shards {
            let incarnation = store.incarnation(*shard).await?;
            if known.compared.get(shard) != Some(&incarnation) {
                others.insert(*shard, incarnation);
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let shards: Vec<Shard> = others.keys().copied().collect();
        if let Some(comparison) = Comparison::of(&self.shared.context(), &shards).await? {
            let clock = self.shared.ports.clock.now();
            let now = |incarnation: &Bytes| Behind {
                incarnation: incarnation.clone(),
                since: Instant::now(),
                at: clock,
            };
            let seen = std::mem::take(&mut known.behind);
            for (shard, incarnation) in &others {
                let before = seen.get(shard).filter(|before| before.incarnation == *incarnation);
                known
                    .behind
                    .insert(*shard, before.cloned().unwrap_or_else(|| now(incarnation)));
            }
            let has_to_wait = comparison.has_to_wait();
            let mut each = known.behind.values();
            if has_to_wait && each.any(|one| one.since.elapsed() < LEASE_TIME) {
                return Ok(());
            }
            let replaced = known.behind.values().map(|one| one.at).max().unwrap_or(clock);
            self.compare(comparison, has_to_wait.then_some(replaced)).await?;
        }
        known.behind.clear();
        known.compared.extend(others);
        Ok(())
    }

    /// Reads the log up to a mark of our own; `replaced` tells when another store was seen to have come in its place.
    async fn compare(&self, mut comparison: Comparison, replaced: Option<Moment>) -> Result<(), Broken> {
        // One group after the other: each reads the whole log.
        let turn = self.shared.comparing.lock().await;
        let context = self.shared.context();
        let (broker, log) = (self.shared.broker.as_ref(), topology::intents());
        let name = Bytes::copy_from_slice(&self.shared.ports.entropy.bytes());
        let answers = broker.append(&log, vec![mark(name.clone())]).await;
        answers.into_iter().collect::<Result<Vec<()>, PublishError>>()?;
        let mut reader = broker.read(&log, From::Oldest).await?;
        loop {
            let entry = timeout(ENTRY_TIME, reader.next())
                .await
                .ok()
                .flatten()
                .ok_or(Broken::Ended)?;
            let entry = IntentBatch::decode(entry.body)?;
            if entry.mark == name {
                break;
            }
            comparison.take(&context, &entry).await?;
        }
        if let Some(replaced) = replaced {
            for tenant in self.shared.tenants() {
                for shard in Shard::all() {
                    let environment = &self.shared.settings.environment;
                    recheck(&context, (&tenant, shard), replaced + LEASE_TIME, environment).await?;
                }
            }
        }
        comparison.finish(&context).await?;
        drop(turn);
        let found = comparison.found;
        self.shared.metrics.made_up(found);
        if replaced.is_some() {
            tracing::warn!(
                group = self.group,
                submissions = found.submissions,
                rows = found.rows,
                unplaced = found.unplaced,
                "the store is not the one that it was: it was told what had been announced"
            );
        }
        Ok(())
    }
}
