//! What all parts of the role work with.

use crate::{away::Away, metrics::Metrics, settings::Settings};
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::{Context, Ports};
use omnigate_runtime::telemetry::metrics::Metrics as Shared;
use std::sync::Arc;

pub(crate) struct Engine {
    pub(crate) ports: Arc<Ports>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) away: Away,
}

impl Engine {
    pub(crate) fn new(ports: Arc<Ports>, broker: Arc<dyn Broker>, settings: Settings, metrics: Shared) -> Self {
        Self {
            metrics: Metrics::new(metrics),
            away: Away::default(),
            ports,
            broker,
            settings,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.ports.context()
    }

    /// A wait around this long, so that processes do not all come back at once.
    pub(crate) fn around(&self, wait: std::time::Duration) -> std::time::Duration {
        wait.mul_f64(0.5 + f64::from(self.ports.entropy.bytes()[0]) / 255.0)
    }
}
