//! Redis: alone, as a cluster of three masters, or watched by a Sentinel.

mod cluster;
mod process;
mod sentinel;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;

use process::Server;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// When Redis makes what it was told durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fsync {
    /// Before it answers.
    #[default]
    Always,
    /// Every second.
    EverySecond,
}

impl Fsync {
    fn arguments(self) -> [&'static str; 4] {
        let habit = match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
        };
        ["--appendonly", "yes", "--appendfsync", habit]
    }
}

/// A Redis of a test, or the shared one of a test run.
pub struct Redis {
    url: String,
    /// `None` for one that somebody else runs.
    own: Option<Server>,
}

impl Redis {
    /// Starts one that fsyncs before it answers; `None` where Redis is not installed.
    pub async fn start() -> Option<Self> {
        Self::start_fsync(Fsync::default()).await
    }

    /// Starts one with this habit; `None` where Redis is not installed.
    pub async fn start_fsync(fsync: Fsync) -> Option<Self> {
        Self::start_with(&fsync.arguments()).await
    }

    /// Starts one with these arguments besides port and folder; `None` where Redis is not installed.
    pub async fn start_with(arguments: &[&str]) -> Option<Self> {
        let own = Server::start(arguments).await?;
        let url = format!("redis://{}", own.addr());
        Some(Self { url, own: Some(own) })
    }

    /// The one that `OMNIGATE_TEST_REDIS` names, else one for this process that ends with its last user. Others use it at
    /// the same time: keep to keys of your own.
    pub async fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let running = || SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(redis) = running().upgrade() {
            return Some(redis);
        }
        let redis = match std::env::var("OMNIGATE_TEST_REDIS") {
            Ok(url) if !url.is_empty() => Self { url, own: None },
            _ => Self::start().await?,
        };
        let mut running = running();
        // Two tests may have started one at the same time: one of them is enough.
        let redis = running.upgrade().unwrap_or_else(|| Arc::new(redis));
        *running = Arc::downgrade(&redis);
        Some(redis)
    }

    /// Where it listens, for clients: `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens, for a proxy: `127.0.0.1:PORT`.
    #[must_use]
    pub fn addr(&self) -> &str {
        let (_, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        rest.split('/').next().unwrap_or(rest)
    }

    /// Ends it as `kill -9` does, and waits until it is gone. Does nothing to a shared one.
    pub fn kill9(&mut self) {
        if let Some(own) = &mut self.own {
            own.kill9();
        }
    }

    /// Starts it again on the same port with the same data, killing it first if it still runs.
    ///
    /// # Errors
    /// When it does not come back, or is not ours.
    pub async fn restart(&mut self) -> io::Result<()> {
        match &mut self.own {
            Some(own) => own.restart().await,
            None => Err(io::Error::other("a shared redis is not ours to restart")),
        }
    }

    /// Sends one command without spaces in its words and returns the first line of the answer.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn command(&self, command: &str) -> io::Result<String> {
        process::command(self.addr(), command).await
    }
}
