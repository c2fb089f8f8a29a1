//! A master and a replica watched by one Sentinel, which promotes the replica when the master is gone.

use super::{
    Fsync,
    process::{self, Server, command, wait_for},
};
use std::io;

const NAME: &str = "omnigate";

/// A master, a replica and a Sentinel.
pub struct RedisSentinel {
    master: Server,
    replica: Server,
    sentinel: Server,
}

impl RedisSentinel {
    /// Starts them; `None` where Redis is not installed.
    pub async fn start() -> Option<Self> {
        let arguments = Fsync::Always.arguments();
        let master = Server::start(&arguments).await?;
        let port = master.port().to_string();
        let following = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let replica = Server::start(&[arguments.as_slice(), &following].concat()).await?;
        let configuration = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 5000\n"
        );
        let arguments = |_| vec!["--sentinel".to_owned()];
        let sentinel = Server::start_configured(arguments, Some(&configuration)).await?;
        let servers = Self {
            master,
            replica,
            sentinel,
        };
        match servers.ready().await {
            Ok(()) => Some(servers),
            Err(error) => process::missing(&format!("sentinel does not watch: {error}")),
        }
    }

    async fn ready(&self) -> io::Result<()> {
        let replica = self.replica.addr();
        wait_for(&replica, "INFO replication", |info| {
            info.contains("master_link_status:up")
        })
        .await?;
        let sentinel = self.sentinel.addr();
        wait_for(&sentinel, "INFO sentinel", |info| {
            info.contains("status=ok") && info.contains("slaves=1")
        })
        .await
    }

    /// Where clients ask: `redis+sentinel://HOST:PORT/NAME`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{NAME}", self.sentinel.addr())
    }

    /// Ends the master as `kill -9` does; the Sentinel promotes the replica about two seconds later.
    pub fn kill9_master(&mut self) {
        self.master.kill9();
    }

    /// Waits until the replica holds all that the master has been told.
    ///
    /// # Errors
    /// When it does not catch up.
    pub async fn replicated(&self) -> io::Result<()> {
        let offset = |info: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
            line.and_then(|number| number.trim().parse::<u64>().ok())
        };
        let told = offset(&command(&self.master.addr(), "INFO replication").await?);
        wait_for(&self.replica.addr(), "INFO replication", |info| offset(info) >= told).await
    }
}
