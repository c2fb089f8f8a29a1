//! Any octets as the text and the optional parameters of a delivery receipt: no panic, one event, always the same.
//!
//! `cargo +nightly fuzz run smpp_receipt` in `services/adapters`; texts of receipts are a good first corpus. The first octet
//! says how many of the others are text.
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
    let taken = taken_twice(PDUS.as_ref(), &post(hex(&pdu)));
    let Received::Events { events, .. } = &taken else {
        panic!("{taken:?}")
    };
    assert_eq!(events.len(), 1);
});
