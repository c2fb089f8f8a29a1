//! Any octets as the text and the optional parameters of a delivery receipt: no panic, one event, always the same.
//!
//! `cargo +nightly fuzz run smpp_receipt` in `services/adapters`; texts of receipts are a good first corpus. The first octet
//! says how many of the others are text.
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
    let Some((length, rest)) = octets.split_first() else {
        return;
    };
    let (text, parameters) = rest.split_at(usize::from(*length).min(rest.len()));
    // service_type, addresses, esm_class 4, and everything else empty.
    let mut body = b"\0\x01\x0184912345678\0\x06\x008041\0\x04\0\0\0\0\0\0\0\0".to_vec();
    body.push(text.len() as u8);
    body.extend_from_slice(text);
    body.extend_from_slice(parameters);
    let mut pdu = Vec::new();
    for word in [body.len() as u32 + 16, 5, 0, 1] {
        pdu.extend_from_slice(&word.to_be_bytes());
    }
    pdu.extend_from_slice(&body);
    let taken = received(&pdu);
    let Received::Events { events, .. } = &taken else {
        panic!("{taken:?}")
    };
    assert_eq!(events.len(), 1);
    assert_eq!(taken, received(&pdu));
});
