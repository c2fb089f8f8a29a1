//! Pushes of newer versions, encoded as they come from other processes.

use crate::{
    fake_broker::FakeBroker,
    promises::{Running, event, ids, one_line, start, statuses},
};
use bytes::Bytes;
use omnigate_proto::{
    state::v1::{EventBatch, Parked},
    v1::{Event, ParkedItem, PushResponse, PushStatus, event::Kind},
};
use omnigate_rpc::{
    auth::{Caller, Scopes},
    push::{Push, WirePush},
};
use prost::Message as _;
use tonic::{Code, Status};

/// A field of bytes that no version uses.
fn unknown(number: u32, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::string::encode(number, &value.to_owned(), &mut out);
    out
}

fn with(event: &Event, more: &[u8]) -> Bytes {
    [&event.encode_to_vec(), more].concat().into()
}

/// An event of a kind that only a newer version knows.
fn of_newer_kind(id: &str, poll: &str) -> Bytes {
    let around = Event {
        kind: None,
        ..event("1", id)
    };
    with(&around, &unknown(1000, poll))
}

async fn push(running: &Running, events: Vec<Bytes>, caller: Caller) -> Result<PushResponse, Status> {
    let wire = Push::Wire(WirePush { events, raw: vec![] });
    // Over the wire and back: what the server makes of it.
    let read = Push::decode(&wire.encode_to_vec()[..]).unwrap();
    running.call(read, caller).await.unwrap()
}

async fn pushed(running: &Running, events: Vec<Bytes>) -> PushResponse {
    push(running, events, Caller::internal()).await.unwrap()
}

/// The events on the queue, as their bytes.
fn stored(running: &Running) -> Vec<Bytes> {
    let bodies = running.broker.confirmed("omnigate.inbound.");
    let batches = bodies.into_iter().map(|body| EventBatch::decode(body).unwrap());
    batches
        .flat_map(|batch| batch.events)
        .map(|stamped| stamped.event)
        .collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(start_paused = true)]
async fn what_came_over_the_wire_is_taken_as_what_did_not() {
    let (here, there) = (
        start(FakeBroker::open(), one_line()),
        start(FakeBroker::open(), one_line()),
    );
    let typed = here
        .push(vec![event("1", "a"), event("2", "b")])
        .await
        .unwrap()
        .unwrap();
    let wire = [event("1", "a"), event("2", "b")].map(|event| with(&event, &[]));
    assert_eq!(pushed(&there, wire.into()).await, typed);
    let known = |bytes: Bytes| Event {
        trace_id: String::new(),
        ..Event::decode(bytes).unwrap()
    };
    let known = |running: &Running| stored(running).into_iter().map(known).collect::<Vec<_>>();
    assert_eq!(known(&there), known(&here));
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_reach_the_queue_at_every_depth() {
    let running = start(FakeBroker::open(), one_line());
    let mut peer = event("1", "a").peer.unwrap().encode_to_vec();
    peer.extend(unknown(1001, "nested"));
    let around = Event {
        peer: None,
        ..event("1", "a")
    };
    let mut field = Vec::new();
    prost::encoding::bytes::encode(8, &peer, &mut field);
    field.extend(unknown(1000, "on top"));
    let response = pushed(&running, vec![with(&around, &field)]).await;
    let plain = pushed(&running, vec![with(&event("1", "a"), &[])]).await;
    assert_eq!(
        response.results, plain.results,
        "the id of a known kind does not hang on it"
    );
    let stored = &stored(&running)[0];
    assert!(holds(stored, &unknown(1000, "on top")));
    assert!(holds(stored, &unknown(1001, "nested")));
    let known = Event::decode(stored.clone()).unwrap();
    assert_eq!(known.event_id, response.results[0].event_id);
    assert_eq!((known.peer, known.kind), (event("1", "a").peer, event("1", "a").kind));
}

#[tokio::test(start_paused = true)]
async fn a_newer_kind_is_taken_under_an_id_of_its_own() {
    let running = start(FakeBroker::open(), one_line());
    let polls = ["phở hay bún?", "phở hay bún?", "đi đâu?"].map(|poll| of_newer_kind("a", poll));
    let response = pushed(&running, polls.into()).await;
    assert_eq!(statuses(&response), [PushStatus::Accepted; 3]);
    let ids: Vec<&str> = response.results.iter().map(|result| result.event_id.as_str()).collect();
    assert_eq!(ids[0], ids[1], "the same fact");
    assert_ne!(ids[0], ids[2], "another one");
    let stored = stored(&running);
    assert!(holds(&stored[0], &unknown(1000, "phở hay bún?")));
    let known = Event::decode(stored[0].clone()).unwrap();
    assert_eq!(
        (known.event_id.as_str(), known.tenant_id.as_str(), known.kind),
        (ids[0], "acme", None)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_refused_alone() {
    let running = start(FakeBroker::open(), one_line());
    let kindless = Event {
        kind: None,
        ..event("1", "b")
    };
    let events = vec![
        with(&event("1", "a"), &[]),
        "\u{1}no event".into(),
        with(&kindless, &[]),
        with(&event("1", "c"), &unknown(1000, &"x".repeat(300_000))),
        with(&event("1", "d"), &[]),
    ];
    let response = pushed(&running, events).await;
    let refused = PushStatus::Refused;
    assert_eq!(
        statuses(&response),
        [PushStatus::Accepted, refused, refused, refused, PushStatus::Accepted]
    );
    let problems: Vec<&str> = response.results.iter().map(|result| result.problem.as_str()).collect();
    assert!(problems[1].starts_with("event: cannot be decoded: "), "{problems:?}");
    assert_eq!(problems[2], "kind: is missing");
    assert!(
        problems[3].starts_with("event: holds 30000") && problems[3].ends_with("at most 262144 are taken"),
        "{problems:?}"
    );
    assert_eq!(ids(&running.broker.confirmed("omnigate.inbound.00")), ["a", "d"]);
}

#[tokio::test(start_paused = true)]
async fn limits_and_tokens_hold_for_what_nobody_here_can_read() {
    let running = start(FakeBroker::open(), one_line());
    let large = vec![with(&event("1", "a"), &unknown(1000, &"x".repeat(200_000))); 21];
    let status = push(&running, large, Caller::internal()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let bound = Caller::new("zalo", "acme", Scopes::all()).with_account("other");
    let events = vec!["\u{1}no event".into(), of_newer_kind("a", "poll")];
    let status = push(&running, events, bound).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(running.broker.attempts("").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_an_unknown_account_every_byte_is_parked() {
    let running = start(FakeBroker::open(), one_line());
    let stray = Event {
        account_id: "nobody".into(),
        kind: None::<Kind>,
        ..event("1", "a")
    };
    let stray = with(&stray, &unknown(1000, "poll"));
    let response = pushed(&running, vec![stray.clone()]).await;
    assert_eq!(statuses(&response), [PushStatus::Parked]);
    let parked = running.broker.confirmed("omnigate.parked");
    let item = ParkedItem::decode(Parked::decode(parked[0].clone()).unwrap().item).unwrap();
    assert_eq!(item.body, stray);
}
