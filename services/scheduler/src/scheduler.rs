//! The role: keeps its share of the shards and runs the rounds of each group.

use crate::{
    custody::{Credentials, Custodians, Custody},
    metrics::Metrics,
    parked,
    rounds::Rounds,
    settings::Settings,
    shared::Shared,
    shares::Shares,
};
use futures_util::future::join;
use omnigate_core::{
    account::Directory,
    port::{adapter::Transport, broker::Broker},
    protocol::{Ports, lease::LeaseError},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// A share is renewed this many times within its lease.
const RENEWALS: u32 = 3;
/// Pause after the store did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// What the role needs from outside.
#[derive(Clone)]
pub struct Parts {
    /// Store, clock and randomness.
    pub ports: Arc<Ports>,
    /// Broker; the topology must have been declared.
    pub broker: Arc<dyn Broker>,
    /// Metrics.
    pub metrics: Metrics,
}

/// What looking after accounts needs.
pub struct Care {
    /// Accounts that need it.
    pub custodians: Custodians,
    /// Outbound HTTP.
    pub transport: Arc<dyn Transport>,
}

/// Does what happens by itself.
pub struct Scheduler {
    shared: Arc<Shared>,
    custody: Arc<Custody>,
}

/// The rounds of one group.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Scheduler {
    /// Prepares the role.
    #[must_use]
    pub fn new(parts: Parts, care: Care, directory: Arc<Directory>, settings: Settings) -> Self {
        let shared = Arc::new(Shared::new(parts, directory, settings));
        let custody = Custody::new(Arc::clone(&shared), care.custodians, care.transport);
        Self {
            shared,
            custody: Arc::new(custody),
        }
    }

    /// The service that gives out access tokens.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::new(Credentials(Arc::clone(&self.custody)))
    }

    /// Works until stopped; then finishes what is under way and gives its share back.
    pub async fn run(&self, stop: CancellationToken) {
        join(self.keep_share(&stop), parked::run(&self.shared, &stop)).await;
    }

    /// Looks after accounts until stopped; then it ends when the fetches under way are written down, which may take
    /// [`FETCH_TIME`](omnigate_core::credential::FETCH_TIME) and as long as the store is away.
    pub async fn look_after(&self, stop: CancellationToken) {
        self.custody.run(&stop).await;
    }

    async fn keep_share(&self, stop: &CancellationToken) {
        let owner = data_encoding::HEXLOWER.encode(&self.shared.ports.entropy.bytes());
        let lease = self.shared.settings.lease;
        let mut shares = Shares::new(owner, lease);
        let mut running = BTreeMap::new();
        while !stop.is_cancelled() {
            let pause = match self.balance(&mut shares, &mut running).await {
                Ok(()) => lease / RENEWALS,
                Err(error) => {
                    tracing::warn!(%error, "share of the shards not renewed");
                    RETRY.min(lease / RENEWALS)
                }
            };
            self.follow(&shares, &mut running).await;
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        let drain = self.shared.settings.drain_within;
        let left = timeout(drain, async {
            end(running).await;
            shares.leave(&self.shared.context()).await
        });
        match left.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "share of the shards not given back, it lapses"),
            Err(_) => tracing::warn!("stopped before everything under way had ended"),
        }
    }

    async fn balance(&self, shares: &mut Shares, running: &mut BTreeMap<u16, Running>) -> Result<(), LeaseError> {
        let context = self.shared.context();
        for group in shares.balance(&context).await? {
            // The next holder begins where we have ended.
            if let Some(rounds) = running.remove(&group) {
                end([(group, rounds)]).await;
            }
            shares.release(&context, group).await?;
        }
        Ok(())
    }

    /// Begins the rounds of what is ours now and ends those of what is not.
    async fn follow(&self, shares: &Shares, running: &mut BTreeMap<u16, Running>) {
        let held = shares.held();
        self.shared.metrics.groups(held.len());
        let (kept, lost) = std::mem::take(running)
            .into_iter()
            .partition(|(group, rounds)| held.contains(group) && !rounds.task.is_finished());
        *running = kept;
        end::<BTreeMap<u16, Running>>(lost).await;
        for group in held {
            running.entry(group).or_insert_with(|| self.begin(group));
        }
    }

    fn begin(&self, group: u16) -> Running {
        let stop = CancellationToken::new();
        let rounds = Rounds::new(Arc::clone(&self.shared), group);
        let ended = stop.clone();
        let task = tokio::spawn(async move { rounds.run(ended).await });
        Running { stop, task }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends rounds and waits until they have.
async fn end<I: IntoIterator<Item = (u16, Running)>>(rounds: I) {
    let rounds: Vec<(u16, Running)> = rounds.into_iter().collect();
    for (_, running) in &rounds {
        running.stop.cancel();
    }
    for (group, mut running) in rounds {
        if let Err(error) = (&mut running.task).await {
            tracing::error!(group, %error, "rounds failed in a way nobody foresaw");
        }
    }
}
