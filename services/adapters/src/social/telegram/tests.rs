use super::*;
use omnigate_core::account::{AdapterRef, Limits, Settings};
use serde_json::{Value, json};

fn settings(value: Value) -> Settings {
    let Value::Object(map) = value else {
        panic!("not an object")
    };
    Settings(map)
}

fn account(app_id: &str, value: Value) -> Account {
    Account {
        id: "bot".into(),
        tenant_id: "default".into(),
        channel: "telegram".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: app_id.into(),
        settings: settings(value),
        limits: Limits::default(),
    }
}

fn app(value: Value, implicit: bool) -> App {
    App {
        id: if implicit { "bot".into() } else { "app".into() },
        tenant_id: "default".into(),
        channel: "telegram".into(),
        provider: String::new(),
        settings: settings(value),
        implicit,
    }
}

fn refused<T>(outcome: Result<T, Invalid>) -> String {
    outcome.err().map_or_else(|| "nothing".into(), |invalid| invalid.key)
}

#[test]
fn an_app_carries_exactly_one_account() {
    let secret = json!({ "secret_token": "s" });
    let one = account("app", json!({ "bot_token": "1:AA" }));
    let opened = |accounts: &[Account]| Adapter.open_webhook(&app(secret.clone(), false), accounts);
    assert!(opened(std::slice::from_ref(&one)).is_ok_and(|webhook| webhook.is_some()));
    assert_eq!(refused(opened(&[])), "app_id");
    assert_eq!(refused(opened(&[one.clone(), one])), "app_id");
}

#[test]
fn a_webhook_needs_a_secret() {
    let one = account("app", json!({ "bot_token": "1:AA" }));
    let explicit = Adapter.open_webhook(&app(json!({}), false), std::slice::from_ref(&one));
    assert_eq!(refused(explicit), "secret_token");
    let said = json!({ "bot_token": "1:AA", "mode": "webhook" });
    let implicit = Adapter.open_webhook(&app(said.clone(), true), &[account("bot", said)]);
    assert_eq!(refused(implicit), "secret_token");
}

#[test]
fn a_webhook_opens_for_an_unnamed_account_without_settings() {
    let opened = Adapter.open_webhook(&app(json!({}), true), &[account("bot", json!({}))]);
    assert!(opened.is_ok_and(|webhook| webhook.is_some()));
}

#[test]
fn sending_and_polling_need_a_token() {
    let opened = Adapter.open_account(&app(json!({}), true), &account("bot", json!({})));
    assert_eq!(refused(opened), "bot_token");
}

#[test]
fn only_a_polling_bot_has_a_session() {
    let session = |app_id: &str, value: Value| {
        let opened = Adapter.open_account(&app(value.clone(), true), &account(app_id, value));
        !opened.unwrap_or_else(|error| panic!("{error}")).sessions.is_empty()
    };
    assert!(session("bot", json!({ "bot_token": "1:AA" })));
    assert!(!session("bot", json!({ "bot_token": "1:AA", "secret_token": "s" })));
    assert!(!session("app", json!({ "bot_token": "1:AA" })));
}
