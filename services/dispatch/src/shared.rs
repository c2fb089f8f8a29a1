//! What all accounts of a dispatch share.

use crate::{dispatch::Ports, intents::Intents, news::News, settings::Settings};
use omnigate_core::protocol::{Context, cache::Cache, outbox::Outbox};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Deliveries are read afresh for every decision; only homes that are written are kept.
const CACHED_HOMES: usize = 1024;

pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) intents: Intents,
    pub(crate) news: News,
    /// Places for messages of all accounts.
    pub(crate) places: Arc<Semaphore>,
    outbox: Outbox,
    cache: Cache,
}

impl Shared {
    pub(crate) fn new(ports: Ports, settings: Settings, intents: Intents, news: News) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.in_flight)),
            ports,
            settings,
            intents,
            news,
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

/// Pauses between repetitions: each twice as long as the one before, up to a longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// Waits.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(self.longest);
    }
}
