//! What is said of somebody at the moment of their erasure, and what others keep of having parted with them.

use crate::link::{arrival, event, message, named, told};
use crate::meddled::Meddled;
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::id::{Birth, CustomerId};
use omnigate_core::identifier;
use omnigate_core::identity::merge::Word;
use omnigate_core::identity::split::What;
use omnigate_core::keys;
use omnigate_core::port::store::{Answer, Query};
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::consent::set_refusal;
use omnigate_core::protocol::identity::{Command, Person, erase, merge, split};
use omnigate_core::protocol::read;
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::RefusalRecord;
use omnigate_proto::v1::{Subscription, SubscriptionState, event::Kind};

const PHONE: &str = "phone//+84912000222";
const ZALO: &str = "zalo_uid/oa/778899001";

fn of(world: &World, text: &str) -> CustomerId {
    now(read::resolve(&world.context(), "t", &named(text)))
        .unwrap()
        .unwrap()
        .id
}

fn stop() -> Arrival {
    let kind = Kind::Subscription(Subscription {
        state: SubscriptionState::Unsubscribed.into(),
        ..Subscription::default()
    });
    let mut arrival = arrival(event("a", PHONE, &[], "w", kind));
    arrival.received_at = Moment(2);
    arrival
}

fn one_of_two(world: &World) -> [CustomerId; 2] {
    told(world, message("a", PHONE, &[], "1"));
    world.pass(10);
    told(world, message("b", ZALO, &[], "2"));
    world.pass(10);
    let ids = [of(world, PHONE), of(world, ZALO)];
    let people = ids.map(Person::Customer);
    let asking = Asking {
        tenant_id: "t",
        received_at: Moment(i64::MAX),
        trace_id: "trace",
        replaces: None,
    };
    let both = [&people[0], &people[1]];
    now(merge(&world.context(), &asking, both, Word::Person, &mut Vec::new())).unwrap();
    ids
}

fn parted(world: &World, gets: CustomerId) {
    let whole = now(read::customer(&world.context(), "t", gets)).unwrap().unwrap();
    let command = Command {
        name: "apart".into(),
        tenant_id: "t".into(),
        gets,
        what: What::Merge {
            step: whole.merges().next().unwrap(),
            only: None,
        },
        birth: Birth(gets.0),
        trace_id: String::new(),
    };
    now(split(&world.context(), &command, gets, &mut Vec::new())).unwrap();
}

#[test]
fn a_wish_that_is_written_down_while_its_writer_is_erased_is_forgotten_with_them() {
    let mut erased = 0;
    for at in 0..12 {
        let world = World::new(false);
        told(&world, message("a", PHONE, &[], "1"));
        let id = of(&world, PHONE);
        world.pass(100);
        let done = std::sync::atomic::AtomicBool::new(false);
        let meddle = || {
            now(erase(&world.context(), "t", id)).unwrap().unwrap();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let store = Meddled::new(&world, at, &meddle);
        now(apply(&store.context(), &[stop()])).unwrap();
        if !done.load(std::sync::atomic::Ordering::Relaxed) {
            continue;
        }
        erased += 1;
        let key = identifier::key("t", &named(PHONE));
        let queries = [
            Query::Record(keys::consent(key)),
            Query::Range {
                key: keys::consent_history(key),
                from: std::ops::Bound::Unbounded,
                to: std::ops::Bound::Unbounded,
                limit: 10,
                reverse: false,
            },
        ];
        let left = world.store.memory.read_now(key.shard(), &queries);
        assert!(
            matches!(&left[..], [Answer::Record(None), Answer::Range(facts)] if facts.is_empty()),
            "call {at}: {left:?}"
        );
    }
    assert!(erased > 2, "{erased}");
}

#[test]
fn a_customers_word_that_is_written_down_while_they_are_erased_is_forgotten_with_them() {
    let mut refused = 0;
    for at in 0..24 {
        let world = World::new(false);
        let ids = one_of_two(&world);
        let word = RefusalRecord {
            refuses: true,
            at_ms: 7,
            source: "call".into(),
            proof: String::new(),
        };
        let meddle = || {
            now(erase(&world.context(), "t", ids[0])).unwrap().unwrap();
        };
        let store = Meddled::new(&world, at, &meddle);
        let set = now(set_refusal(&store.context(), "t", ids[1], &word)).unwrap();
        refused += usize::from(set.is_none());
        if set.is_some_and(|(_, refuses)| refuses)
            && now(read::customer(&world.context(), "t", ids[0])).unwrap().is_some()
        {
            // It was over before.
            break;
        }
        for id in ids {
            let left = world
                .store
                .memory
                .read_now(id.shard(), &[Query::Record(keys::refusal(id))]);
            assert!(matches!(&left[..], [Answer::Record(None)]), "call {at}: {left:?}");
        }
    }
    assert!(refused > 2, "{refused}");
}

#[test]
fn whoever_parted_with_the_erased_does_not_know_what_they_went_with() {
    let world = World::new(false);
    let [older, younger] = one_of_two(&world);
    parted(&world, younger);
    assert_ne!(of(&world, PHONE), of(&world, ZALO));
    let knows = |id: CustomerId| {
        let found = world
            .store
            .memory
            .read_now(id.shard(), &[Query::Record(keys::customer(id))]);
        let [Answer::Record(Some(found))] = &found[..] else {
            panic!("{found:?}");
        };
        found.value.windows(9).any(|window| window == b"778899001")
    };
    assert!(knows(older), "for whoever has yet to settle it");
    now(erase(&world.context(), "t", younger)).unwrap().unwrap();
    assert!(!knows(older) && !knows(younger));
    assert_eq!(of(&world, PHONE), older);
}
