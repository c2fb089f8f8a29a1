//! Role unify: applies events to customers.
//!
//! A process takes its share of the partitions ([`share`]) and reads their queues ([`partition`]). Threads are worked on
//! side by side and one thread in order ([`lines`]): resolve and commit ([`work`]), publish ([`publisher`]), acknowledge.
//! While the store is away nothing is read and nothing acknowledged ([`away`]).

mod away;
mod engine;
mod flush;
mod intake;
mod lines;
mod metrics;
mod partition;
mod publisher;
mod settings;
mod share;
mod work;

#[cfg(test)]
mod tests;

pub use settings::Settings;

use engine::Engine;
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::Ports;
use omnigate_runtime::telemetry::metrics::Metrics;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The role.
#[derive(Clone)]
pub struct Unify {
    engine: Arc<Engine>,
}

impl Unify {
    /// The role over its ports; nothing happens before [`Unify::run`].
    #[must_use]
    pub fn new(ports: Arc<Ports>, broker: Arc<dyn Broker>, settings: Settings, metrics: Metrics) -> Self {
        Self {
            engine: Arc::new(Engine::new(ports, broker, settings, metrics)),
        }
    }

    /// Works until asked to stop; then finishes what is in hand, acknowledges it and gives its partitions back.
    pub async fn run(&self, stop: CancellationToken) {
        let mut background = JoinSet::new();
        background.spawn(away::probe(self.engine.clone()));
        background.spawn(flush::run(self.engine.clone()));
        let publisher = publisher::start(&self.engine, &mut background);
        share::run(&self.engine, &publisher, &stop).await;
        flush::once(&self.engine).await;
        background.shutdown().await;
    }

    /// Whether the role can work, for readiness.
    ///
    /// # Errors
    /// With the reason, while it cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.engine.away.is_away() {
            return Err("the store does not answer".to_owned());
        }
        if !self.engine.broker.is_connected() {
            return Err("the broker does not answer".to_owned());
        }
        Ok(())
    }
}
