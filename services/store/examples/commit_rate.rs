//! How many typical commits a second a store makes, and how long each takes.
//!
//! `cargo run --release -p omnigate-store --example commit_rate [URL [commits|reads [TASKS]]]`, without a URL for the embedded
//! store and for a private Redis with `appendfsync everysec` and `always`, where it is installed.

use bytes::Bytes;
use omnigate_core::{
    port::{
        Clock,
        store::{Commit, Expect, Found, Outcome, Query, Stamp, Store, Write},
    },
    shard::Shard,
    time::Moment,
};
use omnigate_servers::redis::{Fsync, Redis};
use std::{
    error::Error,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const CONCURRENCY: [usize; 3] = [1, 64, 512];
const TIME: Duration = Duration::from_secs(4);
/// Customers of each task, who write in turn.
const CUSTOMERS: usize = 64;

type Failure = Box<dyn Error + Send + Sync>;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Moment {
        let millis = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Moment(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    if let Some(url) = std::env::args().nth(1) {
        return measure(url.rsplit('@').next().unwrap_or_default(), &url, folder.path()).await;
    }
    measure("embedded", "", folder.path()).await?;
    for fsync in [Fsync::EverySecond, Fsync::Always] {
        if let Some(redis) = Redis::start_fsync(fsync).await {
            measure(&format!("redis {fsync:?}"), redis.url(), folder.path()).await?;
        }
    }
    Ok(())
}

async fn measure(name: &str, url: &str, folder: &Path) -> Result<(), Failure> {
    let store = omnigate_store::open(url, folder, Arc::new(WallClock)).await?;
    let (only, tasks) = (std::env::args().nth(2), std::env::args().nth(3));
    for what in ["commits", "reads"] {
        for concurrency in CONCURRENCY {
            let wanted = only.as_ref().is_none_or(|only| only == what)
                && tasks.as_ref().is_none_or(|tasks| *tasks == concurrency.to_string());
            if wanted {
                run(&format!("{name}: {what}"), &store, concurrency, what == "reads").await?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
async fn run(name: &str, store: &Arc<dyn Store>, concurrency: usize, reading: bool) -> Result<(), Failure> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..concurrency)
        .map(|task| tokio::spawn(work(Arc::clone(store), task, start + TIME, reading)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let rate = times.len() as f64 / elapsed;
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!(
        "{name:24} {concurrency:4} tasks {rate:9.0}/s  p50 {:>9.1?}  p99 {:>9.1?}",
        at(50),
        at(99)
    );
    Ok(())
}

async fn work(store: Arc<dyn Store>, task: usize, end: Instant, reading: bool) -> Result<Vec<Duration>, Failure> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut customers: Vec<_> = (0..CUSTOMERS)
        .map(|number| (Bytes::from(format!("0199a0b1c2d3{task:06}{number:04}")), None))
        .collect();
    let shard = Shard::new(u8::try_from(task % 256)?);
    let mut times = Vec::new();
    for turn in 0.. {
        let start = Instant::now();
        if start > end {
            break;
        }
        let (customer, version) = &mut customers[turn % CUSTOMERS];
        if reading {
            let queries = vec![
                Query::Record(key("customer", customer)),
                Query::Record(key("thread", customer)),
            ];
            store.read(shard, queries).await?;
        } else {
            let commit = typical(customer, *version, NEXT.fetch_add(1, Ordering::Relaxed));
            let stamp = commit.stamp;
            match store.commit(shard, commit).await? {
                Outcome::Committed => *version = Some(stamp),
                // Records of an earlier run.
                Outcome::Conflict(found) => *version = found.into_iter().find_map(|(_, found)| known(found)),
                Outcome::Unknown => return Err("nothing should be unknown".into()),
            }
        }
        times.push(start.elapsed());
    }
    Ok(times)
}

fn known(found: Found) -> Option<Stamp> {
    match found {
        Found::Record(record) => record.map(|record| record.stamp),
        _ => None,
    }
}

fn key(kind: &str, customer: &Bytes) -> Bytes {
    [kind.as_bytes(), b"/", customer].concat().into()
}

/// What one message does: customer and thread change, an event is remembered, timeline and outbox grow.
fn typical(customer: &Bytes, version: Option<Stamp>, number: u64) -> Commit {
    let stamp = Stamp(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let [thread, seen, timeline, outbox] = ["thread", "seen", "timeline", "outbox"].map(|kind| key(kind, customer));
    let customer = key("customer", customer);
    let event = Bytes::copy_from_slice(&(u128::from(number) << 64).to_be_bytes());
    let order = Bytes::copy_from_slice(&number.to_be_bytes());
    let body = Bytes::from(vec![b'x'; 300]);
    Commit {
        stamp,
        expect: vec![
            Expect::Record {
                key: customer.clone(),
                stamp: version,
            },
            Expect::Record {
                key: thread.clone(),
                stamp: version,
            },
            Expect::Field {
                key: seen.clone(),
                field: event.clone(),
                value: None,
            },
            Expect::Member {
                key: timeline.clone(),
                member: order.clone(),
                present: false,
            },
            Expect::Member {
                key: outbox.clone(),
                member: order.clone(),
                present: false,
            },
        ],
        write: vec![
            Write::Put {
                key: customer,
                value: body.slice(..200),
            },
            Write::Put {
                key: thread,
                value: body.slice(..80),
            },
            Write::SetField {
                key: seen,
                field: event,
                value: order.clone(),
            },
            Write::Insert {
                key: timeline,
                member: order.clone(),
                value: body,
            },
            Write::Insert {
                key: outbox,
                member: order,
                value: Bytes::from_static(b"hint"),
            },
        ],
    }
}
