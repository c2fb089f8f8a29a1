//! The role: keeps its share of the shards and runs the rounds of each group.

use crate::{
    campaigns::Campaigns,
    custody::{Credentials, Custodians, Custody},
    intents::Comparisons,
    keeper::{self, Work},
    metrics::Metrics,
    parked,
    repairs::Repairs,
    reseal,
    rounds::{GROUPS, Rounds, shards},
    settings::Settings,
    shared::Shared,
    shares::{Ours, Pool},
    webhooks::{self, Webhooks},
};
use futures_util::future::{BoxFuture, FutureExt as _, join4};
use omnigate_core::{
    account::Directory,
    event_webhook::Endpoint,
    port::{adapter::Transport, broker::Broker},
    protocol::Ports,
};
use std::sync::Arc;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

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
    webhooks: Arc<Webhooks>,
}

impl Scheduler {
    /// Prepares the role.
    #[must_use]
    pub fn new(parts: Parts, care: Care, directory: Arc<Directory>, settings: Settings) -> Self {
        let shared = Arc::new(Shared::new(parts, directory, settings));
        let webhooks = Webhooks::new(Vec::new(), Arc::clone(&care.transport));
        let custody = Custody::new(Arc::clone(&shared), care.custodians, care.transport);
        Self {
            shared,
            custody: Arc::new(custody),
            webhooks: Arc::new(webhooks),
        }
    }

    /// With endpoints that are told what takes effect.
    #[must_use]
    pub fn with_event_webhooks(self, endpoints: Vec<Endpoint>, transport: Arc<dyn Transport>) -> Self {
        Self {
            webhooks: Arc::new(Webhooks::new(endpoints, transport)),
            ..self
        }
    }

    /// The service that gives out access tokens.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::new(Credentials(Arc::clone(&self.custody)))
    }

    /// Works until stopped; then finishes what is under way and gives its share back.
    pub async fn run(&self, stop: CancellationToken) {
        let webhooks = webhooks::run(&self.shared, &self.webhooks, &stop);
        let reseal = reseal::run(&self.shared, &stop);
        let parked = parked::run(&self.shared, &stop);
        join4(self.keep_rounds(&stop), parked, webhooks, reseal).await;
    }

    /// Looks after accounts until stopped; then it ends when the fetches under way are written down, which may take
    /// [`FETCH_TIME`](omnigate_core::credential::FETCH_TIME) and as long as the store is away.
    pub async fn look_after(&self, stop: CancellationToken) {
        self.custody.run(&stop).await;
    }

    /// Looks after a share of the groups of shards.
    async fn keep_rounds(&self, stop: &CancellationToken) {
        let pool = Pool {
            members: "schedulers",
            count: GROUPS,
            lease: Box::new(|group| format!("shards/{group}")),
        };
        keeper::keep(&self.shared, pool, &Groups(Arc::clone(&self.shared)), stop).await;
    }
}

/// Groups of shards, each with its rounds.
struct Groups(Arc<Shared>);

impl Work for Groups {
    fn begin(&self, ours: Ours, _: watch::Receiver<Instant>, stop: CancellationToken) -> BoxFuture<'static, ()> {
        let campaigns = Arc::new(Campaigns::new(Arc::clone(&self.0)));
        let rounds = Rounds::new(Arc::clone(&self.0), ours.number, Arc::clone(&campaigns));
        let repairs = Repairs::new(Arc::clone(&self.0), ours.number, shards(ours.number).collect());
        let comparisons = Comparisons::new(Arc::clone(&self.0), ours.number, shards(ours.number).collect());
        async move {
            join4(
                comparisons.run(stop.clone()).boxed(),
                rounds.run(stop.clone()),
                repairs.run(stop.clone()).boxed(),
                campaigns.run(stop).boxed(),
            )
            .await;
        }
        .boxed()
    }

    fn holds(&self, count: usize) {
        self.0.metrics.groups(count);
    }
}
