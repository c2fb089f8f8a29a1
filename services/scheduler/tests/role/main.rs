//! The role over stand-ins for store and broker, on a clock that runs ahead while nothing happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it is surprised")]

mod campaigns;
mod custody;
#[path = "../../../dispatch/tests/role/fakes.rs"]
mod fakes;
mod gateway;
mod repairs;
mod reseal;
mod webhooks;

use bytes::Bytes;
use gateway::{Gateway, eventually};
use omnigate_core::delivery::{LEASE_TIME, RECOVERY_MARGIN};
use omnigate_core::keys;
use omnigate_core::port::Clock as _;
use omnigate_core::port::broker::{Broker as _, Publication};
use omnigate_core::protocol::park;
use omnigate_core::topology;
use omnigate_proto::state::v1::{CustomerEventBatch, EventBatch, Parked, Stamped};
use omnigate_proto::v1::{
    AcquireRequest, CheckpointRequest, DeliveryState, Event, Lane, LocateRequest, ParkedItem, ReleaseRequest,
    RenewRequest,
};
use omnigate_rpc::auth::{Caller, Scopes};
use omnigate_rpc::error::reason;
use omnigate_rpc::v1::session_service_server::SessionService as _;
use prost::Message as _;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::{Code, Request, Status};

#[tokio::test(start_paused = true)]
async fn a_message_is_hinted_when_its_time_has_come() {
    let gateway = Gateway::new();
    let running = gateway.schedule();
    let id = gateway.send("one", "42", Duration::from_secs(90)).await;
    let queue = topology::outbound("bot", Lane::Transactional);
    tokio::time::sleep(Duration::from_secs(89)).await;
    assert_eq!(gateway.broker.published(&queue), 0);
    let due = gateway.clock.now() + Duration::from_secs(1);
    eventually(|| async { gateway.broker.published(&queue) > 0 }).await;
    let late = gateway.clock.now().since(due);
    assert!(late < Duration::from_millis(1500), "{late:?} late");
    assert_eq!(gateway.state(id).await, DeliveryState::Planned);
    // Nobody takes the hint: it comes again.
    eventually(|| async { gateway.broker.published(&queue) > 2 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_account_that_is_gone_lapses() {
    let gateway = Gateway::new();
    let running = gateway.schedule_without_accounts();
    let id = gateway.send("one", "42", Duration::ZERO).await;
    eventually(|| async { gateway.state(id).await == DeliveryState::Expired }).await;
    assert_eq!(
        gateway
            .broker
            .published(&topology::outbound("bot", Lane::Transactional)),
        0
    );
    eventually(|| async { gateway.store.members(&keys::timers()) == 0 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_submission_nobody_reports_on_is_given_up_and_the_next_message_hinted() {
    let gateway = Gateway::new();
    let lost = gateway.send("one", "42", Duration::ZERO).await;
    gateway.begin(lost).await;
    let begun = gateway.clock.now();
    gateway.send("two", "42", Duration::ZERO).await;
    let running = gateway.schedule();
    eventually(|| async { gateway.state(lost).await == DeliveryState::Unknown }).await;
    assert!(gateway.clock.now().since(begun) >= LEASE_TIME + RECOVERY_MARGIN);
    let queue = topology::outbound("bot", Lane::Transactional);
    eventually(|| async { gateway.broker.published(&queue) > 0 }).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_that_nobody_published_are_published_once() {
    let gateway = Gateway::new();
    gateway.send("one", "42", Duration::ZERO).await;
    assert!(gateway.store.members(&keys::outbox()) > 0);
    let running = gateway.schedule();
    eventually(|| async { gateway.store.members(&keys::outbox()) == 0 }).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let logs = topology::event_logs(16).flat_map(|partition| gateway.broker.log(&topology::events(partition)));
    let published = logs.map(|body| CustomerEventBatch::decode(body).unwrap().events.len());
    assert_eq!(published.sum::<usize>(), 3);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn schedulers_share_the_shards_and_take_over() {
    let gateway = Gateway::new();
    let first = gateway.schedule();
    eventually(|| async { first.groups() == 16 }).await;
    let second = gateway.schedule();
    eventually(|| async { first.groups() == 8 && second.groups() == 8 }).await;
    first.stop().await;
    eventually(|| async { second.groups() == 16 }).await;
    let third = gateway.schedule();
    eventually(|| async { third.groups() == 8 }).await;
    // One that dies keeps its share until its leases lapse.
    second.kill();
    eventually(|| async { third.groups() == 16 }).await;
    third.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_scheduler_is_quiet() {
    let gateway = Gateway::new();
    let running = gateway.schedule();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = gateway.store.reads.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let a_second = (gateway.store.reads.load(Ordering::SeqCst) - before) / 10;
    assert!(a_second < 600, "{a_second} reads a second");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_lost() {
    let gateway = Gateway::new();
    gateway.send("one", "42", Duration::from_secs(5)).await;
    let running = gateway.schedule();
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.store.away.store(true, Ordering::SeqCst);
    gateway.park(&item("unknown_account", b"x")).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let queue = topology::outbound("bot", Lane::Transactional);
    assert_eq!(
        (gateway.broker.published(&queue), gateway.store.members(&keys::parked())),
        (0, 0)
    );
    gateway.store.away.store(false, Ordering::SeqCst);
    eventually(|| async { gateway.broker.published(&queue) > 0 }).await;
    eventually(|| async { gateway.store.members(&keys::parked()) == 1 }).await;
    running.stop().await;
}

fn item(reason: &str, body: &[u8]) -> ParkedItem {
    ParkedItem {
        reason: reason.into(),
        body: Bytes::copy_from_slice(body),
        ..ParkedItem::default()
    }
}

#[tokio::test(start_paused = true)]
async fn parked_messages_reach_the_store_once() {
    let gateway = Gateway::new();
    let running = gateway.schedule();
    for _ in 0..2 {
        gateway.park(&item("unknown_account", b"x")).await;
    }
    eventually(|| async { gateway.broker.left() == 0 && gateway.store.members(&keys::parked()) == 1 }).await;
    let (items, _) = park::list(&gateway.context(), &[""], None, 10).await.unwrap();
    assert_eq!(items[0].reason, "unknown_account");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_the_broker_parked_becomes_one_item_for_each_event() {
    let gateway = Gateway::new();
    let running = gateway.schedule();
    let stamped = |id: &str| {
        let event = Event {
            event_id: id.into(),
            tenant_id: "t".into(),
            ..Event::default()
        };
        Stamped {
            event: event.encode_to_vec().into(),
            ..Stamped::default()
        }
    };
    let batch = EventBatch {
        events: vec![stamped("a"), stamped("b")],
    };
    let parked = ParkedItem {
        origin: "omnigate.inbound.03".into(),
        ..item("delivery_limit", &batch.encode_to_vec())
    };
    gateway.park(&parked).await;
    eventually(|| async { gateway.store.members(&keys::parked()) == 2 }).await;
    let (items, _) = park::list(&gateway.context(), &["t"], None, 10).await.unwrap();
    assert!(items.len() == 2 && items.iter().all(|item| item.reason == "delivery_limit"));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_on_the_parked_queue_is_kept_too() {
    let gateway = Gateway::new();
    let running = gateway.schedule();
    let publication = Publication {
        queue: topology::parked(),
        body: Bytes::from_static(b"\xff\xff"),
        traceparent: String::new(),
    };
    gateway.broker.publish(vec![publication]).await;
    eventually(|| async { gateway.broker.left() == 0 && gateway.store.members(&keys::parked()) == 1 }).await;
    let (items, _) = park::list(&gateway.context(), &[""], None, 10).await.unwrap();
    assert_eq!(items[0].reason, "undecodable");
    let broken = Parked {
        item: Bytes::from_static(b"\xff"),
    };
    gateway.park_body(broken.encode_to_vec().into()).await;
    eventually(|| async { gateway.store.members(&keys::parked()) == 2 }).await;
    running.stop().await;
}

pub(crate) fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller::internal());
    request
}

fn acquire(owner: &str) -> Request<AcquireRequest> {
    asked(AcquireRequest {
        account_id: "bot".into(),
        owner_id: owner.into(),
        ..AcquireRequest::default()
    })
}

fn renew(owner: &str, epoch: u64) -> Request<RenewRequest> {
    asked(RenewRequest {
        account_id: "bot".into(),
        owner_id: owner.into(),
        epoch,
        session: String::new(),
    })
}

fn checkpoint(owner: &str, epoch: u64, cursor: &'static [u8]) -> Request<CheckpointRequest> {
    asked(CheckpointRequest {
        account_id: "bot".into(),
        owner_id: owner.into(),
        epoch,
        cursor: Bytes::from_static(cursor),
        session: String::new(),
    })
}

pub(crate) fn why(status: &Status) -> (Code, String) {
    (status.code(), reason(status).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_session_has_one_owner_and_keeps_its_cursor() {
    let gateway = Gateway::new();
    let sessions = gateway.sessions();
    let first = sessions.acquire(acquire("a")).await.unwrap().into_inner();
    assert!(first.cursor.is_empty() && first.lease_ms == 15_000);
    let held = sessions.acquire(acquire("b")).await.unwrap_err();
    assert_eq!(why(&held), (Code::FailedPrecondition, "SESSION_HELD".into()));
    sessions.checkpoint(checkpoint("a", first.epoch, b"7")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    sessions.renew(renew("a", first.epoch)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(sessions.acquire(acquire("b")).await.is_err());
    tokio::time::sleep(Duration::from_secs(6)).await;
    let second = sessions.acquire(acquire("b")).await.unwrap().into_inner();
    assert!(second.epoch > first.epoch && second.cursor == b"7".as_slice());
    let lost = sessions
        .checkpoint(checkpoint("a", first.epoch, b"8"))
        .await
        .unwrap_err();
    assert_eq!(why(&lost), (Code::Aborted, "SESSION_LOST".into()));
    let lost = sessions.renew(renew("a", first.epoch)).await.unwrap_err();
    assert_eq!(why(&lost), (Code::Aborted, "SESSION_LOST".into()));
    let release = |owner: &str, epoch| {
        asked(ReleaseRequest {
            account_id: "bot".into(),
            owner_id: owner.into(),
            epoch,
            session: String::new(),
        })
    };
    sessions.release(release("a", first.epoch)).await.unwrap();
    assert!(
        sessions.acquire(acquire("a")).await.is_err(),
        "a former owner releases nothing"
    );
    sessions.release(release("b", second.epoch)).await.unwrap();
    let third = sessions.acquire(acquire("a")).await.unwrap().into_inner();
    assert_eq!(third.cursor, b"7".as_slice());
}

#[tokio::test(start_paused = true)]
async fn sessions_are_for_those_whose_account_it_is() {
    let gateway = Gateway::new();
    let sessions = gateway.sessions();
    let unauthenticated = sessions
        .acquire(Request::new(acquire("a").into_inner()))
        .await
        .unwrap_err();
    assert_eq!(unauthenticated.code(), Code::Unauthenticated);
    let mut foreign = acquire("a");
    foreign
        .extensions_mut()
        .insert(Caller::new("x", "other", Scopes::all()));
    let denied = sessions.acquire(foreign).await.unwrap_err();
    assert_eq!(why(&denied), (Code::NotFound, "ACCOUNT_NOT_FOUND".into()));
    let mut bound = acquire("a");
    bound
        .extensions_mut()
        .insert(Caller::new("x", "t", Scopes::all()).with_account("another"));
    let denied = sessions.acquire(bound).await.unwrap_err();
    assert_eq!(why(&denied), (Code::PermissionDenied, "ACCOUNT_FORBIDDEN".into()));
    assert_eq!(
        sessions.acquire(acquire("")).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    gateway.store.away.store(true, Ordering::SeqCst);
    assert_eq!(
        sessions.acquire(acquire("a")).await.unwrap_err().code(),
        Code::Unavailable
    );
}

fn named(owner: &str, session: &str) -> AcquireRequest {
    AcquireRequest {
        session: session.into(),
        address: format!("http://{owner}"),
        ..acquire(owner).into_inner()
    }
}

fn locate(owner: &str) -> Request<LocateRequest> {
    asked(LocateRequest {
        account_id: "bot".into(),
        owner_id: owner.into(),
        sessions: ["tx-1", "tx-2", "tx-3"].map(String::from).to_vec(),
    })
}

#[tokio::test(start_paused = true)]
async fn edges_find_those_who_hold_a_session_now() {
    let gateway = Gateway::new();
    let sessions = gateway.sessions();
    let found = async |owner: &str| sessions.locate(locate(owner)).await.unwrap().into_inner().addresses;
    assert!(found("a").await.is_empty());
    let first = sessions.acquire(asked(named("b", "tx-1"))).await.unwrap().into_inner();
    sessions.acquire(asked(named("b", "tx-2"))).await.unwrap();
    sessions.acquire(asked(named("c", "tx-3"))).await.unwrap();
    sessions.acquire(asked(named("d", "rx-1"))).await.unwrap();
    assert_eq!(found("a").await, ["http://b", "http://c"]);
    assert_eq!(found("b").await, ["http://c"], "the asking edge is left out");
    let release = ReleaseRequest {
        account_id: "bot".into(),
        owner_id: "b".into(),
        epoch: first.epoch,
        session: "tx-1".into(),
    };
    sessions.release(asked(release)).await.unwrap();
    let unnamed = AcquireRequest {
        address: String::new(),
        ..named("e", "tx-1")
    };
    sessions.acquire(asked(unnamed)).await.unwrap();
    assert_eq!(found("c").await, ["http://b"], "who named no address is not told");
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert!(found("a").await.is_empty(), "a lease that is over says nothing");
}

#[tokio::test(start_paused = true)]
async fn nobody_but_our_edges_is_handed_sends() {
    let gateway = Gateway::new();
    let sessions = gateway.sessions();
    let mut foreign = Request::new(named("a", ""));
    let scopes = Scopes::all();
    foreign
        .extensions_mut()
        .insert(Caller::new("x", "t", scopes).with_account("bot"));
    let denied = sessions.acquire(foreign).await.unwrap_err();
    assert_eq!(why(&denied), (Code::PermissionDenied, "ADDRESS_FORBIDDEN".into()));
    let long = AcquireRequest {
        address: "x".repeat(257),
        ..named("a", "")
    };
    let refused = sessions.acquire(asked(long)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let many = LocateRequest {
        sessions: vec![String::new(); 257],
        ..locate("a").into_inner()
    };
    let refused = sessions.locate(asked(many)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(sessions.acquire(asked(named("a", ""))).await.is_ok());
}
