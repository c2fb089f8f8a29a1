//! Many committers, and connections cut and servers killed at random: nothing is lost and nothing doubled.

use super::*;
use omnigate_servers::{
    proxy::{Direction, Proxy},
    redis::{Fsync, Redis},
};
use std::{collections::BTreeSet, sync::atomic::AtomicBool};

const TASKS: usize = 16;

/// Commits names of its own until told to stop; returns those that were answered as committed. Whatever is not certain is
/// sent again unchanged until it is.
async fn commit_names(store: Arc<RedisStore>, task: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut done = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{task:02}.{number:06}");
        let commit = once(&name);
        let mut doubt = false;
        loop {
            match store.commit(HERE, commit.clone()).await {
                Ok(Outcome::Committed) => break,
                Ok(Outcome::Conflict(_)) => {
                    assert!(doubt, "{name} was there before it was sent");
                    break;
                }
                Ok(Outcome::Unknown) => doubt = true,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        done.push(name);
    }
    done
}

struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(store: &Arc<RedisStore>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |task| tokio::spawn(commit_names(store.clone(), task, stop.clone()));
        let tasks = (0..TASKS).map(task).collect();
        Self { stop, tasks }
    }

    /// Stops, and requires that exactly what was committed is there.
    async fn finish(self, store: &dyn Store) {
        self.stop.store(true, Ordering::Relaxed);
        let mut done = BTreeSet::new();
        for task in self.tasks {
            done.extend(task.await.unwrap());
        }
        let there: BTreeSet<_> = names(store, HERE).await.unwrap().into_iter().collect();
        let lost: Vec<_> = done.difference(&there).take(5).collect();
        assert!(lost.is_empty(), "lost of {}: {lost:?}", done.len());
        let extra: Vec<_> = there.difference(&done).take(5).collect();
        assert!(extra.is_empty(), "nobody committed {extra:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_at_random_bytes() {
    let Some(redis) = Redis::shared().await else { return };
    let proxy = Proxy::start(redis.addr()).await.unwrap();
    let store = connect(&format!("redis://{}", proxy.addr())).await;
    let load = Load::start(&store);
    // Any numbers that differ will do: they are where a connection ends.
    let mut seed = 0x5eed_u64;
    for round in 0..40 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let bytes = usize::try_from(seed >> 52).unwrap();
        let direction = if round % 2 == 0 {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        proxy.cut_after_bytes(bytes, direction);
        until("the cut", || async { proxy.is_cut().then_some(()) }).await;
        proxy.heal();
        ready(&*store).await;
    }
    load.finish(&*store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_keeps_what_it_answered() {
    for fsync in [Fsync::Always, Fsync::EverySecond] {
        let Some(mut redis) = Redis::start_fsync(fsync).await else {
            return;
        };
        let store = connect(redis.url()).await;
        let load = Load::start(&store);
        for _ in 0..3 {
            until("some load", || async {
                let there = names(&*store, HERE).await.ok()?.len();
                (there > 50).then_some(())
            })
            .await;
            redis.kill9();
            redis.restart().await.unwrap();
            ready(&*store).await;
        }
        load.finish(&*store).await;
    }
}
