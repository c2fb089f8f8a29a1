//! The gateway under test: in this process, on free ports, with a folder of its own.

use super::provider::{Provider, settings};
use super::servers::Servers;
use crate::node::{Listeners, Node};
use anyhow::Context as _;
use omnigate_core::account::Account;
use omnigate_core::port::broker::Broker;
use omnigate_rpc::auth::read_local_token;
use omnigate_rpc::client::{Authorized, Connection};
use omnigate_rpc::v1::ingest_service_client::IngestServiceClient;
use omnigate_runtime::config::{self, Config};
use omnigate_runtime::role::{Role, RoleSet};
use omnigate_runtime::stop::{Outcome, Reason, Stop};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The account that all messages come through. Nothing is sent, so nobody answers at its adapter's address.
pub(super) const ACCOUNT: &str = "bench";
/// What roles in different processes would know each other by.
const CLUSTER: &str = "nobody-else-speaks-to-it";
/// Connections that the pushes share.
const CONNECTIONS: usize = 4;

/// A way to push.
pub(super) type Pushes = IngestServiceClient<Authorized>;

/// The listener that is connected to.
#[derive(Clone, Copy)]
enum Face {
    Api,
    Ingest,
}

/// A running gateway.
pub(super) struct Gateway {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) account: Account,
    pub(super) partitions: u16,
    connections: Vec<Connection>,
    stop: Stop,
    running: JoinHandle<Outcome>,
    _folder: TempDir,
}

impl Gateway {
    /// A gateway that takes pushes.
    pub(super) async fn start(servers: Servers<'_>, roles: &RoleSet) -> anyhow::Result<Self> {
        Self::open(servers, roles, None, Face::Ingest).await
    }

    /// A gateway that is asked through the api.
    pub(super) async fn start_for_api(servers: Servers<'_>, roles: &RoleSet) -> anyhow::Result<Self> {
        Self::open(servers, roles, None, Face::Api).await
    }

    /// A gateway whose account is bound to an SMSC.
    pub(super) async fn start_bound(
        servers: Servers<'_>,
        roles: &RoleSet,
        provider: &Provider,
    ) -> anyhow::Result<Self> {
        // Those who write come through the SMSC; those who send come through the api, where there is one.
        let gateway = Self::open(servers, roles, Some(provider), Face::Api).await?;
        provider.bound().await?;
        Ok(gateway)
    }

    async fn open(
        servers: Servers<'_>,
        roles: &RoleSet,
        provider: Option<&Provider>,
        face: Face,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let config = configure(servers, folder.path(), provider)?;
        let partitions = config.broker.partitions;
        let listeners = Listeners::bind(&config, roles).await?;
        let node = Box::pin(Node::start(config, roles, listeners)).await?;
        let address = match face {
            Face::Api => node.addresses().api,
            Face::Ingest => Some(node.addresses().ingest.context("no ingest listener")?),
        };
        let token = read_local_token(folder.path())?;
        let mut connections = Vec::new();
        if let Some(address) = address {
            for _ in 0..CONNECTIONS {
                connections.push(Connection::open(&address.to_string(), Some(&token), None).await?);
            }
        }
        let account = node.directory().accounts.get(ACCOUNT).cloned();
        Ok(Self {
            broker: node.broker().context("no broker")?,
            account: account.context("no account")?,
            partitions,
            connections,
            stop: node.stop(),
            running: tokio::spawn(node.run()),
            _folder: folder,
        })
    }

    /// A way to push for the worker of this number.
    pub(super) fn pushes(&self, worker: usize) -> anyhow::Result<Pushes> {
        let connection = self.connections.get(worker % CONNECTIONS).context("no connection")?;
        Ok(connection.ingest())
    }

    /// One of the connections.
    pub(super) fn connection(&self, number: usize) -> anyhow::Result<&Connection> {
        self.connections.get(number % CONNECTIONS).context("no connection")
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.request(Reason::Asked("measured".to_owned()));
        drop(self.connections);
        let outcome = self.running.await?;
        anyhow::ensure!(outcome.exit_code() == 0, "the gateway did not stop cleanly: {outcome}");
        Ok(())
    }
}

/// The roles for a measurement: all, or those alone that bring a push, or a message of an SMSC, to the broker.
pub(super) fn roles(nobody_reads: bool, bound: bool) -> RoleSet {
    match (nobody_reads, bound) {
        (false, _) => Role::all(),
        (true, false) => [Role::Ingest].into_iter().collect(),
        (true, true) => [Role::Edge, Role::Ingest, Role::Scheduler].into_iter().collect(),
    }
}

fn configure(servers: Servers<'_>, folder: &Path, provider: Option<&Provider>) -> anyhow::Result<Config> {
    if let Some(provider) = provider {
        return configure_bound(servers, folder, provider);
    }
    let folder = folder.to_string_lossy();
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |key: &str, value: &str| {
        if !value.is_empty() {
            env.insert(format!("OMNIGATE__{key}"), value.to_owned());
        }
    };
    for listener in ["API", "INGEST", "EDGE", "SESSIONS", "WEBHOOKS", "ADMIN"] {
        set(&format!("LISTEN__{listener}"), "127.0.0.1:0");
    }
    set("DATA_DIR", &folder);
    set("TENANT", "bench");
    set("BROKER__URL", servers.broker);
    set("STORE__URL", servers.store);
    set("CLUSTER__TOKEN", CLUSTER);
    set("IDENTITY__REGION", "VN");
    set(&format!("ACCOUNTS__{}__CHANNEL", ACCOUNT.to_uppercase()), "telegram");
    set(
        &format!("ACCOUNTS__{}__ADAPTER", ACCOUNT.to_uppercase()),
        "grpc://127.0.0.1:9",
    );
    Ok(config::load(None, &env)?)
}

/// The account's settings are nested, so they stand in a file.
fn configure_bound(servers: Servers<'_>, folder: &Path, provider: &Provider) -> anyhow::Result<Config> {
    let place = "127.0.0.1:0";
    let url = |url: &str| (!url.is_empty()).then(|| serde_json::json!({ "url": url }));
    let whole = serde_json::json!({
        "data_dir": folder,
        "tenant": "bench",
        "identity": { "region": "VN" },
        "cluster": { "token": CLUSTER },
        "broker": url(servers.broker).unwrap_or_else(|| serde_json::json!({})),
        "store": url(servers.store).unwrap_or_else(|| serde_json::json!({})),
        "listen": {
            "api": place, "ingest": place, "edge": place, "sessions": place, "webhooks": place, "admin": place,
        },
        "accounts": {
            ACCOUNT: {
                "channel": "sms", "provider": "smpp", "settings": settings(provider.address(), provider.binding()),
            },
        },
    });
    let file = folder.join("bench.toml");
    std::fs::write(&file, toml::to_string(&whole)?)?;
    Ok(config::load(Some(&file), &BTreeMap::new())?)
}
