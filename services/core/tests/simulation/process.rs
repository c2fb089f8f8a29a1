//! A simulated process: what it has in memory, and what its workers do.

use crate::breakage::Breakage;
use crate::oracle::TENANT;
use crate::store::{Sim, SimStore};
use crate::time::pause;
use bytes::Bytes;
use omnigate_core::append::Arrival;
use omnigate_core::id::CustomerId;
use omnigate_core::keyring::Keyring;
use omnigate_core::protocol::append::{apply, give_up_pieces};
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::outbox::{Outbox, Outgoing, flush, left_over};
use omnigate_core::protocol::{Context, Stop};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

static KEYRING: Keyring = Keyring::none();

/// What a process keeps in memory and loses when it crashes.
pub(crate) struct Process {
    pub sim: Arc<Sim>,
    store: SimStore,
    cache: Cache,
    outbox: Outbox,
}

impl Process {
    pub(crate) fn start(sim: &Arc<Sim>) -> Arc<Self> {
        Arc::new(Self {
            sim: sim.clone(),
            store: SimStore(sim.clone()),
            // Small, so that things are forgotten now and then.
            cache: Cache::new(4),
            outbox: Outbox::default(),
        })
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            clock: &*self.sim.clock,
            entropy: &*self.sim,
            outbox: &self.outbox,
            cache: &self.cache,
            keyring: &KEYRING,
            rules: &omnigate_core::conversation::DEFAULT_RULES,
            tenants: &omnigate_core::tenant::DEFAULT_RULES,
        }
    }

    /// Resolve, commit, publish; the caller acknowledges.
    pub(crate) async fn work(self: Arc<Self>, arrivals: Vec<Arrival>) -> Result<(), Stop> {
        debug_assert!(arrivals.iter().all(|arrival| arrival.event.tenant_id == TENANT));
        let applied = apply(&self.context(), &arrivals).await?;
        self.publish(applied.outgoing).await;
        Ok(())
    }

    /// The scheduler: gives up the missing pieces of a home's long messages.
    pub(crate) async fn give_up(self: Arc<Self>, home: CustomerId, due: Moment) -> Result<(), Stop> {
        let outgoing = give_up_pieces(&self.context(), home, due).await?;
        self.publish(outgoing).await;
        Ok(())
    }

    /// Publishes in order, a few at a time, and takes out what was confirmed.
    async fn publish(&self, outgoing: Vec<Outgoing>) {
        let early = self.sim.breakage == Breakage::RemovedBeforePublished;
        for batch in outgoing.chunks(3) {
            if early {
                self.settle(batch);
            }
            pause().await;
            let unconfirmed = self.sim.faults().unconfirmed;
            let (confirmed, there) = {
                let mut rng = self.sim.rng();
                (!rng.per_mille(unconfirmed), rng.per_mille(500))
            };
            if confirmed || there {
                let mut oracle = self.sim.oracle();
                for one in batch {
                    oracle.published(&one.member, &one.event);
                }
            }
            pause().await;
            if confirmed || self.sim.breakage == Breakage::UnconfirmedIsPublished {
                self.settle(batch);
            }
        }
    }

    fn settle(&self, batch: &[Outgoing]) {
        let mut members: BTreeMap<Shard, Vec<Bytes>> = BTreeMap::new();
        for one in batch {
            members.entry(one.shard).or_default().push(one.member.clone());
        }
        for (shard, members) in members {
            self.outbox.published(shard, members);
        }
    }

    /// Takes out what no commit took along.
    pub(crate) async fn flush(self: Arc<Self>) -> Result<(), Stop> {
        for shard in self.outbox.shards() {
            flush(&self.context(), shard).await?;
        }
        Ok(())
    }

    /// Publishes what others left in the outbox of a shard.
    pub(crate) async fn sweep(self: Arc<Self>, shard: Shard, age: Duration) -> Result<(), Stop> {
        let left = left_over(&self.context(), shard, age, 20).await?;
        self.publish(left).await;
        flush(&self.context(), shard).await?;
        Ok(())
    }
}
