//! A cluster of three masters without replicas.

use super::{
    Fsync,
    process::{self, Server, command, free_port, wait_for},
};
use std::io;

/// The last slot of a cluster.
const LAST_SLOT: u16 = 16_383;
const MASTERS: u16 = 3;

/// A cluster of three masters.
pub struct RedisCluster {
    nodes: Vec<Server>,
}

impl RedisCluster {
    /// Starts one; `None` where Redis is not installed.
    pub async fn start() -> Option<Self> {
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..MASTERS {
            // The bus would listen on port + 10000, which may not exist.
            let bus = free_port().ok()?.to_string();
            let mut arguments = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "2000",
                "--cluster-port",
            ]
            .to_vec();
            arguments.push(&bus);
            arguments.extend(Fsync::Always.arguments());
            nodes.push(Server::start(&arguments).await?);
            buses.push(bus);
        }
        let cluster = Self { nodes };
        match cluster.join(&buses).await {
            Ok(()) => Some(cluster),
            Err(error) => process::missing(&format!("the redis cluster does not form: {error}")),
        }
    }

    async fn join(&self, buses: &[String]) -> io::Result<()> {
        let first = self.nodes.first().map(Server::addr).unwrap_or_default();
        let share = LAST_SLOT / MASTERS + 1;
        let starts = (0..MASTERS).map(|number| number * share);
        for ((node, bus), start) in self.nodes.iter().zip(buses).zip(starts) {
            let end = (start + share - 1).min(LAST_SLOT);
            expect_ok(&node.addr(), &format!("CLUSTER ADDSLOTSRANGE {start} {end}")).await?;
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port());
            expect_ok(&first, &meet).await?;
        }
        for node in &self.nodes {
            let formed = |info: &str| info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3");
            wait_for(&node.addr(), "CLUSTER INFO", formed).await?;
        }
        Ok(())
    }

    /// Where it listens, for clients: `redis+cluster://HOST:PORT,HOST:PORT,HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+cluster://{}", self.addrs().join(","))
    }

    /// `HOST:PORT` of each master.
    #[must_use]
    pub fn addrs(&self) -> Vec<String> {
        self.nodes.iter().map(Server::addr).collect()
    }

    /// Ends a master as `kill -9` does.
    pub fn kill9(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.kill9();
        }
    }

    /// Starts all masters again that do not run, with the same data, and waits until the cluster answers.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn restart(&mut self) -> io::Result<()> {
        for node in &mut self.nodes {
            node.restart().await?;
        }
        for node in &self.nodes {
            wait_for(&node.addr(), "CLUSTER INFO", |info| info.contains("cluster_state:ok")).await?;
        }
        Ok(())
    }

    /// Begins to move a slot: keys that are not at the first master are created at the second.
    ///
    /// # Errors
    /// When a master refuses.
    pub async fn begin_move(&self, slot: u16, from: usize, to: usize) -> io::Result<()> {
        let ((source, source_id), (target, target_id)) = (self.node(from).await?, self.node(to).await?);
        expect_ok(&target, &format!("CLUSTER SETSLOT {slot} IMPORTING {source_id}")).await?;
        expect_ok(&source, &format!("CLUSTER SETSLOT {slot} MIGRATING {target_id}")).await
    }

    /// Moves a slot, of which no other master may hold keys, to a master.
    ///
    /// # Errors
    /// When a master refuses.
    pub async fn move_slot(&self, slot: u16, to: usize) -> io::Result<()> {
        let (target, id) = self.node(to).await?;
        expect_ok(&target, &format!("CLUSTER SETSLOT {slot} NODE {id}")).await?;
        for node in &self.nodes {
            expect_ok(&node.addr(), &format!("CLUSTER SETSLOT {slot} NODE {id}")).await?;
        }
        Ok(())
    }

    /// `HOST:PORT` and id of a master.
    async fn node(&self, number: usize) -> io::Result<(String, String)> {
        let addr = self.nodes.get(number).map(Server::addr).unwrap_or_default();
        let id = command(&addr, "CLUSTER MYID").await?;
        Ok((addr, id))
    }
}

async fn expect_ok(addr: &str, what: &str) -> io::Result<()> {
    match command(addr, what).await?.as_str() {
        "+OK" => Ok(()),
        other => Err(io::Error::other(format!("{what}: {other}"))),
    }
}
