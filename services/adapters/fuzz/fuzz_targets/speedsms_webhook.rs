//! Any bytes as the body of a call from SpeedSMS: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run speedsms_webhook` in `services/adapters`; the golden files are a good first corpus.
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
    let settings = [("access_token", "a-token"), ("callback_token", "0123456789abcdef")];
    let settings = Settings(
        settings
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
    );
    let app = App {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "speedsms".into(),
        settings: settings.clone(),
        implicit: true,
    };
    let account = Account {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "speedsms".into(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings,
        limits: Limits::default(),
    };
    let kind = omnigate_adapters::kind("sms", "speedsms").unwrap();
    kind.open_webhook(&app, &[account]).unwrap().unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    let request = WebhookRequest {
        method: "POST".into(),
        query: String::new(),
        headers: Vec::new(),
        body: Bytes::copy_from_slice(bytes),
        remote: None,
        received_at: Moment(1_767_323_045_678),
    };
    // Whatever the bytes are as a signature or a token, nothing panics over them.
    let signed = WebhookRequest {
        headers: vec![("x-twilio-signature".into(), Bytes::copy_from_slice(bytes))],
        ..request.clone()
    };
    assert!(matches!(WEBHOOK.receive(&signed, true), Received::Rejected { .. }));
    let received = WEBHOOK.receive(&request, false);
    if let Received::Events { events, .. } = &received {
        for event in events {
            assert!(event.kind.is_some() && !event.account_id.is_empty());
            serde_json::to_string(event).unwrap();
        }
    }
    assert_eq!(received, WEBHOOK.receive(&request, false));
});
