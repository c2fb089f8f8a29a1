//! Whether the store is away. Who meets it away says so; one task asks until it is back; everybody else waits for that.

use crate::engine::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// First wait between two questions; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait between two questions.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Knows whether the store is away.
#[derive(Debug)]
pub(crate) struct Away(watch::Sender<bool>);

impl Default for Away {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Away {
    /// The store did not answer.
    pub(crate) fn report(&self) {
        if !self.0.send_replace(true) {
            tracing::warn!("the store is away, nothing is read until it is back");
        }
    }

    pub(crate) fn is_away(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when the store is away.
    pub(crate) async fn gone(&self) {
        self.0.subscribe().wait_for(|away| *away).await.ok();
    }

    /// Completes when the store is there.
    pub(crate) async fn back(&self) {
        // The sender lives as long as this: waiting cannot fail.
        self.0.subscribe().wait_for(|away| !away).await.ok();
    }
}

/// Asks a store that is away until it answers.
pub(crate) async fn probe(engine: Arc<Engine>) {
    let mut reports = engine.away.0.subscribe();
    while reports.wait_for(|away| *away).await.is_ok() {
        let mut wait = FIRST_WAIT;
        loop {
            tokio::time::sleep(engine.around(wait)).await;
            match engine.ports.store.probe().await {
                Ok(()) => break,
                Err(error) => tracing::debug!(%error, "the store is still away"),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        tracing::info!("the store is back");
        engine.away.0.send_replace(false);
    }
}
