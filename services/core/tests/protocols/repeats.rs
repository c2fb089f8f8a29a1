//! Stories of how others stored a message twice or lost it while they tried not to. What has no id at all gets one from its
//! words in the adapters (`texting::arrivals`), where textbee 159 is told.

use crate::link::{arrival, message, named};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::context::Context;
use omnigate_core::protocol::entries::{self, Wanted};
use omnigate_core::protocol::outbox::Outbox;
use omnigate_core::protocol::read;

const PEER: &str = "zalo_uid/oa/7";

fn says(id: &str) -> Arrival {
    arrival(message("oa", PEER, &[], id))
}

fn stored(world: &World) -> usize {
    let context = world.context();
    let Some(whole) = now(read::resolve(&context, "t", &named(PEER))).unwrap() else {
        return 0;
    };
    let page = now(entries::page(&context, &whole.views(), &Wanted::first(1000, true))).unwrap();
    assert_eq!(
        whole.to_customer().entry_count,
        u64::try_from(page.entries.len()).unwrap()
    );
    page.entries.len()
}

/// Chatwoot 13523 looked whether a message was there and wrote it then: two workers both saw nothing. 15450: Telegram and
/// Twilio had no guard at all.
#[test]
fn two_workers_who_both_saw_nothing_store_a_message_once() {
    for loses in [false, true] {
        let world = World::new(loses);
        let (cache, outbox) = (Cache::new(100), Outbox::default());
        let other = || Context {
            cache: &cache,
            outbox: &outbox,
            ..world.context()
        };
        // Both remember the home as it was before the message came.
        now(apply(&world.context(), &[says("1")])).unwrap();
        now(apply(&other(), &[says("1")])).unwrap();
        let first = now(apply(&world.context(), &[says("2")])).unwrap();
        let second = now(apply(&other(), &[says("2")])).unwrap();
        assert_eq!((first.applied.len(), second.applied.len(), second.repeated), (1, 0, 1));
        assert_eq!(stored(&world), 2);
    }
}

/// The opposite: noting an id first and dropping what is noted already loses the message of a worker that died in between.
#[test]
fn a_worker_that_dies_anywhere_loses_nothing_and_the_repeat_stores_it_once() {
    for commits in 0..50 {
        let world = World::new(false);
        world.store.stops_after(commits);
        let done = now(apply(&world.context(), &[says("1")])).is_ok();
        world.store.goes_on();
        let (cache, outbox) = (Cache::new(100), Outbox::default());
        let next = Context {
            cache: &cache,
            outbox: &outbox,
            ..world.context()
        };
        let repeated = now(apply(&next, &[says("1")])).unwrap();
        assert_eq!(repeated.applied.len() + repeated.repeated, 1, "after {commits}");
        assert_eq!(stored(&world), 1, "after {commits}");
        if done {
            assert!(commits > 0);
            return;
        }
    }
    panic!("50 commits were not enough for one message");
}

/// Evolution 2716: one bridge stored 837 copies.
#[test]
fn eight_hundred_copies_are_one_message() {
    let world = World::new(false);
    let copies: Vec<Arrival> = (0..837).map(|_| says("1")).collect();
    for lot in copies.chunks(100) {
        now(apply(&world.context(), lot)).unwrap();
    }
    assert_eq!(stored(&world), 1);
}
