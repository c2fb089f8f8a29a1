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
        provider: "esms".into(),
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
        provider: "esms".into(),
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
        (json!({}), "api_key"),
        (json!({ "api_key": "k" }), "secret_key"),
        (json!({ "secret_key": "k" }), "api_key"),
        (json!({ "api_key": "k", "secret_key": "s" }), "sender"),
        (json!({ "api_key": "k", "secret_key": "s", "sms_type": 1 }), "sms_type"),
        (json!({ "api_key": "k y", "secret_key": "s" }), "api_key"),
        (json!({ "callback_token": "short" }), "callback_token"),
        (json!({ "allowed_addresses": ["x"] }), "allowed_addresses"),
        (json!({ "campaign_id": "" }), "campaign_id"),
        (json!({ "secret_kee": "s" }), "secret_kee"),
    ] {
        assert_eq!(
            refused(Adapter.open_account(&app(true), &account(value.clone()))),
            key,
            "{value}"
        );
    }
    let fixed = json!({ "api_key": "k", "secret_key": "s", "sms_type": 8 });
    assert!(Adapter.open_account(&app(true), &account(fixed)).is_ok());
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
