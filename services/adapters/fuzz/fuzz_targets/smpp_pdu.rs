//! Any octets as what an SMSC sends: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run smpp_pdu` in `services/adapters`; the golden files are a good first corpus.
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
    let settings = [("receipts_by_text", true), ("receipt_accepted_is_final", true)];
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
        provider: "smpp".into(),
        settings: settings.clone(),
        implicit: true,
    };
    let account = Account {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "smpp".into(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings,
        limits: Limits::default(),
    };
    let kind = omnigate_adapters::kind("sms", "smpp").unwrap();
    kind.open_offline(&app, &[account]).unwrap().unwrap()
});

fn received(octets: &[u8]) -> Received {
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    WEBHOOK.receive(
        &WebhookRequest {
            method: "POST".into(),
            query: String::new(),
            headers: Vec::new(),
            body: Bytes::from(hex),
            remote: None,
            received_at: Moment(1_767_323_045_678),
        },
        false,
    )
}

fuzz_target!(|octets: &[u8]| {
    let taken = received(octets);
    if let Received::Events { events, .. } = &taken {
        assert!(!events.is_empty());
        for event in events {
            assert!(event.kind.is_some() && !event.account_id.is_empty());
            serde_json::to_string(event).unwrap();
        }
    }
    assert_eq!(taken, received(octets));
});
