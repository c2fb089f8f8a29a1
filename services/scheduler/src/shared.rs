//! What all parts of a scheduler share.

use crate::{metrics::Metrics, scheduler::Parts, settings::Settings};
use omnigate_core::{
    account::Directory,
    port::broker::Broker,
    protocol::{Context, Ports},
};
use std::sync::Arc;

pub(crate) struct Shared {
    pub(crate) ports: Arc<Ports>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) metrics: Metrics,
    pub(crate) directory: Arc<Directory>,
    pub(crate) settings: Settings,
}

impl Shared {
    pub(crate) fn new(parts: Parts, directory: Arc<Directory>, settings: Settings) -> Self {
        Self {
            ports: parts.ports,
            broker: parts.broker,
            metrics: parts.metrics,
            directory,
            settings,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.ports.context()
    }
}
