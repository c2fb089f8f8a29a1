use crate::{World, now};
use bytes::Bytes;
use omnigate_core::protocol::lease::{
    COMMON, Held, LeaseError, Wish, acquire, checkpoint, join, leave, look, members, release, renew,
};
use std::time::Duration;

const TTL: Duration = Duration::from_secs(10);

fn wish<'a>(name: &'a str, owner: &'a str) -> Wish<'a> {
    Wish {
        shard: COMMON,
        name,
        owner,
        address: "",
    }
}

fn take(world: &World, owner: &str) -> Result<Held, LeaseError> {
    now(acquire(&world.context(), wish("x", owner), TTL))
}

#[test]
fn one_owner_at_a_time_and_a_growing_epoch() {
    for loses in [false, true] {
        let world = World::new(loses);
        let first = take(&world, "a").unwrap();
        assert!(matches!(take(&world, "b"), Err(LeaseError::Held { owner, .. }) if owner == "a"));
        world.pass(9_000);
        now(renew(&world.context(), wish("x", "a"), first.epoch, TTL)).unwrap();
        world.pass(9_000);
        assert!(take(&world, "b").is_err(), "it was renewed");
        world.pass(2_000);
        let second = take(&world, "b").unwrap();
        assert!(second.epoch > first.epoch);
        let late = now(renew(&world.context(), wish("x", "a"), first.epoch, TTL));
        assert!(matches!(late, Err(LeaseError::Lost(_))));
        now(release(&world.context(), wish("x", "a"), first.epoch)).unwrap();
        assert!(take(&world, "c").is_err(), "releasing what is not ours changes nothing");
        now(release(&world.context(), wish("x", "b"), second.epoch)).unwrap();
        assert!(take(&world, "c").unwrap().epoch > second.epoch);
    }
}

#[test]
fn the_cursor_goes_from_owner_to_owner_and_only_the_present_one_moves_it() {
    for loses in [false, true] {
        let world = World::new(loses);
        let first = take(&world, "a").unwrap();
        assert_eq!(first.cursor, Bytes::new());
        let store = |owner, epoch, cursor: &'static str| {
            now(checkpoint(
                &world.context(),
                wish("x", owner),
                epoch,
                cursor.into(),
                TTL,
            ))
        };
        store("a", first.epoch, "17").unwrap();
        world.pass(11_000);
        let second = take(&world, "b").unwrap();
        assert_eq!(second.cursor, Bytes::from("17"));
        assert!(matches!(store("a", first.epoch, "16"), Err(LeaseError::Lost(_))));
        store("b", second.epoch, "18").unwrap();
        let leases = now(look(&world.context(), COMMON, &["x".into(), "y".into()])).unwrap();
        assert_eq!((leases[0].cursor.clone(), leases[1].epoch), (Bytes::from("18"), 0));
        let long = Bytes::from(vec![0; 65 * 1024]);
        let refused = now(checkpoint(&world.context(), wish("x", "b"), second.epoch, long, TTL));
        assert!(matches!(refused, Err(LeaseError::CursorTooLong(_))));
    }
}

#[test]
fn a_group_knows_who_lives() {
    for loses in [false, true] {
        let world = World::new(loses);
        for owner in ["a", "b", "c"] {
            now(join(&world.context(), "g", owner, TTL)).unwrap();
        }
        now(join(&world.context(), "other", "z", TTL)).unwrap();
        let living = || now(members(&world.context(), "g")).unwrap();
        assert_eq!(living(), ["a", "b", "c"]);
        now(leave(&world.context(), "g", "b")).unwrap();
        now(leave(&world.context(), "g", "b")).unwrap();
        world.pass(9_000);
        now(join(&world.context(), "g", "c", TTL)).unwrap();
        world.pass(2_000);
        assert_eq!(living(), ["c"]);
        now(join(&world.context(), "g", "a", TTL)).unwrap();
        assert_eq!(living(), ["a", "c"], "who comes back is back");
    }
}
