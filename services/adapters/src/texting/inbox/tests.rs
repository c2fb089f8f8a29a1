use super::*;
use crate::texting::settings::tests::text_settings;
use omnigate_core::{
    account::{AdapterRef, Limits, Settings},
    event::normalise,
};
use serde_json::{Value, json};

/// 2026-01-02T03:04:05.678Z.
const AT: Moment = Moment(1_767_323_045_678);

fn account() -> Account {
    Account {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "any".into(),
        display_name: "Shop".into(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings: Settings::default(),
        limits: Limits::default(),
    }
}

fn events(from: &str, text: &str, settings: Value) -> Option<Vec<Event>> {
    let settings = text_settings(settings).unwrap();
    let account = account();
    let inbox = Inbox {
        account: &account,
        settings: &settings,
        received_at: AT,
    };
    let message = Message {
        parts: vec![text_part(text)],
        ..Message::default()
    };
    let events = inbox.events(Received {
        from,
        provider_message_id: "m-1",
        message,
        ..Received::default()
    })?;
    Some(
        events
            .into_iter()
            .map(|mut event| {
                normalise(&mut event, &account, AT, "").unwrap();
                event
            })
            .collect(),
    )
}

fn wish(events: &[Event]) -> Option<&Subscription> {
    events.iter().find_map(|event| match &event.kind {
        Some(Kind::Subscription(subscription)) => Some(subscription),
        _ => None,
    })
}

#[test]
fn an_opt_out_is_a_message_and_a_wish() {
    let events = events("0912345678", " Từ chối! ", json!({})).unwrap();
    let [message, _] = events.as_slice() else {
        panic!("not two")
    };
    let peer = message.peer.as_ref().unwrap();
    assert_eq!((peer.r#type.as_str(), peer.value.as_str()), ("phone", "+84912345678"));
    assert_eq!(message.identifiers[0].provider_form, "0912345678");
    let subscription = wish(&events).unwrap();
    assert_eq!(subscription.state(), SubscriptionState::Unsubscribed);
    assert_eq!(
        (subscription.topic.as_str(), subscription.source.as_str()),
        ("marketing", "Từ chối!")
    );
    assert!(subscription.confirmation.starts_with("Shop: da nhan") && subscription.confirmation.contains("10:04"));
    assert_ne!(events[0].event_id, events[1].event_id);
    assert_eq!(events[0].provider_message_id, events[1].provider_message_id);
}

#[test]
fn only_a_whole_word_is_a_wish() {
    for (text, state) in [
        ("TC", Some(SubscriptionState::Unsubscribed)),
        ("dk qc", Some(SubscriptionState::Subscribed)),
        ("toi muon huy don hang", None),
        ("TRO GIUP", None),
        ("", None),
    ] {
        let events = events("+84912345678", text, json!({})).unwrap();
        assert_eq!(wish(&events).map(Subscription::state), state, "{text}");
    }
    let events = events("+84912345678", "START", json!({ "opt_out_topic": "" })).unwrap();
    let subscription = wish(&events).unwrap();
    assert_eq!(
        (subscription.topic.as_str(), subscription.confirmation.as_str()),
        ("", "")
    );
}

#[test]
fn who_has_no_phone_is_a_sender_of_the_account() {
    let events = events("SHOPABC", "STOP", json!({})).unwrap();
    let peer = events[0].peer.as_ref().unwrap();
    assert_eq!((peer.r#type.as_str(), peer.scope.as_str()), ("sms_sender", "shop"));
    assert_eq!(wish(&events).unwrap().confirmation, "", "a name cannot be answered");
    assert_eq!(
        self::events("8041", "a", json!({})).unwrap()[0]
            .peer
            .as_ref()
            .unwrap()
            .value,
        "8041"
    );
}

#[test]
fn what_the_contract_cannot_carry_is_told() {
    assert_eq!(events("", "a", json!({})), None);
    assert_eq!(events("unknown", "a", json!({})), None);
    assert_eq!(events("+84912345678", &"\u{1d160}".repeat(17_000), json!({})), None);
    assert!(events("+84912345678", &"a".repeat(65_536), json!({})).is_some());
}
