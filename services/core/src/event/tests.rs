use super::*;
use crate::account::{AdapterRef, Limits, Settings};
use bytes::Bytes;
use omnigate_proto::v1::{
    Author, Choice, Deletion, Edit, IdentityChange, Media, Message, Note, Part, Postback, Profile, Reachability,
    Subscription, Text, Unsupported, part::Content,
};
use proptest::prelude::*;

pub(super) const NOW: Moment = Moment(1_700_000_000_000);
pub(super) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

pub(super) fn account() -> Account {
    Account {
        id: "shop-bot".into(),
        tenant_id: "acme".into(),
        channel: "telegram".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop-bot".into(),
        settings: Settings::default(),
        limits: Limits::default(),
    }
}

pub(super) fn identifier(kind: &str, value: &str) -> Identifier {
    Identifier {
        r#type: kind.into(),
        scope: if kind == "tg_chat" { "bot".into() } else { String::new() },
        value: value.into(),
    }
}

pub(super) fn text(words: &str) -> Message {
    Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: words.into(),
                format: 0,
            })),
        }],
        ..Message::default()
    }
}

pub(super) fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

pub(super) fn event(kind: Kind) -> Event {
    Event {
        peer: Some(identifier("tg_chat", "42")),
        provider_message_id: "7".into(),
        occurred_at: at(1_699_999_990),
        kind: Some(kind),
        ..Event::default()
    }
}

fn receipt(state: ReceiptState) -> Receipt {
    Receipt {
        provider_message_id: "7".into(),
        state: state.into(),
        ..Receipt::default()
    }
}

pub(super) fn normal(mut event: Event) -> Event {
    normalise(&mut event, &account(), NOW, TRACE).unwrap();
    event
}

fn id(event: Event) -> String {
    normal(event).event_id
}

fn device(state: ReachabilityState) -> Kind {
    Kind::Reachability(Reachability { state: state.into() })
}

fn refusal(mut event: Event) -> String {
    let refusal = normalise(&mut event, &account(), NOW, TRACE).unwrap_err();
    refusal.field
}

#[test]
fn everything_that_ingest_knows_is_stamped() {
    let mut given = event(Kind::Message(text("xin chào")));
    given.tenant_id = "somebody-else".into();
    given.channel = "sms".into();
    given.event_id = "made up".into();
    given.thread_id = "made up".into();
    let event = normal(given);
    assert_eq!(
        (event.tenant_id.as_str(), event.account_id.as_str()),
        ("acme", "shop-bot")
    );
    assert_eq!(event.channel, "telegram");
    assert_eq!(event.direction(), Direction::Inbound);
    assert_eq!(event.trace_id, TRACE);
    assert_eq!(event.received_at, Some(NOW.to_timestamp()));
    let thread: ThreadId = event.thread_id.parse().unwrap();
    assert_eq!(thread.peer(), identifier::key("acme", event.peer.as_ref().unwrap()));
    assert!(event.event_id.parse::<EventId>().is_ok());
}

#[test]
fn a_time_of_receipt_is_kept_unless_it_lies_in_the_future() {
    let mut early = event(Kind::Message(text("x")));
    early.received_at = at(1_699_999_999);
    let mut late = early.clone();
    late.received_at = at(1_700_009_999);
    assert_eq!(normal(early).received_at, at(1_699_999_999));
    assert_eq!(normal(late).received_at, Some(NOW.to_timestamp()));
}

#[test]
fn an_impossible_time_is_kept_as_words() {
    let mut strange = event(Kind::Message(text("x")));
    strange.occurred_at = at(1_699_999_990_000);
    let strange = normal(strange);
    assert_eq!(strange.occurred_at, None);
    assert_eq!(strange.provider_time, "1699999990000.000000000");
}

#[test]
fn texts_become_nfc() {
    let Some(Kind::Message(message)) = normal(event(Kind::Message(text("cha\u{300}o")))).kind else {
        panic!("another kind");
    };
    assert_eq!(message, text("chào"));
}

#[test]
fn identifiers_become_canonical_and_keep_the_provider_s_form() {
    let told = |kind: &str, value: &str| IdentifierEvidence {
        identifier: Some(identifier(kind, value)),
        evidence: 0,
        provider_form: String::new(),
    };
    let mut given = event(Kind::Message(text("x")));
    given.identifiers = vec![
        told("phone", "+84 91 234 56 78"),
        told("phone", "091"),
        told("crm", "null"),
    ];
    let found = normalise(&mut given, &account(), NOW, TRACE).unwrap();
    assert_eq!(found.identifiers_removed, 2);
    assert_eq!(
        given.identifiers,
        [IdentifierEvidence {
            identifier: Some(identifier("phone", "+84912345678")),
            evidence: Evidence::Stated.into(),
            provider_form: "+84 91 234 56 78".into(),
        }]
    );
}

#[test]
fn a_peer_without_canonical_form_is_refused_and_not_named() {
    let mut given = event(Kind::Message(text("x")));
    given.peer = Some(identifier("phone", "0912345678"));
    let refusal = normalise(&mut given, &account(), NOW, TRACE).unwrap_err();
    assert_eq!(refusal.field, "peer");
    assert!(!refusal.to_string().contains("0912345678"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_breaks_the_contract_is_refused_by_name() {
    let without_peer = |kind| Event {
        peer: None,
        ..event(kind)
    };
    let without_id = |kind| Event {
        provider_message_id: String::new(),
        ..event(kind)
    };
    let long = "x".repeat(65_537);
    let many = Message {
        parts: vec![text("x").parts[0].clone(); 33],
        ..Message::default()
    };
    let label = Message {
        choices: vec![Choice {
            label: "é".repeat(257),
            ..Choice::default()
        }],
        ..Message::default()
    };
    let upload = Message {
        parts: vec![Part {
            content: Some(Content::Media(Media {
                content: Bytes::from_static(b"x"),
                ..Media::default()
            })),
        }],
        ..Message::default()
    };
    let nameless = Receipt {
        provider_message_id: String::new(),
        ..receipt(ReceiptState::Read)
    };
    for (given, field) in [
        (
            Event {
                kind: None,
                ..event(Kind::Message(text("x")))
            },
            "kind",
        ),
        (without_peer(Kind::Message(text("x"))), "peer"),
        (event(Kind::Message(text(&long))), "message.parts[0]"),
        (event(Kind::Message(many)), "message.parts"),
        (event(Kind::Message(label)), "message.choices[0].label"),
        (event(Kind::Message(upload)), "message.parts[0].content"),
        (
            event(Kind::Message(Message {
                parts: vec![Part::default()],
                ..Message::default()
            })),
            "message.parts[0]",
        ),
        (event(Kind::Edit(Edit::default())), "edit.message"),
        (without_id(Kind::Deletion(Deletion::default())), "provider_message_id"),
        (without_id(Kind::Reaction(Reaction::default())), "provider_message_id"),
        (
            event(Kind::Receipt(receipt(ReceiptState::Unspecified))),
            "receipt.state",
        ),
        (without_id(Kind::Receipt(nameless)), "receipt"),
        (event(Kind::Subscription(Subscription::default())), "subscription.state"),
        (event(Kind::Reachability(Reachability::default())), "reachability.state"),
        (event(Kind::Note(Note::default())), "note"),
        (
            event(Kind::IdentityChange(IdentityChange::default())),
            "identity_change",
        ),
        (without_peer(device(ReachabilityState::Available)), "peer"),
    ] {
        assert_eq!(refusal(given), field);
    }
}

#[test]
fn what_nobody_understood_is_cut_and_says_so() {
    let Some(Kind::Unsupported(kept)) = normal(event(Kind::Unsupported(Unsupported {
        type_name: "poll".into(),
        raw: Bytes::from(vec![1; 300 * 1024]),
        ..Unsupported::default()
    })))
    .kind
    else {
        panic!("another kind");
    };
    assert_eq!((kept.raw.len(), kept.truncated), (256 * 1024, true));
}

#[test]
fn a_long_name_costs_no_message() {
    let mut given = event(Kind::Message(text("x")));
    given.profile = Some(Profile {
        display_name: "ạ".repeat(300),
        ..Profile::default()
    });
    assert_eq!(normal(given).profile.unwrap().display_name.chars().count(), 256);
}

#[test]
fn an_edit_names_its_message_event() {
    let message = normal(event(Kind::Message(text("x"))));
    let target = event_id_of_message("acme", "shop-bot", message.peer.as_ref(), "7");
    assert_eq!(message.event_id, target.to_string());
}

/// Ids are stored and remembered: a change of the hash would let every known fact in again.
#[test]
fn ids_never_change() {
    assert_eq!(id(event(Kind::Message(text("x")))), "ef3db7526ab47f20544a4fd1d9739f37");
    assert_eq!(
        id(event(Kind::Receipt(receipt(ReceiptState::Read)))),
        "4051dc25ffee47d842651646d08d488a"
    );
}

#[test]
fn a_repetition_is_the_same_fact() {
    let mut first = event(Kind::Message(text("x")));
    first.trace_id = "00000000000000000000000000000001".into();
    first.received_at = at(1_699_999_991);
    let mut again = event(Kind::Message(text("x")));
    again.received_at = at(1_699_999_999);
    again.profile = Some(Profile {
        display_name: "Renamed meanwhile".into(),
        ..Profile::default()
    });
    assert_eq!(id(first), id(again));
    let echoed_in_event = event(Kind::Receipt(Receipt {
        provider_message_id: String::new(),
        ..receipt(ReceiptState::Read)
    }));
    assert_eq!(
        id(echoed_in_event),
        id(event(Kind::Receipt(receipt(ReceiptState::Read))))
    );
}

#[test]
fn media_signed_anew_are_the_same_content() {
    let edit = |url: &str, handle: &str| {
        let media = Media {
            url: url.into(),
            provider_media_id: handle.into(),
            ..Media::default()
        };
        let message = Message {
            parts: vec![Part {
                content: Some(Content::Media(media)),
            }],
            ..Message::default()
        };
        id(event(Kind::Edit(Edit {
            message: Some(message),
            edited_at: at(5),
        })))
    };
    assert_eq!(edit("https://cdn/a?sig=1", "h"), edit("https://cdn/a?sig=2", "h"));
    assert_ne!(edit("https://cdn/a", ""), edit("https://cdn/b", ""));
}

/// Facts about one message of one thread, each unlike all others.
#[expect(clippy::too_many_lines, reason = "a table")]
fn different_facts() -> Vec<Event> {
    let edit = |words: &str, seconds| {
        Kind::Edit(Edit {
            message: Some(text(words)),
            edited_at: at(seconds),
        })
    };
    let reaction = |emojis: &[&str]| {
        Kind::Reaction(Reaction {
            emojis: emojis.iter().map(ToString::to_string).collect(),
            actor: None,
        })
    };
    let press = |callback: &str| {
        Kind::Postback(Postback {
            payload: "yes".into(),
            callback_id: callback.into(),
            ..Postback::default()
        })
    };
    let watermark = |seconds| {
        Kind::Receipt(Receipt {
            watermark: at(seconds),
            ..receipt(ReceiptState::Read)
        })
    };
    let subscribed = |state: SubscriptionState, topic: &str| {
        Kind::Subscription(Subscription {
            state: state.into(),
            topic: topic.into(),
            ..Subscription::default()
        })
    };
    let later = |kind| Event {
        occurred_at: at(1_699_999_995),
        ..event(kind)
    };
    let by = |actor: &str, kind| Event {
        author: Some(Author {
            identifier: Some(identifier("tg_user", actor)),
            profile: None,
        }),
        ..event(kind)
    };
    let keyless = |key: &str, kind| Event {
        provider_message_id: String::new(),
        stable_key: key.into(),
        ..event(kind)
    };
    let update = |key: &str, kind| Event {
        stable_key: key.into(),
        ..event(kind)
    };
    vec![
        update("1", reaction(&["❤"])),
        update("2", reaction(&["❤"])),
        event(Kind::Message(text("x"))),
        Event {
            provider_message_id: "8".into(),
            ..event(Kind::Message(text("x")))
        },
        Event {
            peer: Some(identifier("tg_chat", "43")),
            ..event(Kind::Message(text("x")))
        },
        keyless("7", Kind::Message(text("x"))),
        keyless("8", Kind::Message(text("x"))),
        keyless("", Kind::Message(text("x"))),
        keyless("", Kind::Message(text("y"))),
        by("1", keyless("", Kind::Message(text("x"))).kind.unwrap()).without_key(),
        later(Kind::Message(text("x"))).without_key(),
        event(edit("y", 10)),
        event(edit("y", 11)),
        event(edit("z", 10)),
        event(Kind::Deletion(Deletion { for_everyone: true })),
        event(Kind::Deletion(Deletion { for_everyone: false })),
        event(reaction(&["👍"])),
        event(reaction(&["👍", "❤"])),
        event(reaction(&[])),
        later(reaction(&["👍"])),
        by("1", reaction(&["👍"])),
        by("2", reaction(&["👍"])),
        event(Kind::Receipt(receipt(ReceiptState::Sent))),
        event(Kind::Receipt(receipt(ReceiptState::Read))),
        by("1", Kind::Receipt(receipt(ReceiptState::Read))),
        event(watermark(1)),
        event(watermark(2)),
        event(press("a")),
        event(press("b")),
        event(press("")),
        later(press("")),
        event(subscribed(SubscriptionState::Subscribed, "")),
        event(subscribed(SubscriptionState::Unsubscribed, "")),
        event(subscribed(SubscriptionState::Subscribed, "news")),
        later(subscribed(SubscriptionState::Subscribed, "")),
        event(device(ReachabilityState::Available)),
        event(device(ReachabilityState::Unavailable)),
        later(device(ReachabilityState::Available)),
        keyless("7", device(ReachabilityState::Available)),
        keyless("8", device(ReachabilityState::Available)),
    ]
}

trait WithoutKey {
    fn without_key(self) -> Self;
}

impl WithoutKey for Event {
    fn without_key(self) -> Self {
        Self {
            provider_message_id: String::new(),
            ..self
        }
    }
}

#[test]
fn different_facts_have_different_ids() {
    let facts = different_facts();
    let ids: std::collections::BTreeSet<String> = facts.iter().cloned().map(id).collect();
    assert_eq!(ids.len(), facts.len());
}

#[test]
fn ok_said_twice_without_any_key_or_time_is_two_messages() {
    let said = |received: i64| Event {
        provider_message_id: String::new(),
        occurred_at: None,
        received_at: at(received),
        ..event(Kind::Message(text("ok")))
    };
    assert_ne!(id(said(1_699_999_990)), id(said(1_699_999_995)));
    assert_eq!(id(said(1_699_999_990)), id(said(1_699_999_990)));
}

pub(super) fn any_event() -> impl Strategy<Value = Event> {
    let facts = different_facts();
    let times = prop_oneof![
        Just(None),
        any::<(i64, i32)>().prop_map(|(seconds, nanos)| Some(Timestamp { seconds, nanos }))
    ];
    (
        0..facts.len(),
        "\\PC{0,300}",
        times.clone(),
        times,
        proptest::collection::vec(("[a-z_]{1,8}", "\\PC{0,12}"), 0..5),
        "[0-9a-f]{0,33}",
        any::<i32>(),
    )
        .prop_map(move |(fact, words, occurred_at, received_at, told, trace_id, number)| {
            let mut event = facts[fact].clone();
            if let Some(Kind::Message(message)) = &mut event.kind {
                *message = text(&words);
            }
            event.profile = Some(Profile {
                display_name: words,
                ..Profile::default()
            });
            event.identifiers = told
                .iter()
                .map(|(kind, value)| IdentifierEvidence {
                    identifier: Some(identifier(kind, value)),
                    evidence: number,
                    provider_form: String::new(),
                })
                .collect();
            event.direction = number;
            Event {
                occurred_at,
                received_at,
                trace_id,
                ..event
            }
        })
}

proptest! {
    #[test]
    fn a_second_pass_changes_nothing(mut event in any_event()) {
        if normalise(&mut event, &account(), NOW, TRACE).is_ok() {
            let once = event.clone();
            let again = normalise(&mut event, &account(), NOW + Duration::from_secs(3600), "ffffffffffffffffffffffffffffffff").unwrap();
            prop_assert_eq!(again.identifiers_removed, 0);
            prop_assert_eq!(event, once);
        }
    }

    #[test]
    fn a_normalised_event_can_be_written_as_json(mut event in any_event()) {
        if normalise(&mut event, &account(), NOW, TRACE).is_ok() {
            let json = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        }
    }
}

#[test]
fn an_empty_text_is_not_sent() {
    for words in ["", " \n"] {
        let refusal = normalise_outbound(&mut text(words)).unwrap_err();
        assert_eq!(refusal.to_string(), "message.parts[0].text.text: is empty");
    }
    normalise_outbound(&mut text("a")).unwrap();
}
