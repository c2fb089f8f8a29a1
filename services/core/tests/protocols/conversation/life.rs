//! From opening to closing.

use super::{
    HOUR, PEER, SECOND, answers, carry_out, id_of, of, only, received, says, scheduled, seconds, set, stands, timers,
    told, whole, words, writes,
};
use crate::World;
use omnigate_core::conversation::{Reopen, Rules};
use omnigate_core::port::Clock as _;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    ConversationStatus, Direction, Lane, Message, Reaction, Subscription, SubscriptionState, WriterKind, event::Kind,
};
use std::time::Duration;

fn with_rules(loses: bool, reopen: Reopen, resolve_after: Option<Duration>) -> World {
    let mut world = World::new(loses);
    world.rules.0.insert("a".into(), Rules { reopen, resolve_after });
    world
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

#[test]
fn the_first_word_opens_one_and_the_same_word_again_opens_nothing() {
    for loses in [false, true] {
        let world = World::new(loses);
        let word = received(&world, "a", PEER, "1", Kind::Message(Message::default()));
        told(&world, &word);
        let opened = only(&world);
        assert_eq!(opened.status(), ConversationStatus::Open);
        assert_eq!(opened.thread_ids, [super::thread(PEER, "a").to_string()]);
        assert_eq!(opened.cycle.as_ref().unwrap().number, 1);
        world.pass(5 * SECOND);
        assert_eq!(told(&world, &word).repeated, 1);
        says(&world, "a", PEER, "2");
        // Everything but who waits since when stays: others hear of it once.
        assert_eq!(only(&world), opened);
        assert_eq!(words(&world), ["opened waiting"]);
    }
}

#[test]
fn what_is_no_word_of_the_customer_opens_none() {
    let world = World::new(false);
    let automatic = Message {
        is_automatic: true,
        ..Message::default()
    };
    let wish = Subscription {
        state: SubscriptionState::Unsubscribed.into(),
        ..Subscription::default()
    };
    for (id, kind) in [
        ("1", Kind::Message(automatic)),
        ("2", Kind::Subscription(wish)),
        ("3", Kind::Reaction(Reaction::default())),
    ] {
        told(&world, &received(&world, "a", PEER, id, kind));
    }
    let mut echo = received(&world, "a", PEER, "4", Kind::Message(Message::default()));
    echo.event.set_direction(Direction::Outbound);
    told(&world, &echo);
    answers(&world, "a", "r1");
    writes(&world, "a", "r2", WriterKind::Campaign, Lane::Bulk);
    assert!(of(&world, PEER).is_empty() && words(&world).is_empty());
    // What the customer says to a campaign does.
    says(&world, "a", PEER, "5");
    assert_eq!(only(&world).status(), ConversationStatus::Open);
}

#[test]
fn a_late_word_opens_and_reopens_and_counts_from_when_it_was_received() {
    let world = World::new(false);
    let written = world.clock.now().to_timestamp();
    world.pass(48 * HOUR);
    let late = |id: &str| {
        let mut late = received(&world, "a", PEER, id, Kind::Message(Message::default()));
        late.event.occurred_at = Some(written);
        late
    };
    told(&world, &late("1"));
    let waiting = only(&world).cycle.unwrap().waiting_since;
    assert_eq!(waiting, Some(world.clock.now().to_timestamp()));
    // Written before it was resolved, and yet nobody has answered it.
    set(&world, "r1", ConversationStatus::Resolved);
    told(&world, &late("2"));
    assert_eq!(only(&world).status(), ConversationStatus::Open);
}

#[test]
fn only_a_human_stops_the_clocks() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        world.pass(10 * SECOND);
        writes(&world, "a", "bot", WriterKind::Bot, Lane::Transactional);
        writes(&world, "a", "system", WriterKind::System, Lane::Transactional);
        writes(&world, "a", "campaign", WriterKind::Unspecified, Lane::Bulk);
        let cycle = only(&world).cycle.unwrap();
        assert!(
            cycle.first_response_at.is_none() && cycle.waiting_since.is_some(),
            "{cycle:?}"
        );
        world.pass(20 * SECOND);
        answers(&world, "a", "human");
        // The same request again is no second answer.
        answers(&world, "a", "human");
        world.pass(30 * SECOND);
        answers(&world, "a", "more");
        says(&world, "a", PEER, "2");
        world.pass(5 * SECOND);
        says(&world, "a", PEER, "3");
        world.pass(SECOND);
        answers(&world, "a", "again");
        let cycle = only(&world).cycle.unwrap();
        assert_eq!(seconds(cycle.first_response_time.as_ref()), Some(30));
        assert_eq!((cycle.replies, seconds(cycle.last_reply_time.as_ref())), (2, Some(6)));
        assert_eq!(seconds(cycle.total_reply_time.as_ref()), Some(36));
        assert_eq!(cycle.waiting_since, None);
        assert_eq!(words(&world), ["opened waiting", "replied", "waiting", "replied"]);
    }
}

#[test]
fn an_answer_in_the_providers_own_app_counts() {
    let world = World::new(false);
    says(&world, "a", PEER, "1");
    world.pass(7 * SECOND);
    let mut echo = received(&world, "a", PEER, "2", Kind::Message(Message::default()));
    echo.event.set_direction(Direction::Outbound);
    told(&world, &echo);
    let cycle = only(&world).cycle.unwrap();
    assert_eq!(seconds(cycle.first_response_time.as_ref()), Some(7));
}

#[test]
fn a_resolved_one_is_reopened_within_its_time_and_closed_after_it() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        world.pass(60 * SECOND);
        let resolved = set(&world, "r1", ConversationStatus::Resolved);
        assert_eq!(seconds(resolved.first_resolution_time.as_ref()), Some(60));
        assert_eq!(resolved.cycle.unwrap().waiting_since, None);
        world.pass(HOUR);
        says(&world, "a", PEER, "2");
        let again = only(&world);
        let cycle = again.cycle.unwrap();
        assert_eq!((again.past_cycles.len(), cycle.number), (1, 2));
        assert!(!cycle.started_by_us && cycle.first_inbound_at.is_some());
        world.pass(40 * SECOND);
        let resolved = set(&world, "r2", ConversationStatus::Resolved);
        // Without the hour in which it was resolved.
        assert_eq!(seconds(resolved.first_resolution_time.as_ref()), Some(60));
        assert_eq!(seconds(resolved.resolution_time.as_ref()), Some(100));
        world.pass(72 * HOUR);
        scheduled(&world);
        assert_eq!(
            only(&world).status(),
            ConversationStatus::Resolved,
            "words may still be on their way"
        );
        world.pass(61 * SECOND);
        scheduled(&world);
        assert_eq!(only(&world).status(), ConversationStatus::Closed);
        assert!(timers(&world).is_empty());
        says(&world, "a", PEER, "3");
        let [young, old] = of(&world, PEER).try_into().unwrap();
        assert_eq!(
            (young.status(), old.status()),
            (ConversationStatus::Open, ConversationStatus::Closed)
        );
        assert_eq!(seconds(old.resolution_time.as_ref()), Some(100));
    }
}

#[test]
fn a_word_after_the_time_opens_another_one_also_when_no_timer_fired() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        set(&world, "r1", ConversationStatus::Resolved);
        world.pass(73 * HOUR);
        says(&world, "a", PEER, "2");
        let [young, old] = of(&world, PEER).try_into().unwrap();
        assert_eq!(
            (young.status(), old.status()),
            (ConversationStatus::Open, ConversationStatus::Closed)
        );
        scheduled(&world);
        assert_eq!(of(&world, PEER)[0].status(), ConversationStatus::Open);
    }
}

#[test]
fn never_opens_another_one_at_once_and_always_keeps_one() {
    for loses in [false, true] {
        let world = with_rules(loses, Reopen::Never, None);
        says(&world, "a", PEER, "1");
        set(&world, "r1", ConversationStatus::Resolved);
        world.pass(SECOND);
        says(&world, "a", PEER, "2");
        assert_eq!(of(&world, PEER).len(), 2);
        set(&world, "r2", ConversationStatus::Resolved);
        scheduled(&world);
        assert_eq!(of(&world, PEER)[0].status(), ConversationStatus::Closed);

        let world = with_rules(loses, Reopen::Always, None);
        says(&world, "a", PEER, "1");
        set(&world, "r1", ConversationStatus::Resolved);
        world.pass(10_000 * HOUR);
        scheduled(&world);
        says(&world, "a", PEER, "2");
        assert_eq!(only(&world).cycle.unwrap().number, 2);
    }
}

#[test]
fn a_snoozed_one_wakes_by_time_or_by_a_word() {
    for loses in [false, true] {
        let world = World::new(loses);
        says(&world, "a", PEER, "1");
        let snooze = |request: &str, hours: i64| {
            let until = Moment(world.clock.now().0 + hours * HOUR);
            let id = id_of(&only(&world));
            carry_out(&world, request, id, &stands(ConversationStatus::Snoozed, until)).unwrap()
        };
        snooze("r1", 2);
        world.pass(HOUR);
        says(&world, "a", PEER, "2");
        assert_eq!(only(&world).status(), ConversationStatus::Open);
        snooze("r2", 5);
        // The timer of the first one fires and does nothing.
        world.pass(2 * HOUR);
        scheduled(&world);
        assert_eq!(only(&world).status(), ConversationStatus::Snoozed);
        world.pass(4 * HOUR);
        scheduled(&world);
        let awake = only(&world);
        assert_eq!(awake.status(), ConversationStatus::Open);
        let cycle = awake.cycle.unwrap();
        // A late timer makes no snooze longer.
        assert_eq!(
            (cycle.snoozes, seconds(cycle.snoozed_time.as_ref())),
            (2, Some(6 * 3600))
        );
        assert_eq!(
            words(&world),
            ["opened waiting", "snoozed", "woken", "snoozed", "woken"],
            "loses {loses}"
        );
    }
}

#[test]
fn silence_resolves_only_what_is_answered() {
    for loses in [false, true] {
        let world = with_rules(loses, Reopen::Within(hours(72)), Some(hours(24)));
        says(&world, "a", PEER, "1");
        world.pass(48 * HOUR);
        scheduled(&world);
        assert_eq!(only(&world).status(), ConversationStatus::Open, "the customer waits");
        answers(&world, "a", "r1");
        world.pass(12 * HOUR);
        // Any word of ours is a sign of life.
        answers(&world, "a", "r2");
        world.pass(13 * HOUR);
        scheduled(&world);
        assert_eq!(only(&world).status(), ConversationStatus::Open);
        world.pass(12 * HOUR);
        scheduled(&world);
        assert_eq!(only(&world).status(), ConversationStatus::Resolved);
    }
}

#[test]
fn what_a_bot_has_stays_with_it_until_it_says_otherwise() {
    let world = World::new(false);
    says(&world, "a", PEER, "1");
    set(&world, "r1", ConversationStatus::Pending);
    world.pass(SECOND);
    says(&world, "a", PEER, "2");
    assert_eq!(only(&world).status(), ConversationStatus::Pending);
    assert_eq!(
        set(&world, "r2", ConversationStatus::Open).status(),
        ConversationStatus::Open
    );
}

#[test]
fn a_home_has_sixteen_at_most_and_loses_no_word() {
    for loses in [false, true] {
        let world = World::new(loses);
        let account = |number: usize| format!("a{number}");
        for number in 0..16 {
            says(&world, &account(number), PEER, "1");
            world.pass(SECOND);
        }
        // The seventeenth finds no room: it goes to the one that was active last.
        says(&world, &account(16), PEER, "1");
        let all = of(&world, PEER);
        assert_eq!(all.len(), 16);
        assert_eq!(all[0].thread_ids.len(), 2, "{:?}", all[0]);
        // One that is resolved makes room.
        let oldest = id_of(&all[15]);
        carry_out(&world, "r1", oldest, &stands(ConversationStatus::Resolved, Moment(0))).unwrap();
        says(&world, &account(17), PEER, "1");
        let all = of(&world, PEER);
        assert_eq!((all.len(), all[16].status()), (17, ConversationStatus::Closed));
        assert_eq!(whole(&world, PEER).id, oldest.home());
    }
}
