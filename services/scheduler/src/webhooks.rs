//! Outgoing webhooks: each endpoint is told each log of events by one scheduler at a time.

mod attempt;
mod line;

use crate::{
    keeper::{self, Work},
    shared::Shared,
    shares::{Ours, Pool},
};
use futures_util::future::{BoxFuture, FutureExt as _};
use line::Line;
use omnigate_core::{event_webhook::Endpoint, port::adapter::Transport, shard::Partition, topology};
use std::sync::Arc;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// Who is told, and how.
pub(crate) struct Webhooks {
    /// In the same order in every process that has the same configuration.
    endpoints: Vec<Arc<Endpoint>>,
    transport: Arc<dyn Transport>,
}

impl Webhooks {
    pub(crate) fn new(endpoints: Vec<Endpoint>, transport: Arc<dyn Transport>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Arc::new).collect(),
            transport,
        }
    }

    /// Which endpoint is told which log by the work of this number.
    fn pair(&self, number: u16, logs: u16) -> Option<(&Arc<Endpoint>, Partition)> {
        let endpoint = self.endpoints.get(usize::from(number / logs))?;
        Some((endpoint, Partition(number % logs)))
    }
}

/// Tells endpoints until stopped.
pub(crate) async fn run(shared: &Arc<Shared>, webhooks: &Arc<Webhooks>, stop: &CancellationToken) {
    if webhooks.endpoints.is_empty() {
        return;
    }
    let logs = topology::event_log_count(shared.settings.partitions);
    let endpoints = u16::try_from(webhooks.endpoints.len()).unwrap_or(u16::MAX);
    let named = Arc::clone(webhooks);
    let pool = Pool {
        members: "event-webhooks",
        count: endpoints.saturating_mul(logs),
        lease: Box::new(move |number| {
            let pair = named.pair(number, logs);
            pair.map_or_else(|| number.to_string(), |(endpoint, log)| endpoint.lease(log))
        }),
    };
    let lines = Lines {
        shared: Arc::clone(shared),
        webhooks: Arc::clone(webhooks),
        logs,
    };
    keeper::keep(shared, pool, &lines, stop).await;
}

/// The lines of work, one for each endpoint and log.
struct Lines {
    shared: Arc<Shared>,
    webhooks: Arc<Webhooks>,
    logs: u16,
}

impl Work for Lines {
    fn begin(&self, ours: Ours, ends: watch::Receiver<Instant>, stop: CancellationToken) -> BoxFuture<'static, ()> {
        let Some((endpoint, log)) = self.webhooks.pair(ours.number, self.logs) else {
            return std::future::ready(()).boxed();
        };
        let (shared, transport) = (Arc::clone(&self.shared), Arc::clone(&self.webhooks.transport));
        let (endpoint, lease) = (Arc::clone(endpoint), endpoint.lease(log));
        async move { Line::run(shared, transport, (endpoint, log, lease), (ours, ends), &stop).await }.boxed()
    }

    fn holds(&self, count: usize) {
        tracing::debug!(count, "lines of outgoing webhooks are ours");
    }
}
