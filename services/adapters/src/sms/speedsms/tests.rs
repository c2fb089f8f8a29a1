use super::*;
use bytes::Bytes;
use omnigate_core::account::{AdapterRef, Limits, Settings};
use omnigate_core::{
    port::adapter::{Received, WebhookRequest},
    time::Moment,
};
use serde_json::{Value, json};

fn settings(value: Value) -> Settings {
    let Value::Object(map) = value else {
        panic!("not an object")
    };
    Settings(map)
}

fn account(value: Value) -> Account {
    Account {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "speedsms".into(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "app".into(),
        settings: settings(value),
        limits: Limits::default(),
    }
}

fn app(implicit: bool) -> App {
    App {
        id: "app".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "speedsms".into(),
        settings: Settings::default(),
        implicit,
    }
}

fn refused<T>(outcome: Result<T, Invalid>) -> String {
    outcome.err().map_or_else(|| "nothing".into(), |invalid| invalid.key)
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (value, key) in [
        (json!({}), "access_token"),
        (json!({ "access_token": "a b" }), "access_token"),
        (json!({ "access_token": "t", "sms_type": 3 }), "sender"),
        (json!({ "access_token": "t", "sms_type": 5 }), "sms_type"),
        (
            json!({ "access_token": "t", "advertising_sms_type": 9 }),
            "advertising_sms_type",
        ),
        (json!({ "callback_token": "short" }), "callback_token"),
        (json!({ "acces_token": "t" }), "acces_token"),
    ] {
        assert_eq!(
            refused(Adapter.open_account(&app(true), &account(value.clone()))),
            key,
            "{value}"
        );
    }
    assert!(
        Adapter
            .open_account(&app(true), &account(json!({ "access_token": "t" })))
            .is_ok()
    );
}

#[test]
fn an_app_needs_a_token_and_one_account() {
    let bare = account(json!({}));
    assert_eq!(
        refused(Adapter.open_webhook(&app(false), std::slice::from_ref(&bare))),
        "callback_token"
    );
    assert!(
        Adapter.open_webhook(&app(true), std::slice::from_ref(&bare)).is_ok(),
        "for offline use"
    );
    assert_eq!(
        refused(Adapter.open_webhook(&app(true), &[bare.clone(), bare])),
        "app_id"
    );
}

fn call(webhook: &dyn Webhook, phone: &str, content: &str, seconds: i64) -> Vec<String> {
    let body = json!({ "type": "incoming", "phone": phone, "content": content }).to_string();
    let request = WebhookRequest {
        method: "POST".into(),
        query: "token=0123456789abcdef".into(),
        headers: Vec::new(),
        body: Bytes::from(body),
        remote: None,
        received_at: Moment(1_767_323_040_000 + seconds * 1000),
    };
    let Received::Events { events, .. } = webhook.receive(&request, true) else {
        panic!("refused")
    };
    events.into_iter().map(|event| event.stable_key).collect()
}

fn webhook(window: u64) -> Box<dyn Webhook> {
    let own = account(json!({
        "access_token": "t",
        "callback_token": "0123456789abcdef",
        "duplicate_window_s": window,
    }));
    Adapter.open_webhook(&app(true), &[own]).unwrap().unwrap()
}

#[test]
fn a_call_that_was_not_kept_comes_again_and_one_that_was_does_not() {
    let webhook = webhook(60);
    let first = call(&*webhook, "84912000001", "ok", 0);
    webhook.answered(&first, false);
    let again = call(&*webhook, "84912000001", "ok", 5);
    assert_eq!(again, first, "the same message once more");
    webhook.answered(&again, true);
    let second = call(&*webhook, "84912000001", "ok", 6);
    assert_ne!(second, first, "written twice");
    webhook.answered(&second, true);
    assert_ne!(call(&*webhook, "84912000002", "ok", 7), first);
    // An opt-out and the message that it is are one arrival.
    let wish = call(&*webhook, "84912000003", "TC", 8);
    assert_eq!((wish.len(), &wish[0]), (2, &wish[1]));
    webhook.answered(&wish, false);
    assert_eq!(call(&*webhook, "84912000003", "TC", 9), wish);
    webhook.answered(&wish, false);
    assert_ne!(call(&*webhook, "84912000003", "TC", 90), wish, "the window has passed");
}

#[test]
fn what_one_edge_did_not_keep_is_the_same_message_at_another() {
    let first = call(&*webhook(60), "84912000001", "ok", 0);
    assert_eq!(call(&*webhook(60), "84912000001", "ok", 20), first);
    assert_ne!(call(&*webhook(0), "84912000001", "ok", 20), first);
    assert_eq!(
        refused(Adapter.open_account(
            &app(true),
            &account(json!({ "access_token": "t", "duplicate_window_s": 3601 }))
        )),
        "duplicate_window_s"
    );
}
