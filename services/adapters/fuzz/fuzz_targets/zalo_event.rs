//! Any bytes as the body of a call from Zalo: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run zalo_event` in `services/adapters`; the golden files are a good first corpus.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use omnigate_adapters::kind;
use omnigate_core::{
    account::{Account, AdapterRef, App, Limits, Settings},
    port::adapter::{Received, Webhook, WebhookRequest},
    time::Moment,
};
use std::sync::LazyLock;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    Settings(
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
    )
}

static WEBHOOK: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| {
    let app = App {
        id: "app".into(),
        tenant_id: "default".into(),
        channel: "zalo".into(),
        provider: String::new(),
        settings: settings(&[("app_id", "100000000000000001"), ("oa_secret_key", "a-key")]),
        implicit: false,
    };
    let accounts = [("north", "3000000000000000001"), ("south", "3000000000000000002")];
    let accounts = accounts.map(|(id, oa_id)| Account {
        id: id.into(),
        tenant_id: "default".into(),
        channel: "zalo".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "app".into(),
        settings: settings(&[("oa_id", oa_id)]),
        limits: Limits::default(),
    });
    kind("zalo", "")
        .unwrap()
        .open_webhook(&app, &accounts)
        .unwrap()
        .unwrap()
});

fuzz_target!(|body: &[u8]| {
    let request = |headers: Vec<(String, Bytes)>| WebhookRequest {
        method: "POST".into(),
        query: String::new(),
        headers,
        body: Bytes::copy_from_slice(body),
        remote: None,
        received_at: Moment(1_767_323_045_678),
    };
    let forged = request(vec![(
        "x-zevent-signature".into(),
        Bytes::from("mac=".to_owned() + &"ab".repeat(32)),
    )]);
    if let Received::Events { events, .. } = WEBHOOK.receive(&forged, true) {
        assert!(events.is_empty(), "only a probe needs no signature");
    }
    let request = request(vec![("x-zevent-server".into(), Bytes::from_static(b"ZNS"))]);
    let received = WEBHOOK.receive(&request, false);
    if let Received::Events { events, .. } = &received {
        for event in events {
            assert!(event.kind.is_some() && !event.account_id.is_empty());
            serde_json::to_string(event).unwrap();
        }
    }
    assert_eq!(received, WEBHOOK.receive(&request, false));
});
