//! Any octets as the text and the optional parameters of a delivery receipt: no panic, one event, always the same.
//!
//! `cargo +nightly fuzz run smpp_receipt` in `services/adapters`; texts of receipts are a good first corpus. The first octet
//! says how many of the others are text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use omnigate_adapters_fuzz::{Deliver, hex, opened, post, taken_twice};
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
    let pdu = Deliver {
        esm_class: 4,
        content: text,
        parameters,
        ..Deliver::default()
    };
    let taken = taken_twice(PDUS.as_ref(), &post(hex(&pdu.octets())));
    let Received::Events { events, .. } = &taken else {
        panic!("{taken:?}")
    };
    assert_eq!(events.len(), 1);
});
