//! What all accounts of a dispatch share.

use crate::{dispatch::Parts, intents::Intents, metrics::Metrics, news::News, settings::Settings};
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::{Context, Ports};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

pub(crate) struct Shared {
    pub(crate) ports: Arc<Ports>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) metrics: Metrics,
    pub(crate) settings: Settings,
    pub(crate) intents: Intents,
    pub(crate) news: News,
    /// Places for messages of all accounts.
    pub(crate) places: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(parts: &Parts, settings: Settings, intents: Intents, news: News) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.in_flight)),
            ports: Arc::clone(&parts.ports),
            broker: Arc::clone(&parts.broker),
            metrics: parts.metrics.clone(),
            settings,
            intents,
            news,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.ports.context()
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
