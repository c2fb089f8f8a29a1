//! Any bytes as the body of a call from Zalo: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run zalo_event` in `services/adapters`; the golden files are a good first corpus.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use omnigate_adapters_fuzz::{account, app, post, settings, taken_twice};
use omnigate_core::port::adapter::{Received, Webhook, WebhookRequest};
use serde_json::json;
use std::sync::LazyLock;

static WEBHOOK: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| {
    let kind = omnigate_adapters::kind("zalo", "").unwrap();
    let of_app = settings(json!({ "app_id": "100000000000000001", "oa_secret_key": "a-key" }));
    let app = app(kind, "app", of_app, false);
    let accounts = [("north", "3000000000000000001"), ("south", "3000000000000000002")];
    let accounts = accounts.map(|(id, oa_id)| account(kind, id, "app", settings(json!({ "oa_id": oa_id }))));
    kind.open_webhook(&app, &accounts).unwrap().unwrap()
});

fuzz_target!(|body: &[u8]| {
    let request = |name: &str, value: String| WebhookRequest {
        headers: vec![(name.into(), Bytes::from(value))],
        ..post(body.to_vec())
    };
    let forged = request("x-zevent-signature", "mac=".to_owned() + &"ab".repeat(32));
    if let Received::Events { events, .. } = WEBHOOK.receive(&forged, true) {
        assert!(events.is_empty(), "only a probe needs no signature");
    }
    drop(taken_twice(
        WEBHOOK.as_ref(),
        &request("x-zevent-server", "ZNS".to_owned()),
    ));
});
