//! Who is who on real Redis: thousands of messages, merges, splits and unlinks by workers that overlap and are dropped in
//! the middle, on one server and on a cluster that loses a master under load. What holds afterwards is read from the store.
//!
//! `just identity-long` runs more; `OMNIGATE_IDENTITY_SEED=7` others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it is surprised"
)]

mod failover;
mod judgement;
#[path = "../../services/core/tests/simulation/rng.rs"]
#[allow(dead_code, reason = "not every user draws everything")]
mod rng;
#[path = "../../services/core/tests/identity/scenario.rs"]
#[allow(dead_code, reason = "not every user asks everything")]
mod scenario;
#[path = "../../services/core/tests/identity/told.rs"]
mod told;
mod work;

use omnigate_core::port::store::Store;
use omnigate_core::protocol::Ports;
use omnigate_runtime::clock::{SystemClock, SystemEntropy};
use omnigate_servers::redis::{Redis, RedisCluster};
use omnigate_store::redis::{RedisConfig, RedisStore};
use rng::Rng;
use std::sync::Arc;
use std::time::Duration;
use work::Work;

/// Operations when the environment names no other number.
const OPERATIONS: usize = 2_000;
/// Short, so that a lost master does not hold up the test; long enough for a busy machine.
const DEADLINE: Duration = Duration::from_secs(2);

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// A process: memory of its own over one store.
async fn process(url: &str, prefix: &str) -> Arc<Ports> {
    let mut config = RedisConfig::new(url);
    prefix.clone_into(&mut config.prefix);
    config.deadline = DEADLINE;
    let store: Arc<dyn Store> = Arc::new(RedisStore::connect(&config).await.unwrap());
    let entropy = Arc::new(SystemEntropy::new().unwrap());
    Arc::new(Ports::new(store, Arc::new(SystemClock), entropy))
}

fn prefix(name: &str) -> String {
    format!("identity.{name}.{}:", std::process::id())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_at_random_keep_what_is_promised() {
    let Some(redis) = Redis::shared().await else { return };
    let operations = number("OMNIGATE_IDENTITY_OPERATIONS").unwrap_or(OPERATIONS);
    let seed = number("OMNIGATE_IDENTITY_SEED").unwrap_or(1) as u64;
    println!("OMNIGATE_IDENTITY_SEED={seed} OMNIGATE_IDENTITY_OPERATIONS={operations}");
    let prefix = prefix("one");
    let processes = [process(redis.url(), &prefix).await, process(redis.url(), &prefix).await];
    let work = Arc::new(Work::new(operations, Rng::new(seed)));
    work.run(&processes).await;
    let last = process(redis.url(), &prefix).await;
    judgement::judge(&last, &work).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_a_master_keeps_what_is_promised() {
    let Some(mut cluster) = RedisCluster::start().await else {
        return;
    };
    let operations = number("OMNIGATE_IDENTITY_OPERATIONS").unwrap_or(OPERATIONS) / 4;
    let seed = number("OMNIGATE_IDENTITY_SEED").unwrap_or(2) as u64;
    println!("OMNIGATE_IDENTITY_SEED={seed} OMNIGATE_IDENTITY_OPERATIONS={operations}");
    let (url, prefix) = (cluster.url(), prefix("cluster"));
    let processes = [process(&url, &prefix).await, process(&url, &prefix).await];
    let work = Arc::new(Work::new(operations, Rng::new(seed)));
    let running = {
        let work = Arc::clone(&work);
        tokio::spawn(async move { work.run(&processes).await })
    };
    for master in [0, 2] {
        work.until_done(operations * (1 + master) / 5).await;
        cluster.kill9(master);
        work.until_refused().await;
        cluster.restart().await.unwrap();
    }
    running.await.unwrap();
    let last = process(&url, &prefix).await;
    judgement::judge(&last, &work).await;
}
