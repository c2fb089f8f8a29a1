//! Gateways of two shapes: one process on the embedded back-ends, or a fleet on RabbitMQ and Redis.

use crate::process::Process;
use crate::wait;
use anyhow::Context as _;
use omnigate_rpc::client::Connection;
use omnigate_servers::{rabbitmq::RabbitMq, redis::Redis};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// Shared secret of a fleet's roles.
const CLUSTER_TOKEN: &str = "fleet-secret-of-the-tests";

/// The edge of a fleet that dispatch does not call.
pub const OTHER_EDGE: &str = "edge-2";

/// Which shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// All roles in one process, embedded broker and store.
    One,
    /// One process per role, two of unify and dispatch, RabbitMQ and Redis.
    Fleet,
}

/// A running gateway.
pub struct Gateway {
    /// Its processes, by name.
    pub processes: BTreeMap<String, Process>,
    /// Where its listeners are, by configuration key.
    pub addresses: BTreeMap<&'static str, String>,
    /// RabbitMQ, in a fleet.
    pub rabbitmq: Option<RabbitMq>,
    /// Redis, in a fleet.
    pub redis: Option<Redis>,
    /// Everything it writes.
    pub folder: TempDir,
}

/// Settings by key of the configuration, such as `accounts.shop.channel`.
pub type Keys = BTreeMap<String, String>;

/// The settings of an edge beside the one that providers call.
fn elsewhere(keys: &Keys) -> Keys {
    let mut keys = keys.clone();
    keys.remove("listen.webhooks");
    keys
}

impl Gateway {
    /// Starts one; `None` when a fleet's servers are not installed and need not be.
    pub async fn start(shape: Shape, keys: &Keys) -> anyhow::Result<Option<Self>> {
        match shape {
            Shape::One => Ok(Some(Self::one(keys).await?)),
            Shape::Fleet => {
                let (Some(rabbitmq), Some(redis)) = (RabbitMq::start().await, Redis::start().await) else {
                    return Ok(None);
                };
                let (broker, store) = (rabbitmq.url().to_owned(), redis.url().to_owned());
                let mut fleet = Self::fleet(keys, &broker, &store).await?;
                fleet.rabbitmq = Some(rabbitmq);
                fleet.redis = Some(redis);
                Ok(Some(fleet))
            }
        }
    }

    async fn one(keys: &Keys) -> anyhow::Result<Self> {
        let mut gateway = Self::empty()?;
        let env = gateway.env(keys);
        gateway.run("omnigate", &[], env)?;
        for key in [
            "listen.api",
            "listen.ingest",
            "listen.sessions",
            "listen.edge",
            "listen.webhooks",
            "listen.admin",
        ] {
            gateway.locate("omnigate", key).await?;
        }
        gateway.ready().await?;
        Ok(gateway)
    }

    /// A fleet on these servers.
    pub async fn fleet(keys: &Keys, broker: &str, store: &str) -> anyhow::Result<Self> {
        let mut gateway = Self::empty()?;
        let mut keys = keys.clone();
        keys.insert("broker.url".to_owned(), broker.to_owned());
        keys.insert("store.url".to_owned(), store.to_owned());
        keys.insert("cluster.token".to_owned(), CLUSTER_TOKEN.to_owned());
        for (role, key) in [("ingest", "listen.ingest"), ("scheduler", "listen.sessions")] {
            let env = gateway.env(&keys);
            gateway.run(role, &[role], env)?;
            gateway.locate(role, key).await?;
        }
        keys.insert("connect.ingest".to_owned(), gateway.addresses["listen.ingest"].clone());
        keys.insert(
            "connect.sessions".to_owned(),
            gateway.addresses["listen.sessions"].clone(),
        );
        // A second edge comes first, so that what only one can hold is not held by the one that dispatch calls.
        if keys.values().any(|value| value == "smpp") {
            let env = gateway.env(&elsewhere(&keys));
            gateway.run(OTHER_EDGE, &["edge"], env)?;
            gateway.says(OTHER_EDGE, "bound").await?;
        }
        let env = gateway.env(&keys);
        gateway.run("edge", &["edge"], env)?;
        gateway.locate("edge", "listen.edge").await?;
        gateway.locate("edge", "listen.webhooks").await?;
        keys.insert("connect.edge".to_owned(), gateway.addresses["listen.edge"].clone());
        for (name, role) in [
            ("unify-1", "unify"),
            ("unify-2", "unify"),
            ("dispatch-1", "dispatch"),
            ("dispatch-2", "dispatch"),
            ("api", "api"),
        ] {
            let env = gateway.env(&keys);
            gateway.run(name, &[role], env)?;
        }
        gateway.locate("api", "listen.api").await?;
        gateway.locate("api", "listen.admin").await?;
        gateway.ready().await?;
        Ok(gateway)
    }

    fn empty() -> anyhow::Result<Self> {
        // Tests speak TLS to nobody, but the HTTP client wants to know with what it would.
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            // Another test of this process was faster.
        }
        Ok(Self {
            processes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            rabbitmq: None,
            redis: None,
            folder: tempfile::tempdir()?,
        })
    }

    /// The environment that configures a process; every listener on a free port.
    fn env(&self, keys: &Keys) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        let mut set = |key: &str, value: &str| {
            env.insert(
                format!("OMNIGATE__{}", key.to_uppercase().replace('.', "__")),
                value.to_owned(),
            );
        };
        for key in ["api", "ingest", "edge", "sessions", "webhooks", "admin"] {
            set(&format!("listen.{key}"), "127.0.0.1:0");
        }
        set("data_dir", &self.data_dir().to_string_lossy());
        set("log.format", "json");
        set(
            "log.level",
            &std::env::var("OMNIGATE_TEST_LOG").unwrap_or_else(|_| "info".to_owned()),
        );
        for (key, value) in keys {
            set(key, value);
        }
        env
    }

    fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Folder for its logs and data.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&mut self, name: &str, roles: &[&str], env: BTreeMap<String, String>) -> anyhow::Result<()> {
        let mut arguments = vec!["serve"];
        for role in roles {
            arguments.extend(["--role", role]);
        }
        let process = Process::start(self.folder.path(), name, &arguments, env)?;
        self.processes.insert(name.to_owned(), process);
        Ok(())
    }

    /// Learns where a process listens, and keeps it there for later starts.
    async fn locate(&mut self, process: &str, key: &'static str) -> anyhow::Result<()> {
        let process = self.processes.get_mut(process).context("no such process")?;
        let address = process.address(key).await?;
        process.set(
            &format!("OMNIGATE__{}", key.to_uppercase().replace('.', "__")),
            &address,
        );
        self.addresses.insert(key, address);
        Ok(())
    }

    /// Waits until a process says something.
    pub async fn says(&self, process: &str, what: &str) -> anyhow::Result<()> {
        let process = self.processes.get(process).context("no such process")?;
        let wanted = format!("{} saying {what:?}", process.name());
        wait::until(&wanted, async || {
            Ok(if process.said().contains(&format!("\"{what}\"")) {
                Ok(())
            } else {
                Err("not yet")
            })
        })
        .await
    }

    /// Waits until the api and, in one process, everything else says that it is ready.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let url = format!("http://{}/readyz", self.addresses["listen.admin"]);
        wait::until("readiness", async || {
            let answer = reqwest::get(&url).await?;
            let ready = answer.status().is_success();
            let said = answer.text().await?;
            Ok(if ready { Ok(()) } else { Err(said) })
        })
        .await
    }

    /// What the process of the api tells of itself in numbers; in one process everything.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let url = format!("http://{}/metrics", self.addresses["listen.admin"]);
        Ok(reqwest::get(&url).await?.text().await?)
    }

    /// The token that may do everything.
    pub fn token(&self) -> anyhow::Result<String> {
        let token = std::fs::read_to_string(self.data_dir().join("token"))?;
        Ok(token.trim().to_owned())
    }

    /// Address of the api.
    #[must_use]
    pub fn api(&self) -> &str {
        &self.addresses["listen.api"]
    }

    /// A connection to the api.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let address = &self.addresses["listen.api"];
        Ok(Connection::open(address, Some(&self.token()?), None).await?)
    }

    /// A connection to ingest.
    pub async fn connect_ingest(&self, token: &str) -> anyhow::Result<Connection> {
        Ok(Connection::open(&self.addresses["listen.ingest"], Some(token), None).await?)
    }

    /// Address of an app's webhook.
    #[must_use]
    pub fn webhook(&self, app: &str) -> String {
        format!("http://{}/v1/webhooks/{app}", self.addresses["listen.webhooks"])
    }

    /// Stops all processes gracefully; each must end with exit code 0.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        // Those that take work first, those that others need last.
        let order = [
            "omnigate",
            "edge",
            OTHER_EDGE,
            "api",
            "dispatch-1",
            "dispatch-2",
            "unify-1",
            "unify-2",
            "scheduler",
            "ingest",
        ];
        for name in order {
            if let Some(process) = self.processes.get_mut(name) {
                let code = process.stop().await?;
                anyhow::ensure!(code == Some(0), "{name} ended with {code:?}:\n{}", process.said());
            }
        }
        Ok(())
    }

    /// Starts all processes again where they were.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        for process in self.processes.values_mut() {
            process.start_again()?;
        }
        self.ready().await
    }

    /// What all processes said, for a failing test.
    #[must_use]
    pub fn logs(&self) -> String {
        let logs = self.processes.values();
        logs.map(|process| format!("==== {}\n{}\n", process.name(), process.said()))
            .collect()
    }
}
