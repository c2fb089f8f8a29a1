//! One server: a queue in front of it, and a connection that is made again when it is lost.
//!
//! What waits in the queue goes out together. A few batches are on their way at a time; while they are, the next one
//! gathers, so batches grow with the load and nobody waits for a timer.

use super::{
    address::Address,
    batch::Batch,
    incarnation::Remembered,
    job::{Done, Failure, Job, Work},
    names::Names,
    sentinel,
};
use omnigate_core::shard::Shard;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, aio::MultiplexedConnection};
use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{self, Instant},
};

/// Jobs that may wait for one server; further callers wait for room.
const WAITING: usize = 4096;
/// Most jobs in one batch: bounds how long the server runs one script.
const BATCH: usize = 128;
/// Batches on their way at a time: one being made, one being run, one being read.
const ON_THE_WAY: usize = 3;
/// A server that could not be reached is left alone for this long.
const REST: Duration = Duration::from_millis(100);
/// Within a data centre a connection takes milliseconds.
const CONNECT: Duration = Duration::from_secs(1);

/// What every server of a store shares.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) names: Names,
    pub(super) deadline: Duration,
    /// True if a call may touch only one shard, as in a cluster.
    pub(super) by_shard: bool,
}

/// Which server a node talks to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// The one at this `host:port`.
    Host(String),
    /// The one that these Sentinels call the master of this name.
    Master {
        /// `host:port` of each Sentinel.
        sentinels: Vec<String>,
        /// The name.
        name: String,
    },
}

/// A server.
pub(super) struct Node {
    queue: mpsc::Sender<Job>,
    pub(super) incarnation: Remembered,
}

impl Node {
    /// Starts the task that serves the queue; it ends with the node.
    pub(super) fn start(target: Target, settings: Arc<Settings>) -> Self {
        let (queue, jobs) = mpsc::channel(WAITING);
        let line = Line {
            target,
            settings,
            current: None,
            rest: None,
        };
        tokio::spawn(serve(line, jobs));
        Self {
            queue,
            incarnation: Remembered::default(),
        }
    }

    /// Has work done before the deadline, or learns that it was not sent by then.
    pub(super) async fn run(&self, shard: Shard, work: Arc<Work>, deadline: Instant) -> Result<Done, Failure> {
        let (reply, result) = oneshot::channel();
        let job = Job {
            shard,
            work,
            deadline,
            reply,
        };
        if let Err(full) = self.queue.try_send(job) {
            let sent = time::timeout_at(deadline, self.queue.send(full.into_inner())).await;
            if !matches!(sent, Ok(Ok(()))) {
                return Err(Failure::Unavailable("too much waits for redis".to_owned()));
            }
        }
        result
            .await
            .unwrap_or_else(|_| Err(Failure::Lost("the store has stopped".to_owned())))
    }
}

async fn serve(mut line: Line, mut queue: mpsc::Receiver<Job>) {
    let ways = Arc::new(Semaphore::new(ON_THE_WAY));
    let mut jobs = Vec::with_capacity(BATCH);
    while let Ok(way) = Arc::clone(&ways).acquire_owned().await {
        if queue.recv_many(&mut jobs, BATCH).await == 0 {
            return;
        }
        let connection = line.connection().await;
        let now = Instant::now();
        for job in jobs.extract_if(.., |job| job.deadline < now) {
            job.end(Err(Failure::Unavailable("redis took too long".to_owned())));
        }
        let jobs = std::mem::replace(&mut jobs, Vec::with_capacity(BATCH));
        match connection {
            Ok(connection) => {
                let batch = Batch::new(connection, Arc::clone(&line.settings), jobs);
                tokio::spawn(async move {
                    batch.run().await;
                    drop(way);
                });
            }
            Err(error) => {
                for job in jobs {
                    job.end(Err(Failure::Unavailable(error.clone())));
                }
            }
        }
    }
}

/// The way to a server, open or not.
struct Line {
    target: Target,
    settings: Arc<Settings>,
    current: Option<Connection>,
    /// Until when no connection is tried, and why.
    rest: Option<(Instant, String)>,
}

/// An open connection.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) link: MultiplexedConnection,
    broken: Arc<AtomicBool>,
}

impl Connection {
    /// Has the next batch go over a new connection.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Connects to `client`'s server.
    pub(super) async fn open(client: &Client, response: Duration) -> Result<Self, RedisError> {
        let broken = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&broken);
        let notice = move |push: PushInfo| -> Result<(), Infallible> {
            if push.kind == PushKind::Disconnection {
                lost.store(true, Ordering::Release);
            }
            Ok(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(response))
            .set_push_sender(notice);
        let connect = client.get_multiplexed_async_connection_with_config(&config);
        // The whole of it: names, connection, encryption and greeting.
        let link = time::timeout(CONNECT * 2, connect)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self { link, broken })
    }
}

impl Line {
    /// The open connection, or a new one; the error says why there is none.
    async fn connection(&mut self) -> Result<Connection, String> {
        if let Some(connection) = &self.current {
            if !connection.is_broken() {
                return Ok(connection.clone());
            }
            self.current = None;
            tracing::warn!(target = ?self.target, "connection to redis lost");
        }
        if let Some((until, error)) = &self.rest
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(connection) => {
                self.rest = None;
                self.current = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                if self.rest.is_none() {
                    tracing::warn!(target = ?self.target, error, "redis cannot be reached");
                }
                self.rest = Some((Instant::now() + REST, error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let Settings { address, deadline, .. } = &*self.settings;
        let host = match &self.target {
            Target::Host(host) => host.clone(),
            Target::Master { sentinels, name } => sentinel::master(address, sentinels, name).await?,
        };
        let client = address.client(&host).map_err(|error| error.to_string())?;
        let connection = Connection::open(&client, *deadline)
            .await
            .map_err(|error| error.to_string())?;
        if matches!(self.target, Target::Master { .. }) {
            sentinel::require_master(connection.link.clone()).await?;
        }
        Ok(connection)
    }
}
