//! A store that was replaced by one that had not got everything is told again what was announced, and nobody is sent anything
//! twice.

use super::{HERE, People, SHARD, begins, bucket, goes_on, id, rows, runs, state, states, submit, submit_some, timers};
use crate::{World, now};
use omnigate_core::campaign::ledger::{Recovery, state as state_of};
use omnigate_core::delivery::{LEASE_TIME, RECOVERY_MARGIN};
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::Stop;
use omnigate_core::protocol::campaign::{self, Comparison, Driven, Forgotten, Submission};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{Intent, IntentBatch, IntentItem};
use omnigate_proto::v1::{CampaignState, DeliveryState};
use omnigate_store::memory::Replica;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// What was announced on the log.
type Log = Vec<IntentBatch>;

fn announce(world: &World, log: &mut Log, submissions: &[Submission]) {
    let rows = rows(world);
    let item = |submission: &Submission| IntentItem {
        message_id: submission.sent.message_id().to_string(),
        piece: submission.attempt.piece,
        attempt: submission.attempt.number,
        customer: rows[usize::from(submission.sent.place.row)].customer.clone(),
        ..IntentItem::default()
    };
    let Some(first) = submissions.first() else { return };
    let intent = Intent {
        shard: u32::from(SHARD.number()),
        number: first.intent,
        items: submissions.iter().map(item).collect(),
        at_ms: world.clock.now().0,
    };
    log.push(IntentBatch {
        intents: vec![intent],
        ..IntentBatch::default()
    });
}

/// The server is replaced by one that has what a replica had.
fn replaced(world: &World, by: &Replica) {
    world.store.memory.fail_over(by);
    world.store.replaced.fetch_add(1, Ordering::Relaxed);
}

/// Compares the shard with the log.
fn compare(world: &World, log: &Log) -> Result<Forgotten, Stop> {
    let context = world.context();
    let Some(mut comparison) = now(Comparison::of(&context, &[SHARD]))? else {
        return Ok(Forgotten::default());
    };
    for entry in log {
        now(comparison.take(&context, entry))?;
    }
    now(comparison.finish(&context))?;
    Ok(comparison.found)
}

/// A gateway whose store is known.
fn world(loses: bool) -> World {
    let world = World::new(loses);
    world.store.replaced.store(1, Ordering::Relaxed);
    let first = now(Comparison::of(&world.context(), &[SHARD])).unwrap().unwrap();
    assert!(!first.has_to_wait(), "nobody ever submitted anything here");
    compare(&world, &Log::new()).unwrap();
    // Of the others it does not matter here.
    let shards: Vec<Shard> = Shard::all().collect();
    if let Some(rest) = now(Comparison::of(&world.context(), &shards)).unwrap() {
        now(rest.finish(&world.context())).unwrap();
    }
    world
}

fn places(submissions: &[Submission]) -> BTreeSet<u16> {
    submissions.iter().map(|one| one.sent.place.row).collect()
}

/// Time passes until lost submissions are given up.
fn given_up(world: &World) {
    let wait = LEASE_TIME + RECOVERY_MARGIN * 2;
    world.pass(i64::try_from(wait.as_millis()).unwrap());
    for second in 0..300 {
        world.pass(second * 20);
        for at in due(world) {
            let context = world.context();
            now(campaign::look(&context, bucket(), at, |_| Recovery::InTheDark)).unwrap();
        }
    }
}

/// Timers of the bucket that have fired.
fn due(world: &World) -> Vec<Moment> {
    let all = timers(world, SHARD);
    let read = all.iter().filter_map(|member| keys::read_timer_member(member));
    let fired = read.filter(|(at, timer)| *at <= world.clock.now() && matches!(timer, Timer::Bucket(..)));
    fired.map(|(at, _)| at).collect()
}

#[test]
fn what_was_submitted_and_forgotten_is_not_submitted_again() {
    for loses in [false, true] {
        let world = world(loses);
        let mut log = Log::new();
        runs(&world, &People::new(6));
        let before = submit_some(&world, "sms", [1; 8], 2);
        announce(&world, &mut log, &before);
        let replica = world.store.memory.replica();
        let forgotten = submit_some(&world, "sms", [2; 8], 3);
        assert_eq!(places(&forgotten), BTreeSet::from([2, 3, 4]));
        announce(&world, &mut log, &forgotten);
        replaced(&world, &replica);

        assert_eq!(submit(&world, "sms", [3; 8]), [], "the log was not compared");
        let comparison = now(Comparison::of(&world.context(), &[SHARD])).unwrap().unwrap();
        assert!(comparison.has_to_wait(), "whoever submitted may call a provider still");
        let found = compare(&world, &log).unwrap();
        assert_eq!((found.submissions, found.rows, found.unplaced), (3, 0, 0));
        let further = submit(&world, "sms", [4; 8]);
        assert_eq!(
            places(&further),
            BTreeSet::from([5]),
            "the only one who was sent nothing"
        );
        assert_eq!(further[0].intent, forgotten[0].intent + 1, "numbers go on");
        assert_eq!(states(&world), [DeliveryState::Submitting; 6]);
        given_up(&world);
        assert_eq!(states(&world), [DeliveryState::Unknown; 6]);
        assert_eq!(compare(&world, &log).unwrap(), Forgotten::default(), "it is known");
    }
}

#[test]
fn rows_that_were_forgotten_with_their_page_are_made_again_and_planning_leaves_them_out() {
    for loses in [false, true] {
        let world = world(loses);
        let people = People::new(8);
        let mut log = Log::new();
        begins(&world);
        let replica = world.store.memory.replica();
        goes_on(&world, &people);
        let forgotten = submit_some(&world, "sms", [2; 8], 3);
        announce(&world, &mut log, &forgotten);
        replaced(&world, &replica);

        assert_eq!(state(&world), CampaignState::Planning);
        for _ in 0..3 {
            let driven = now(campaign::drive(&world.context(), id(), &people, HERE)).unwrap();
            assert!(matches!(driven, Driven::Again(wait) if !wait.is_zero() || loses));
        }
        assert!(
            rows(&world).is_empty(),
            "nobody is written down before the log was compared"
        );
        assert_eq!(compare_all(&world, &log).rows, 3);
        goes_on(&world, &people);
        let rows = rows(&world);
        let each: BTreeSet<_> = rows.iter().map(|row| row.customer.clone()).collect();
        assert_eq!((rows.len(), each.len()), (8, 8));
        let submitting = rows.iter().filter(|row| state_of(row) == DeliveryState::Submitting);
        assert_eq!(submitting.count(), 3);
        let further = submit(&world, "sms", [4; 8]);
        assert!(further.len() == 5 && places(&further).is_disjoint(&places(&forgotten)));
        let open = now(campaign::open(&world.context(), id().handle())).unwrap();
        assert_eq!(open, 8);
    }
}

/// Compares all shards, as their lease holders do.
fn compare_all(world: &World, log: &Log) -> Forgotten {
    let found = compare(world, log).unwrap();
    let shards: Vec<Shard> = Shard::all().collect();
    if let Some(rest) = now(Comparison::of(&world.context(), &shards)).unwrap() {
        now(rest.finish(&world.context())).unwrap();
    }
    found
}

#[test]
fn whoever_compares_may_die_after_any_commit() {
    for killed_after in 0..6 {
        let world = world(false);
        let mut log = Log::new();
        runs(&world, &People::new(4));
        let replica = world.store.memory.replica();
        for lease in 1..=3 {
            let forgotten = submit_some(&world, "sms", [lease; 8], 1);
            announce(&world, &mut log, &forgotten);
        }
        replaced(&world, &replica);
        world.store.stops_after(killed_after);
        let outcome = compare(&world, &log);
        world.store.goes_on();
        assert_eq!(outcome.is_err(), killed_after < 4, "{killed_after}");
        compare(&world, &log).unwrap();
        assert_eq!(places(&submit(&world, "sms", [9; 8])), BTreeSet::from([3]));
    }
}

#[test]
fn numbers_that_are_used_twice_hide_nothing() {
    let world = world(false);
    let mut log = Log::new();
    runs(&world, &People::new(4));
    let replica = world.store.memory.replica();
    let forgotten = submit_some(&world, "sms", [1; 8], 2);
    announce(&world, &mut log, &forgotten);
    // Somebody did not see the replacement for a moment, and took the same number.
    world.store.memory.fail_over(&replica);
    let batch = now(campaign::claim(&world.context(), bucket(), "sms", 4, [2; 8]))
        .unwrap()
        .unwrap();
    let last = batch.recipients[3].place;
    let verdicts = [(last, campaign::Verdict::Send)].into();
    let blind = now(campaign::submit(&world.context(), &batch, &verdicts)).unwrap();
    announce(&world, &mut log, &blind);
    assert_eq!(blind[0].intent, forgotten[0].intent);
    world.store.replaced.fetch_add(1, Ordering::Relaxed);
    assert_eq!(compare(&world, &log).unwrap().submissions, 2);
    let after = states(&world);
    assert_eq!(after[..2], [DeliveryState::Submitting; 2]);
}

#[test]
fn what_no_shard_knows_and_what_is_somebody_elses_is_counted_and_left() {
    let world = world(false);
    let mut log = Log::new();
    runs(&world, &People::new(2));
    let replica = world.store.memory.replica();
    let forgotten = submit(&world, "sms", [1; 8]);
    announce(&world, &mut log, &forgotten);
    log[0].intents[0].items[0].customer = vec![9; 16].into();
    replaced(&world, &replica);
    let found = compare(&world, &log).unwrap();
    assert_eq!((found.submissions, found.unplaced), (1, 1));
    world.store.replaced.fetch_add(1, Ordering::Relaxed);
    world.store.memory.lose(SHARD);
    assert_eq!(compare(&world, &log).unwrap().unplaced, 2);
}

#[test]
fn a_shard_that_forgot_the_campaign_is_written_down_anew() {
    for loses in [false, true] {
        let world = world(loses);
        let people = People::new(5);
        runs(&world, &people);
        world.pass(10);
        let replaced_at = world.clock.now();
        world.store.memory.lose(SHARD);
        world.store.replaced.fetch_add(1, Ordering::Relaxed);
        compare_all(&world, &Log::new());
        assert_eq!(submit(&world, "sms", [1; 8]), []);
        for _ in 0..2 {
            let of = ("t", id().shard());
            now(campaign::recheck(&world.context(), of, replaced_at, HERE)).unwrap();
            world.pass(10);
        }
        assert_eq!(state(&world), CampaignState::Planning);
        let epoch = || {
            now(campaign::get(&world.context(), id()))
                .unwrap()
                .value
                .unwrap()
                .campaign
                .unwrap()
                .epoch
        };
        assert_eq!(epoch(), 3, "it is looked at again once");
        goes_on(&world, &people);
        assert_eq!(submit(&world, "sms", [2; 8]).len(), 5);
    }
}
