//! Which server holds which shard.

use super::{
    address::Layout,
    names::slot,
    node::{Connection, Node, Settings, Target},
};
use omnigate_core::shard::Shard;
use redis::{Value, cmd};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{sync::Mutex, time::Instant};

/// A cluster's table is asked for at most this often.
const REST: Duration = Duration::from_millis(200);

/// The servers of a store.
pub(super) struct Routes {
    settings: Arc<Settings>,
    table: RwLock<Table>,
    /// When the cluster's table was asked for last; held while it is being asked for.
    asked: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Table {
    /// By `host:port`; for a store that is no cluster there is one, of whatever name.
    nodes: HashMap<String, Arc<Node>>,
    /// `host:port` by the shard's number; none for a shard that nobody holds.
    hosts: Vec<Option<String>>,
}

impl Routes {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let mut table = Table::default();
        let target = match &settings.address.layout {
            Layout::Single(host) => Some(Target::Host(host.clone())),
            Layout::Sentinel { sentinels, name } => Some(Target::Master {
                sentinels: sentinels.clone(),
                name: name.clone(),
            }),
            Layout::Cluster(_) => None,
        };
        if let Some(target) = target {
            let only = String::new();
            let node = Node::start(target, Arc::clone(&settings));
            table.hosts = Shard::all().map(|_| Some(only.clone())).collect();
            table.nodes.insert(only, Arc::new(node));
        }
        Self {
            settings,
            table: RwLock::new(table),
            asked: Mutex::default(),
        }
    }

    /// The server of a shard, if it is known.
    pub(super) fn of(&self, shard: Shard) -> Option<Arc<Node>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let host = table.hosts.get(usize::from(shard.number()))?.as_ref()?;
        table.nodes.get(host).cloned()
    }

    /// A server said that a shard now lives at `host:port`; a host that it leaves out is its own.
    pub(super) fn moved(&self, shard: Shard, to: &str) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = table.hosts.get_mut(usize::from(shard.number())) else {
            return;
        };
        let host = match (
            place.as_deref().and_then(|host| host.rsplit_once(':')),
            to.strip_prefix(':'),
        ) {
            (Some((host, _)), Some(port)) => format!("{host}:{port}"),
            _ => to.to_owned(),
        };
        *place = Some(host.clone());
        table.node(&host, &self.settings);
    }

    /// `host:port` of each server that holds a shard; for a store that is no cluster what stands for the only one.
    pub(super) fn hosts(&self) -> Vec<String> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.nodes.keys().cloned().collect()
    }

    /// Asks the cluster who holds what, unless that was done just now.
    pub(super) async fn refresh(&self) -> Result<(), String> {
        let Layout::Cluster(seeds) = &self.settings.address.layout else {
            return Ok(());
        };
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|when| when.elapsed() < REST) {
            return Ok(());
        }
        let mut last = "no server of the cluster is known".to_owned();
        let known = self.hosts();
        for host in known.iter().chain(seeds) {
            match self.ask(host).await {
                Ok(slots) => {
                    self.replace(&slots);
                    *asked = Some(Instant::now());
                    return Ok(());
                }
                Err(error) => last = format!("{host}: {error}"),
            }
        }
        *asked = Some(Instant::now());
        Err(last)
    }

    fn replace(&self, slots: &[Slots]) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.hosts = Shard::all()
            .map(|shard| {
                let slot = slot(shard);
                let holder = slots.iter().find(|slots| (slots.first..=slots.last).contains(&slot))?;
                Some(holder.host.clone())
            })
            .collect();
        let hosts: Vec<_> = table.hosts.iter().flatten().cloned().collect();
        // A server that holds nothing any more ends when its last caller is done.
        table.nodes.retain(|host, _| hosts.contains(host));
        for host in hosts {
            table.node(&host, &self.settings);
        }
    }

    async fn ask(&self, host: &str) -> Result<Vec<Slots>, String> {
        let open = async {
            let client = self.settings.address.client(host)?;
            let mut connection = Connection::open(&client, self.settings.deadline).await?;
            let mut question = cmd("CLUSTER");
            question.arg("SLOTS").query_async::<Value>(&mut connection.link).await
        };
        let answer = open.await.map_err(|error: redis::RedisError| error.to_string())?;
        let Value::Array(ranges) = answer else {
            return Err("it is no cluster".to_owned());
        };
        let slots: Vec<_> = ranges
            .into_iter()
            .filter_map(|range| Slots::parse(range, host))
            .collect();
        if slots.is_empty() {
            return Err("it holds no slots".to_owned());
        }
        Ok(slots)
    }
}

impl Table {
    fn node(&mut self, host: &str, settings: &Arc<Settings>) -> Arc<Node> {
        let start = || Arc::new(Node::start(Target::Host(host.to_owned()), Arc::clone(settings)));
        Arc::clone(self.nodes.entry(host.to_owned()).or_insert_with(start))
    }
}

/// Slots and the master that holds them.
struct Slots {
    first: u16,
    last: u16,
    host: String,
}

impl Slots {
    /// From `[first, last, [host, port, …], …]`; a host that the server leaves out is the server itself.
    fn parse(range: Value, asked: &str) -> Option<Self> {
        let Value::Array(range) = range else { return None };
        let [first, last, Value::Array(master), ..] = range.as_slice() else {
            return None;
        };
        let [host, Value::Int(port), ..] = master.as_slice() else {
            return None;
        };
        let host = match host {
            Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
            _ => asked.rsplit_once(':')?.0.trim_matches(['[', ']']).to_owned(),
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Some(Self {
            first: number(first)?,
            last: number(last)?,
            host: format!("{host}:{port}"),
        })
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}
