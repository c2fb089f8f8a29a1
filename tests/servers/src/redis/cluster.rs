//! A cluster of three masters, without replicas or with one each.

use super::{
    Fsync,
    process::{self, Server, command, free_port, wait_for},
};
use std::io;

/// The last slot of a cluster.
const LAST_SLOT: u16 = 16_383;
const MASTERS: u16 = 3;

/// A cluster of three masters. Where they have replicas, that of a master comes three places after it.
pub struct RedisCluster {
    nodes: Vec<Server>,
}

/// A replica takes over however much it lacks, so that a test decides how much is lost; shards of the others are served
/// meanwhile.
const REPLICATED: [&str; 8] = [
    "--cluster-replica-validity-factor",
    "0",
    "--cluster-require-full-coverage",
    "no",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
];

impl RedisCluster {
    /// Starts one without replicas; `None` where Redis is not installed.
    pub async fn start() -> Option<Self> {
        let (cluster, buses) = Self::start_nodes(MASTERS, &[]).await?;
        match cluster.join(&buses).await {
            Ok(()) => Some(cluster),
            Err(error) => process::missing(&format!("the redis cluster does not form: {error}")),
        }
    }

    /// Starts one in which every master has a replica; `None` where Redis is not installed.
    pub async fn start_replicated() -> Option<Self> {
        let (cluster, buses) = Self::start_nodes(2 * MASTERS, &REPLICATED).await?;
        let formed = async {
            cluster.join(&buses).await?;
            for (replica, master) in (MASTERS..2 * MASTERS).zip(0..MASTERS) {
                cluster.follow(usize::from(replica), usize::from(master)).await?;
            }
            io::Result::Ok(())
        };
        match formed.await {
            Ok(()) => Some(cluster),
            Err(error) => process::missing(&format!("the redis cluster does not form: {error}")),
        }
    }

    async fn start_nodes(count: u16, more: &[&str]) -> Option<(Self, Vec<String>)> {
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..count {
            // The bus would listen on port + 10000, which may not exist.
            let bus = free_port().ok()?.to_string();
            let mut arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"].to_vec();
            arguments.extend(["--cluster-port", &bus]);
            arguments.extend(Fsync::Always.arguments());
            arguments.extend(more);
            nodes.push(Server::start(&arguments).await?);
            buses.push(bus);
        }
        Some((Self { nodes }, buses))
    }

    async fn follow(&self, replica: usize, master: usize) -> io::Result<()> {
        let (_, id) = self.node(master).await?;
        let (addr, _) = self.node(replica).await?;
        expect_ok(&addr, &format!("CLUSTER REPLICATE {id}")).await?;
        wait_for(&addr, "INFO replication", |info| info.contains("master_link_status:up")).await
    }

    /// Has a node give nothing more to its replica, while it goes on serving clients: what it is told from now on is lost
    /// when the replica takes over.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn cut_replication(&self, node: usize) -> io::Result<()> {
        let (addr, _) = self.node(node).await?;
        expect_ok(&addr, "ACL SETUSER default -psync -sync").await?;
        command(&addr, "CLIENT KILL TYPE replica").await.map(drop)
    }

    /// Waits until a replica has taken over and the cluster serves everything again.
    ///
    /// # Errors
    /// When it does not.
    pub async fn promoted(&self, replica: usize) -> io::Result<()> {
        let (addr, _) = self.node(replica).await?;
        wait_for(&addr, "INFO replication", |info| info.contains("role:master")).await?;
        wait_for(&addr, "CLUSTER INFO", |info| info.contains("cluster_state:ok")).await
    }

    /// Starts a killed master again, which has become the replica of the one that took over, and waits until it has
    /// everything.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn rejoin(&mut self, node: usize) -> io::Result<()> {
        if let Some(server) = self.nodes.get_mut(node) {
            server.restart().await?;
        }
        let (addr, _) = self.node(node).await?;
        wait_for(&addr, "INFO replication", |info| info.contains("master_link_status:up")).await
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
        for (node, bus) in self.nodes.iter().zip(buses).skip(usize::from(MASTERS)) {
            expect_ok(&first, &format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port())).await?;
        }
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in &self.nodes {
            let formed = |info: &str| info.contains("cluster_state:ok") && info.contains(&known);
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
