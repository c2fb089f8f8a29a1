//! The servers start, stop and come back, and the proxy does what it is told.

use omnigate_servers::{
    proxy::{Direction, Proxy},
    redis::{Redis, RedisCluster, RedisSentinel},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(5);
const NOTHING: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_killed_redis_comes_back_with_its_data() {
    let Some(mut redis) = Redis::start().await else { return };
    assert_eq!(redis.command("SET a 1").await.unwrap(), "+OK");
    redis.kill9();
    redis.command("GET a").await.unwrap_err();
    redis.restart().await.unwrap();
    assert_eq!(redis.command("GET a").await.unwrap(), "1");
}

#[tokio::test]
async fn a_shared_redis_is_the_same_one() {
    let Some(one) = Redis::shared().await else { return };
    let other = Redis::shared().await.unwrap();
    assert_eq!(one.url(), other.url());
    assert_eq!(one.command("PING").await.unwrap(), "+PONG");
}

#[tokio::test]
async fn a_cluster_forms_and_moves_slots() {
    let Some(mut cluster) = RedisCluster::start().await else {
        return;
    };
    assert_eq!(cluster.url().matches("127.0.0.1:").count(), 3);
    cluster.move_slot(0, 2).await.unwrap();
    cluster.kill9(1);
    cluster.restart().await.unwrap();
}

#[tokio::test]
async fn a_replica_takes_over_without_what_it_was_not_given() {
    let Some(mut cluster) = RedisCluster::start_replicated().await else {
        return;
    };
    cluster.cut_replication(0).await.unwrap();
    cluster.kill9(0);
    cluster.promoted(3).await.unwrap();
    cluster.rejoin(0).await.unwrap();
}

#[tokio::test]
async fn a_sentinel_watches() {
    let Some(sentinel) = RedisSentinel::start().await else {
        return;
    };
    sentinel.replicated().await.unwrap();
    assert!(sentinel.url().ends_with("/omnigate"));
}

async fn ping(stream: &mut TcpStream) -> Option<Vec<u8>> {
    stream.write_all(b"PING\r\n").await.ok()?;
    let mut reply = vec![0; 7];
    let read = stream.read_exact(&mut reply).await;
    read.is_ok().then_some(reply)
}

#[tokio::test]
async fn the_proxy_cuts_heals_and_pauses() {
    let Some(redis) = Redis::shared().await else { return };
    let proxy = Proxy::start(redis.addr()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ping(&mut stream).await.unwrap(), b"+PONG\r\n");
    assert_eq!(proxy.connections(), 1);

    proxy.pause();
    timeout(NOTHING, ping(&mut stream)).await.unwrap_err();
    proxy.resume();
    let mut reply = [0; 7];
    timeout(SOON, stream.read_exact(&mut reply)).await.unwrap().unwrap();

    proxy.cut();
    assert_eq!(timeout(SOON, ping(&mut stream)).await.unwrap(), None);
    let mut closed = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(timeout(SOON, ping(&mut closed)).await.unwrap(), None);

    proxy.heal();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(ping(&mut stream).await.unwrap(), b"+PONG\r\n");
}

#[tokio::test]
async fn the_proxy_cuts_after_so_many_bytes() {
    let Some(redis) = Redis::shared().await else { return };
    let proxy = Proxy::start(redis.addr()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    proxy.cut_after_bytes(10, Direction::ToClient);
    assert_eq!(ping(&mut stream).await.unwrap(), b"+PONG\r\n");
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap().ok();
    assert_eq!(rest, b"+PO");
}
