use super::*;
use omnigate_core::account::{AdapterRef, Limits, Settings};
use serde_json::{Value, json};

const SID: &str = "AC00000000000000000000000000000001";

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
        provider: "twilio".into(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "app".into(),
        settings: settings(value),
        limits: Limits::default(),
    }
}

fn app(value: Value, implicit: bool) -> App {
    App {
        id: "app".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "twilio".into(),
        settings: settings(value),
        implicit,
    }
}

fn refused<T>(outcome: Result<T, Invalid>) -> String {
    outcome.err().map_or_else(|| "nothing".into(), |invalid| invalid.key)
}

#[test]
fn an_app_can_hold_what_its_account_leaves_out() {
    let shared = json!({ "account_sid": SID, "auth_token": "t", "public_url": "https://gw.example" });
    let app = app(shared, false);
    let account = account(json!({ "sender": "+14155550100" }));
    assert!(Adapter.open_account(&app, &account).is_ok());
    assert!(Adapter.open_webhook(&app, std::slice::from_ref(&account)).is_ok());
    assert_eq!(refused(Adapter.open_webhook(&app, &[])), "app_id");
    assert_eq!(
        refused(Adapter.open_webhook(&app, &[account.clone(), account])),
        "app_id"
    );
}

#[test]
fn what_is_missing_is_named() {
    for (value, key) in [
        (json!({}), "account_sid"),
        (json!({ "account_sid": SID }), "auth_token"),
        (json!({ "account_sid": SID, "auth_token": "t" }), "sender"),
        (json!({ "account_sid": "AC1" }), "account_sid"),
        (json!({ "account_sid": SID, "auth_token": "a b" }), "auth_token"),
        (
            json!({ "api_key_sid": "SK00000000000000000000000000000001" }),
            "api_key_secret",
        ),
        (json!({ "api_key_secret": "s" }), "api_key_sid"),
        (json!({ "messaging_service_sid": "x" }), "messaging_service_sid"),
        (json!({ "public_url": "gw.example" }), "public_url"),
        (json!({ "validity_period_s": 36_001 }), "validity_period_s"),
        (json!({ "auth_tokn": "t" }), "auth_tokn"),
    ] {
        let found = refused(Adapter.open_account(&app(json!({}), true), &account(value.clone())));
        assert_eq!(found, key, "{value}");
    }
    let token = json!({ "auth_token": "t" });
    assert_eq!(
        refused(Adapter.open_webhook(&app(json!({}), false), &[account(json!({}))])),
        "auth_token"
    );
    assert_eq!(
        refused(Adapter.open_webhook(&app(token, false), &[account(json!({}))])),
        "public_url"
    );
    assert!(
        Adapter
            .open_webhook(&app(json!({}), true), &[account(json!({}))])
            .is_ok(),
        "for offline use"
    );
}
