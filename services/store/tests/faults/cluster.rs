//! Shards move between the masters of a cluster, and masters are lost.

use super::*;
use omnigate_servers::redis::RedisCluster;

/// What `CLUSTER KEYSLOT` answers for the tag of [`HERE`], `s007`.
const SLOT_HERE: u16 = 7_981;

async fn committed_everywhere(store: &RedisStore, name: &str) {
    for shard in Shard::all() {
        let outcome = store.commit(shard, once(name)).await.unwrap();
        assert_eq!(outcome, Outcome::Committed, "{shard}");
    }
}

#[tokio::test]
async fn all_shards_are_served_and_one_that_moved_is_found() {
    let Some(cluster) = RedisCluster::start().await else {
        return;
    };
    let store = connect(&cluster.url()).await;
    // The slot has no keys yet, so it moves at once.
    for to in [0, 1, 2] {
        cluster.move_slot(SLOT_HERE, to).await.unwrap();
    }
    committed_everywhere(&store, "a").await;
    committed_everywhere(&store, "b").await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_shard_that_is_moving_is_refused_without_doubt_until_it_has_moved() {
    let Some(cluster) = RedisCluster::start().await else {
        return;
    };
    let store = connect(&cluster.url()).await;
    cluster.move_slot(SLOT_HERE, 0).await.unwrap();
    cluster.begin_move(SLOT_HERE, 0, 1).await.unwrap();
    store.commit(HERE, once("a")).await.unwrap_err();
    cluster.move_slot(SLOT_HERE, 1).await.unwrap();
    assert!(names(&*store, HERE).await.unwrap().is_empty());
    assert_eq!(store.commit(HERE, once("a")).await.unwrap(), Outcome::Committed);
    assert_eq!(names(&*store, HERE).await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_lost_master_takes_only_its_shards_and_they_come_back() {
    let Some(mut cluster) = RedisCluster::start().await else {
        return;
    };
    let store = connect(&cluster.url()).await;
    committed_everywhere(&store, "a").await;
    cluster.kill9(2);
    let lost = || async {
        let mut lost = 0;
        for shard in Shard::all() {
            match names(&*store, shard).await {
                Ok(names) => assert_eq!(names, ["a"]),
                Err(_) => lost += 1,
            }
        }
        (lost > 0).then_some(lost)
    };
    until("the loss", lost).await;
    cluster.restart().await.unwrap();
    for shard in Shard::all() {
        let names = until("the shard", || async { names(&*store, shard).await.ok() }).await;
        assert_eq!(names, ["a"], "{shard}");
    }
    until("commits", || async { store.commit(HERE, once("b")).await.ok() }).await;
}
