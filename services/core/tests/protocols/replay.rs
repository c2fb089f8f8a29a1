//! What was received before is put on its way again: nothing is doubled, what was lost comes back, and nobody who is to be
//! forgotten.

use crate::link::{arrival, message, named, told};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::id::CustomerId;
use omnigate_core::identifier;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::entries::{self, Wanted};
use omnigate_core::protocol::identity::erase;
use omnigate_core::protocol::read;
use omnigate_core::protocol::replay::{shard_of_mark, without_erased};
use omnigate_core::replay::{self, Found};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{EventBatch, Stamped};
use omnigate_proto::v1::Event;
use prost::Message as _;

const PARTITIONS: u16 = 16;

fn peer(number: usize) -> String {
    format!("phone//+8490000{number:04}")
}

/// An entry of the journal, as it was when the events came.
fn journaled(world: &World, events: &[Event]) -> bytes::Bytes {
    let stamped = events.iter().map(|event| Stamped {
        event: event.encode_to_vec().into(),
        received_at_ms: world.context().now().0,
        ..Stamped::default()
    });
    EventBatch {
        events: stamped.collect(),
    }
    .encode_to_vec()
    .into()
}

/// Some people who write three times each; the journal of it.
fn people(world: &World, count: usize) -> Vec<bytes::Bytes> {
    let mut journal = Vec::new();
    for round in 0..3 {
        let events: Vec<Event> = (0..count)
            .map(|number| message("sms", &peer(number), &[], &format!("{number}-{round}")))
            .collect();
        journal.push(journaled(world, &events));
        for event in events {
            let arrival = Arrival {
                received_at: world.context().now(),
                ..arrival(event)
            };
            now(apply(&world.context(), &[arrival])).unwrap();
        }
        world.pass(1_000);
    }
    journal
}

/// Drives a journal once more; how many were left out.
fn replayed(world: &World, journal: &[bytes::Bytes]) -> u64 {
    let wanted = replay::Wanted {
        tenant_id: "t".to_owned(),
        account_id: String::new(),
        from: Moment(0),
        to: world.context().now(),
        originals_since: Moment(0),
    };
    let mut out = 0;
    for entry in journal {
        let found = replay::sort(entry, &wanted, PARTITIONS, &[0; 16]).unwrap().found;
        let (left, erased) = now(without_erased(&world.context(), found)).unwrap();
        out += erased;
        for Found { stamped, event, .. } in left {
            let arrival = Arrival {
                id: event.event_id.parse().unwrap(),
                bytes: stamped.event,
                received_at: Moment(stamped.received_at_ms),
                event,
            };
            now(apply(&world.context(), &[arrival])).unwrap();
        }
    }
    out
}

fn id_of(world: &World, number: usize) -> Option<CustomerId> {
    let found = now(read::resolve(&world.context(), "t", &named(&peer(number)))).unwrap();
    found.map(|whole| whole.id)
}

/// What somebody said, as the timeline shows it.
fn said(world: &World, number: usize) -> Vec<String> {
    let Some(whole) = now(read::resolve(&world.context(), "t", &named(&peer(number)))).unwrap() else {
        return Vec::new();
    };
    let page = now(entries::page(
        &world.context(),
        &whole.views(),
        &Wanted::first(100, true),
    ))
    .unwrap();
    let events = page.entries.into_iter().filter_map(|(_, entry)| entry.event);
    events.map(|event| event.provider_message_id).collect()
}

fn all_of(number: usize) -> Vec<String> {
    (0..3).map(|round| format!("{number}-{round}")).collect()
}

#[test]
fn what_took_effect_takes_none_again() {
    for loses in [false, true] {
        let world = World::new(loses);
        let journal = people(&world, 5);
        let before: Vec<Option<CustomerId>> = (0..5).map(|number| id_of(&world, number)).collect();
        for _ in 0..2 {
            assert_eq!(replayed(&world, &journal), 0);
        }
        for (number, before) in before.into_iter().enumerate() {
            assert_eq!((said(&world, number), id_of(&world, number)), (all_of(number), before));
        }
    }
}

#[test]
fn a_shard_that_a_failover_lost_comes_back_whole() {
    let world = World::new(false);
    let journal = people(&world, 20);
    let before: Vec<Option<CustomerId>> = (0..20).map(|number| id_of(&world, number)).collect();
    let lost = before[7].unwrap().shard();
    world.store.memory.lose(lost);
    // Another process, which remembers nothing of it.
    let world = World {
        cache: omnigate_core::protocol::cache::Cache::new(100),
        ..world
    };
    assert!(said(&world, 7).is_empty());
    assert_eq!(replayed(&world, &journal), 0);
    for (number, before) in before.into_iter().enumerate() {
        assert_eq!(said(&world, number), all_of(number), "{number}");
        let is_lost = before.unwrap().shard() == lost;
        assert_eq!(id_of(&world, number) != before, is_lost, "{number}");
    }
}

#[test]
fn nobody_who_was_erased_comes_back_even_if_the_claim_is_lost() {
    for loses_claim in [false, true] {
        let world = World::new(false);
        let journal = people(&world, 4);
        let erased = id_of(&world, 2).unwrap();
        now(erase(&world.context(), "t", erased)).unwrap();
        world.pass(1_000);
        let key = identifier::key("t", &named(&peer(2)));
        assert_ne!(shard_of_mark(key), key.shard());
        if loses_claim {
            world.store.memory.lose(key.shard());
        }
        let world = World {
            cache: omnigate_core::protocol::cache::Cache::new(100),
            ..world
        };
        assert_eq!(replayed(&world, &journal), 3);
        assert_eq!((id_of(&world, 2), said(&world, 2)), (None, Vec::new()));
        assert_eq!(said(&world, 1), all_of(1));
        // Whoever writes from it since is somebody new, and nothing of before is theirs.
        let mut since = arrival(message("sms", &peer(2), &[], "new"));
        since.received_at = world.context().now();
        now(apply(&world.context(), &[since])).unwrap();
        assert_eq!(replayed(&world, &journal), 3);
        assert_eq!(said(&world, 2), ["new"]);
    }
}

#[test]
fn an_erasure_that_was_begun_again_marks_the_same() {
    let world = World::new(false);
    told(&world, message("sms", &peer(0), &[], "1"));
    let id = id_of(&world, 0).unwrap();
    for commits in 0..40 {
        world.store.stops_after(commits);
        let done = now(erase(&world.context(), "t", id));
        world.store.goes_on();
        if done.is_ok() {
            break;
        }
    }
    world.pass(1_000);
    let journal = [journaled(&World::new(false), &[message("sms", &peer(0), &[], "1")])];
    let key = identifier::key("t", &named(&peer(0)));
    world.store.memory.lose(key.shard());
    assert_eq!(replayed(&world, &journal), 1);
}
