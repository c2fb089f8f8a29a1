//! What the store on Redis does when connections and servers fail.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chaos;
mod cluster;
mod cuts;
mod servers;

use bytes::Bytes;
use omnigate_core::{
    port::store::{Answer, Commit, Expect, Outcome, Query, Stamp, Store, StoreError, Write},
    shard::Shard,
};
use omnigate_store::redis::{RedisConfig, RedisStore};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const HERE: Shard = Shard::new(7);
/// Long enough for servers to come back; a busy machine takes a while.
const PATIENCE: Duration = Duration::from_secs(30);
/// Short, so that tests of it are quick; long enough for a busy machine to answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// Connects with keys that no other test has.
async fn connect(url: &str) -> Arc<RedisStore> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut config = RedisConfig::new(url);
    config.prefix = format!("faults.{}.{number}:", std::process::id());
    config.deadline = DEADLINE;
    Arc::new(RedisStore::connect(&config).await.unwrap())
}

/// A commit that happens once: it puts a name into an index where it must not be yet, and counts.
fn once(name: &str) -> Commit {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let (key, member) = (Bytes::from_static(b"names"), Bytes::copy_from_slice(name.as_bytes()));
    Commit {
        stamp: Stamp(NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()),
        expect: vec![Expect::Member {
            key: key.clone(),
            member: member.clone(),
            present: false,
        }],
        write: vec![
            Write::Insert {
                key,
                member,
                value: Bytes::new(),
            },
            Write::Add {
                key: Bytes::from_static(b"count"),
                delta: 1,
            },
        ],
    }
}

/// The names that are there, which are as many as were counted.
async fn names(store: &dyn Store, shard: Shard) -> Result<Vec<String>, StoreError> {
    use std::ops::Bound::Unbounded;
    let queries = vec![
        Query::Range {
            key: Bytes::from_static(b"names"),
            from: Unbounded,
            to: Unbounded,
            limit: u32::MAX,
            reverse: false,
        },
        Query::Counter(Bytes::from_static(b"count")),
    ];
    let answers = store.read(shard, queries).await?;
    let [Answer::Range(members), Answer::Counter(count)] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!(i64::try_from(members.len()).unwrap(), *count);
    let name = |(member, _): &(Bytes, Bytes)| String::from_utf8(member.to_vec()).unwrap();
    Ok(members.iter().map(name).collect())
}

/// Repeats until there is a result.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = attempt().await {
            return result;
        }
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the store answers.
async fn ready(store: &dyn Store) {
    until("an answer", || async { store.probe().await.ok() }).await;
}

fn is_conflict(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Conflict(_))
}
