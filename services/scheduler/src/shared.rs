//! What all parts of a scheduler share.

use crate::{metrics::Metrics, scheduler::Parts, settings::Settings};
use omnigate_core::{
    account::Directory,
    port::broker::Broker,
    protocol::{Context, Ports},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::Mutex;

pub(crate) struct Shared {
    pub(crate) ports: Arc<Ports>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) metrics: Metrics,
    pub(crate) directory: Arc<Directory>,
    pub(crate) settings: Settings,
    /// Held by the group that compares the log of intents with the store.
    pub(crate) comparing: Mutex<()>,
}

impl Shared {
    pub(crate) fn new(parts: Parts, directory: Arc<Directory>, settings: Settings) -> Self {
        Self {
            ports: parts.ports,
            broker: parts.broker,
            metrics: parts.metrics,
            directory,
            settings,
            comparing: Mutex::default(),
        }
    }

    /// Tenants that have customers.
    pub(crate) fn tenants(&self) -> BTreeSet<String> {
        let accounts = self.directory.accounts.values();
        let tenants = accounts.map(|account| account.tenant_id.clone());
        tenants.chain(self.settings.tenants.iter().cloned()).collect()
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.ports.context()
    }
}
