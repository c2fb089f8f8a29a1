//! RabbitMQ: what only a server at the end of a connection can do to us.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails that way"
)]

#[path = "contract/rig.rs"]
#[expect(dead_code, reason = "the contract suite uses more of it")]
mod rig;

use lapin::{
    Connection, ConnectionProperties,
    options::{BasicConsumeOptions, BasicNackOptions},
    types::FieldTable,
};
use omnigate_broker::{
    OpenError,
    rabbitmq::{Options, RabbitBroker},
};
use omnigate_core::port::broker::{Broker, BrokerError, PublishError, QueueName, QueueSpec, Settled, Topology};
use omnigate_proto::{state::v1::Parked, v1::ParkedItem};
use omnigate_servers::{proxy::Direction, rabbitmq::RabbitMq};
use prost::Message as _;
use rig::{PATIENCE, Rig, WallClock, ack, next, publication, take, text};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, timeout},
};

/// Publishes numbers until told to stop; returns those that were confirmed.
fn publish_under_load(
    broker: Arc<dyn Broker>,
    queue: QueueName,
    publishers: usize,
    stop: Arc<AtomicBool>,
) -> Vec<JoinHandle<Vec<String>>> {
    let publish = |publisher| {
        let (broker, queue, stop) = (Arc::clone(&broker), queue.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut confirmed = Vec::new();
            for number in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let texts = [0, 1, 2].map(|part| format!("{publisher}-{number}-{part}"));
                let messages = texts.iter().map(|text| publication(&queue, text)).collect();
                let answers = broker.publish(messages).await;
                confirmed.extend(
                    texts
                        .into_iter()
                        .zip(answers)
                        .filter(|(_, answer)| answer.is_ok())
                        .map(|(text, _)| text),
                );
            }
            confirmed
        })
    };
    (0..publishers).map(publish).collect()
}

async fn all(publishers: Vec<JoinHandle<Vec<String>>>) -> BTreeSet<String> {
    let mut confirmed = BTreeSet::new();
    for publisher in publishers {
        confirmed.extend(timeout(PATIENCE, publisher).await.expect("a publisher hangs").unwrap());
    }
    confirmed
}

/// Takes everything from a queue, subscribing again whenever the subscription ends.
async fn drain(broker: &dyn Broker, queue: &QueueName, wanted: &BTreeSet<String>) {
    let mut missing = wanted.clone();
    let deadline = Instant::now() + PATIENCE;
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "{} of {} lost", missing.len(), wanted.len());
        let Ok(mut subscription) = broker.subscribe(queue, 100).await else {
            continue;
        };
        while let Ok(Some(delivery)) = timeout(Duration::from_secs(5), subscription.next()).await {
            missing.remove(&text(&delivery));
            delivery.settle.ack().await;
            if missing.is_empty() {
                return;
            }
        }
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_loses_no_confirmed_publication() {
    let Some(rig) = Rig::rabbitmq().await else { return };
    let queue = rig.queue(true).await;
    let (broker, proxy) = (rig.broker(), rig.proxy().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let publishers = publish_under_load(Arc::clone(&broker), queue.clone(), 4, Arc::clone(&stop));
    for (bytes, direction) in [
        (2_000, Direction::ToServer),
        (1_000, Direction::ToClient),
        (30_000, Direction::ToServer),
    ] {
        until("connected", || broker.is_connected()).await;
        proxy.cut_after_bytes(bytes, direction);
        until("cut", || proxy.connections() == 0 && !broker.is_connected()).await;
        proxy.heal();
    }
    until("connected", || broker.is_connected()).await;
    stop.store(true, Ordering::SeqCst);
    let confirmed = all(publishers).await;
    assert!(!confirmed.is_empty());
    drain(&*broker, &queue, &confirmed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_ends_subscriptions_makes_settlements_stale_and_brings_deliveries_again() {
    let Some(rig) = Rig::rabbitmq().await else { return };
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["a", "b", "c", "d", "e"]).await;
    let (broker, proxy) = (rig.broker(), rig.proxy().unwrap());
    let mut subscription = broker.subscribe(&queue, 3).await.unwrap();
    let mut held = take(&mut subscription, 3).await;
    ack(held.remove(0)).await;
    proxy.cut();
    let ended = timeout(PATIENCE, async { while subscription.next().await.is_some() {} });
    ended.await.expect("the subscription did not end");
    assert_eq!(held.remove(0).settle.ack().await, Settled::Stale);
    assert!(!broker.is_connected());
    assert_eq!(held.remove(0).settle.retry(Duration::ZERO).await, Settled::Stale);
    proxy.heal();
    let mut subscription = broker.subscribe(&queue, 3).await.unwrap();
    let held = take(&mut subscription, 3).await;
    rig::nothing_for(&mut subscription, Duration::from_millis(300)).await;
    let mut texts = BTreeSet::new();
    for delivery in held {
        texts.insert((text(&delivery), delivery.attempt > 1));
        ack(delivery).await;
    }
    texts.insert((text(&next(&mut subscription).await), false));
    let expected = [("b", true), ("c", true), ("d", true), ("d", false), ("e", false)];
    let expected: BTreeSet<_> = expected.map(|(text, again)| (text.to_owned(), again)).into();
    assert!(texts.is_subset(&expected) && texts.len() == 4, "{texts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_fails_publications_by_their_deadline() {
    let Some(rig) = Rig::rabbitmq().await else { return };
    let Some(server) = RabbitMq::shared().await else { return };
    let proxy = omnigate_servers::proxy::Proxy::start(server.addr()).await.unwrap();
    let options = Options {
        namespace: rig.name("silent"),
        publish_limit: Duration::from_millis(500),
        ..Options::new(Arc::new(WallClock))
    };
    let broker = RabbitBroker::connect(&server.url_through(proxy.addr()), options)
        .await
        .unwrap();
    let queue = rig.queue(true).await;
    proxy.pause();
    let begun = Instant::now();
    let answers = broker.publish(vec![publication(&queue, "late")]).await;
    assert!(
        matches!(&answers[..], [Err(PublishError::Unconfirmed(_))]),
        "{answers:?}"
    );
    assert!(begun.elapsed() >= Duration::from_millis(500) && begun.elapsed() < Duration::from_secs(5));
    proxy.resume();
    let deadline = Instant::now() + PATIENCE;
    while broker.publish(vec![publication(&queue, "in time")]).await[0].is_err() {
        assert!(Instant::now() < deadline, "never confirmed again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_returned_message_is_never_taken_for_another() {
    let Some(rig) = Rig::rabbitmq().await else { return };
    let queue = rig.queue(true).await;
    let missing = QueueName(rig.name("missing"));
    let mut tasks = tokio::task::JoinSet::new();
    for publisher in 0..8 {
        let (broker, queue, missing) = (rig.broker(), queue.clone(), missing.clone());
        tasks.spawn(async move {
            for number in 0..100 {
                let lost = (publisher + number) % 3 == 0;
                let messages = vec![
                    publication(if lost { &missing } else { &queue }, "a"),
                    publication(&queue, "b"),
                ];
                let answers = broker.publish(messages).await;
                assert_eq!(
                    matches!(answers[0], Err(PublishError::Unroutable(_))),
                    lost,
                    "{answers:?}"
                );
                assert!(lost || answers[0].is_ok(), "{answers:?}");
                assert!(answers[1].is_ok(), "{answers:?}");
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_dead_letters_reads_like_what_we_park() {
    let Some(rig) = Rig::rabbitmq().await else { return };
    let Some(server) = RabbitMq::shared().await else { return };
    let queue = rig.queue(true).await;
    rig.publish(&queue, ["bad"]).await;
    let raw = Connection::connect(server.url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = raw.create_channel().await.unwrap();
    let consuming = channel.basic_consume(
        queue.0.as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = consuming.await.unwrap();
    let rejected = futures_util::StreamExt::next(&mut consumer).await.unwrap().unwrap();
    rejected
        .nack(BasicNackOptions {
            requeue: false,
            ..BasicNackOptions::default()
        })
        .await
        .unwrap();
    let mut parked = rig.broker().subscribe(&rig.parked(), 5).await.unwrap();
    let delivery = next(&mut parked).await;
    let item = ParkedItem::decode(Parked::decode(delivery.body.clone()).unwrap().item).unwrap();
    assert_eq!(
        (item.reason.as_str(), item.origin.as_str()),
        ("rejected", queue.0.as_str())
    );
    assert_eq!((item.body.as_ref(), item.attempts >= 1), (&b"bad"[..], true));
    assert!(item.parked_at.is_some() && item.parked_id.starts_with("prk_"));
    ack(delivery).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_of_several_rungs_is_kept() {
    let Some(rig) = Rig::rabbitmq().await else { return };
    let queue = rig.queue(false).await;
    rig.publish(&queue, ["late"]).await;
    let mut subscription = rig.broker().subscribe(&queue, 1).await.unwrap();
    let begun = Instant::now();
    let after = Duration::from_millis(6_400);
    assert_eq!(next(&mut subscription).await.settle.retry(after).await, Settled::Done);
    // By now it came down from the rung of five seconds, too early, and is on its way to the next.
    let waiting = tokio::time::timeout(Duration::from_millis(5_400), subscription.next()).await;
    assert!(waiting.is_err(), "early: {:?}", begun.elapsed());
    rig.publish(&queue, ["other"]).await;
    let other = next(&mut subscription).await;
    assert_eq!(text(&other), "other", "held up");
    ack(other).await;
    let delivery = next(&mut subscription).await;
    assert!(begun.elapsed() >= after, "early: {:?}", begun.elapsed());
    assert_eq!(delivery.attempt, 2, "waiting is no delivery");
    ack(delivery).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_no_confirmed_publication() {
    let Some(mut server) = RabbitMq::start().await else {
        return;
    };
    let rig = Rig::on(&server).await;
    let queue = rig.queue(true).await;
    let stop = Arc::new(AtomicBool::new(false));
    let publishers = publish_under_load(rig.broker(), queue.clone(), 4, Arc::clone(&stop));
    let settling = {
        let (broker, queue, stop) = (rig.broker(), queue.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::SeqCst) {
                let Ok(mut subscription) = broker.subscribe(&queue, 50).await else {
                    continue;
                };
                while let Ok(Some(delivery)) = timeout(Duration::from_secs(1), subscription.next()).await {
                    seen.insert(text(&delivery));
                    delivery.settle.ack().await;
                }
            }
            seen
        })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.kill9();
    until("noticed", || !rig.broker().is_connected()).await;
    server.restart().await.unwrap();
    until("connected again", || rig.broker().is_connected()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::SeqCst);
    let confirmed = all(publishers).await;
    let seen = timeout(PATIENCE, settling).await.unwrap().unwrap();
    let missing: BTreeSet<String> = confirmed.difference(&seen).cloned().collect();
    drain(&*rig.broker(), &queue, &missing).await;
    server.close_all_connections().await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while rig.broker().publish(vec![publication(&queue, "after")]).await[0].is_err() {
        assert!(Instant::now() < deadline, "not back after its connections were closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_is_declared_again_after_a_reconnect() {
    let Some(server) = RabbitMq::start().await else { return };
    let url = server.virtual_host("own").await.unwrap();
    let broker = RabbitBroker::connect(&url, Options::new(Arc::new(WallClock)))
        .await
        .unwrap();
    let queue = QueueName("omnigate.test".to_owned());
    let spec = QueueSpec {
        name: queue.clone(),
        ordered: true,
        journal: None,
        max_length: 10,
    };
    broker
        .declare(Topology {
            queues: vec![spec],
            logs: vec![],
        })
        .await
        .unwrap();
    server.control(&["delete_vhost", "own"]).await.unwrap();
    until("cut off", || !broker.is_connected()).await;
    server.virtual_host("own").await.unwrap();
    until("connected again", || broker.is_connected()).await;
    assert!(broker.publish(vec![publication(&queue, "a")]).await[0].is_ok());
    let refused = RabbitBroker::connect(&url.replace("/own", "/no"), Options::new(Arc::new(WallClock))).await;
    assert!(matches!(refused.err(), Some(BrokerError::Unusable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_cannot_succeed_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |url: &str| match omnigate_broker::open(url, folder.path(), Arc::new(WallClock)).await {
        Ok(_) => panic!("opened {url}"),
        Err(error) => error,
    };
    for wrong in ["http://x", "amq://secret@x", "rabbit"] {
        let error = open(wrong).await;
        assert!(
            matches!(error, OpenError::Url(_)) && !error.to_string().contains("secret"),
            "{error}"
        );
    }
    let error = open("amqp://user:secret@host:port").await.to_string();
    assert!(error.contains("broker.url") && !error.contains("secret"), "{error}");
    if let Some(server) = RabbitMq::shared().await {
        let error = open(&server.url().replace("guest:guest", "guest:secret")).await;
        assert!(
            matches!(error, OpenError::RabbitMq(BrokerError::Unusable(_))),
            "{error}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let options = Options {
        connect_limit: Duration::from_millis(600),
        ..Options::new(Arc::new(WallClock))
    };
    let error = RabbitBroker::connect("amqp://127.0.0.1:1", options)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap());
    let old = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 8]).await.unwrap();
        let field = |name: &str, value: &str| {
            let length = u32::try_from(value.len()).unwrap().to_be_bytes();
            [
                &[u8::try_from(name.len()).unwrap()],
                name.as_bytes(),
                b"S",
                &length[..],
                value.as_bytes(),
            ]
            .concat()
        };
        let table = [field("product", "RabbitMQ"), field("version", "3.9.29")].concat();
        let length = u32::try_from(table.len()).unwrap().to_be_bytes();
        let payload = [
            &[0, 10, 0, 10, 0, 9][..],
            &length,
            &table,
            &[0, 0, 0, 5],
            b"PLAIN",
            &[0, 0, 0, 5],
            b"en_US",
        ]
        .concat();
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        stream
            .write_all(&[&[1, 0, 0][..], &length, &payload, &[0xce]].concat())
            .await
            .unwrap();
    });
    let error = RabbitBroker::connect(&url, Options::new(Arc::new(WallClock)))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, BrokerError::Unusable(text) if text.contains("3.9.29") && text.contains("3.10")),
        "{error}"
    );
    old.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_does_not_come_again_after_a_cut() {
    let Some(rig) = Rig::rabbitmq().await else { return };
    let queue = rig.queue(true).await;
    let (broker, proxy) = (rig.broker(), rig.proxy().unwrap());
    rig.publish(&queue, (0..400).map(|number| number.to_string())).await;
    let mut done = BTreeSet::new();
    for round in 0..8 {
        let mut subscription = broker.subscribe(&queue, 20).await.unwrap();
        // Somewhere among the acknowledgements, which take about 21 bytes each.
        proxy.cut_after_bytes(40 + 37 * round, Direction::ToServer);
        while let Ok(Some(delivery)) = timeout(PATIENCE, subscription.next()).await {
            let text = text(&delivery);
            assert!(!done.contains(&text), "{text} came again");
            if delivery.settle.ack().await == Settled::Done {
                done.insert(text);
            }
        }
        until("noticed", || !broker.is_connected()).await;
        proxy.heal();
    }
    assert!(done.len() > 8, "{}", done.len());
}
