//! What all parts of a scheduler share.

use crate::{scheduler::Ports, settings::Settings};
use omnigate_core::{
    account::Directory,
    protocol::{Context, cache::Cache, outbox::Outbox},
};
use std::sync::Arc;

const CACHED_HOMES: usize = 256;

pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) directory: Arc<Directory>,
    pub(crate) settings: Settings,
    outbox: Outbox,
    cache: Cache,
}

impl Shared {
    pub(crate) fn new(ports: Ports, directory: Arc<Directory>, settings: Settings) -> Self {
        Self {
            ports,
            directory,
            settings,
            outbox: Outbox::default(),
            cache: Cache::new(CACHED_HOMES),
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            store: self.ports.store.as_ref(),
            clock: self.ports.clock.as_ref(),
            entropy: self.ports.entropy.as_ref(),
            outbox: &self.outbox,
            cache: &self.cache,
        }
    }

    pub(crate) const fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}
