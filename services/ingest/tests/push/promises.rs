//! What a push promises. Time stands still unless everything waits, so that deadlines cost nothing and nothing depends on
//! the machine.

use crate::fake_broker::FakeBroker;
use omnigate_core::{
    account::{Account, AdapterRef, Directory, Limits, Settings as AccountSettings},
    port::{Clock, broker::PublishError},
    time::Moment,
};
use omnigate_ingest::{Ingest, Settings};
use omnigate_proto::{
    state::v1::{EventBatch, Parked, RawBatch},
    v1::{
        Event, Identifier, Message, ParkedItem, Part, PushRequest, PushResponse, PushStatus, RawRequest, Text,
        event::Kind, part::Content,
    },
};
use omnigate_rpc::{
    auth::{Caller, Scopes},
    push::Push,
    v1::ingest_service_server::IngestService as _,
};
use omnigate_runtime::telemetry::metrics::Metrics;
use prost::Message as _;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Moment {
        Moment(1_700_000_000_000)
    }
}

fn directory() -> Directory {
    let account = Account {
        id: "shop".into(),
        tenant_id: "acme".into(),
        channel: "telegram".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings: AccountSettings::default(),
        limits: Limits::default(),
    };
    Directory {
        apps: BTreeMap::new(),
        accounts: BTreeMap::from([("shop".into(), account)]),
        ..Directory::default()
    }
}

pub(crate) struct Running {
    ingest: Arc<Ingest>,
    pub(crate) broker: Arc<FakeBroker>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(crate) fn start(broker: FakeBroker, settings: Settings) -> Running {
    let broker = Arc::new(broker);
    let ingest = Arc::new(Ingest::new(
        Arc::clone(&broker) as _,
        Arc::new(directory()),
        settings,
        Arc::new(Noon),
        Metrics::new().unwrap(),
    ));
    let stop = CancellationToken::new();
    let (running, stopped) = (Arc::clone(&ingest), stop.clone());
    let task = tokio::spawn(async move { running.run(stopped).await });
    Running {
        ingest,
        broker,
        stop,
        task,
    }
}

pub(crate) type Pushing = JoinHandle<Result<PushResponse, Status>>;

/// One partition, so that everything takes the same line.
pub(crate) fn one_line() -> Settings {
    Settings {
        partitions: 1,
        ..Settings::default()
    }
}

impl Running {
    pub(crate) fn push(&self, events: Vec<Event>) -> Pushing {
        self.request(PushRequest { events, raw: vec![] })
    }

    fn request(&self, request: impl Into<Push>) -> Pushing {
        self.call(request, Caller::internal())
    }

    pub(crate) fn call(&self, request: impl Into<Push>, caller: Caller) -> Pushing {
        let ingest = Arc::clone(&self.ingest);
        let mut request = Request::new(request.into());
        request.extensions_mut().insert(caller);
        tokio::spawn(async move { ingest.push(request).await.map(tonic::Response::into_inner) })
    }
}

pub(crate) fn event(peer: &str, id: &str) -> Event {
    Event {
        account_id: "shop".into(),
        peer: Some(Identifier {
            r#type: "tg_chat".into(),
            scope: "bot".into(),
            value: peer.into(),
        }),
        provider_message_id: id.into(),
        kind: Some(Kind::Message(Message {
            parts: vec![Part {
                content: Some(Content::Text(Text {
                    text: "xin chào".into(),
                    format: 0,
                })),
            }],
            ..Message::default()
        })),
        ..Event::default()
    }
}

/// Provider ids of the events in confirmed batches, in order.
pub(crate) fn ids(bodies: &[bytes::Bytes]) -> Vec<String> {
    bodies
        .iter()
        .flat_map(|body| EventBatch::decode(body.clone()).unwrap().events)
        .map(|stamped| Event::decode(stamped.event).unwrap().provider_message_id)
        .collect()
}

pub(crate) fn statuses(response: &PushResponse) -> Vec<PushStatus> {
    response.results.iter().map(|result| result.status()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_push_is_answered_only_after_the_confirm() {
    let running = start(FakeBroker::held(), Settings::default());
    let push = running.push(vec![event("1", "a")]);
    running.broker.until_begun(1).await;
    tokio::task::yield_now().await;
    assert!(!push.is_finished());
    running.broker.release(1);
    let response = push.await.unwrap().unwrap();
    assert_eq!(statuses(&response), [PushStatus::Accepted]);
    assert_eq!(response.results[0].event_id.len(), 32);
    let bodies = running.broker.confirmed("omnigate.inbound.");
    let stamped = &EventBatch::decode(bodies[0].clone()).unwrap().events[0];
    let stored = Event::decode(stamped.event.clone()).unwrap();
    assert_eq!(stored.event_id, response.results[0].event_id);
    assert_eq!(stamped.received_at_ms, 1_700_000_000_000);
    assert!(stamped.traceparent.contains(&stored.trace_id));
}

#[tokio::test(start_paused = true)]
async fn what_arrives_meanwhile_gathers_into_the_next_batch_in_order() {
    let running = start(FakeBroker::held(), one_line());
    let first = running.push(vec![event("1", "a")]);
    running.broker.until_begun(1).await;
    let mut rest = Vec::new();
    for id in ["b", "c", "d"] {
        rest.push(running.push(vec![event("1", id)]));
        tokio::task::yield_now().await;
    }
    running.broker.release(2);
    first.await.unwrap().unwrap();
    for push in rest {
        push.await.unwrap().unwrap();
    }
    let bodies = running.broker.confirmed("omnigate.inbound.00");
    assert_eq!(bodies.len(), 2);
    assert_eq!(ids(&bodies), ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_a_limit_and_one_push_stays_in_order_across_it() {
    let settings = Settings {
        batch_events: 10,
        ..one_line()
    };
    let running = start(FakeBroker::open(), settings);
    let pushed: Vec<String> = (0..95).map(|id| id.to_string()).collect();
    let events = pushed.iter().map(|id| event("1", id)).collect();
    running.push(events).await.unwrap().unwrap();
    let bodies = running.broker.confirmed("omnigate.inbound.00");
    assert_eq!(bodies.len(), 10);
    assert_eq!(ids(&bodies), pushed);
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_batch_is_sent_again_first_and_unchanged() {
    let running = start(FakeBroker::held(), one_line());
    running.broker.fail([
        PublishError::Unconfirmed("cut".into()),
        PublishError::Unroutable("not yet".into()),
    ]);
    let first = running.push(vec![event("1", "a")]);
    running.broker.until_begun(1).await;
    let second = running.push(vec![event("1", "b")]);
    tokio::task::yield_now().await;
    running.broker.release(4);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let attempts = running.broker.attempts("omnigate.inbound.00");
    assert_eq!(attempts.len(), 4);
    assert_eq!(attempts[0].body, attempts[1].body);
    assert_eq!(attempts[0].body, attempts[2].body);
    assert_eq!(ids(&running.broker.confirmed("omnigate.inbound.00")), ["a", "b"]);
    assert_eq!(running.broker.most_in_flight.load(Ordering::SeqCst), 1);
}

/// The law of order, over many seeds: a push that was answered before another began takes effect first, whatever the
/// broker does.
#[tokio::test(start_paused = true)]
async fn answered_before_begun_means_before() {
    for seed in 0..40_u64 {
        let running = start(FakeBroker::open(), one_line());
        let mut random = seed;
        let mut next = move || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            random >> 33
        };
        // Two writers, each pushing one after the other; every second answer or so of the broker is a failure.
        let mut writers: Vec<Option<(u64, Pushing)>> = vec![None, None];
        let mut order = Vec::new();
        for number in 0..20_u64 {
            if next() % 2 == 0 {
                running.broker.fail([PublishError::Unconfirmed("cut".into())]);
            }
            let writer = usize::try_from(next() % 2).unwrap();
            if let Some((earlier, push)) = writers[writer].take() {
                push.await.unwrap().unwrap();
                order.push((earlier, number));
            }
            let push = running.push(vec![event("1", &number.to_string())]);
            writers[writer] = Some((number, push));
        }
        for (_, push) in writers.into_iter().flatten() {
            push.await.unwrap().unwrap();
        }
        let stored = ids(&running.broker.confirmed("omnigate.inbound.00"));
        let place = |number: u64| stored.iter().position(|id| *id == number.to_string()).unwrap();
        assert_eq!(stored.len(), 20, "seed {seed}");
        for (earlier, later) in order {
            assert!(place(earlier) < place(later), "seed {seed}: {earlier} before {later}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_told_when_the_broker_does_not_confirm_in_time() {
    let running = start(FakeBroker::held(), one_line());
    let in_flight = running.push(vec![event("1", "in flight")]);
    running.broker.until_begun(1).await;
    let waiting = running.push(vec![event("1", "waiting")]);
    for push in [in_flight, waiting] {
        let status = push.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    let later = running.push(vec![event("1", "later")]);
    tokio::task::yield_now().await;
    running.broker.release(2);
    later.await.unwrap().unwrap();
    // What was in flight goes out; what waited behind it was given back to its caller.
    assert_eq!(
        ids(&running.broker.confirmed("omnigate.inbound.00")),
        ["in flight", "later"]
    );
}

#[tokio::test(start_paused = true)]
async fn too_much_in_flight_takes_nothing_and_room_comes_back() {
    let settings = Settings {
        in_flight_events: 3,
        ..one_line()
    };
    let running = start(FakeBroker::held(), settings);
    let first = running.push(vec![event("1", "a"), event("1", "b")]);
    running.broker.until_begun(1).await;
    let refused = running
        .push(vec![event("1", "c"), event("1", "d")])
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    running.broker.release(1);
    first.await.unwrap().unwrap();
    running.broker.release(1);
    running
        .push(vec![event("1", "e"), event("1", "f")])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        ids(&running.broker.confirmed("omnigate.inbound.00")),
        ["a", "b", "e", "f"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_said_and_later_pushes_go_on() {
    let running = start(FakeBroker::open(), one_line());
    running.broker.fail([PublishError::Full("omnigate.inbound.00".into())]);
    let refused = running.push(vec![event("1", "a")]).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    running.push(vec![event("1", "b")]).await.unwrap().unwrap();
    assert_eq!(ids(&running.broker.confirmed("omnigate.inbound.00")), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_costs_its_siblings_nothing() {
    let running = start(FakeBroker::open(), one_line());
    let mut bad = event("1", "bad");
    bad.peer = None;
    let response = running
        .push(vec![event("1", "a"), bad, event("1", "b")])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        statuses(&response),
        [PushStatus::Accepted, PushStatus::Refused, PushStatus::Accepted]
    );
    assert_eq!(response.results[1].problem, "peer: is missing");
    assert_eq!(response.results[1].event_id, "");
    assert_eq!(ids(&running.broker.confirmed("omnigate.inbound.00")), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_an_unknown_account_is_parked_as_it_came() {
    let running = start(FakeBroker::open(), one_line());
    let mut stray = event("1", "a");
    stray.account_id = "nobody".into();
    let response = running
        .push(vec![stray.clone(), event("1", "b")])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(statuses(&response), [PushStatus::Parked, PushStatus::Accepted]);
    let parked = running.broker.confirmed("omnigate.parked");
    let item = ParkedItem::decode(Parked::decode(parked[0].clone()).unwrap().item).unwrap();
    assert_eq!(
        (item.reason.as_str(), item.account_id.as_str()),
        ("unknown_account", "nobody")
    );
    assert_eq!(item.event, Some(stray));
    assert_eq!(item.parked_id, response.results[0].event_id);
}

#[tokio::test(start_paused = true)]
async fn raw_requests_are_confirmed_with_their_events() {
    let running = start(FakeBroker::held(), one_line());
    let raw = RawRequest {
        app_id: "shop".into(),
        body: "{}".into(),
        ..RawRequest::default()
    };
    let push = running.request(PushRequest {
        events: vec![event("1", "a")],
        raw: vec![raw.clone()],
    });
    running.broker.until_begun(2).await;
    running.broker.release(1);
    tokio::task::yield_now().await;
    assert!(!push.is_finished());
    running.broker.release(1);
    push.await.unwrap().unwrap();
    let logged = RawBatch::decode(running.broker.confirmed("omnigate.raw")[0].clone()).unwrap();
    assert_eq!(RawRequest::decode(logged.requests[0].clone()).unwrap(), raw);
}

#[tokio::test(start_paused = true)]
async fn a_push_over_its_limits_is_refused_whole() {
    let running = start(FakeBroker::open(), one_line());
    let many = (0..1001).map(|id| event("1", &id.to_string())).collect();
    let status = running.push(many).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(running.broker.attempts("").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_in_flight_and_takes_nothing_new() {
    let running = start(FakeBroker::held(), one_line());
    let first = running.push(vec![event("1", "a")]);
    running.broker.until_begun(1).await;
    let second = running.push(vec![event("1", "b")]);
    tokio::task::yield_now().await;
    running.stop.cancel();
    tokio::task::yield_now().await;
    let status = running.push(vec![event("1", "c")]).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    running.broker.release(2);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    running.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_a_dead_broker_ends() {
    let settings = Settings {
        confirm_within: Duration::from_secs(3600),
        ..one_line()
    };
    let running = start(FakeBroker::held(), settings);
    let push = running.push(vec![event("1", "a")]);
    running.broker.until_begun(1).await;
    running.stop.cancel();
    running.task.await.unwrap();
    assert_eq!(push.await.unwrap().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_caller_reaches_its_own_tenant_and_account_only() {
    let running = start(FakeBroker::open(), one_line());
    let request = PushRequest {
        events: vec![event("1", "a")],
        raw: vec![],
    };
    let stranger = Caller::new("zalo", "globex", Scopes::all());
    let response = running.call(request.clone(), stranger).await.unwrap().unwrap();
    assert_eq!(statuses(&response), [PushStatus::Parked]);
    let bound = Caller::new("zalo", "acme", Scopes::all()).with_account("other");
    let status = running.call(request.clone(), bound).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let nobody = running.ingest.push(Request::new(request.into())).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
    assert_eq!(running.broker.attempts("omnigate.inbound.").len(), 0);
}
