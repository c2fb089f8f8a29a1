use crate::link::{arrival, message};
use crate::{World, now};
use omnigate_core::id::ParkedId;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::park::{self, Unfit, park_event};
use omnigate_core::shard::Shard;
use omnigate_core::{identifier, keys};
use omnigate_proto::state::v1::{HomeRecord, ParkedKeyRecord, Stamped};
use omnigate_proto::v1::Event;
use prost::Message as _;

fn stamped(event: &Event) -> Stamped {
    Stamped {
        event: event.encode_to_vec().into(),
        received_at_ms: 7,
        traceparent: String::new(),
        ..Stamped::default()
    }
}

fn put_aside(world: &World, stamped: &Stamped) -> ParkedId {
    let unfit = Unfit {
        stamped,
        reason: "attempts_exhausted",
        detail: "it failed",
        attempts: 5,
        origin: "q",
    };
    now(park_event(&world.context(), &unfit)).unwrap()
}

fn listed(world: &World) -> Vec<String> {
    let (items, next) = now(park::list(&world.context(), &["t"], None, 100)).unwrap();
    assert_eq!(next, None);
    items.into_iter().map(|item| item.parked_id).collect()
}

fn gap(world: &World) -> bool {
    let peer = message("bot", "tg_chat/bot/1", &[], "1").peer.unwrap();
    let key = identifier::key("t", &peer);
    let claim = now(world.context().claim(key)).unwrap().value.unwrap();
    let home = omnigate_core::id::CustomerId::from_bytes(&claim.home).unwrap();
    let record = now(world
        .context()
        .record::<HomeRecord>(home.shard(), keys::home(home), "home"))
    .unwrap();
    record.value.unwrap().threads[0].gap
}

#[test]
fn parking_marks_the_gap_and_happens_once() {
    for loses in [false, true] {
        let world = World::new(loses);
        now(apply(
            &world.context(),
            &[arrival(message("bot", "tg_chat/bot/1", &[], "1"))],
        ))
        .unwrap();
        let unfit = stamped(&message("bot", "tg_chat/bot/1", &[], "2"));
        let id = put_aside(&world, &unfit);
        world.pass(1_000);
        assert_eq!(put_aside(&world, &unfit), id);
        assert_eq!(listed(&world), [id.to_string()]);
        assert!(gap(&world));
        now(apply(
            &world.context(),
            &[arrival(message("bot", "tg_chat/bot/1", &[], "3"))],
        ))
        .unwrap();
        assert!(!gap(&world), "the entry after the gap says so");
    }
}

#[test]
fn a_parked_event_keeps_its_bytes_until_it_is_removed() {
    let world = World::new(true);
    let event = message("bot", "tg_chat/bot/1", &[], "2");
    let id = put_aside(&world, &stamped(&event));
    let item = now(park::get(&world.context(), id)).unwrap().unwrap();
    assert_eq!(park::stamped(&item), Some(stamped(&event)));
    assert_eq!(item.event, Some(event));
    let key = || {
        now(world
            .context()
            .record::<ParkedKeyRecord>(id.shard(), keys::parked_key(id), "key"))
    };
    assert!(key().unwrap().value.is_some_and(|record| record.key.len() == 32));
    let lies = world.store.memory.everything();
    assert!(
        !lies
            .iter()
            .any(|value| value.windows(14).any(|window| window == b"tg_chat\x12\x03bot\x1a\x01"))
    );
    let removed = now(park::remove(&world.context(), id)).unwrap().unwrap();
    assert!(key().unwrap().value.is_none(), "its key goes with it");
    assert_eq!(removed.parked_id, id.to_string());
    assert_eq!(now(park::remove(&world.context(), id)).unwrap(), None);
    assert!(listed(&world).is_empty());
}

#[test]
fn undecodable_events_of_nobody_are_listed_for_the_operator_only() {
    let world = World::new(false);
    put_aside(
        &world,
        &Stamped {
            event: "\u{1}garbage".into(),
            ..Stamped::default()
        },
    );
    assert!(listed(&world).is_empty());
    let (items, _) = now(park::list(&world.context(), &["t", ""], None, 100)).unwrap();
    assert_eq!(items.len(), 1);
}

#[test]
fn pages_meet_every_item_once() {
    let world = World::new(false);
    for number in 1..=40 {
        put_aside(
            &world,
            &stamped(&message("bot", &format!("tg_chat/bot/{number}"), &[], "1")),
        );
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (items, next) = now(park::list(&world.context(), &["t"], after, 7)).unwrap();
        assert!(items.iter().all(|item| item.body.is_empty() && item.event.is_none()));
        seen.extend(
            items
                .into_iter()
                .map(|item| item.parked_id.parse::<ParkedId>().unwrap()),
        );
        after = next;
        if after.is_none() {
            break;
        }
    }
    let shards: Vec<Shard> = seen.iter().map(|id| id.shard()).collect();
    assert!(shards.is_sorted());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 40);
}

#[test]
fn attempts_are_counted_before_they_begin_and_forgotten_afterwards() {
    let world = World::new(false);
    let event = arrival(message("bot", "tg_chat/bot/1", &[], "1")).id;
    let attempt = |failure| now(park::attempt(&world.context(), event, failure)).unwrap();
    assert_eq!((attempt(""), attempt("x"), attempt("")), (1, 2, 3));
    now(park::settled(&world.context(), event)).unwrap();
    now(park::settled(&world.context(), event)).unwrap();
    assert_eq!(attempt(""), 1);
    let losing = World::new(true);
    let last = (0..10)
        .map(|_| now(park::attempt(&losing.context(), event, "")).unwrap())
        .last();
    assert!(last >= Some(10), "an attempt may be counted twice, never not at all");
}
