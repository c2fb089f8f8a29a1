//! Inbound cases derived from golden requests whose content is in parameters, of the query or of a form.

use crate::golden::{Kit, kits};
use crate::inbound::Case;
use bytes::Bytes;
use omnigate_core::port::adapter::{Received, WebhookRequest};
use omnigate_proto::v1::{Event, event::Kind};
use proptest::{prelude::*, test_runner::TestRunner};
use std::collections::BTreeSet;

type Pairs = Vec<(String, String)>;

const FORM: &[u8] = b"application/x-www-form-urlencoded";
/// How many sets of parameters each adapter is given.
const SETS: u32 = 2_000;

/// Values to put where another is expected.
const STRANGERS: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "1.5",
    "99999999999999999999",
    "stranger",
    "e\u{301}\u{0}\u{202e}",
    "[]",
    "%",
    "+",
    "NaN",
];

/// The parameters of a request; `None` where its content is somewhere else.
fn pairs(request: &WebhookRequest) -> Option<Pairs> {
    let text: &[u8] = if request.body.is_empty() {
        request.query.as_bytes()
    } else if request
        .header("content-type")
        .is_some_and(|kind| kind.starts_with(FORM))
    {
        &request.body
    } else {
        return None;
    };
    let pairs: Pairs = form_urlencoded::parse(text).into_owned().collect();
    (!pairs.is_empty()).then_some(pairs)
}

fn with_pairs(request: &WebhookRequest, pairs: &Pairs) -> WebhookRequest {
    let text = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let mut changed = request.clone();
    if request.body.is_empty() {
        changed.query = text;
    } else {
        changed.body = Bytes::from(text);
    }
    changed
}

/// Runs a check on every golden request that is taken and has parameters.
fn each_taken(check: impl Fn(&Kit, &Case, Pairs, Vec<Event>)) {
    for kit in kits() {
        for case in Case::all(&kit) {
            let Some(pairs) = pairs(&case.request) else { continue };
            if let Some(events) = case.events(&case.request, true) {
                check(&kit, &case, pairs, events);
            }
        }
    }
}

/// Law 1 where the proof is in the query: nothing of a call without it, or with another, is interpreted.
#[test]
fn forged_parameters_are_refused() {
    for kit in kits()
        .into_iter()
        .filter(|kit| !kit.shared.signature_parameters.is_empty())
    {
        for case in Case::all(&kit) {
            if case.events(&case.request, true).is_none() {
                continue;
            }
            let query: Pairs = form_urlencoded::parse(case.request.query.as_bytes())
                .into_owned()
                .collect();
            for name in &kit.shared.signature_parameters {
                let Some(at) = query.iter().position(|(key, _)| key == name) else {
                    continue;
                };
                let original = &query[at].1;
                let mut shorter = original.clone();
                shorter.pop();
                for wrong in [None, Some(String::new()), Some(shorter), Some(format!("{original}x"))] {
                    let mut forged = query.clone();
                    match wrong {
                        None => drop(forged.remove(at)),
                        Some(value) => forged[at].1 = value,
                    }
                    let text = form_urlencoded::Serializer::new(String::new())
                        .extend_pairs(&forged)
                        .finish();
                    let forged = WebhookRequest {
                        query: text,
                        ..case.request.clone()
                    };
                    let received = case.webhook.receive(&forged, true);
                    let is_refused =
                        matches!(received, Received::Rejected { reply, .. } if matches!(reply.status, 401 | 403));
                    assert!(is_refused, "{}: forged {name}", case.path.display());
                }
            }
        }
    }
}

/// The events without the provider's bytes, which follow the request.
fn without_raw(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if let Some(Kind::Unsupported(unsupported)) = &mut event.kind {
            unsupported.raw = Bytes::new();
            event.stable_key.clear();
        }
    }
    events
}

/// What a provider adds tomorrow changes nothing today.
#[test]
fn unknown_parameters_change_nothing() {
    each_taken(|_, case, mut pairs, events| {
        // Where nothing was said, something new is said now.
        if events.is_empty() {
            return;
        }
        pairs.push(("ZzUnknown".to_owned(), "x".repeat(70_000)));
        let changed = case.events(&with_pairs(&case.request, &pairs), false);
        assert_eq!(
            changed.map(without_raw),
            Some(without_raw(events)),
            "{}",
            case.path.display()
        );
    });
}

/// Law 2: a strange value, a missing or a doubled parameter costs neither the request nor all of its events.
#[test]
fn strange_parameters_lose_nothing() {
    each_taken(|kit, case, pairs, events| {
        let count = |changed: &Pairs| {
            case.events(&with_pairs(&case.request, changed), false)
                .map(|events| events.len())
        };
        for at in 0..pairs.len() {
            if kit.shared.signature_parameters.contains(&pairs[at].0) {
                continue;
            }
            let mut changes: Vec<Pairs> = STRANGERS
                .iter()
                .map(|stranger| {
                    let mut changed = pairs.clone();
                    (*stranger).clone_into(&mut changed[at].1);
                    changed
                })
                .collect();
            let mut doubled = pairs.clone();
            doubled.push(pairs[at].clone());
            let mut missing = pairs.clone();
            missing.remove(at);
            changes.push(doubled);
            // What has no parameter left is no call.
            if missing.len() > kit.shared.signature_parameters.len() {
                changes.push(missing);
            }
            for changed in changes {
                let least = usize::from(!events.is_empty());
                assert!(
                    count(&changed) >= Some(least),
                    "{}: {:?}",
                    case.path.display(),
                    changed[at.min(changed.len() - 1)]
                );
            }
        }
    });
}

/// No parameters make an adapter panic or break the contract.
#[test]
fn nothing_panics() {
    for kit in kits() {
        let cases: Vec<(Case, Pairs)> = Case::all(&kit)
            .into_iter()
            .filter_map(|case| pairs(&case.request).map(|pairs| (case, pairs)))
            .collect();
        let names: BTreeSet<String> = cases
            .iter()
            .flat_map(|(_, pairs)| pairs.iter().map(|(name, _)| name.clone()))
            .collect();
        let values: BTreeSet<String> = cases
            .iter()
            .flat_map(|(_, pairs)| pairs.iter().map(|(_, value)| value.clone()))
            .collect();
        let Some((case, _)) = cases.first() else { continue };
        let name = prop::sample::select(names.into_iter().collect::<Vec<_>>());
        let value = prop_oneof![
            prop::sample::select(values.into_iter().collect::<Vec<_>>()),
            prop::sample::select(STRANGERS.to_vec()).prop_map(str::to_owned),
            "\\PC{0,12}",
        ];
        let config = ProptestConfig {
            cases: SETS,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let pairs = prop::collection::vec((name, value), 0..16);
        let outcome = TestRunner::new(config).run(&pairs, |pairs| {
            case.events(&with_pairs(&case.request, &pairs), false);
            Ok(())
        });
        outcome.unwrap();
    }
}
