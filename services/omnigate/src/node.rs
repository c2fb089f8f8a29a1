//! The composition root: makes ports, adapters and roles out of a configuration and runs them.

mod listeners;
mod roles;
mod sealing;
mod switchboard;
mod tokens;

pub use listeners::{Addresses, Listeners};
pub use tokens::KeysError;

use omnigate_broker::sealed::SealedBroker;
use omnigate_core::account::Directory;
use omnigate_core::keyring::Keyring;
use omnigate_core::keys;
use omnigate_core::port::broker::{Broker, BrokerError};
use omnigate_core::port::store::Store;
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::protocol::{Ports, consent, gateway};
use omnigate_core::topology::{self, Plan};
use omnigate_edge::Misfit;
use omnigate_rpc::page;
use omnigate_rpc::remote::{self, ClientError};
use omnigate_rpc::server;
use omnigate_runtime::clock::{NoEntropy, SystemClock, SystemEntropy};
use omnigate_runtime::config::{Config, ConnectionUrl, RolesError, Secret, check_roles};
use omnigate_runtime::health::{Health, Latch, admin};
use omnigate_runtime::role::{Role, RoleSet};
use omnigate_runtime::stop::{Budgets, Outcome, Phase, Stop};
use omnigate_runtime::telemetry::metrics::Metrics;
use omnigate_store::sealed::SealedStore;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a node cannot start. Each says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The roles cannot work with the configuration.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// The operating system gives no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] omnigate_store::OpenError),
    /// The broker cannot be opened.
    #[error("broker: {0}")]
    Broker(#[from] omnigate_broker::OpenError),
    /// The broker refuses our queues.
    #[error("broker: {0}")]
    Topology(#[from] BrokerError),
    /// What is stored does not fit the configuration.
    #[error("store: {0}")]
    Gateway(#[from] gateway::GatewayError),
    /// Tokens cannot be set up.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// An address of another role cannot be used.
    #[error("connect: {0}")]
    Connect(#[from] ClientError),
    /// Adapters cannot work with their settings.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<Misfit>),
    /// Outbound HTTP cannot be set up.
    #[error(transparent)]
    Transport(#[from] omnigate_edge::SetupError),
    /// A role misses what it works with.
    #[error("a role misses {0}")]
    Missing(String),
    /// The metrics cannot be set up.
    #[error(transparent)]
    Metrics(#[from] omnigate_runtime::telemetry::metrics::MetricsError),
    /// The admin server cannot be started.
    #[error("admin server: {0}")]
    Admin(#[from] io::Error),
}

/// What all roles of a process share.
struct Inside {
    config: Config,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
    health: Health,
    stop: Stop,
    broker: Option<Arc<dyn Broker>>,
    sealed: Option<Arc<SealedBroker>>,
    ports: Option<Arc<Ports>>,
    keys: Arc<omnigate_rpc::auth::Tokens>,
    page_tokens: page::Tokens,
}

/// A running process of the gateway.
pub struct Node {
    stop: Stop,
    addresses: Addresses,
    metrics: Metrics,
    admin: Option<admin::Admin>,
    inside: Arc<Inside>,
}

impl Node {
    /// Starts the roles on listeners that are bound already. When it returns, they take work.
    pub async fn start(config: Config, roles: &RoleSet, listeners: Listeners) -> Result<Self, StartError> {
        check_roles(&config, roles)?;
        let addresses = listeners.addresses();
        let health = Health::new();
        let starting = health.latch("starting");
        let metrics = Metrics::new()?;
        let mut listeners = listeners;
        let admin = match listeners.admin.take() {
            Some(listener) => Some(admin::serve(listener, health.clone(), metrics.clone())?),
            None => None,
        };
        let inside = Arc::new(Inside::open(config, roles, health, metrics.clone()).await?);
        sealing::look_after(&inside);
        roles::start(&inside, roles, listeners)?;
        drop::<Latch>(starting);
        Ok(Self {
            stop: inside.stop.clone(),
            addresses,
            metrics,
            admin,
            inside,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Asks it to stop, from anywhere.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Its broker, where its roles need one.
    #[must_use]
    pub fn broker(&self) -> Option<Arc<dyn Broker>> {
        self.inside.broker.clone()
    }

    /// Apps and accounts it serves.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.inside.directory)
    }

    /// Runs until somebody asks for the stop, then ends in order: intake, work in flight, what is to be flushed, ports, and
    /// health last.
    pub async fn run(self) -> Outcome {
        self.stop.requested().await;
        self.inside.health.stop();
        let outcome = self.stop.run().await;
        if let Some(admin) = self.admin {
            admin.stop();
        }
        outcome
    }
}

impl Inside {
    async fn open(config: Config, roles: &RoleSet, health: Health, metrics: Metrics) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new()?);
        let directory = Arc::new(config.directory());
        let keys = tokens::keys(&config, roles)?;
        let uses_store = [Role::Unify, Role::Dispatch, Role::Scheduler, Role::Api]
            .iter()
            .any(|role| roles.contains(role));
        let uses_broker = uses_store || roles.contains(&Role::Ingest);
        // Ingest alone has the store for its keys only, and takes pushes while it is away.
        let needs_keys = uses_broker && config.broker.seal != Some(false);
        let opened = match uses_store || needs_keys {
            true => Some(open_store(&config, &clock, &entropy, uses_store.then_some(&health)).await?),
            false => None,
        };
        let broker = match uses_broker {
            true => Some(open_broker(&config, &directory, &clock, &health).await?),
            false => None,
        };
        let (ports, seals) = opened.unzip();
        let sealed = broker.clone().zip(ports.as_ref()).map(|(broker, ports)| {
            let seals = config.broker.seal.or(seals).unwrap_or_default();
            sealing::seal(broker, ports, seals, &plan(&config))
        });
        let broker = sealed.clone().map(|sealed| sealed as Arc<dyn Broker>).or(broker);
        Ok(Self {
            stop: Stop::new(Budgets::from(&config.budgets)),
            page_tokens: page::Tokens::new(keys.page_secret.as_bytes()),
            keys: Arc::new(keys.tokens),
            config,
            directory,
            clock,
            entropy,
            metrics,
            health,
            broker,
            sealed,
            ports,
        })
    }

    /// What a role of this phase may take to finish by itself.
    fn drain(&self, phase: Phase) -> Duration {
        Budgets::from(&self.config.budgets).drain(phase)
    }

    /// How this process calls others.
    fn client(&self) -> remote::Options {
        let token = self.config.cluster.token.as_ref();
        remote::Options::with_token(token.map_or("", |token| token.expose()))
    }

    /// How a gRPC server of this process runs.
    fn server(&self, name: &'static str) -> server::Options {
        let limits = &self.config.limits;
        let tls = &self.config.tls;
        server::Options {
            name,
            tokens: Arc::clone(&self.keys),
            ready: self.health.watch(),
            max_connections: usize::try_from(limits.max_connections).unwrap_or(usize::MAX),
            calls_per_connection: limits.calls_per_connection,
            call_limit: Duration::from_secs(limits.call_seconds),
            tls: tls
                .cert_file
                .clone()
                .zip(tls.key_file.clone())
                .map(|(cert_file, key_file)| server::Tls {
                    cert_file,
                    key_file,
                    client_ca_file: tls.client_ca_file.clone(),
                }),
        }
    }
}

/// An address without its secrets.
fn shown(url: Option<&ConnectionUrl>) -> String {
    url.map_or_else(|| "embedded".to_owned(), ConnectionUrl::redacted)
}

/// The store, and whether what lies on the broker is sealed where nothing else is configured.
async fn open_store(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    health: Option<&Health>,
) -> Result<(Arc<Ports>, bool), StartError> {
    let url = config.store.url.as_ref().map_or("", |url| url.expose());
    tracing::info!(store = shown(config.store.url.as_ref()), "connecting");
    let store: Arc<dyn Store> = omnigate_store::open(url, &config.data_dir, Arc::clone(clock)).await?;
    let (store, keyring) = match (keyring(config)?, keyring(config)?) {
        (Some(of_store), Some(of_entries)) => {
            let sealed = SealedStore::new(store, of_store, Arc::clone(entropy), keys::is_secret);
            (Arc::new(sealed) as Arc<dyn Store>, of_entries)
        }
        _ => (store, Keyring::none()),
    };
    let ports = Ports::new(Arc::clone(&store), Arc::clone(clock), Arc::clone(entropy));
    let mut ports = ports.sealed_with(keyring).with_rules(config.directory().conversations);
    ports = ports.with_tenants(config.tenant_rules());
    let seals_broker = gateway::check(&ports.context(), config.broker.partitions).await?;
    // What is said of the broker is said of other processes: none is of an older release.
    let seals_content = seals_broker || config.broker.seal == Some(true);
    ports.keyring = ports.keyring.with_content(seals_content);
    let ports = Arc::new(ports);
    // Made at the first start, when no replica of the store can be behind.
    consent::hash_key(&ports.context())
        .await
        .map_err(gateway::GatewayError::from)?;
    if let Some(health) = health {
        health::watch_store(health, &store);
    }
    Ok((ports, seals_broker))
}

/// The keys that are configured; `None` for none.
fn keyring(config: &Config) -> Result<Option<Keyring>, StartError> {
    let key = |secret: &Option<Secret>| secret.as_ref().and_then(Secret::as_key);
    let Some(present) = key(&config.store.seal_key) else {
        return Ok(None);
    };
    let former = config.store.former_seal_keys.0.iter().filter_map(Secret::as_key);
    let former: Vec<_> = key(&config.store.former_seal_key).into_iter().chain(former).collect();
    let keyring = Keyring::new(&present, &former);
    keyring
        .map(Some)
        .ok_or_else(|| StartError::Missing("a usable seal key".to_owned()))
}

/// What is kept on the broker, and for how long.
fn plan(config: &Config) -> Plan {
    let hours = config.broker.journal_hours;
    let journal = (hours > 0).then(|| Duration::from_hours(hours.into()));
    Plan {
        partitions: config.broker.partitions,
        journal,
        raw: journal.filter(|_| config.broker.raw),
        ..Plan::default()
    }
}

async fn open_broker(
    config: &Config,
    directory: &Directory,
    clock: &Arc<dyn Clock>,
    health: &Health,
) -> Result<Arc<dyn Broker>, StartError> {
    let url = config.broker.url.as_ref().map_or("", |url| url.expose());
    tracing::info!(broker = shown(config.broker.url.as_ref()), "connecting");
    let broker = omnigate_broker::open(url, &config.data_dir, Arc::clone(clock)).await?;
    broker
        .declare(topology::topology(
            &plan(config),
            directory.accounts.keys().map(String::as_str),
        ))
        .await?;
    let watched = Arc::clone(&broker);
    health.check("broker", move || match watched.is_connected() {
        true => Ok(()),
        false => Err("not connected".to_owned()),
    });
    Ok(broker)
}

/// Everything that adapters cannot work with in what is configured.
pub fn check_settings(directory: &Directory) -> Result<(), StartError> {
    omnigate_edge::check(omnigate_adapters::kinds(), directory).map_err(StartError::Settings)
}

/// Connects to what the roles need; gives what answered and where, without secrets, and how the store stands.
pub async fn check_connections(config: &Config, roles: &RoleSet) -> Result<Vec<String>, StartError> {
    let health = Health::new();
    let inside = Inside::open(config.clone(), roles, health, Metrics::new()?).await?;
    let mut answered = Vec::new();
    if let Some(ports) = &inside.ports {
        answered.push(format!("store answers: {}", shown(config.store.url.as_ref())));
        answered.extend(sealing::former_keys(ports).await.map(str::to_owned));
    }
    if inside.broker.is_some() {
        answered.push(format!("broker answers: {}", shown(config.broker.url.as_ref())));
    }
    Ok(answered)
}

mod health {
    //! Whether the store answers, looked at beside the probes so that those stay cheap.

    use omnigate_core::port::store::Store;
    use omnigate_runtime::health::Health;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    /// How often the store is asked.
    const LOOK: Duration = Duration::from_secs(1);

    pub(super) fn watch_store(health: &Health, store: &Arc<dyn Store>) {
        let problem: Arc<Mutex<Option<String>>> = Arc::default();
        let told = Arc::clone(&problem);
        health.check("store", move || {
            let problem = told.lock().unwrap_or_else(PoisonError::into_inner);
            problem.clone().map_or(Ok(()), Err)
        });
        // A stopped node must be able to close its store.
        let store = Arc::downgrade(store);
        tokio::spawn(async move {
            while let Some(store) = store.upgrade() {
                let answer = store.probe().await.err().map(|error| error.to_string());
                drop(store);
                *problem.lock().unwrap_or_else(PoisonError::into_inner) = answer;
                tokio::time::sleep(LOOK).await;
            }
        });
    }
}
