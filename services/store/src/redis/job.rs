//! What callers ask of a server, and how that can end.

use bytes::Bytes;
use omnigate_core::{
    port::store::{Answer, Commit, Outcome, Query, Write},
    shard::Shard,
};
use redis::RedisError;
use std::sync::Arc;
use tokio::{sync::oneshot, time::Instant};

/// Work for one shard. Kept by the caller too, who may have to take it to another server.
pub(super) enum Work {
    Read(Vec<Query>),
    Commit(Commit),
    /// Which life of which server this is.
    Incarnation,
}

/// Work done.
pub(super) enum Done {
    Read(Vec<Answer>),
    Commit(Outcome),
    Incarnation(Bytes),
}

/// Work with who waits for it.
pub(super) struct Job {
    pub(super) shard: Shard,
    pub(super) work: Arc<Work>,
    /// After this moment it is not sent any more.
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Done, Failure>>,
}

/// Why work was not done, or may not have been done.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It was not done.
    Unavailable(String),
    /// It was sent; nobody knows whether it was done.
    Lost(String),
    /// The server answered nonsense.
    Senseless,
    /// It was not done: the shard now lives at this `host:port`.
    Moved(String),
    /// It was not done: the shard is moving to another server. Redis runs no script for it while its keys are in two places.
    Moving,
    /// It was not done: this server follows another one.
    ReadOnly,
}

/// Errors with which a server refuses a call before it runs, or a script at its first write. After any other error of a
/// script some of it may have happened.
const REFUSALS: [&str; 12] = [
    "NOSCRIPT",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "BUSY",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
    "NOPERM",
    "NOAUTH",
    "WRONGPASS",
];

impl Failure {
    pub(super) fn of(error: &RedisError) -> Self {
        match error.code() {
            Some("MOVED") => Self::Moved(
                error
                    .redirect_node()
                    .map_or_else(String::new, |(host, _)| host.to_owned()),
            ),
            Some("ASK" | "TRYAGAIN") => Self::Moving,
            Some("READONLY") => Self::ReadOnly,
            // The rest of the server's text may quote keys, which name people.
            Some(code) if REFUSALS.contains(&code) => Self::Unavailable(format!("redis refuses with {code}")),
            Some(code) => Self::Lost(format!("redis failed with {code}")),
            None => Self::Lost(error.to_string()),
        }
    }
}

impl Job {
    pub(super) fn end(self, result: Result<Done, Failure>) {
        // Who no longer waits will read and decide again.
        self.reply.send(result).ok();
    }

    /// Roughly how many bytes it takes to send it.
    pub(super) fn weight(&self) -> usize {
        match &*self.work {
            Work::Read(queries) => queries.len() * 64,
            Work::Incarnation => 64,
            Work::Commit(commit) => commit.expect.len() * 64 + commit.write.iter().map(weight).sum::<usize>(),
        }
    }
}

fn weight(write: &Write) -> usize {
    let value = match write {
        Write::Put { value, .. } | Write::SetField { value, .. } | Write::Insert { value, .. } => value.len(),
        _ => 0,
    };
    64 + value
}
