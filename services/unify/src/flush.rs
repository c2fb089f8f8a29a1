//! Takes published CustomerEvents out of shards where no commit comes by.

use crate::engine::Engine;
use omnigate_core::protocol::outbox;
use std::sync::Arc;
use tokio::time::MissedTickBehavior;

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
    let outbox = &engine.ports.outbox;
    let mut shards = outbox.shards();
    for _ in 0..MOST_ROUNDS {
        if outbox::flush_shards(&engine.context(), &shards).await.is_err() {
            return engine.away.report();
        }
        shards = outbox.crowded();
    }
}
