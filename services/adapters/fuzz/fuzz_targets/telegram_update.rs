//! Any bytes as the body of a call from Telegram: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run telegram_update` in `services/adapters`; the golden files are a good first corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use omnigate_adapters_fuzz::{opened, post, taken_twice};
use omnigate_core::port::adapter::{Received, Webhook};
use serde_json::json;
use std::sync::LazyLock;

static WEBHOOK: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| {
    let settings = json!({ "bot_token": "7000000001:TEST", "secret_token": "a-secret" });
    opened("telegram", "", settings)
});

fuzz_target!(|body: &[u8]| {
    let request = post(body.to_vec());
    if let Received::Events { events, .. } = taken_twice(WEBHOOK.as_ref(), &request) {
        assert!(!events.is_empty());
    }
});
