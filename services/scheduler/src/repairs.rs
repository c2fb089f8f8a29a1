//! Sweeps a group of shards for what a failover of the store lost: once in a while, and whenever the store is not the one
//! that it was.

use crate::shared::Shared;
use bytes::Bytes;
use futures_util::future::try_join_all;
use omnigate_core::{
    identity::repair::schedule::{Cause, begun, due, seen},
    port::store::StoreError,
    protocol::{
        Stop,
        identity::repair::{Group, Mended, Piece, keep, piece, progress},
        publish,
    },
    shard::Shard,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Customers or identifiers that are looked at in one piece, after which it is kept how far the sweep has come.
const AT_ONCE: u32 = 100;
/// Pause between two pieces: a sweep is in no hurry, and what waits for it is.
const BREATH: Duration = Duration::from_millis(5);
/// Pause between two looks at whether a sweep is due: what waits for a repair waits for this long at most.
const LOOK: Duration = Duration::from_secs(2);

/// The sweeps of one group in the hands of this process.
pub(crate) struct Repairs {
    shared: Arc<Shared>,
    group: u16,
    shards: Vec<Shard>,
    tenants: Vec<String>,
}

impl Repairs {
    pub(crate) fn new(shared: Arc<Shared>, group: u16, shards: Vec<Shard>) -> Self {
        Self {
            tenants: shared.tenants().into_iter().collect(),
            shared,
            group,
            shards,
        }
    }

    /// Sweeps when it is time, until stopped. A piece that has begun is finished.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.look().await {
                Ok(true) => BREATH,
                Ok(false) => LOOK,
                Err(error) => {
                    tracing::debug!(group = self.group, %error, "not swept for now");
                    LOOK
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Begins a sweep if one is due, and does a piece of the one that is under way. True when there is more to do.
    async fn look(&self) -> Result<bool, Stop> {
        let context = self.shared.context();
        let incarnations = self.incarnations().await?;
        let mut standing = progress(&context, self.group).await?;
        let (every, now) = (self.shared.settings.repair_every, context.now());
        let record = standing.value.as_ref();
        let cause = due(record, &incarnations, every, now);
        if let Some(cause) = cause {
            let next = begun(record, &incarnations, now);
            if keep(&context, self.group, &mut standing, next).await? {
                self.begins(cause);
            }
            return Ok(true);
        }
        let Some(record) = record else {
            keep(&context, self.group, &mut standing, seen(&incarnations, now)).await?;
            return Ok(false);
        };
        if record.began_ms == 0 {
            return Ok(false);
        }
        let group = Group {
            number: self.group,
            shards: &self.shards,
            tenants: &self.tenants,
        };
        let began = record.clone();
        let mut mended = Mended::default();
        let ended = piece(&context, group, &mut standing, AT_ONCE, &mut mended).await;
        let repairs = mended.repairs.len();
        self.shared.metrics.mended(&mended);
        let (broker, partitions) = (self.shared.broker.as_ref(), self.shared.settings.partitions);
        publish::publish(broker, &self.shared.ports.outbox, partitions, mended.outgoing).await;
        if ended? == Piece::Ended {
            let took = now.since(omnigate_core::time::Moment(began.began_ms));
            let repairs = began.repairs + u64::try_from(repairs).unwrap_or(u64::MAX);
            tracing::info!(
                group = self.group,
                turns = began.turn + 1,
                left = repairs,
                ?took,
                "identity swept"
            );
            return Ok(false);
        }
        Ok(true)
    }

    fn begins(&self, cause: Cause) {
        self.shared.metrics.sweeps(cause.name());
        match cause {
            Cause::Failover => tracing::warn!(
                group = self.group,
                "the store is not the one that it was: it is swept for what it may have lost"
            ),
            Cause::Time => tracing::info!(group = self.group, "identity sweep begins"),
        }
    }

    /// The incarnations of all shards of the group, each once, in byte order.
    async fn incarnations(&self) -> Result<Vec<Bytes>, StoreError> {
        let store = self.shared.ports.store.as_ref();
        let each = try_join_all(self.shards.iter().map(|shard| store.incarnation(*shard))).await?;
        let each: BTreeSet<Bytes> = each.into_iter().collect();
        Ok(each.into_iter().collect())
    }
}
