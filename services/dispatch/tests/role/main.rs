//! The role over stand-ins for store, broker and adapter, on a clock that runs ahead while nothing happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it is surprised")]

mod adapter;
mod campaign;
mod fakes;
mod gateway;

use adapter::{Act, FakeAdapter};
use gateway::{Gateway, eventually, text};
use omnigate_core::account::Limits;
use omnigate_core::consent::{MarketingDefault, MarketingDefaults};
use omnigate_core::keys;
use omnigate_core::port::broker::{Broker as _, Publication};
use omnigate_core::topology;
use omnigate_dispatch::Settings;
use omnigate_proto::v1::{DeliveryState, ErrorClass, Lane, UnknownPolicy};
use omnigate_rpc::v1::adapter_service_client::AdapterServiceClient;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;

#[tokio::test(start_paused = true)]
async fn a_hinted_message_leaves_once_however_often_it_is_hinted() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let id = gateway.send("one", "42").await;
    gateway.hint(id).await;
    gateway.hint(id).await;
    gateway.until(id, DeliveryState::Sent).await;
    eventually(|| async { gateway.broker.left() == 0 }).await;
    assert_eq!(adapter.count(), 1);
    {
        let sent = adapter.sent();
        let (request, trace, _) = &sent[0];
        assert_eq!((text(request).as_str(), request.attempt, request.piece), ("one", 1, 0));
        assert!(trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && !trace.contains("b7ad6b7169203331"));
    }
    eventually(|| async { gateway.store.members(&keys::timers()) == 0 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_are_published_and_taken_out() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter, Limits::default());
    let id = gateway.send("one", "42").await;
    gateway.until(id, DeliveryState::Sent).await;
    // What the api committed stays for the scheduler; the change of state is ours.
    eventually(|| async { gateway.store.members(&keys::outbox()) == 3 }).await;
    let logs = topology::event_logs(16).map(|partition| gateway.broker.log(&topology::events(partition)).len());
    assert_eq!(logs.sum::<usize>(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_thread_leave_in_order_piece_by_piece() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 2);
    for name in ["a", "b", "c"] {
        gateway.send(name, "42").await;
    }
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    eventually(|| async { adapter.count() == 6 }).await;
    let sent = adapter.sent();
    let order: Vec<(String, u32)> = sent.iter().map(|(one, ..)| (text(one), one.piece)).collect();
    let expected = ["a", "b", "c"]
        .iter()
        .flat_map(|name| [((*name).to_owned(), 0), ((*name).to_owned(), 1)]);
    assert_eq!(order, expected.collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_durable_intent_nobody_is_called() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    gateway.broker.refuse(&topology::intents(), true);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let first = gateway.send("one", "42").await;
    let second = gateway.send("two", "43").await;
    gateway.until(first, DeliveryState::Deferred).await;
    assert_eq!(adapter.count(), 0);
    gateway.broker.refuse(&topology::intents(), false);
    let third = gateway.send("three", "44").await;
    gateway.until(third, DeliveryState::Sent).await;
    assert!(gateway.record(second).await.delivery.unwrap().attempts <= 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn where_advertising_needs_consent_it_is_refused_without_a_call() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let settings = Settings {
        marketing: MarketingDefaults {
            by_channel: [("telegram".to_owned(), MarketingDefault::Required)].into(),
            ..MarketingDefaults::default()
        },
        ..Settings::default()
    };
    let running = gateway.dispatch_with(adapter.clone(), Limits::default(), settings);
    let refused = gateway.send("ad", "42").await;
    gateway.until(refused, DeliveryState::Skipped).await;
    let error = gateway.record(refused).await.delivery.unwrap().error.unwrap();
    assert_eq!(
        (error.class(), error.provider_code.as_str()),
        (ErrorClass::Refused, "no_consent")
    );
    let answer = gateway.send("answer", "42").await;
    gateway.until(answer, DeliveryState::Sent).await;
    assert_eq!(adapter.count(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_account_rests() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    adapter.will(Act::Fail(ErrorClass::Throttled, 20_000));
    let first = gateway.send("one", "42").await;
    gateway.until(first, DeliveryState::Deferred).await;
    let second = gateway.send("two", "43").await;
    gateway.until(second, DeliveryState::Sent).await;
    let sent = adapter.sent();
    let rested = sent[1].2 - sent[0].2;
    assert!(rested >= Duration::from_millis(19_900), "{rested:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_faster_than_the_account_may() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    for number in 0..60 {
        gateway.send(&format!("m{number}"), &format!("{number}")).await;
    }
    let limits = Limits {
        messages_per_second: Some(10.0),
        messages_per_second_per_thread: None,
    };
    let running = gateway.dispatch(adapter.clone(), limits);
    eventually(|| async { adapter.count() == 60 }).await;
    let sent = adapter.sent();
    for window in sent.windows(22) {
        let took = window[21].2 - window[0].2;
        assert!(
            took >= Duration::from_millis(990),
            "22 messages in {took:?} at 10 a second"
        );
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_thread_is_written_to_no_faster_than_it_may() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    for name in ["a", "b", "c"] {
        gateway.send(name, "42").await;
    }
    let limits = Limits {
        messages_per_second: None,
        messages_per_second_per_thread: Some(1.0),
    };
    let running = gateway.dispatch(adapter.clone(), limits);
    eventually(|| async { adapter.count() == 3 }).await;
    let sent = adapter.sent();
    assert!(
        sent.windows(2)
            .all(|pair| pair[1].2 - pair[0].2 >= Duration::from_millis(990))
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_claimed_and_no_hint_is_lost() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let id = gateway.send("one", "42").await;
    gateway.store.away.store(true, Ordering::SeqCst);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((adapter.count(), gateway.broker.left()), (0, 1));
    gateway.store.away.store(false, Ordering::SeqCst);
    gateway.until(id, DeliveryState::Sent).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_outlives_the_store() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    adapter.gate.forget_permits(Semaphore::MAX_PERMITS);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let id = gateway.send("one", "42").await;
    gateway.until(id, DeliveryState::Submitting).await;
    gateway.store.away.store(true, Ordering::SeqCst);
    adapter.gate.add_permits(1);
    eventually(|| async { adapter.count() == 1 }).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    gateway.store.away.store(false, Ordering::SeqCst);
    gateway.until(id, DeliveryState::Sent).await;
    assert_eq!(adapter.count(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_unknown() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    for act in [Act::Status(tonic::Status::internal("x")), Act::Never] {
        adapter.will(act);
        let name = format!("m{}", adapter.count());
        let id = gateway.send(&name, &name).await;
        gateway.until(id, DeliveryState::Unknown).await;
    }
    assert_eq!(adapter.count(), 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_is_away_is_not_tried_again_and_again() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    adapter.away.store(true, Ordering::SeqCst);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let id = gateway.send("one", "42").await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((adapter.count(), gateway.broker.left()), (0, 1));
    adapter.away.store(false, Ordering::SeqCst);
    gateway.until(id, DeliveryState::Sent).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_panics_costs_one_message_its_certainty_and_no_other() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    adapter.will(Act::Panic);
    let lost = gateway.send("one", "42").await;
    eventually(|| async { adapter.count() == 1 }).await;
    let id = gateway.send("two", "43").await;
    gateway.until(id, DeliveryState::Sent).await;
    assert_eq!(
        gateway.record(lost).await.delivery.unwrap().state(),
        DeliveryState::Submitting
    );
    assert_eq!(adapter.count(), 2, "the hint that came back is not sent again");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_bulk_lane_gets_what_is_left_and_never_starves() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    for number in 0..80 {
        let (urgent, bulk) = (format!("t{number}"), format!("b{number}"));
        gateway.send(&urgent, &urgent).await;
        gateway
            .send_through(&bulk, &bulk, Lane::Bulk, UnknownPolicy::Report)
            .await;
    }
    let limits = Limits {
        messages_per_second: Some(20.0),
        messages_per_second_per_thread: None,
    };
    let running = gateway.dispatch(adapter.clone(), limits);
    eventually(|| async { adapter.count() == 160 }).await;
    let sent = adapter.sent();
    let bulk = sent[..80].iter().filter(|(one, ..)| text(one).starts_with('b')).count();
    assert!((5..=15).contains(&bulk), "{bulk} of the first 80");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_the_call_in_flight_and_begins_nothing() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    adapter.gate.forget_permits(Semaphore::MAX_PERMITS);
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let id = gateway.send("one", "42").await;
    gateway.until(id, DeliveryState::Submitting).await;
    let stopped = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late = gateway.send("two", "43").await;
    adapter.gate.add_permits(10);
    stopped.await.unwrap();
    assert_eq!(gateway.record(id).await.delivery.unwrap().state(), DeliveryState::Sent);
    assert_eq!(
        gateway.record(late).await.delivery.unwrap().state(),
        DeliveryState::Planned
    );
    assert_eq!((adapter.count(), gateway.broker.left()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    adapter.will(Act::Never);
    let settings = Settings {
        drain_within: Duration::from_secs(3),
        ..Settings::default()
    };
    let running = gateway.dispatch_with(adapter.clone(), Limits::default(), settings);
    let id = gateway.send("one", "42").await;
    eventually(|| async { adapter.count() == 1 }).await;
    tokio::time::timeout(Duration::from_secs(10), running.stop())
        .await
        .unwrap();
    let record = gateway.record(id).await;
    assert!(record.timer_ms > 0, "its recovery will settle it");
    assert_eq!(gateway.broker.left(), 1, "the hint is not acknowledged");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_hint_is_parked() {
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    let running = gateway.dispatch(adapter, Limits::default());
    let publication = Publication {
        queue: topology::outbound("bot", Lane::Transactional),
        body: bytes::Bytes::from_static(b"\xff\xff"),
        traceparent: String::new(),
    };
    gateway.broker.publish(vec![publication]).await;
    eventually(|| async { gateway.broker.parked() == 1 && gateway.broker.left() == 0 }).await;
    running.stop().await;
}

/// Over a real client: what a refused connection looks like is the client's business.
#[tokio::test]
async fn a_refused_connection_proves_that_nothing_left() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap().connect_lazy();
    let status = AdapterServiceClient::new(channel)
        .send(omnigate_proto::v1::SendRequest::default())
        .await
        .unwrap_err();
    let gateway = Gateway::new();
    let adapter = FakeAdapter::new(&gateway.broker, 1);
    adapter.will(Act::Status(status));
    let running = gateway.dispatch(adapter.clone(), Limits::default());
    let id = gateway.send("one", "42").await;
    gateway.until(id, DeliveryState::Deferred).await;
    running.stop().await;
}
