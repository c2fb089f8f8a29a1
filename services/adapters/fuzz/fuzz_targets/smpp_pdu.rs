//! Any octets as what an SMSC sends: no panic, and what is taken twice gives the same events twice.
//!
//! `cargo +nightly fuzz run smpp_pdu` in `services/adapters`; the golden files are a good first corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use omnigate_adapters_fuzz::{hex, opened, post, taken_twice};
use omnigate_core::port::adapter::{Received, Webhook};
use serde_json::json;
use std::sync::LazyLock;

static PDUS: LazyLock<Box<dyn Webhook>> = LazyLock::new(|| {
    let settings = json!({ "receipts_by_text": true, "receipt_accepted_is_final": true });
    opened("sms", "smpp", settings)
});

fuzz_target!(|octets: &[u8]| {
    if let Received::Events { events, .. } = taken_twice(PDUS.as_ref(), &post(hex(octets))) {
        assert!(!events.is_empty());
    }
});
