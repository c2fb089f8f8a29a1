//! The role: one line for each account, and the ways they share.

use crate::{account::Line, intents, metrics::Metrics, news, settings::Settings, shared::Shared};
use futures_util::FutureExt as _;
use omnigate_core::{
    account::{Account, Directory},
    port::broker::Broker,
    protocol::Ports,
};
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Pause after a line failed in a way nobody foresaw.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Who sends for an account: edge for built-in channels, anybody for the others; `None` when nobody does.
pub type Adapters = Arc<dyn Fn(&Account) -> Option<Arc<dyn AdapterService>> + Send + Sync>;

/// What the role needs from outside.
#[derive(Clone)]
pub struct Parts {
    /// Store, clock and randomness.
    pub ports: Arc<Ports>,
    /// Broker; the topology must have been declared.
    pub broker: Arc<dyn Broker>,
    /// Adapters.
    pub adapters: Adapters,
    /// Metrics.
    pub metrics: Metrics,
}

/// Sends messages.
pub struct Dispatch {
    parts: Parts,
    directory: Arc<Directory>,
    settings: Settings,
}

impl Dispatch {
    /// Prepares the role.
    #[must_use]
    pub fn new(parts: Parts, directory: Arc<Directory>, settings: Settings) -> Self {
        Self {
            parts,
            directory,
            settings,
        }
    }

    /// Sends until stopped. After that nothing is begun, and calls under way have [`Settings::drain_within`] to end; what
    /// is cut off then is settled by its recovery.
    pub async fn run(&self, stop: CancellationToken) {
        let (intents, intents_line) = intents::line();
        let (news, mut news_line) = news::line(self.parts.metrics.clone());
        let shared = Arc::new(Shared::new(&self.parts, self.settings.clone(), intents, news));
        let Parts {
            ports, broker, metrics, ..
        } = &self.parts;
        let announcing = intents_line.run(broker.as_ref(), ports.clock.as_ref(), metrics);
        let mut lines = self.lines(&shared, &stop);
        let ended = async {
            stop.cancelled().await;
            while lines.join_next().await.is_some() {}
        };
        // Both run until the last line has ended; a panic in one of them ends the role, which is started again.
        tokio::select! {
            ((), ()) = futures_util::future::join(news_line.run(&shared), announcing) => {}
            () = ended => {}
        }
        news_line.finish(&shared).await;
    }

    fn lines(&self, shared: &Arc<Shared>, stop: &CancellationToken) -> JoinSet<()> {
        let mut lines = JoinSet::new();
        for account in self.directory.accounts.values() {
            let Some(adapter) = (self.parts.adapters)(account) else {
                tracing::warn!(account = account.id, "nobody sends for this account");
                continue;
            };
            let line = Arc::new(Line::new(Arc::clone(shared), account.clone(), adapter));
            lines.spawn(keep(line, stop.clone()));
        }
        lines
    }
}

/// Runs a line; a panic costs what it had in hand, which recovery settles, and not the account.
async fn keep(line: Arc<Line>, stop: CancellationToken) {
    while AssertUnwindSafe(Arc::clone(&line).run(stop.clone()))
        .catch_unwind()
        .await
        .is_err()
    {
        tracing::error!(
            account = line.account_id(),
            "the account's line failed and starts again"
        );
        tokio::time::sleep(AFTER_PANIC).await;
    }
}
