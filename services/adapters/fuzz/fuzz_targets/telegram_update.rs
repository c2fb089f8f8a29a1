//! Any bytes as the body of a call from Telegram: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run telegram_update` in `services/adapters`; the golden files are a good first corpus.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use omnigate_core::{
    account::{Account, AdapterRef, App, Limits, Settings},
    port::adapter::{Received, Webhook, WebhookRequest},
    time::Moment,
};
use std::sync::LazyLock;

static WEBHOOK: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| {
    let settings = [("bot_token", "7000000001:TEST"), ("secret_token", "a-secret")];
    let settings = Settings(
        settings
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
    );
    let app = App {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "telegram".into(),
        provider: String::new(),
        settings: settings.clone(),
        implicit: true,
    };
    let account = Account {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "telegram".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings,
        limits: Limits::default(),
    };
    let kind = omnigate_adapters::kind("telegram", "").unwrap();
    kind.open_webhook(&app, &[account]).unwrap().unwrap()
});

fuzz_target!(|body: &[u8]| {
    let request = WebhookRequest {
        method: "POST".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body),
        remote: None,
        received_at: Moment(1_767_323_045_678),
    };
    let received = WEBHOOK.receive(&request, false);
    if let Received::Events { events, .. } = &received {
        assert!(!events.is_empty());
        for event in events {
            assert!(event.kind.is_some() && !event.account_id.is_empty());
            serde_json::to_string(event).unwrap();
        }
    }
    assert_eq!(received, WEBHOOK.receive(&request, false));
});
