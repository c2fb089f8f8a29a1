//! The store on Redis: alone, behind Sentinel, or a cluster.
//!
//! A commit is one run of a script, so it happens whole or not at all; commits and reads that wait together share a run.
//! Whatever fails after a commit was sent is answered `Unknown`, and never sent again from here.

mod address;
mod batch;
mod call;
mod check;
mod commit;
mod incarnation;
mod job;
pub mod memory;
mod names;
mod node;
mod read;
mod routes;
mod sentinel;

pub use check::StartCheck;

use crate::OpenError;
use address::{Address, Layout};
use bytes::Bytes;
use job::{Done, Failure, Work};
use names::Names;
use node::{Connection, Settings};
use omnigate_core::{
    port::store::{Answer, Commit, Outcome, Query, Store, StoreError},
    shard::Shard,
};
use routes::Routes;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// Pause before a shard that is moving between servers of a cluster is tried again.
const MOVING: Duration = Duration::from_millis(10);

/// How to reach and use Redis.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, `redis+sentinel://…host,host/name[/database]` or
    /// `redis+cluster://…host,host`; with `rediss` over TLS. A secret, if it holds a password.
    pub url: String,
    /// What all keys begin with, so that several stores can share a Redis; without braces.
    pub prefix: String,
    /// How long the server may take for an answer.
    pub deadline: Duration,
}

impl RedisConfig {
    /// The usual settings with this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "og:".to_owned(),
            deadline: Duration::from_secs(2),
        }
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The store on Redis.
pub struct RedisStore {
    routes: Routes,
    settings: Arc<Settings>,
}

impl RedisStore {
    /// Connects, and looks at each server: findings of [`RedisStore::check`] are logged, too old a server is an error.
    ///
    /// # Errors
    /// When the address is wrong, or a server cannot be reached or is too old.
    pub async fn connect(config: &RedisConfig) -> Result<Self, OpenError> {
        let address = Address::parse(&config.url).map_err(|what| OpenError::Address(what.to_owned()))?;
        if config.prefix.contains(['{', '}']) {
            return Err(OpenError::Address("the prefix of keys must have no braces".to_owned()));
        }
        let by_shard = matches!(address.layout, Layout::Cluster(_));
        let settings = Arc::new(Settings {
            address,
            names: Names::new(config.prefix.clone()),
            deadline: config.deadline,
            by_shard,
        });
        let routes = Routes::new(Arc::clone(&settings));
        let store = Self { routes, settings };
        for finding in store.check().await? {
            if matches!(finding, StartCheck::TooOld { .. }) {
                return Err(OpenError::Server(finding.to_string()));
            }
            tracing::warn!(%finding, "the store is in danger");
        }
        Ok(store)
    }

    /// Looks at each server: what endangers the data it keeps.
    ///
    /// # Errors
    /// When a server cannot be reached.
    pub async fn check(&self) -> Result<Vec<StartCheck>, OpenError> {
        self.routes.refresh().await.map_err(OpenError::Server)?;
        let Settings { address, deadline, .. } = &*self.settings;
        let servers = match &address.layout {
            Layout::Single(host) => vec![host.clone()],
            Layout::Sentinel { sentinels, name } => {
                let master = sentinel::master(address, sentinels, name).await;
                vec![master.map_err(OpenError::Server)?]
            }
            Layout::Cluster(_) => self.routes.hosts(),
        };
        let mut findings = Vec::new();
        for server in servers {
            let info = async {
                let mut connection = Connection::open(&address.client(&server)?, *deadline).await?;
                redis::cmd("INFO").query_async::<String>(&mut connection.link).await
            };
            let info = info
                .await
                .map_err(|error: redis::RedisError| OpenError::Server(format!("{server}: {error}")))?;
            findings.extend(check::findings(&server, &info));
        }
        Ok(findings)
    }

    /// Has work done by the server that holds the shard, wherever it is by now.
    async fn run(&self, shard: Shard, work: Work) -> Result<Done, Failure> {
        let work = Arc::new(work);
        let deadline = Instant::now() + self.settings.deadline;
        loop {
            let Some(node) = self.routes.of(shard) else {
                self.routes.refresh().await.map_err(Failure::Unavailable)?;
                return Err(Failure::Unavailable("no redis server holds the shard".to_owned()));
            };
            let failure = match node.run(shard, Arc::clone(&work), deadline).await {
                Err(failure) => failure,
                done => return done,
            };
            match &failure {
                Failure::Moved(host) if self.settings.by_shard => self.routes.moved(shard, host),
                Failure::Moving => time::sleep(MOVING).await,
                Failure::Unavailable(_) | Failure::Lost(_) | Failure::ReadOnly => {
                    // Perhaps a replica has taken over; the next caller will know.
                    self.routes.refresh().await.ok();
                    return Err(failure);
                }
                _ => return Err(failure),
            }
            if Instant::now() > deadline {
                return Err(failure);
            }
        }
    }
}

#[async_trait::async_trait]
impl Store for RedisStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        match self.run(shard, Work::Read(queries)).await {
            Ok(Done::Read(answers)) => Ok(answers),
            Ok(Done::Commit(_) | Done::Incarnation(_)) => Err(error(Failure::Senseless)),
            Err(failure) => Err(error(failure)),
        }
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        match self.run(shard, Work::Commit(commit)).await {
            Ok(Done::Commit(outcome)) => Ok(outcome),
            Ok(Done::Read(_) | Done::Incarnation(_)) | Err(Failure::Senseless) => {
                tracing::error!(%shard, "redis answered nonsense to a commit");
                Ok(Outcome::Unknown)
            }
            Err(Failure::Lost(error)) => {
                tracing::warn!(%shard, error, "nobody knows whether a commit happened");
                Ok(Outcome::Unknown)
            }
            Err(failure) => Err(error(failure)),
        }
    }

    async fn probe(&self) -> Result<(), StoreError> {
        // Any shard: a cluster that lost some still serves the others.
        let shard = Shard::new(0);
        self.read(shard, vec![Query::Counter("probe".into())]).await.map(drop)
    }

    async fn incarnation(&self, shard: Shard) -> Result<Bytes, StoreError> {
        if let Some(known) = self.routes.of(shard).and_then(|node| node.incarnation.get()) {
            return Ok(known);
        }
        // A server that was a master of the cluster would tell its own, so one is asked that answers for the shard.
        self.read(shard, vec![Query::Counter("probe".into())]).await?;
        match self.run(shard, Work::Incarnation).await {
            Ok(Done::Incarnation(incarnation)) => {
                if let Some(node) = self.routes.of(shard) {
                    node.incarnation.set(incarnation.clone());
                }
                Ok(incarnation)
            }
            Ok(Done::Read(_) | Done::Commit(_)) => Err(error(Failure::Senseless)),
            Err(failure) => Err(error(failure)),
        }
    }
}

fn error(failure: Failure) -> StoreError {
    let unavailable = |what: &str| StoreError::Unavailable(what.to_owned());
    match failure {
        Failure::Unavailable(what) | Failure::Lost(what) => StoreError::Unavailable(what),
        Failure::Senseless => StoreError::Corrupt("redis answered nonsense".to_owned()),
        Failure::Moved(_) => unavailable("redis is a cluster: use redis+cluster://"),
        Failure::Moving => unavailable("the shard is moving between redis servers"),
        Failure::ReadOnly => unavailable("redis follows another server"),
    }
}
