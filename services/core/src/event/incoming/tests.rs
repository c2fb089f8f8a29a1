use super::*;
use crate::customer_event::readable;
use crate::event::tests::{NOW, TRACE, account, any_event, at, event, identifier, normal, text};
use crate::event::wire::tests::{newer, places, sub};
use omnigate_proto::v1::{Deletion, Edit, IdentifierEvidence, Message, event::Kind};
use proptest::prelude::*;

fn taken(bytes: impl Into<Bytes>) -> Taken {
    let incoming = Incoming::read(bytes.into()).unwrap();
    incoming.normalise(&account(), NOW, TRACE).unwrap()
}

fn refusal(bytes: impl Into<Bytes>) -> Refusal {
    let incoming = Incoming::read(bytes.into()).unwrap();
    incoming.normalise(&account(), NOW, TRACE).unwrap_err()
}

/// An event of a kind that a newer version will know.
fn of_newer_kind(around: &Event, kind: &[u8]) -> Vec<u8> {
    let around = Event {
        kind: None,
        ..around.clone()
    };
    [around.encode_to_vec(), sub(1000, kind)].concat()
}

fn message(words: &str) -> Event {
    event(Kind::Message(text(words)))
}

#[test]
fn an_event_without_anything_unknown_is_stored_as_it_is_encoded() {
    let given = message("cha\u{300}o");
    let incoming = Incoming::read(given.encode_to_vec().into()).unwrap();
    assert_eq!(incoming, Incoming::from(given.clone()), "its bytes are not held twice");
    assert_eq!(incoming.bytes(), given.encode_to_vec());
    let taken = taken(given.encode_to_vec());
    assert_eq!(taken.event, normal(given));
    assert_eq!(taken.bytes, taken.event.encode_to_vec());
}

#[test]
fn unknown_fields_stay_also_inside_of_what_was_changed() {
    let given = message("cha\u{300}o");
    let bytes = newer(&given, &[], &sub(1000, b"new"));
    let taken = taken(bytes.clone());
    assert_eq!(taken.event, normal(given), "what is known is what it would be without");
    assert_eq!(Event::decode(taken.bytes.clone()).unwrap(), taken.event);
    assert_ne!(taken.event.kind, message("cha\u{300}o").kind);
    let (came, kept) = (places(&bytes), places(&taken.bytes));
    let in_the_words = vec![(20, 0), (1, 0), (1, 0)];
    assert_eq!(kept[&in_the_words], sub(1000, b"new"));
    for (path, unknown) in came {
        assert_eq!(kept[&path], unknown, "{path:?}");
    }
}

#[test]
fn of_evidence_that_is_removed_nothing_is_kept() {
    let told = |value: &str| IdentifierEvidence {
        identifier: Some(identifier("phone", value)),
        ..IdentifierEvidence::default()
    };
    let mut given = message("x");
    given.identifiers = vec![told("nonsense"), told("+84912345678")];
    let taken = taken(newer(&given, &[], &sub(1000, b"new")));
    assert_eq!(
        (taken.normalised.identifiers_removed, taken.event.identifiers.len()),
        (1, 1)
    );
    assert_eq!(Event::decode(taken.bytes.clone()).unwrap(), taken.event);
    assert_eq!(places(&taken.bytes)[&vec![]], sub(1000, b"new"));
}

#[test]
fn two_kinds_in_one_event_are_read_as_the_last_one() {
    let (words, gone) = (message("x"), event(Kind::Deletion(Deletion::default())));
    let (words, gone) = (words.encode_to_vec(), gone.encode_to_vec());
    for order in [[&words, &gone, &words], [&gone, &words, &gone]] {
        let bytes = [order.map(Vec::as_slice).concat(), sub(1000, b"new")].concat();
        let taken = taken(bytes.clone());
        assert_eq!(
            Some(&taken.event.kind),
            Event::decode(&bytes[..]).ok().as_ref().map(|event| &event.kind)
        );
        assert_eq!(Event::decode(taken.bytes.clone()).unwrap(), taken.event);
        assert_eq!(places(&taken.bytes)[&vec![]], sub(1000, b"new"));
    }
}

#[test]
fn a_kind_of_a_newer_version_is_taken_and_shown_as_unsupported() {
    let bytes = of_newer_kind(&message("x"), b"a poll");
    let taken = taken(bytes.clone());
    assert_eq!(taken.event.kind, None);
    assert_eq!(taken.event.tenant_id, "acme");
    assert_eq!(places(&taken.bytes)[&vec![]], sub(1000, b"a poll"));
    assert_eq!(Event::decode(taken.bytes.clone()).unwrap(), taken.event);
    let Some(Kind::Unsupported(shown)) = readable(&taken.bytes).kind else {
        panic!("another kind")
    };
    assert_eq!((shown.type_name.as_str(), &shown.raw), ("newer", &taken.bytes));
}

#[test]
fn without_a_kind_and_without_anything_unknown_it_is_refused() {
    let around = Event {
        kind: None,
        ..message("x")
    };
    assert_eq!(refusal(around.encode_to_vec()).field, "kind");
    let explicit_default = [around.encode_to_vec(), vec![7 << 3, 0]].concat();
    assert_eq!(refusal(explicit_default).field, "kind", "a known field is no kind");
    let only_inside = {
        let mut peer = around.peer.clone().unwrap().encode_to_vec();
        peer.extend(sub(1000, b"new"));
        let around = Event { peer: None, ..around };
        [around.encode_to_vec(), sub(8, &peer)].concat()
    };
    assert_eq!(refusal(only_inside).field, "kind", "nor is what lies deeper");
}

#[test]
fn the_rest_of_an_event_of_a_newer_kind_must_be_valid() {
    let mut around = message("x");
    around.provider_message_id = "x".repeat(3000);
    assert_eq!(refusal(of_newer_kind(&around, b"a poll")).field, "provider_message_id");
}

#[test]
fn what_nobody_here_can_read_is_bounded() {
    let most = sub(1000, &vec![1; MAX_RAW - 5]);
    taken([message("x").encode_to_vec(), most.clone()].concat());
    let refusal = refusal([message("x").encode_to_vec(), most, vec![7 << 3, 0]].concat());
    assert_eq!(refusal.field, "event");
    assert!(refusal.problem.contains("at most 262144"), "{refusal}");
}

#[test]
fn facts_of_a_newer_kind_have_ids_of_their_own() {
    let id = |around: &Event, kind: &[u8]| taken(of_newer_kind(around, kind)).event.event_id;
    let around = message("x");
    let poll = id(&around, b"a poll");
    // Like every id: a change would let every known fact in again.
    assert_eq!(poll, "b419d7b347ae7fefcf3f54b7c7953aeb");
    let mut again = around.clone();
    again.received_at = at(1_699_999_999);
    again.trace_id = "00000000000000000000000000000001".into();
    assert_eq!(id(&again, b"a poll"), poll, "a repetition");
    let mut later = around.clone();
    later.occurred_at = at(1_699_999_991);
    let mut other_message = around.clone();
    other_message.provider_message_id = "8".into();
    let mut other_peer = around.clone();
    other_peer.peer = Some(identifier("tg_chat", "43"));
    let mut by_key = around.clone();
    by_key.provider_message_id.clear();
    by_key.stable_key = "7".into();
    let mut by_content = around.clone();
    by_content.provider_message_id.clear();
    let mut ids = vec![
        poll,
        normal(around.clone()).event_id,
        id(&around, b"a vote"),
        id(&later, b"a poll"),
        id(&other_message, b"a poll"),
        id(&other_peer, b"a poll"),
        id(&by_key, b"a poll"),
        id(&by_content, b"a poll"),
        id(&by_content, b"a vote"),
    ];
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn nested_fields_of_an_edit_stay() {
    let given = event(Kind::Edit(Edit {
        message: Some(Message {
            subject: "cha\u{300}o".into(),
            ..text("x")
        }),
        edited_at: at(1_699_999_995),
    }));
    let taken = taken(newer(&given, &sub(2000, b"first"), &[]));
    let kept = places(&taken.bytes);
    for path in [vec![], vec![(21, 0)], vec![(21, 0), (1, 0)], vec![(21, 0), (2, 0)]] {
        assert_eq!(kept[&path], sub(2000, b"first"), "{path:?}");
    }
}

/// Fields that no version of the contract uses.
fn unknown_fields() -> impl Strategy<Value = Vec<u8>> {
    let field = (
        1000_u32..100_000,
        proptest::collection::vec(any::<u8>(), 0..20),
        any::<u64>(),
        0..4,
    );
    let field = field.prop_map(|(number, bytes, value, form)| {
        let mut out = Vec::new();
        match form {
            0 => prost::encoding::uint64::encode(number, &value, &mut out),
            1 => prost::encoding::fixed64::encode(number, &value, &mut out),
            2 => prost::encoding::group::encode(number, &text("inside"), &mut out),
            _ => out = sub(number, &bytes),
        }
        out
    });
    proptest::collection::vec(field, 0..4).prop_map(|fields| fields.concat())
}

proptest! {
    #[test]
    fn whatever_a_newer_version_adds_is_kept(given in any_event(), first in unknown_fields(), last in unknown_fields()) {
        let bytes: Bytes = newer(&given, &first, &last).into();
        let mut plain = given.clone();
        let normalised = normalise(&mut plain, &account(), NOW, TRACE);
        let taken = Incoming::read(bytes.clone()).unwrap().normalise(&account(), NOW, TRACE);
        prop_assert_eq!(taken.as_ref().err(), normalised.as_ref().err());
        let Ok(taken) = taken else { return Ok(()) };
        prop_assert_eq!(&taken.event, &plain, "what is known is what it would be without");
        prop_assert_eq!(&Event::decode(taken.bytes.clone()).unwrap(), &plain);
        let plain_bytes = plain.encode_to_vec();
        if first.is_empty() && last.is_empty() {
            prop_assert_eq!(&taken.bytes, &plain_bytes);
        }
        let (came, kept, there) = (places(&bytes), places(&taken.bytes), places(&plain_bytes));
        let some_removed = given.identifiers.len() != plain.identifiers.len();
        for path in there.keys().filter(|path| came.contains_key(*path)) {
            if !(some_removed && path.first().is_some_and(|(number, _)| *number == 9)) {
                prop_assert_eq!(&kept[path], &came[path], "{:?}", path);
            }
        }
    }

    #[test]
    fn a_second_pass_changes_no_byte(given in any_event(), first in unknown_fields(), last in unknown_fields()) {
        if let Ok(once) = Incoming::read(newer(&given, &first, &last).into()).unwrap().normalise(&account(), NOW, TRACE) {
            prop_assert_eq!(taken(once.bytes.clone()).bytes, once.bytes);
        }
    }

    #[test]
    fn no_bytes_are_too_strange(
        given in any_event(),
        first in unknown_fields(),
        wrong in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<proptest::sample::Index>(),
        behind in proptest::collection::vec(any::<u8>(), 0..30),
    ) {
        let mut bytes = newer(&given, &first, &[]);
        for (at, byte) in wrong {
            let at = at.index(bytes.len().max(1));
            if let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
        }
        let whole = bytes.clone();
        bytes.truncate(cut.index(bytes.len() + 1));
        for bytes in [whole, [bytes.clone(), behind].concat(), bytes] {
            let bytes = Bytes::from(bytes);
            let Ok(incoming) = Incoming::read(bytes.clone()) else { continue };
            prop_assert_eq!(Event::decode(incoming.bytes()).unwrap(), incoming.event().clone());
            if let Ok(taken) = incoming.normalise(&account(), NOW, TRACE) {
                prop_assert_eq!(Event::decode(taken.bytes.clone()).unwrap(), taken.event.clone());
                prop_assert!(taken.bytes.len() <= bytes.len() + taken.event.encoded_len() + 1024);
            }
        }
    }
}
