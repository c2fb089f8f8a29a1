//! What servers refuse, forget or are.

use super::*;
use omnigate_servers::redis::{Redis, RedisSentinel};
use omnigate_store::{OpenError, redis::StartCheck};

#[tokio::test]
async fn no_server_is_an_error_at_the_start() {
    let config = RedisConfig::new("redis://127.0.0.1:1");
    let error = RedisStore::connect(&config).await.err().unwrap();
    assert!(matches!(error, OpenError::Server(_)), "{error}");
    let config = RedisConfig::new("redis+nonsense://127.0.0.1");
    let error = RedisStore::connect(&config).await.err().unwrap();
    assert!(matches!(error, OpenError::Address(_)), "{error}");
}

#[tokio::test]
async fn dangerous_settings_are_found() {
    let Some(safe) = Redis::start_with(&["--appendonly", "yes"]).await else {
        return;
    };
    assert_eq!(connect(safe.url()).await.check().await.unwrap(), []);
    let arguments = ["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"];
    let unsafe_one = Redis::start_with(&arguments).await.unwrap();
    let server = unsafe_one.addr().to_owned();
    assert_eq!(
        connect(unsafe_one.url()).await.check().await.unwrap(),
        [
            StartCheck::AppendOnlyOff { server: server.clone() },
            StartCheck::Evicts {
                server,
                policy: "allkeys-lru".to_owned()
            },
        ]
    );
}

#[tokio::test]
async fn forgotten_scripts_are_told_again() {
    let Some(redis) = Redis::start().await else { return };
    let store = connect(redis.url()).await;
    for name in ["a", "b", "c"] {
        assert_eq!(redis.command("SCRIPT FLUSH").await.unwrap(), "+OK");
        assert_eq!(store.commit(HERE, once(name)).await.unwrap(), Outcome::Committed);
        assert_eq!(redis.command("SCRIPT FLUSH").await.unwrap(), "+OK");
        assert!(names(&*store, HERE).await.unwrap().contains(&name.to_owned()));
    }
}

#[tokio::test]
async fn a_full_server_writes_nothing() {
    let Some(redis) = Redis::start().await else { return };
    let store = connect(redis.url()).await;
    assert_eq!(store.commit(HERE, once("before")).await.unwrap(), Outcome::Committed);
    assert_eq!(redis.command("CONFIG SET maxmemory 1").await.unwrap(), "+OK");
    let error = store.commit(HERE, once("meanwhile")).await.unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    assert_eq!(names(&*store, HERE).await.unwrap(), ["before"]);
    assert_eq!(redis.command("CONFIG SET maxmemory 0").await.unwrap(), "+OK");
    assert_eq!(store.commit(HERE, once("then")).await.unwrap(), Outcome::Committed);
    assert_eq!(names(&*store, HERE).await.unwrap(), ["before", "then"]);
}

#[tokio::test]
async fn a_replica_refuses_without_doubt() {
    let Some(redis) = Redis::start().await else { return };
    let store = connect(redis.url()).await;
    assert_eq!(redis.command("REPLICAOF 127.0.0.1 1").await.unwrap(), "+OK");
    store.commit(HERE, once("a")).await.unwrap_err();
    assert_eq!(redis.command("REPLICAOF NO ONE").await.unwrap(), "+OK");
    ready(&*store).await;
    assert_eq!(store.commit(HERE, once("a")).await.unwrap(), Outcome::Committed);
}

#[tokio::test]
async fn a_killed_server_is_unavailable_until_it_is_back() {
    let Some(mut redis) = Redis::start().await else { return };
    let store = connect(redis.url()).await;
    assert_eq!(store.commit(HERE, once("a")).await.unwrap(), Outcome::Committed);
    redis.kill9();
    let refused = || async { store.commit(HERE, once("b")).await.err() };
    let error = until("an error", refused).await;
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    redis.restart().await.unwrap();
    ready(&*store).await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_promoted_replica_is_found() {
    let Some(mut servers) = RedisSentinel::start().await else {
        return;
    };
    let store = connect(&servers.url()).await;
    assert_eq!(store.commit(HERE, once("a")).await.unwrap(), Outcome::Committed);
    servers.replicated().await.unwrap();
    let before = store.incarnation(HERE).await.unwrap();
    servers.kill9_master();
    let commit = once("b");
    let happened = || async {
        let outcome = store.commit(HERE, commit.clone()).await.ok()?;
        (outcome == Outcome::Committed || is_conflict(&outcome)).then_some(())
    };
    until("a commit at the new master", happened).await;
    assert_eq!(names(&*store, HERE).await.unwrap(), ["a", "b"]);
    let another = || async { store.incarnation(HERE).await.ok().filter(|present| *present != before) };
    until("another incarnation", another).await;
}
