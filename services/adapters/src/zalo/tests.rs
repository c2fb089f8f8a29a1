use super::*;
use bytes::Bytes;
use omnigate_core::account::{AdapterRef, Limits, Settings};
use omnigate_core::port::adapter::{Received, WebhookRequest};
use omnigate_core::time::Moment;
use serde_json::{Value, json};

fn settings(value: Value) -> Settings {
    let Value::Object(map) = value else {
        panic!("not an object")
    };
    Settings(map)
}

fn account(id: &str, app_id: &str, value: Value) -> Account {
    Account {
        id: id.into(),
        tenant_id: "default".into(),
        channel: "zalo".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: app_id.into(),
        settings: settings(value),
        limits: Limits::default(),
    }
}

fn app(id: &str, value: Value, implicit: bool) -> App {
    App {
        id: id.into(),
        tenant_id: "default".into(),
        channel: "zalo".into(),
        provider: String::new(),
        settings: settings(value),
        implicit,
    }
}

fn refused<T>(outcome: Result<T, Invalid>) -> String {
    outcome.err().map_or_else(|| "nothing".into(), |invalid| invalid.key)
}

#[test]
fn accounts_of_one_app_are_different_oas() {
    let app = app("app", json!({ "app_id": "1", "oa_secret_key": "k" }), false);
    let opened = |ids: &[Option<&str>]| {
        let accounts = ids.iter().enumerate().map(|(index, id)| {
            let value = id.map_or(json!({}), |id| json!({ "oa_id": id }));
            account(&format!("oa{index}"), "app", value)
        });
        refused(Adapter.open_webhook(&app, &accounts.collect::<Vec<_>>()))
    };
    assert_eq!(opened(&[]), "nothing");
    assert_eq!(opened(&[None]), "nothing");
    assert_eq!(opened(&[Some("1"), Some("2")]), "nothing");
    assert_eq!(opened(&[Some("1"), Some("1")]), "oa_id");
    assert_eq!(opened(&[Some("1"), None]), "oa_id");
}

#[test]
fn sending_needs_the_id_of_the_oa() {
    let own = app("oa", json!({}), true);
    assert_eq!(
        refused(Adapter.open_account(&own, &account("oa", "oa", json!({})))),
        "oa_id"
    );
    let named = json!({ "oa_id": "1" });
    let opened = Adapter.open_account(&app("oa", named.clone(), true), &account("oa", "oa", named));
    assert!(opened.is_ok_and(|opened| opened.sessions.is_empty()));
}

#[test]
fn an_account_without_secrets_has_no_custodian() {
    let value = json!({ "oa_id": "1" });
    let custodian = Adapter.open_custodian(&app("oa", value.clone(), true), &account("oa", "oa", value));
    assert!(custodian.is_ok_and(|custodian| custodian.is_none()));
    let value = json!({ "oa_id": "1", "app_id": "2", "app_secret": "s", "refresh_token": "r" });
    let custodian = Adapter.open_custodian(&app("oa", value.clone(), true), &account("oa", "oa", value));
    let custodian = custodian.unwrap().unwrap();
    assert_eq!(custodian.first_refresh_token(), Some("r"));
    assert_eq!(custodian.authorization_url(), None);
}

/// What `omnigate normalize` does: nobody configured anything, and every OA's events are translated.
#[test]
fn an_unnamed_account_translates_the_events_of_any_oa() {
    let webhook = Adapter.open_offline(
        &app("unnamed", json!({}), true),
        &[account("unnamed", "unnamed", json!({}))],
    );
    let webhook = webhook.unwrap().unwrap();
    let body = json!({
        "event_name": "user_send_text", "timestamp": "1767323000123",
        "sender": { "id": "7000000000000000001" }, "recipient": { "id": "3000000000000000009" },
        "message": { "msg_id": "aa", "text": "alo" },
    });
    let request = WebhookRequest {
        method: "POST".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes::from(body.to_string()),
        remote: None,
        received_at: Moment(1_767_323_045_678),
    };
    let Received::Events { events, .. } = webhook.receive(&request, false) else {
        panic!("rejected")
    };
    let peer = events[0].peer.as_ref().unwrap();
    assert_eq!(
        (events[0].account_id.as_str(), peer.scope.as_str()),
        ("unnamed", "3000000000000000009")
    );
    let verified = webhook.receive(&request, true);
    assert!(matches!(verified, Received::Rejected { reply, .. } if reply.status == 401));
}
