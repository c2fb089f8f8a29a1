//! Sending through a built-in channel.

use crate::fakes::{FakeIngest, FakeKind, NOON, account, parts, peer, text};
use omnigate_edge::{Edge, Sending, Settings};
use omnigate_proto::v1::{
    ErrorClass, GetCapabilitiesRequest, LookupSendRequest, LookupTemplateRequest, SendRequest, SendResponse,
    send_response::Outcome,
};
use omnigate_rpc::v1::adapter_service_server::AdapterService as _;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tonic::{Code, Request};

fn sending(settings: Settings) -> (Arc<Sending>, Arc<Semaphore>) {
    let kind = FakeKind::new();
    let calls = Arc::clone(&kind.calls);
    let edge = Edge::new(parts(kind, vec![account("shop")], FakeIngest::open(), settings)).unwrap();
    (edge.sending(), calls)
}

fn request(words: &str) -> SendRequest {
    SendRequest {
        account_id: "shop".into(),
        peer: Some(peer()),
        message: Some(text(words)),
        piece: 1,
        send_key: "key".into(),
        attempt: 1,
        deadline: Some((NOON + Duration::from_secs(20)).to_timestamp()),
        ..SendRequest::default()
    }
}

async fn send(sending: &Sending, request: SendRequest) -> SendResponse {
    sending.send(Request::new(request)).await.unwrap().into_inner()
}

fn class(response: &SendResponse) -> ErrorClass {
    match &response.outcome {
        Some(Outcome::Error(error)) => error.class(),
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_piece_is_sent_within_what_the_deadline_leaves() {
    let (sending, _) = sending(Settings::default());
    let response = send(&sending, request("hello")).await;
    assert_eq!(response.piece_count, 2);
    let Some(Outcome::Accepted(accepted)) = response.outcome else {
        panic!("not accepted");
    };
    assert_eq!(accepted.provider_message_id, "key:1:20000");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_submitted_after_the_deadline() {
    let (sending, _) = sending(Settings::default());
    let late = SendRequest {
        deadline: Some(NOON.to_timestamp()),
        ..request("panic")
    };
    assert_eq!(class(&send(&sending, late).await), ErrorClass::NotSent);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlives_its_deadline_is_ambiguous() {
    let (sending, _) = sending(Settings::default());
    let begun = tokio::time::Instant::now();
    assert_eq!(class(&send(&sending, request("wait")).await), ErrorClass::Ambiguous);
    assert!(begun.elapsed() <= Duration::from_secs(21));
}

#[tokio::test(start_paused = true)]
async fn a_template_is_looked_up_or_it_is_said_that_nobody_knows() {
    let (sending, _) = sending(Settings::default());
    let look_up = async |account: &str, template: &str| {
        let asked = Request::new(LookupTemplateRequest {
            account_id: account.to_owned(),
            template_id: template.to_owned(),
        });
        let answer = sending.lookup_template(asked).await;
        answer
            .map(|answer| answer.into_inner().templates.len())
            .map_err(|status| status.code())
    };
    assert_eq!(look_up("shop", "300001").await, Ok(1));
    let begun = tokio::time::Instant::now();
    for (account, template, code) in [
        ("shop", "unsupported", Code::Unimplemented),
        ("shop", "away", Code::Unavailable),
        ("shop", "panic", Code::Unavailable),
        ("shop", "wait", Code::Unavailable),
        ("nobody", "300001", Code::NotFound),
    ] {
        assert_eq!(look_up(account, template).await, Err(code), "{template}");
    }
    assert!(begun.elapsed() <= Duration::from_secs(6), "a caller waits");
    assert_eq!(look_up("shop", "300001").await, Ok(1), "every place is free again");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_ambiguous_and_stays_inside() {
    let (sending, _) = sending(Settings::default());
    assert_eq!(class(&send(&sending, request("panic")).await), ErrorClass::Ambiguous);
    assert!(matches!(
        send(&sending, request("hello")).await.outcome,
        Some(Outcome::Accepted(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_planned_is_said_by_its_class() {
    let (sending, _) = sending(Settings::default());
    let stranger = SendRequest {
        account_id: "nobody".into(),
        ..request("x")
    };
    assert_eq!(class(&send(&sending, stranger).await), ErrorClass::Account);
    let response = send(&sending, request("too long")).await;
    assert_eq!((response.piece_count, class(&response)), (0, ErrorClass::Content));
    let beyond = SendRequest {
        piece: 2,
        ..request("x")
    };
    assert_eq!(class(&send(&sending, beyond).await), ErrorClass::Content);
    let nobody = SendRequest {
        peer: None,
        ..request("x")
    };
    assert_eq!(class(&send(&sending, nobody).await), ErrorClass::Content);
    let nothing = SendRequest {
        message: None,
        ..request("x")
    };
    assert_eq!(class(&send(&sending, nothing).await), ErrorClass::Content);
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_account_are_bounded() {
    let settings = Settings {
        sends_per_account: 1,
        ..Settings::default()
    };
    let (sending, calls) = sending(settings);
    let mut begun = Vec::new();
    for _ in 0..9 {
        let sending = Arc::clone(&sending);
        begun.push(tokio::spawn(async move { send(&sending, request("wait")).await }));
        tokio::task::yield_now().await;
    }
    let crowded = send(&sending, request("hello")).await;
    assert_eq!(class(&crowded), ErrorClass::Throttled);
    calls.add_permits(1);
    let first = begun.remove(0).await.unwrap();
    assert!(matches!(first.outcome, Some(Outcome::Accepted(_))));
    // The second got the place and never an answer; the others waited until their deadline and were not sent.
    let classes: Vec<ErrorClass> = futures_util::future::join_all(begun)
        .await
        .into_iter()
        .map(|response| class(&response.unwrap()))
        .collect();
    assert_eq!(classes[0], ErrorClass::Ambiguous);
    assert!(
        classes[1..].iter().all(|class| *class == ErrorClass::NotSent),
        "{classes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn capabilities_are_told_and_look_ups_are_not_there() {
    let (sending, _) = sending(Settings::default());
    let ask = |account: &str| {
        Request::new(GetCapabilitiesRequest {
            account_id: account.into(),
        })
    };
    let told = sending.get_capabilities(ask("shop")).await.unwrap().into_inner();
    assert_eq!(told.capabilities.unwrap().channel, "fake");
    assert_eq!(
        sending.get_capabilities(ask("nobody")).await.unwrap_err().code(),
        Code::NotFound
    );
    let lookup = sending.lookup_send(Request::new(LookupSendRequest::default())).await;
    assert_eq!(lookup.unwrap_err().code(), Code::Unimplemented);
}
