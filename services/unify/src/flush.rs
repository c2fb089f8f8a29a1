//! Takes published CustomerEvents out of shards where no commit comes by.

use crate::engine::Engine;
use futures_util::future::join_all;
use omnigate_core::port::store::StoreError;
use omnigate_core::protocol::outbox;
use omnigate_core::shard::Shard;
use std::sync::Arc;
use tokio::time::MissedTickBehavior;

/// Shards flushed at once.
const AT_ONCE: usize = 32;
/// Rounds at a time.
const MOST_ROUNDS: usize = 32;

pub(crate) async fn run(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(engine.settings.flush_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        engine.away.back().await;
        once(&engine).await;
    }
}

/// One round over all shards, and some more over those that have much.
pub(crate) async fn once(engine: &Engine) {
    let mut shards = engine.ports.outbox.shards();
    for _ in 0..MOST_ROUNDS {
        if !round(engine, &shards).await {
            return engine.away.report();
        }
        shards = engine.ports.outbox.crowded();
    }
}

/// False when the store is away.
async fn round(engine: &Engine, shards: &[Shard]) -> bool {
    let context = engine.context();
    for shards in shards.chunks(AT_ONCE) {
        let flushed = join_all(shards.iter().map(|shard| outbox::flush(&context, *shard))).await;
        for error in flushed.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "published events stay in the outbox for now");
            if matches!(error, StoreError::Unavailable(_)) {
                return false;
            }
        }
    }
    true
}
