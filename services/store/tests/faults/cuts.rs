//! The connection is cut, half-way through something.

use super::*;
use omnigate_servers::{
    proxy::{Direction, Proxy},
    redis::Redis,
};

async fn behind_proxy() -> Option<(Arc<Redis>, Proxy, Arc<RedisStore>)> {
    let redis = Redis::shared().await?;
    let proxy = Proxy::start(redis.addr()).await.unwrap();
    let store = connect(&format!("redis://{}", proxy.addr())).await;
    // The connection is open and the scripts are known.
    assert_eq!(store.commit(HERE, once("first")).await.unwrap(), Outcome::Committed);
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first"]);
    Some((redis, proxy, store))
}

#[tokio::test]
async fn half_a_commit_sent_is_unknown_and_did_not_happen() {
    let Some((_redis, proxy, store)) = behind_proxy().await else {
        return;
    };
    let commit = once("second");
    proxy.cut_after_bytes(40, Direction::ToServer);
    assert_eq!(store.commit(HERE, commit.clone()).await.unwrap(), Outcome::Unknown);
    proxy.heal();
    ready(&*store).await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first"]);
    assert_eq!(store.commit(HERE, commit).await.unwrap(), Outcome::Committed);
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first", "second"]);
}

#[tokio::test]
async fn half_an_answer_is_unknown_and_sent_again_writes_once() {
    let Some((_redis, proxy, store)) = behind_proxy().await else {
        return;
    };
    let commit = once("second");
    proxy.cut_after_bytes(1, Direction::ToClient);
    assert_eq!(store.commit(HERE, commit.clone()).await.unwrap(), Outcome::Unknown);
    proxy.heal();
    ready(&*store).await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first", "second"]);
    assert!(is_conflict(&store.commit(HERE, commit).await.unwrap()));
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first", "second"]);
}

#[tokio::test]
async fn a_read_that_is_cut_is_an_error() {
    let Some((_redis, proxy, store)) = behind_proxy().await else {
        return;
    };
    proxy.cut_after_bytes(1, Direction::ToClient);
    names(&*store, HERE).await.unwrap_err();
    proxy.heal();
    ready(&*store).await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first"]);
}

#[tokio::test]
async fn while_cut_nothing_is_sent_and_the_error_comes_soon() {
    let Some((_redis, proxy, store)) = behind_proxy().await else {
        return;
    };
    proxy.cut();
    // The one that finds out may have been sent.
    let refused = || async {
        let outcome = store.commit(HERE, once("second")).await;
        outcome.is_err().then_some(())
    };
    until("an error", refused).await;
    let start = Instant::now();
    for _ in 0..20 {
        assert!(matches!(
            store.commit(HERE, once("second")).await,
            Err(StoreError::Unavailable(_))
        ));
        store.probe().await.unwrap_err();
    }
    assert!(start.elapsed() < PATIENCE / 3);
    proxy.heal();
    ready(&*store).await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first"]);
}

#[tokio::test]
async fn silence_ends_with_the_deadline() {
    let Some((_redis, proxy, store)) = behind_proxy().await else {
        return;
    };
    proxy.pause();
    let start = Instant::now();
    let commit = once("second");
    let (outcome, read) = tokio::join!(store.commit(HERE, commit.clone()), names(&*store, HERE));
    assert_eq!(outcome.unwrap(), Outcome::Unknown);
    read.unwrap_err();
    assert!(start.elapsed() >= DEADLINE);
    assert!(start.elapsed() < DEADLINE * 4);
    proxy.resume();
    ready(&*store).await;
    // The bytes may have passed after all; either way the commit happens once.
    let again = store.commit(HERE, commit).await.unwrap();
    assert!(again == Outcome::Committed || is_conflict(&again), "{again:?}");
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first", "second"]);
}

#[tokio::test]
async fn a_connection_lost_while_idle_costs_nothing() {
    let Some((_redis, proxy, store)) = behind_proxy().await else {
        return;
    };
    proxy.cut();
    proxy.heal();
    until("the loss", || async { (proxy.connections() == 0).then_some(()) }).await;
    // The end of the connection is on its way to us now; a commit before it arrives would be unknown.
    let outcome = until("an outcome", || async {
        let outcome = store.commit(HERE, once("second")).await.unwrap();
        (outcome != Outcome::Unknown).then_some(outcome)
    });
    outcome.await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["first", "second"]);
}
