//! Any bytes as the body of a call from SpeedSMS: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run speedsms_webhook` in `services/adapters`; the golden files are a good first corpus.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use omnigate_adapters_fuzz::{opened, post, taken_twice};
use omnigate_core::port::adapter::{Received, Webhook, WebhookRequest};
use serde_json::json;
use std::sync::LazyLock;

static WEBHOOK: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| {
    let settings = json!({ "access_token": "a-token", "callback_token": "0123456789abcdef" });
    opened("sms", "speedsms", settings)
});

fuzz_target!(|bytes: &[u8]| {
    let request = post(bytes.to_vec());
    // Whatever the bytes are as a signature or a token, nothing panics over them.
    let signed = WebhookRequest {
        headers: vec![("x-twilio-signature".into(), Bytes::copy_from_slice(bytes))],
        ..request.clone()
    };
    assert!(matches!(WEBHOOK.receive(&signed, true), Received::Rejected { .. }));
    drop(taken_twice(WEBHOOK.as_ref(), &request));
});
