//! What the fuzz targets share: how an adapter is opened, called, and held to its answer.

mod pieces;

pub use pieces::{Deliver, account_of_pieces, arrival, words};

use bytes::Bytes;
use omnigate_core::{
    account::{Account, AdapterRef, App, Limits, Settings},
    port::adapter::{Kind, Received, Webhook, WebhookRequest},
    time::Moment,
};
use serde_json::Value;

/// Settings out of a JSON object.
#[must_use]
pub fn settings(settings: Value) -> Settings {
    Settings(settings.as_object().cloned().unwrap())
}

/// An account of an app.
#[must_use]
pub fn account(kind: &dyn Kind, id: &str, app_id: &str, settings: Settings) -> Account {
    Account {
        id: id.into(),
        tenant_id: "default".into(),
        channel: kind.channel().into(),
        provider: kind.provider().into(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: app_id.into(),
        settings,
        limits: Limits::default(),
    }
}

/// An app.
#[must_use]
pub fn app(kind: &dyn Kind, id: &str, settings: Settings, implicit: bool) -> App {
    App {
        id: id.into(),
        tenant_id: "default".into(),
        channel: kind.channel().into(),
        provider: kind.provider().into(),
        settings,
        implicit,
    }
}

/// What translates for one account that is its own app.
#[must_use]
pub fn opened(channel: &str, provider: &str, of_account: Value) -> Box<dyn Webhook> {
    let kind = omnigate_adapters::kind(channel, provider).unwrap();
    let of_account = settings(of_account);
    let app = app(kind, "shop", of_account.clone(), true);
    let account = account(kind, "shop", "shop", of_account);
    kind.open_offline(&app, &[account]).unwrap().unwrap()
}

/// A POST with this body.
#[must_use]
pub fn post(body: impl Into<Bytes>) -> WebhookRequest {
    WebhookRequest {
        method: "POST".into(),
        query: String::new(),
        headers: Vec::new(),
        body: body.into(),
        remote: None,
        received_at: Moment(1_767_323_045_678),
    }
}

/// Octets as the offline reading of sessions takes them.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What an unverified request gives: events that can be told, and the same ones the second time.
#[must_use]
pub fn taken_twice(webhook: &dyn Webhook, request: &WebhookRequest) -> Received {
    let received = webhook.receive(request, false);
    if let Received::Events { events, .. } = &received {
        for event in events {
            assert!(event.kind.is_some() && !event.account_id.is_empty());
            serde_json::to_string(event).unwrap();
        }
        // Nothing was kept, so what comes again is the same.
        let keys: Vec<String> = events.iter().map(|event| event.stable_key.clone()).collect();
        webhook.answered(&keys, false);
    }
    assert_eq!(received, webhook.receive(request, false));
    received
}
