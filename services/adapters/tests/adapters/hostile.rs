//! Inbound cases derived from the golden files, for every adapter alike.

use crate::golden::{Kit, kits};
use crate::inbound::Case;
use crate::mutate::{paths, replaced, strangers, with_unknown_fields};
use bytes::Bytes;
use omnigate_core::port::adapter::{Received, WebhookRequest};
use omnigate_proto::v1::{Event, event::Kind};
use serde_json::Value;

/// Runs a check on every golden request that is taken.
fn each_taken(check: impl Fn(&Kit, &Case, Vec<Event>)) {
    for kit in kits() {
        for case in Case::all(&kit) {
            if let Some(events) = case.events(&case.request, true) {
                check(&kit, &case, events);
            }
        }
    }
}

fn with_body(request: &WebhookRequest, body: impl Into<Bytes>) -> WebhookRequest {
    WebhookRequest {
        body: body.into(),
        ..request.clone()
    }
}

fn with_json(request: &WebhookRequest, body: &Value) -> WebhookRequest {
    with_body(request, serde_json::to_vec(body).unwrap())
}

fn json_of(request: &WebhookRequest) -> Option<Value> {
    serde_json::from_slice(&request.body).ok()
}

fn is_refused(case: &Case, request: &WebhookRequest) -> bool {
    let received = case.webhook.receive(request, true);
    matches!(received, Received::Rejected { reply, .. } if matches!(reply.status, 401 | 403))
}

/// Law 1: nothing of an unsigned or wrongly signed request is interpreted.
#[test]
fn forged_requests_are_refused() {
    each_taken(|kit, case, _| {
        for name in &kit.shared.signature_headers {
            let mut missing = case.request.clone();
            missing.headers.retain(|(header, _)| header != name);
            assert!(is_refused(case, &missing), "{}: without {name}", case.path.display());
            let original = case.request.header(name).unwrap();
            let mut shorter = original.to_vec();
            shorter.pop();
            let mut longer = original.to_vec();
            longer.push(b'x');
            let mut other = original.to_vec();
            *other.last_mut().unwrap() ^= 1;
            for wrong in [Vec::new(), shorter, longer, other, b"\xff\xfe".to_vec()] {
                let mut forged = missing.clone();
                forged.headers.push((name.clone(), Bytes::from(wrong)));
                assert!(is_refused(case, &forged), "{}: wrong {name}", case.path.display());
            }
        }
    });
}

/// An empty body and a body cut anywhere give a clear answer and no events.
#[test]
fn cut_bodies_are_rejected() {
    each_taken(|_, case, _| {
        let body = &case.request.body;
        // The content of such a call is in its query.
        if body.is_empty() {
            return;
        }
        let is_json = json_of(&case.request).is_some();
        for eighth in 0..8 {
            let cut = with_body(&case.request, body.slice(..body.len() * eighth / 8));
            let events = case.events(&cut, false);
            if is_json || cut.body.is_empty() {
                assert_eq!(events, None, "{} cut at {eighth}/8", case.path.display());
            }
        }
    });
}

/// The events without the provider's bytes, which follow the body.
fn without_raw(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if let Some(Kind::Unsupported(unsupported)) = &mut event.kind {
            unsupported.raw = Bytes::new();
            unsupported.truncated = false;
            if event.stable_key.starts_with("sha256:") {
                event.stable_key = "sha256:".to_owned();
            }
        }
    }
    events
}

fn is_malformed(event: &Event) -> bool {
    matches!(&event.kind, Some(Kind::Unsupported(unsupported)) if unsupported.reason == "malformed")
}

/// What a provider adds tomorrow changes nothing today.
#[test]
fn unknown_fields_change_nothing() {
    each_taken(|_, case, events| {
        let Some(body) = json_of(&case.request) else { return };
        // Where nothing was understood, a new field may be what is understood.
        if events.iter().any(is_malformed) {
            return;
        }
        let plain = without_raw(case.events(&with_json(&case.request, &body), false).unwrap());
        assert_eq!(plain, without_raw(events), "{}", case.path.display());
        for changed in with_unknown_fields(&body) {
            let changed = case.events(&with_json(&case.request, &changed), false);
            assert_eq!(changed.map(without_raw), Some(plain.clone()), "{}", case.path.display());
        }
    });
}

/// Law 3: the same request gives the same events, so that a repeated delivery is recognised.
#[test]
fn a_repeated_delivery_gives_the_same_events() {
    each_taken(|_, case, events| {
        assert_eq!(
            case.events(&case.request, true),
            Some(events),
            "{}",
            case.path.display()
        );
    });
}

/// Law 2: a value of the wrong type anywhere costs neither the request nor its other events.
#[test]
fn values_of_the_wrong_type_lose_nothing() {
    each_taken(|_, case, events| {
        let Some(body) = json_of(&case.request) else { return };
        for path in paths(&body) {
            for stranger in strangers() {
                let changed = with_json(&case.request, &replaced(&body, &path, &stranger));
                let changed = case.events(&changed, false);
                // A body that is a number is still JSON; only emptied lists may leave fewer events.
                let emptied = stranger.as_array().is_some_and(Vec::is_empty) || stranger.is_null();
                let least = usize::from(!events.is_empty() && !emptied);
                assert!(
                    changed.as_ref().is_some_and(|changed| changed.len() >= least),
                    "{}: {stranger} at {path:?} gives {changed:?}",
                    case.path.display()
                );
            }
        }
    });
}

/// A list with one bad element still gives an event for each of the others.
#[test]
fn one_bad_element_costs_no_sibling() {
    each_taken(|_, case, events| {
        let Some(body) = json_of(&case.request) else { return };
        if events.len() < 2 {
            return;
        }
        for path in paths(&body) {
            let Some(list) = body.pointer(&path).and_then(Value::as_array) else {
                continue;
            };
            if list.len() != events.len() {
                continue;
            }
            for index in 0..list.len() {
                let broken = replaced(&body, &format!("{path}/{index}"), &Value::from("stranger"));
                let found = case.events(&with_json(&case.request, &broken), false).unwrap();
                let kept = events.iter().filter(|event| found.contains(event)).count();
                assert!(kept >= events.len() - 1, "{}: {path}/{index}", case.path.display());
                assert_eq!(found.len(), events.len(), "{}: {path}/{index}", case.path.display());
            }
        }
    });
}
