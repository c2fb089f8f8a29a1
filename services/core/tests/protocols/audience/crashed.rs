//! Imports that are cut off at any point, doubled, or meddled with at any call of the store.

use super::{Seen, counts, import, list, names, row, rows_of, seen, vietnamese};
use crate::link::{message, told};
use crate::meddled::Meddled;
use crate::{World, now};
use omnigate_core::id::AudienceId;
use omnigate_core::protocol::audience::{NotDone, delete, standing};
use omnigate_core::protocol::identity::erase;
use omnigate_core::protocol::read;
use omnigate_proto::v1::ImportRow;

/// Somebody new, somebody new with more, somebody known, somebody known with more, two who are two, nobody, and the same
/// again.
fn rows() -> Vec<ImportRow> {
    vec![
        row(1, "phone:0900000001", "An"),
        row(2, "phone:0900000002 email:b@b.vn crm:2", "Bình"),
        row(3, "phone:0900000003", "Cúc"),
        row(4, "phone:0900000004 email:d@b.vn", "Dung"),
        row(5, "phone:0900000003 email:e@b.vn", "two"),
        row(6, "phone:12", "nobody"),
        row(7, "phone:0900000001", "An again"),
        row(8, "email:b@b.vn", "Bình again"),
        row(9, "email:f@b.vn", "Em"),
        row(10, "email:f@b.vn", "Em"),
    ]
}

/// A world in which some of them are known.
fn begun(loses: bool) -> (World, AudienceId) {
    let world = vietnamese(loses);
    let id = list(&world, "a");
    told(&world, message("sms", "phone//+84900000003", &[], "1"));
    told(&world, message("sms", "phone//+84900000004", &["crm//4"], "1"));
    told(&world, message("mail", "email//e@b.vn", &[], "1"));
    (world, id)
}

fn expected(together: usize) -> (Seen, [u64; 4]) {
    let (world, id) = begun(false);
    let ended = import(&world.context(), id, ("1", false), (&rows(), together)).unwrap();
    assert_eq!(counts(&ended), [5, 2, 1, 2]);
    let seen = seen(&world, id);
    assert_eq!((seen.births, seen.rows), (6, 5));
    (seen, counts(&ended))
}

/// The same store and time, another process.
fn restarted(world: World) -> World {
    World {
        store: world.store,
        clock: world.clock,
        // What was random once is not again.
        entropy: world.entropy,
        ..vietnamese(false)
    }
}

#[test]
fn an_import_that_dies_anywhere_and_comes_again_leaves_one_of_everything() {
    for (together, loses) in [(1, false), (3, false), (100, false), (3, true), (100, true)] {
        let expected = expected(together);
        let mut commits = 0;
        loop {
            let (world, id) = begun(loses);
            world.store.stops_after(commits);
            let done = import(&world.context(), id, ("1", false), (&rows(), together)).is_ok();
            world.store.goes_on();
            let world = restarted(world);
            world.pass(1);
            // Wholly; then once more from where it broke off, which is behind the last row.
            for again in [&rows()[..], &[]] {
                let ended = import(&world.context(), id, ("1", false), (again, together)).unwrap();
                assert_eq!(
                    counts(&ended),
                    expected.1,
                    "after {commits}, {together} together, loses {loses}"
                );
            }
            assert_eq!(
                seen(&world, id),
                expected.0,
                "after {commits}, {together} together, loses {loses}"
            );
            if done {
                assert!(commits > 10);
                break;
            }
            commits += 1;
            assert!(commits < 1_000, "an import does not end");
        }
    }
}

#[test]
fn an_import_goes_on_from_where_it_broke_off() {
    let expected = expected(3);
    for commits in 0..60 {
        let (world, id) = begun(false);
        world.store.stops_after(commits);
        import(&world.context(), id, ("1", false), (&rows(), 3)).ok();
        world.store.goes_on();
        let world = restarted(world);
        let stands = now(standing(&world.context(), id, "1")).unwrap();
        let from = stands.map_or(1, |standing| standing.record.next_row);
        let left: Vec<ImportRow> = rows().into_iter().filter(|row| row.row >= from).collect();
        let ended = import(&world.context(), id, ("1", false), (&left, 3)).unwrap();
        assert_eq!((seen(&world, id), counts(&ended)), expected, "after {commits}");
    }
}

/// Calls `meddle` before every call of the store that an import makes, one call at a time, until there are no more.
fn at_every_call(
    meddle: impl Fn(&World, AudienceId) + Sync,
    check: impl Fn(&World, AudienceId, Result<(), NotDone>, u64),
) {
    let mut at = 0;
    loop {
        let (world, id) = begun(false);
        let met = std::sync::atomic::AtomicBool::new(false);
        let meddles = || {
            met.store(true, std::sync::atomic::Ordering::Relaxed);
            meddle(&world, id);
        };
        let meddled = Meddled::new(&world, at, &meddles);
        let ended = import(&meddled.context(), id, ("1", false), (&rows(), 100));
        check(&world, id, ended.map(drop), at);
        if !met.into_inner() {
            assert!(at > 20, "{at} calls");
            return;
        }
        at += 1;
    }
}

#[test]
fn two_calls_of_one_import_at_once_do_it_once() {
    let expected = expected(100);
    at_every_call(
        |world, id| {
            let other = World::new(false);
            let context = omnigate_core::protocol::Context {
                cache: &other.cache,
                outbox: &other.outbox,
                ..world.context()
            };
            import(&context, id, ("1", false), (&rows(), 100)).unwrap();
        },
        |world, id, ended, at| {
            assert!(matches!(ended, Ok(()) | Err(NotDone::TakenOver)), "{ended:?} at {at}");
            let stands = now(standing(&world.context(), id, "1")).unwrap().unwrap().record;
            assert_eq!((seen(world, id), counts(&stands)), expected, "at {at}");
        },
    );
}

#[test]
fn whoever_writes_meanwhile_is_the_same_customer() {
    let expected = expected(100);
    at_every_call(
        |world, _| {
            told(world, message("sms", "phone//+84900000001", &[], "7"));
            told(world, message("mail", "email//b@b.vn", &[], "7"));
        },
        |world, id, ended, at| {
            ended.unwrap();
            let seen = seen(world, id);
            // The one whose address wrote first is somebody else then, and the row says so.
            assert!(seen.births - expected.0.births <= 1, "at {at}: {seen:?}");
            let identifiers = seen.customers.iter().flat_map(|(identifiers, _)| identifiers);
            assert_eq!(identifiers.count(), 10, "at {at}: {seen:?}");
        },
    );
}

#[test]
fn an_erasure_meanwhile_leaves_nothing() {
    at_every_call(
        |world, _| {
            world.pass(1000);
            for identifier in ["phone//+84900000003", "phone//+84900000004"] {
                let found = now(read::resolve(&world.context(), "t", &crate::link::named(identifier))).unwrap();
                now(erase(&world.context(), "t", found.unwrap().id)).unwrap();
            }
        },
        |world, id, ended, at| {
            ended.unwrap();
            rows_of(world, id);
            let names = names(world, id);
            for name in ["Cúc", "Dung"] {
                // Erased before the import began, somebody may be made anew.
                let is_gone = !names.contains(&name.to_owned());
                assert!(is_gone || at < 4 || !was_met(world), "{name} at {at}");
                let stands = crate::erasure::stands(world, name);
                assert_eq!(stands, !is_gone, "{name} at {at}");
            }
        },
    );
}

/// Whether the erasure took place: time went on for it.
fn was_met(world: &World) -> bool {
    world.context().now() > World::new(false).context().now()
}

#[test]
fn an_audience_that_is_deleted_meanwhile_keeps_no_row() {
    at_every_call(
        |world, id| {
            let name = bytes::Bytes::from_static(b"d");
            now(delete(&world.context(), "t", id, (&name, ""))).unwrap();
        },
        |world, id, ended, at| {
            let rows = rows_of(world, id);
            match ended {
                Err(NotDone::NoSuchAudience) => assert_eq!(rows, 0, "at {at}"),
                Ok(()) => assert!(rows == 0 || rows == 5, "at {at}"),
                Err(other) => panic!("{other:?} at {at}"),
            }
        },
    );
}
