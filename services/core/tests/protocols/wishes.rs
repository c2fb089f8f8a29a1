//! Long messages in pieces, and wishes that are confirmed.

use crate::link::{arrival, event};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::id::CustomerId;
use omnigate_core::keys::{self, Timer};
use omnigate_core::pieces::WAIT;
use omnigate_core::port::store::Query;
use omnigate_core::protocol::append::{Applied, apply, give_up_pieces};
use omnigate_core::protocol::context::as_range;
use omnigate_core::protocol::{confirm, read};
use omnigate_core::time::Moment;
use omnigate_core::{customer_event, identifier};
use omnigate_proto::v1::{
    CustomerEvent, Identifier, Message, Part, Piece, Subscription, SubscriptionState, Text,
    customer_event::Kind as Told, event::Kind, part::Content,
};
use prost::Message as _;
use std::ops::Bound;

const PHONE: &str = "phone//+84912000111";

fn piece(number: u32, total: u32, text: &str) -> Arrival {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let message = Message {
        piece: Some(Piece {
            reference: "7".into(),
            total,
            number,
            utf16: utf16.into(),
        }),
        ..Message::default()
    };
    arrival(event(
        "brand",
        PHONE,
        &[],
        &format!("p{number}"),
        Kind::Message(message),
    ))
}

fn wish(id: &str, state: SubscriptionState, confirmation: &str) -> Arrival {
    let wish = Subscription {
        state: state.into(),
        topic: "marketing".into(),
        source: "TC".into(),
        confirmation: confirmation.into(),
        ..Subscription::default()
    };
    arrival(event("brand", PHONE, &[], id, Kind::Subscription(wish)))
}

fn applied(world: &World, arrivals: &[Arrival]) -> Applied {
    now(apply(&world.context(), arrivals)).unwrap()
}

/// Words of the messages that were told of.
fn words(outgoing: &[omnigate_core::protocol::outbox::Outgoing]) -> Vec<(String, bool)> {
    let told = outgoing.iter().filter_map(|outgoing| {
        let event = CustomerEvent::decode(outgoing.event.clone()).unwrap();
        let Some(Told::EntryAdded(added)) = event.kind else {
            return None;
        };
        match added.entry?.event?.kind? {
            Kind::Message(Message { parts, is_partial, .. }) => match parts.into_iter().next()?.content? {
                Content::Text(Text { text, .. }) => Some((text, is_partial)),
                _ => None,
            },
            _ => None,
        }
    });
    told.collect()
}

fn home(world: &World) -> CustomerId {
    let identifier = Identifier {
        r#type: "phone".into(),
        scope: String::new(),
        value: "+84912000111".into(),
    };
    now(read::resolve(&world.context(), "t", &identifier))
        .unwrap()
        .unwrap()
        .id
}

#[test]
fn pieces_become_one_entry_and_repeated_ones_change_nothing() {
    for loses in [false, true] {
        let world = World::new(loses);
        let (one, two) = (piece(1, 2, "xin "), piece(2, 2, "chào"));
        assert!(words(&applied(&world, std::slice::from_ref(&two)).outgoing).is_empty());
        assert!(words(&applied(&world, std::slice::from_ref(&two)).outgoing).is_empty());
        let whole = applied(&world, &[one.clone(), two.clone()]);
        // After a lost answer the entry is told from the outbox.
        assert!(loses || words(&whole.outgoing) == [("xin chào".to_owned(), false)]);
        for late in [&one, &two] {
            let again = applied(&world, std::slice::from_ref(late));
            assert_eq!((again.repeated, again.outgoing.len()), (1, 0), "loses {loses}");
        }
        world.pass(i64::try_from(WAIT.as_millis()).unwrap());
        let timer = timers(&world)[0];
        let given_up = now(give_up_pieces(&world.context(), home(&world), timer)).unwrap();
        assert!(given_up.is_empty() && timers(&world).is_empty());
    }
}

fn timers(world: &World) -> Vec<Moment> {
    let shard = home(world).shard();
    let all = Query::Range {
        key: keys::timers(),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: 100,
        reverse: false,
    };
    let answers = now(world.context().store.read(shard, vec![all])).unwrap();
    let members = as_range(answers.into_iter().next()).unwrap();
    let read = members.iter().filter_map(|(member, _)| keys::read_timer_member(member));
    read.filter(|(_, timer)| matches!(timer, Timer::Pieces(_)))
        .map(|(due, _)| due)
        .collect()
}

#[test]
fn what_stays_incomplete_is_shown_as_it_is() {
    for loses in [false, true] {
        let world = World::new(loses);
        applied(&world, &[piece(2, 3, "giữa")]);
        let due = timers(&world);
        let early = now(give_up_pieces(&world.context(), home(&world), due[0])).unwrap();
        assert!(early.is_empty() && timers(&world) == due);
        world.pass(i64::try_from(WAIT.as_millis()).unwrap());
        let told = now(give_up_pieces(&world.context(), home(&world), timers(&world)[0])).unwrap();
        if !loses {
            assert_eq!(words(&told), [("giữa".to_owned(), true)]);
        }
        assert!(timers(&world).is_empty());
        let again = applied(&world, &[piece(2, 3, "giữa")]);
        assert_eq!(again.repeated, 1, "a piece that was shown is known");
    }
}

#[test]
fn a_wish_is_confirmed_once_however_often_it_comes() {
    for loses in [false, true] {
        let world = World::new(loses);
        let stop = wish("s1", SubscriptionState::Unsubscribed, "Da ghi nhan");
        let first = applied(&world, std::slice::from_ref(&stop));
        let again = applied(&world, std::slice::from_ref(&stop));
        assert_eq!(first.confirmations, again.confirmations);
        let send = |due: &confirm::Due| now(confirm::accept(&world.context(), due)).unwrap().unwrap().record;
        let sent = send(&first.confirmations[0]);
        assert_eq!(
            sent.delivery.as_ref().unwrap().message_id,
            send(&again.confirmations[0]).delivery.clone().unwrap().message_id
        );
        // Who says it a second time has been told.
        let second = applied(&world, &[wish("s2", SubscriptionState::Unsubscribed, "Da ghi nhan")]);
        assert!(second.confirmations.is_empty());
        // After coming back a new refusal is a new wish.
        applied(&world, &[wish("s3", SubscriptionState::Subscribed, "")]);
        let third = applied(&world, &[wish("s4", SubscriptionState::Unsubscribed, "Da ghi nhan")]);
        assert_eq!(third.confirmations.len(), 1);
    }
}

#[test]
fn the_readable_form_of_a_whole_message_has_no_pieces() {
    let world = World::new(false);
    let whole = applied(&world, &[piece(1, 2, "a"), piece(2, 2, "b")]);
    let mut told = whole
        .outgoing
        .iter()
        .filter_map(|told| CustomerEvent::decode(told.event.clone()).unwrap().kind);
    let added = told.find_map(|told| match told {
        Told::EntryAdded(added) => Some(added),
        _ => None,
    });
    let added = added.unwrap();
    let event = customer_event::readable(&added.entry.unwrap().event.unwrap().encode_to_vec().into());
    let Some(Kind::Message(message)) = event.kind else {
        panic!("no message")
    };
    assert_eq!(message.piece, None);
    let text = Part {
        content: Some(Content::Text(Text {
            text: "ab".into(),
            ..Text::default()
        })),
    };
    assert_eq!(message.parts, [text]);
    assert_eq!(identifier::text(&event.peer.unwrap()), PHONE);
}
