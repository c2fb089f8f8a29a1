//! Takes a fair share of the partitions: every process that runs the role is a member of one group, and each partition has
//! a lease. Whoever holds too many gives some back, whoever holds too few takes free ones.

use crate::engine::Engine;
use crate::partition::consume;
use crate::publisher::Publisher;
use futures_util::future::join_all;
use omnigate_core::lease::{is_held, share};
use omnigate_core::port::store::StoreError;
use omnigate_core::protocol::Stop;
use omnigate_core::protocol::lease::{self, COMMON, LeaseError, Wish};
use omnigate_core::shard::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Group of the processes that run the role.
const GROUP: &str = "unify";

fn name(partition: u16) -> String {
    format!("partition/{partition}")
}

/// A task that ends when this is dropped.
struct Task {
    alone: JoinSet<()>,
    handle: AbortHandle,
}

impl Task {
    fn begin(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut alone = JoinSet::new();
        let handle = alone.spawn(work);
        Self { alone, handle }
    }

    fn is_over(&self) -> bool {
        self.handle.is_finished()
    }

    async fn end(mut self) -> Result<(), JoinError> {
        self.alone.join_next().await.unwrap_or(Ok(()))
    }
}

/// A partition that is ours.
struct Held {
    epoch: u64,
    stop: CancellationToken,
    work: Task,
}

struct Shares<'a> {
    engine: &'a Arc<Engine>,
    publisher: &'a Publisher,
    held: BTreeMap<u16, Held>,
    /// Partitions that are being given back.
    leaving: BTreeMap<u16, Task>,
}

/// Holds a share until `stop`, then gives it back.
pub(crate) async fn run(engine: &Arc<Engine>, publisher: &Publisher, stop: &CancellationToken) {
    let mut shares = Shares {
        engine,
        publisher,
        held: BTreeMap::new(),
        leaving: BTreeMap::new(),
    };
    let mut ticks = tokio::time::interval(engine.settings.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => break,
        }
        // A store that is away makes this wait; asked to stop, nobody waits for it.
        tokio::select! {
            balanced = shares.balance() => match balanced {
                Ok(()) => {}
                Err(LeaseError::Stop(Stop::Store(StoreError::Unavailable(_)))) => engine.away.report(),
                Err(error) => tracing::warn!(%error, "shares could not be balanced"),
            },
            () = stop.cancelled() => break,
        }
    }
    shares.give_all_back().await;
}

impl Shares<'_> {
    async fn balance(&mut self) -> Result<(), LeaseError> {
        let engine = self.engine;
        let context = engine.context();
        let (settings, before) = (&engine.settings, self.held.len());
        self.leaving.retain(|_, work| !work.is_over());
        lease::join(&context, GROUP, &settings.owner, settings.lease).await?;
        self.renew().await?;
        let members = lease::members(&context, GROUP).await?;
        let held: Vec<u16> = self.held.keys().copied().collect();
        let shares = share(&held, settings.partitions, &members, &settings.owner);
        for partition in shares.release {
            self.release(partition);
        }
        if shares.wanted > 0 {
            self.take(shares.wanted, shares.order).await?;
        }
        if self.held.len() != before {
            tracing::info!(
                held = self.held.len(),
                of = settings.partitions,
                "share of the partitions changed"
            );
        }
        engine.metrics.held(self.held.len());
        Ok(())
    }

    /// Prolongs what is held; what somebody else has taken is dropped at once.
    async fn renew(&mut self) -> Result<(), LeaseError> {
        let context = self.engine.context();
        let settings = &self.engine.settings;
        // A reader that ended by itself is begun again.
        self.held.retain(|_, held| !held.work.is_over());
        // All at once: one after the other could take longer than they last when the store is slow.
        let renewals = self.held.iter().map(|(partition, held)| {
            let (context, partition, epoch) = (&context, *partition, held.epoch);
            async move {
                let name = name(partition);
                let renewed = lease::renew(context, wish(&name, &settings.owner), epoch, settings.lease).await;
                (partition, renewed)
            }
        });
        for (partition, renewed) in join_all(renewals).await {
            match renewed {
                Ok(_) => {}
                Err(LeaseError::Lost(_)) => {
                    tracing::warn!(partition, "somebody else took the partition");
                    self.held.remove(&partition);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn take(&mut self, mut wanted: usize, order: Vec<u16>) -> Result<(), LeaseError> {
        let context = self.engine.context();
        let settings = &self.engine.settings;
        let order: Vec<u16> = order
            .into_iter()
            .filter(|partition| !self.leaving.contains_key(partition))
            .collect();
        let names: Vec<String> = order.iter().copied().map(name).collect();
        let leases = lease::look(&context, COMMON, &names).await?;
        for ((partition, name), record) in order.into_iter().zip(names).zip(leases) {
            if wanted == 0 {
                break;
            }
            if is_held(&record, context.now()) && record.owner != settings.owner {
                continue;
            }
            match lease::acquire(&context, wish(&name, &settings.owner), settings.lease).await {
                Ok(held) => {
                    self.begin(partition, held.epoch);
                    wanted -= 1;
                }
                Err(LeaseError::Held { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn begin(&mut self, partition: u16, epoch: u64) {
        let stop = CancellationToken::new();
        let (engine, publisher) = (self.engine.clone(), self.publisher.clone());
        let work = Task::begin(consume(engine, publisher, Partition(partition), stop.clone()));
        tracing::debug!(partition, epoch, "took a partition");
        self.held.insert(partition, Held { epoch, stop, work });
    }

    /// Gives a partition back once what is in hand is done.
    fn release(&mut self, partition: u16) {
        let Some(held) = self.held.remove(&partition) else {
            return;
        };
        let engine = self.engine.clone();
        let leaving = Task::begin(async move { held.give_back(&engine, partition).await });
        self.leaving.insert(partition, leaving);
    }

    async fn give_all_back(&mut self) {
        let held: Vec<u16> = self.held.keys().copied().collect();
        for partition in held {
            self.release(partition);
        }
        for work in std::mem::take(&mut self.leaving).into_values() {
            if let Err(error) = work.end().await {
                tracing::error!(%error, "a partition was not given back");
            }
        }
        let context = self.engine.context();
        let left = lease::leave(&context, GROUP, &self.engine.settings.owner);
        match tokio::time::timeout(self.engine.settings.drain_within, left).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "membership ends by itself"),
            Err(_) => tracing::warn!("membership ends by itself"),
        }
        self.engine.metrics.held(0);
    }
}

impl Held {
    async fn give_back(self, engine: &Engine, partition: u16) {
        self.stop.cancel();
        if let Err(error) = self.work.end().await {
            tracing::error!(partition, %error, "the partition's reader ended early");
        }
        let name = name(partition);
        let owner = &engine.settings.owner;
        let context = engine.context();
        let released = lease::release(&context, wish(&name, owner), self.epoch);
        match tokio::time::timeout(engine.settings.drain_within, released).await {
            Ok(Ok(())) => tracing::debug!(partition, "gave a partition back"),
            Ok(Err(error)) => tracing::warn!(partition, %error, "the lease ends by itself"),
            Err(_) => tracing::warn!(partition, "the lease ends by itself"),
        }
    }
}

fn wish<'a>(name: &'a str, owner: &'a str) -> Wish<'a> {
    Wish {
        shard: COMMON,
        name,
        owner,
        address: "",
    }
}
