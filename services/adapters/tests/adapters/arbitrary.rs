//! Inbound requests of any shape.

use crate::golden::kits;
use crate::inbound::Case;
use bytes::Bytes;
use omnigate_core::port::adapter::WebhookRequest;
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::Value;
use std::collections::BTreeSet;

/// How many bodies each adapter is given.
const BODIES: u32 = 2_000;

fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                names(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::String(text) => {
            found.insert(text.clone());
        }
        _ => {}
    }
}

/// JSON made of the provider's own words.
fn json(words: Vec<String>) -> impl Strategy<Value = Value> {
    let word = prop::sample::select(words);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..100).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..12)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// No JSON and no bytes make an adapter panic or break the contract.
#[test]
fn nothing_panics() {
    for kit in kits() {
        let cases = Case::all(&kit);
        let mut words = BTreeSet::new();
        for case in &cases {
            if let Ok(body) = serde_json::from_slice(&case.request.body) {
                names(&body, &mut words);
            }
        }
        let Some(case) = cases.first() else { continue };
        if words.is_empty() {
            words.insert("word".to_owned());
        }
        let body = prop_oneof![
            4 => json(words.into_iter().collect()).prop_map(|value| value.to_string().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..64),
        ];
        let config = ProptestConfig {
            cases: BODIES,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let outcome = TestRunner::new(config).run(&body, |body| {
            let request = WebhookRequest {
                body: Bytes::from(body),
                ..case.request.clone()
            };
            case.events(&request, false);
            Ok(())
        });
        outcome.unwrap();
    }
}
