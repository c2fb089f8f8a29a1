use super::*;
use omnigate_core::account::{AdapterRef, Limits, Settings};
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
