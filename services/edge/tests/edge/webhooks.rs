//! Webhooks over real sockets.

use crate::fakes::{FakeIngest, FakeKind, Running, account, message, parts, start, until};
use omnigate_edge::{Edge, Settings};
use omnigate_proto::v1::event::Kind;
use prost::Message as _;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tonic::Status;

async fn started(ingest: &Arc<FakeIngest>, settings: Settings) -> Running {
    start(parts(
        FakeKind::new(),
        vec![account("shop")],
        Arc::clone(ingest),
        settings,
    ))
    .await
}

/// Sends bytes as they are and reads until the server hangs up.
async fn exchange(running: &Running, request: Vec<u8>) -> String {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

fn genuine(body: &str) -> Vec<u8> {
    post(
        "/v1/webhooks/shop",
        "x-secret: s3cret\r\nx-kind: test\r\nauthorization: Basic eA==\r\n",
        body,
    )
}

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or("none")
}

fn spawn(running: &Running, request: Vec<u8>) -> JoinHandle<String> {
    let address = running.address;
    tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8_lossy(&answer).into_owned()
    })
}

#[tokio::test]
async fn the_provider_is_answered_only_after_the_push() {
    let ingest = FakeIngest::held();
    let running = started(&ingest, Settings::default()).await;
    let request = spawn(&running, genuine("a\nb"));
    ingest.until_begun(1).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!request.is_finished());
    ingest.release(1);
    let answer = request.await.unwrap();
    assert_eq!(status(&answer), "200");
    assert!(answer.ends_with("taken"), "{answer}");
    assert_eq!(ingest.ids(), ["a", "b"]);
}

#[tokio::test]
async fn the_raw_request_travels_along_without_its_secrets() {
    let ingest = FakeIngest::open();
    let running = started(&ingest, Settings::default()).await;
    let path = "/v1/webhooks/shop?a=1&token=s3cret&b=%20";
    let headers = "x-secret: s3cret\r\nx-kind: test\r\nauthorization: Basic eA==\r\n";
    exchange(&running, post(path, headers, "a")).await;
    let calls = ingest.calls.lock().unwrap();
    let raw = &calls[0].raw[0];
    assert_eq!(raw.query, "a=1&b=%20");
    assert_eq!(
        (raw.app_id.as_str(), raw.method.as_str(), raw.body.as_ref()),
        ("shop", "POST", &b"a"[..])
    );
    assert_eq!(raw.headers.get("x-kind").unwrap(), "test");
    assert!(!raw.headers.contains_key("x-secret") && !raw.headers.contains_key("authorization"));
    assert!(calls[0].events[0].received_at.is_some());
}

#[tokio::test]
async fn a_trace_goes_on_or_begins() {
    let ingest = FakeIngest::open();
    let running = started(&ingest, Settings::default()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = format!("x-secret: s3cret\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    exchange(&running, post("/v1/webhooks/shop", &headers, "a")).await;
    exchange(&running, genuine("b")).await;
    let events = ingest.events();
    assert_eq!(events[0].trace_id, trace);
    assert!(ingest.traceparents.lock().unwrap()[0].contains(trace));
    assert_eq!(events[1].trace_id.len(), 32);
    assert_ne!(events[1].trace_id, trace);
}

#[tokio::test]
async fn what_is_not_kept_is_never_answered_with_success() {
    let ingest = FakeIngest::open();
    let running = started(&ingest, Settings::default()).await;
    for failure in [
        Status::resource_exhausted("full"),
        Status::unavailable("away"),
        Status::internal("bug"),
    ] {
        ingest.fail(failure);
        let answer = exchange(&running, genuine("a")).await;
        assert_eq!(status(&answer), "503");
        assert!(answer.contains("retry-after: 1"), "{answer}");
    }
    assert_eq!(status(&exchange(&running, genuine("a")).await), "200");
}

#[tokio::test]
async fn an_ingest_that_does_not_answer_is_not_waited_for_without_end() {
    let ingest = FakeIngest::held();
    let settings = Settings {
        push_within: Duration::from_millis(30),
        ..Settings::default()
    };
    let running = started(&ingest, settings).await;
    assert_eq!(status(&exchange(&running, genuine("a")).await), "503");
}

#[tokio::test]
async fn concurrent_requests_of_an_app_join_and_keep_their_order() {
    let ingest = FakeIngest::held();
    let running = started(&ingest, Settings::default()).await;
    let first = spawn(&running, genuine("a"));
    ingest.until_begun(1).await;
    let mut rest = Vec::new();
    for number in 0..30 {
        rest.push(spawn(&running, genuine(&number.to_string())));
    }
    ingest.release(1);
    assert_eq!(status(&first.await.unwrap()), "200");
    ingest.until_begun(2).await;
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    ingest.release(100);
    for request in rest {
        assert_eq!(status(&request.await.unwrap()), "200");
    }
    assert_eq!(ingest.events().len(), 31);
    assert!(ingest.calls.lock().unwrap().len() < 31, "requests were joined");
    assert_eq!(
        ingest.most_in_flight.load(Ordering::SeqCst),
        1,
        "an app has one call in flight"
    );
    // One after the other: the order is the provider's.
    for id in ["x", "y", "z"] {
        exchange(&running, genuine(id)).await;
    }
    assert_eq!(ingest.ids()[31..], ["x", "y", "z"]);
}

#[tokio::test]
async fn an_unsigned_request_is_rejected_and_not_kept() {
    let ingest = FakeIngest::open();
    let running = started(&ingest, Settings::default()).await;
    let answer = exchange(&running, post("/v1/webhooks/shop", "", "a")).await;
    assert_eq!(status(&answer), "401");
    assert_eq!(ingest.events().len(), 0);
}

#[tokio::test]
async fn unknown_apps_and_paths_are_not_found() {
    let ingest = FakeIngest::open();
    let running = started(&ingest, Settings::default()).await;
    let answer = exchange(&running, post("/v1/webhooks/nobody", "", "a")).await;
    assert_eq!(status(&answer), "404");
    assert!(answer.ends_with("no app of this id has a webhook here\n"), "{answer}");
    assert_eq!(status(&exchange(&running, post("/", "", "a")).await), "404");
}

#[tokio::test]
async fn a_large_body_is_refused_said_or_not() {
    let ingest = FakeIngest::open();
    let settings = Settings {
        body_bytes: 100,
        ..Settings::default()
    };
    let running = started(&ingest, settings).await;
    let long = "x".repeat(101);
    assert_eq!(status(&exchange(&running, genuine(&long)).await), "413");
    let chunked = format!(
        "POST /v1/webhooks/shop HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-secret: s3cret\r\ntransfer-encoding: chunked\r\n\r\n65\r\n{long}\r\n0\r\n\r\n"
    );
    assert_eq!(status(&exchange(&running, chunked.into_bytes()).await), "413");
    assert_eq!(status(&exchange(&running, genuine(&"x".repeat(100))).await), "200");
}

#[tokio::test]
async fn large_headers_are_refused() {
    let ingest = FakeIngest::open();
    let settings = Settings {
        header_bytes: 8192,
        ..Settings::default()
    };
    let running = started(&ingest, settings).await;
    let headers = format!("x-secret: s3cret\r\nx-long: {}\r\n", "x".repeat(20_000));
    let answer = exchange(&running, post("/v1/webhooks/shop", &headers, "a")).await;
    assert!(matches!(status(&answer), "431" | "none"), "{answer}");
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let answer = exchange(&running, post("/v1/webhooks/shop", &many, "a")).await;
    assert!(matches!(status(&answer), "431" | "none"), "{answer}");
    assert_eq!(ingest.events().len(), 0);
}

#[tokio::test]
async fn a_slow_client_is_let_go() {
    let ingest = FakeIngest::open();
    let settings = Settings {
        body_within: Duration::from_millis(30),
        headers_within: Duration::from_millis(30),
        ..Settings::default()
    };
    let running = started(&ingest, settings).await;
    let body = b"POST /v1/webhooks/shop HTTP/1.1\r\nhost: x\r\nx-secret: s3cret\r\ncontent-length: 10\r\nconnection: close\r\n\r\nabc";
    assert_eq!(status(&exchange(&running, body.to_vec()).await), "408");
    let head = b"POST /v1/webhooks/shop HTTP/1.1\r\nhost: x\r\n";
    let let_go = async {
        assert_ne!(status(&exchange(&running, head.to_vec()).await), "200");
        assert_eq!(status(&exchange(&running, Vec::new()).await), "none");
    };
    // Much more than 30 ms, and much less than any limit that is not ours.
    tokio::time::timeout(Duration::from_secs(8), let_go).await.unwrap();
}

#[tokio::test]
async fn too_many_bodies_at_once_are_told_to_come_again() {
    let ingest = FakeIngest::held();
    let settings = Settings {
        in_flight_bytes: 8192,
        ..Settings::default()
    };
    let running = started(&ingest, settings).await;
    let first = spawn(&running, genuine(&"a".repeat(4097)));
    ingest.until_begun(1).await;
    let answer = exchange(&running, genuine("b")).await;
    assert_eq!(status(&answer), "503");
    ingest.release(10);
    assert_eq!(status(&first.await.unwrap()), "200");
    assert_eq!(status(&exchange(&running, genuine("b")).await), "200");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let ingest = FakeIngest::held();
    let settings = Settings {
        connections: 1,
        ..Settings::default()
    };
    let running = started(&ingest, settings).await;
    let first = spawn(&running, genuine("a"));
    ingest.until_begun(1).await;
    let second = spawn(&running, genuine("b"));
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*ingest.begun.borrow(), 1);
    ingest.release(2);
    assert_eq!(status(&first.await.unwrap()), "200");
    assert_eq!(status(&second.await.unwrap()), "200");
}

#[tokio::test]
async fn an_adapter_that_panics_costs_one_request() {
    let ingest = FakeIngest::open();
    let running = started(&ingest, Settings::default()).await;
    assert_eq!(status(&exchange(&running, genuine("panic")).await), "500");
    assert_eq!(status(&exchange(&running, genuine("a")).await), "200");
}

#[tokio::test]
async fn a_refused_event_is_kept_as_an_unsupported_one() {
    let ingest = FakeIngest::open();
    let running = started(&ingest, Settings::default()).await;
    assert_eq!(status(&exchange(&running, genuine("a\nbad\nb")).await), "200");
    let events = ingest.events();
    assert_eq!(events.len(), 4);
    let Some(Kind::Unsupported(kept)) = &events[3].kind else {
        panic!("another kind");
    };
    let original = omnigate_proto::v1::Event::decode(kept.raw.clone()).unwrap();
    assert_eq!(original, message("shop", "bad"));
    assert_eq!(
        (kept.reason.as_str(), events[3].peer.clone()),
        ("malformed", original.peer)
    );
    assert!(!events[3].stable_key.is_empty());
}

#[tokio::test]
async fn a_stop_finishes_open_requests() {
    let ingest = FakeIngest::held();
    let running = started(&ingest, Settings::default()).await;
    let request = spawn(&running, genuine("a"));
    ingest.until_begun(1).await;
    running.stop.cancel();
    ingest.release(1);
    assert_eq!(status(&request.await.unwrap()), "200");
    running.task.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[test]
fn everything_wrong_in_the_configuration_is_said_at_once() {
    let mut unknown = account("one");
    unknown.channel = "fax".into();
    let mut wrong = account("two");
    wrong.settings.0.insert("wrong".into(), 1.into());
    let parts = parts(
        FakeKind::new(),
        vec![unknown, wrong],
        FakeIngest::open(),
        Settings::default(),
    );
    let misfits = Edge::new(parts).err().unwrap();
    let texts: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "accounts.one: no adapter serves channel \"fax\"; there are fake",
            "accounts.two.settings.wrong: must not be there",
        ]
    );
}

#[tokio::test]
async fn an_adapter_learns_what_its_provider_will_send_again() {
    let ingest = FakeIngest::held();
    let kind = FakeKind::new();
    let answers = Arc::clone(&kind.answers);
    let running = start(parts(
        kind,
        vec![account("shop")],
        Arc::clone(&ingest),
        Settings::default(),
    ))
    .await;
    let told = || answers.lock().unwrap().clone();
    // Kept, and said so.
    ingest.release(1);
    exchange(&running, genuine("key a\nb")).await;
    assert_eq!(told(), [(vec!["a".to_owned()], true)]);
    // Refused by ingest as a whole.
    ingest.fail(Status::unavailable("away"));
    ingest.release(1);
    let answer = exchange(&running, genuine("key c")).await;
    assert_eq!(status(&answer), "503");
    assert_eq!(told()[1..], [(vec!["c".to_owned()], false)]);
    // The provider hangs up before it is answered.
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&genuine("key d")).await.unwrap();
    ingest.until_begun(3).await;
    drop(stream);
    until("the end of the request", || told().len() == 3).await;
    assert_eq!(told()[2..], [(vec!["d".to_owned()], false)]);
    // What has no key needs no answer.
    ingest.release(2);
    exchange(&running, genuine("e")).await;
    assert_eq!(told().len(), 3);
}
