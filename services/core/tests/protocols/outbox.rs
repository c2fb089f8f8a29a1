use crate::link::{arrival, message};
use crate::{World, now};
use omnigate_core::identifier;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::outbox::{Outgoing, flush, left_over};
use omnigate_core::shard::Shard;
use std::time::Duration;

/// Customer events of many homes in one shard, and the shard.
fn busy(world: &World) -> (Shard, Vec<Outgoing>) {
    let mut outgoing = Vec::new();
    for number in 1..=200 {
        // One customer in one home: all of its events share a shard.
        let event = message("bot", "tg_chat/bot/1", &[], &number.to_string());
        outgoing.extend(now(apply(&world.context(), &[arrival(event)])).unwrap().outgoing);
    }
    (outgoing[0].shard, outgoing)
}

fn left(world: &World, shard: Shard, age: u64, limit: u32) -> usize {
    now(left_over(&world.context(), shard, Duration::from_millis(age), limit))
        .unwrap()
        .len()
}

#[test]
fn members_that_somebody_else_took_out_do_not_hold_the_others_up() {
    let world = World::new(false);
    let (shard, outgoing) = busy(&world);
    let members = || outgoing.iter().map(|one| one.member.clone());
    // The lease holder takes all but the last ones out while this process still remembers them all.
    let holder = World {
        store: world.store,
        ..World::new(false)
    };
    holder.outbox.published(shard, members().take(190).collect());
    while !holder.outbox.shards().is_empty() {
        now(flush(&holder.context(), shard)).unwrap();
    }
    let world = World {
        store: holder.store,
        ..World::new(false)
    };
    world.outbox.published(shard, members().collect());
    let mut rounds = 0;
    while !world.outbox.shards().is_empty() {
        now(flush(&world.context(), shard)).unwrap();
        rounds += 1;
        assert!(rounds < 20, "one member a round is too slow");
    }
    assert_eq!(left(&world, shard, 0, 1000), 0);
}

#[test]
fn what_is_old_is_found_behind_what_is_young() {
    let world = World::new(false);
    let shard_of = |number: &u32| {
        let peer = message("bot", &format!("tg_chat/bot/{number}"), &[], "1").peer.unwrap();
        identifier::key("t", &peer).shard()
    };
    let neighbour = (2..).find(|number| shard_of(number) == shard_of(&1)).unwrap();
    let write = |peer: u32, id: u32| {
        let event = message("bot", &format!("tg_chat/bot/{peer}"), &[], &id.to_string());
        now(apply(&world.context(), &[arrival(event)])).unwrap().outgoing
    };
    let first = write(1, 1);
    let shard = first[0].shard;
    world.pass(1);
    assert_eq!((write(neighbour, 1).len(), write(neighbour, 1).len()), (4, 0));
    world
        .outbox
        .published(shard, first.into_iter().map(|one| one.member).collect());
    now(flush(&world.context(), shard)).unwrap();
    assert_eq!(left(&world, shard, 1_000, 2), 0, "all are young");
    world.pass(2_000);
    for id in 2..50 {
        write(1, id);
    }
    assert_eq!(left(&world, shard, 0, 1000), 48 + 4);
    assert_eq!(
        left(&world, shard, 1_000, 10),
        4,
        "the busy home of the older customer stands in front"
    );
    assert_eq!(left(&world, shard, 1_000, 2), 2);
}
