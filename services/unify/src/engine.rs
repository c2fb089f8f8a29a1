//! What all parts of the role work with.

use crate::{away::Away, metrics::Metrics, settings::Settings};
use omnigate_core::port::broker::Broker;
use omnigate_core::port::store::Store;
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::protocol::Context;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::outbox::Outbox;
use omnigate_runtime::telemetry::metrics::Metrics as Shared;
use std::sync::Arc;

/// The ports the role works through.
#[derive(Clone)]
pub struct Ports {
    /// Store.
    pub store: Arc<dyn Store>,
    /// Broker.
    pub broker: Arc<dyn Broker>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

pub(crate) struct Engine {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    cache: Cache,
    pub(crate) outbox: Outbox,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) away: Away,
}

impl Engine {
    pub(crate) fn new(ports: Ports, settings: Settings, metrics: Shared) -> Self {
        Self {
            cache: Cache::new(settings.cache),
            outbox: Outbox::default(),
            metrics: Metrics::new(metrics),
            away: Away::default(),
            store: ports.store,
            broker: ports.broker,
            clock: ports.clock,
            entropy: ports.entropy,
            settings,
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            store: &*self.store,
            clock: &*self.clock,
            entropy: &*self.entropy,
            outbox: &self.outbox,
            cache: &self.cache,
        }
    }

    /// A wait around this long, so that processes do not all come back at once.
    pub(crate) fn around(&self, wait: std::time::Duration) -> std::time::Duration {
        wait.mul_f64(0.5 + f64::from(self.entropy.bytes()[0]) / 255.0)
    }
}
