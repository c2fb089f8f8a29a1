//! The oracle finds what it is there to find.

use super::*;
use omnigate_proto::v1::event::Kind as Fact;
use omnigate_proto::v1::{DeliveryChanged, EntryAdded, Event};

const CHAT: i64 = 7;

fn entry(number: u64, text: &str, message_id: &str) -> Entry {
    Entry {
        entry_id: format!("ent_{number}"),
        event: Some(Event {
            kind: Some(Fact::Message(crate::load::message(text))),
            ..Event::default()
        }),
        thread_seq: number,
        message_id: message_id.to_owned(),
        ..Entry::default()
    }
}

fn told_of(number: u64, kind: Kind) -> CustomerEvent {
    CustomerEvent {
        event_id: format!("cus_1/{number}"),
        customer_id: "cus_1".to_owned(),
        home_seq: number,
        kind: Some(kind),
        ..CustomerEvent::default()
    }
}

/// Two messages of one person, one answer between them.
fn all_is_well() -> (Known, Observed) {
    let sending = Sending {
        message_id: "msg_1".to_owned(),
        chat: CHAT,
        text: "answer".to_owned(),
        may_repeat: false,
    };
    let known = Known {
        acknowledged: BTreeMap::from([(CHAT, vec!["one".to_owned(), "two".to_owned()])]),
        sendings: vec![sending],
    };
    let delivery = Delivery {
        message_id: "msg_1".to_owned(),
        state: DeliveryState::Sent.into(),
        attempts: 1,
        ..Delivery::default()
    };
    let entries = vec![entry(1, "one", ""), entry(2, "answer", "msg_1"), entry(3, "two", "")];
    let mut told: Vec<CustomerEvent> = entries
        .iter()
        .map(|entry| EntryAdded {
            entry: Some(entry.clone()),
        })
        .zip(1..)
        .map(|(added, number)| told_of(number, Kind::EntryAdded(added)))
        .collect();
    let changed = DeliveryChanged {
        delivery: Some(delivery.clone()),
    };
    told.push(told_of(4, Kind::DeliveryChanged(changed)));
    let observed = Observed {
        timelines: BTreeMap::from([(CHAT, entries)]),
        deliveries: BTreeMap::from([("msg_1".to_owned(), delivery)]),
        sent: vec![(CHAT, "answer".to_owned())],
        told,
        parked: Vec::new(),
    };
    (known, observed)
}

fn finds(what: &str, spoil: impl Fn(&mut Known, &mut Observed)) {
    let (mut known, mut observed) = all_is_well();
    spoil(&mut known, &mut observed);
    let violations = judge(&known, &observed).expect_err(what);
    assert!(
        violations.iter().any(|violation| violation.contains(what)),
        "{what}: {violations:?}"
    );
}

fn entries(observed: &mut Observed) -> &mut Vec<Entry> {
    observed.timelines.get_mut(&CHAT).unwrap()
}

fn the_delivery(observed: &mut Observed) -> &mut Delivery {
    observed.deliveries.get_mut("msg_1").unwrap()
}

#[test]
fn what_is_well_is_called_well() {
    let (known, mut observed) = all_is_well();
    observed.told.push(observed.told[0].clone());
    let counts = judge(&known, &observed).unwrap();
    assert_eq!((counts.acknowledged, counts.entries, counts.sent), (2, 3, 1));
    assert_eq!((counts.told, counts.told_again), (4, 1));
}

#[test]
fn messages_that_are_lost_doubled_or_out_of_order_are_found() {
    finds("lost [\"three\"]", |known, _| {
        known.acknowledged.get_mut(&CHAT).unwrap().push("three".to_owned())
    });
    finds("not acknowledged [\"two\"]", |known, _| {
        drop(known.acknowledged.get_mut(&CHAT).unwrap().pop())
    });
    finds("doubled [\"two\"]", |_, observed| {
        entries(observed).push(entry(4, "two", ""))
    });
    finds("other order from Some(0)", |known, _| {
        known.acknowledged.get_mut(&CHAT).unwrap().reverse()
    });
    finds("the thread is numbered [1, 2, 4]", |_, observed| {
        entries(observed)[2].thread_seq = 4
    });
    finds("an entry is listed twice", |_, observed| {
        entries(observed)[2].entry_id = "ent_1".to_owned()
    });
    finds("events were parked", |_, observed| {
        observed.parked.push("attempts_exhausted".to_owned())
    });
}

#[test]
fn deliveries_that_are_not_what_they_say_are_found() {
    finds("it has no delivery", |_, observed| observed.deliveries.clear());
    finds("the provider does not have it", |_, observed| observed.sent.clear());
    finds("nobody says so", |_, observed| {
        the_delivery(observed).attempts = 2;
        observed.sent.push((CHAT, "answer".to_owned()));
    });
    finds("2 times after 1 attempts", |_, observed| {
        observed.sent.push((CHAT, "answer".to_owned()))
    });
    finds("and the provider has it", |_, observed| {
        the_delivery(observed).set_state(DeliveryState::Failed)
    });
    finds("nobody says why", |_, observed| {
        the_delivery(observed).set_state(DeliveryState::Unknown)
    });
    finds("it stands at Submitting", |_, observed| {
        the_delivery(observed).set_state(DeliveryState::Submitting);
    });
    finds("it is on the timeline 0 times", |_, observed| {
        entries(observed)[1].message_id = "msg_2".to_owned()
    });
    finds("nobody was told that [\"more\"] is accepted", |_, observed| {
        observed.sent.push((CHAT, "more".to_owned()))
    });
    finds("sent in the order", |known, observed| {
        let first = Sending {
            text: "first".to_owned(),
            ..known.sendings[0].clone()
        };
        known.sendings.insert(0, first);
        observed.sent.push((CHAT, "first".to_owned()));
    });
}

#[test]
fn what_is_not_told_or_told_in_two_ways_is_found() {
    finds("entry ent_3 was never told", |_, observed| {
        drop(observed.told.remove(2))
    });
    finds("is numbered {1, 2, 4}", |_, observed| drop(observed.told.remove(2)));
    finds("was told to be None", |_, observed| drop(observed.told.pop()));
    finds("was told in two ways", |_, observed| {
        let mut other = observed.told[0].clone();
        other.trace_id = "other".to_owned();
        observed.told.push(other);
    });
    finds("was told under two ids", |_, observed| {
        let mut other = observed.told[0].clone();
        other.event_id = "cus_1/5".to_owned();
        other.home_seq = 5;
        observed.told.push(other);
    });
}
