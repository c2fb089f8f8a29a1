//! Limits of what stays on timelines: what is too much goes, in its time, and nothing else is lost by it.

use crate::erasure::{answer, stands};
use crate::link::{arrival, event, message, named};
use crate::stories::{merged, two};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::delivery;
use omnigate_core::id::{CustomerId, EntryId, EventId, MessageId};
use omnigate_core::keys::{self, Timer};
use omnigate_core::port::store::Query;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::context::{as_fields, as_range};
use omnigate_core::protocol::entries::{self, Wanted};
use omnigate_core::protocol::identity::erase;
use omnigate_core::protocol::submit::{Answer, Begun, Rules, begin};
use omnigate_core::protocol::{self, read, send, submit, trim};
use omnigate_core::retention::Limits;
use omnigate_core::shard::Shard;
use omnigate_core::tenant::{self, TenantRules};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Deletion, DeliveryState, Edit, Message, Piece, event::Kind};
use std::ops::Bound;
use std::time::Duration;

const PHONE: &str = "phone//+84901234567";
const DAY: i64 = 24 * 3_600_000;

fn limited(loses: bool, max_entries: Option<u64>, days: Option<u64>) -> World {
    let timeline = Limits {
        max_entries,
        max_age: days.map(|days| Duration::from_hours(days * 24)),
    };
    World {
        tenants: TenantRules {
            by_tenant: [(
                "t".to_owned(),
                tenant::Rules {
                    timeline,
                    ..tenant::Rules::DEFAULT
                },
            )]
            .into(),
            ..TenantRules::default()
        },
        ..World::new(loses)
    }
}

/// An event that is received now.
pub(crate) fn received(world: &World, event: omnigate_proto::v1::Event) -> Arrival {
    let at = world.context().now();
    Arrival {
        received_at: at,
        ..arrival(omnigate_proto::v1::Event {
            occurred_at: Some(at.to_timestamp()),
            ..event
        })
    }
}

fn writes(world: &World, numbers: std::ops::Range<u32>) -> Vec<EventId> {
    let events: Vec<Arrival> = numbers
        .map(|number| received(world, message("sms", PHONE, &[], &number.to_string())))
        .collect();
    now(apply(&world.context(), &events)).unwrap();
    events.iter().map(|arrival| arrival.id).collect()
}

fn home(world: &World) -> CustomerId {
    now(read::resolve(&world.context(), "t", &named(PHONE)))
        .unwrap()
        .unwrap()
        .id
}

fn shown(world: &World) -> Vec<String> {
    let whole = now(read::customer(&world.context(), "t", home(world)))
        .unwrap()
        .unwrap();
    let page = now(entries::page(
        &world.context(),
        &whole.views(),
        &Wanted::first(1000, true),
    ))
    .unwrap();
    let events = page.entries.into_iter().filter_map(|(_, entry)| entry.event);
    events.map(|event| event.provider_message_id).collect()
}

fn counted(world: &World) -> u64 {
    let whole = now(read::customer(&world.context(), "t", home(world)))
        .unwrap()
        .unwrap();
    let customer = whole.to_customer();
    let touched: u64 = whole
        .touchpoints()
        .iter()
        .map(|touchpoint| touchpoint.entry_count)
        .sum();
    assert_eq!(touched, customer.entry_count);
    customer.entry_count
}

fn places(world: &World, events: &[EventId]) -> usize {
    let id = home(world);
    let query = Query::Fields {
        key: keys::places(id),
        fields: events.iter().map(|event| event.to_bytes()).collect(),
    };
    let answers = world.store.memory.read_now(id.shard(), &[query]);
    as_fields(answers.into_iter().next())
        .unwrap()
        .into_iter()
        .flatten()
        .count()
}

fn trim_timers(world: &World) -> Vec<(Moment, CustomerId)> {
    let mut found = Vec::new();
    for number in 0..=u8::MAX {
        let query = Query::Range {
            key: keys::timers(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: 100,
            reverse: false,
        };
        let answers = world.store.memory.read_now(Shard::new(number), &[query]);
        let members = as_range(answers.into_iter().next()).unwrap();
        let timers = members.iter().filter_map(|(member, _)| keys::read_timer_member(member));
        found.extend(timers.filter_map(|(due, timer)| match timer {
            Timer::Trim(home) => Some((due, home)),
            _ => None,
        }));
    }
    found
}

/// What the scheduler does.
fn fires(world: &World) -> usize {
    let mut gone = 0;
    for _ in 0..200 {
        let due: Vec<_> = trim_timers(world)
            .into_iter()
            .filter(|(due, _)| *due <= world.context().now())
            .collect();
        if due.is_empty() {
            return gone;
        }
        for (due, home) in due {
            gone += now(trim::trim(&world.context(), home, due)).unwrap().entries;
        }
    }
    panic!("a timer fires for ever");
}

fn passes(world: &World, milliseconds: i64) -> usize {
    world.pass(milliseconds);
    fires(world)
}

#[test]
fn a_customer_who_writes_ten_thousand_messages_has_a_hundred_and_few_places_after_a_week() {
    let world = limited(false, Some(100), None);
    let mut events = Vec::new();
    let mut most = 0;
    for step in 0..200 {
        events.extend(writes(&world, step * 50..(step + 1) * 50));
        most = most.max(counted(&world));
        passes(&world, 30_000);
        assert!(trim_timers(&world).len() <= 1, "one timer a home");
    }
    passes(&world, 60_000);
    assert!(most <= 300, "{most}");
    let last: Vec<String> = (9_900..10_000).map(|number: u32| number.to_string()).collect();
    assert_eq!(shown(&world), last);
    assert_eq!(counted(&world), 100);
    // All of them are still known, and none comes twice.
    assert_eq!(places(&world, &events), 10_000);
    writes(&world, 0..50);
    assert_eq!(shown(&world).len(), 100);
    for _ in 0..7 * 24 + 3 {
        passes(&world, 3_600_000);
    }
    assert_eq!(places(&world, &events), 100);
    assert_eq!(trim_timers(&world), [], "nothing is left to be looked at");
    let left = Query::Range {
        key: keys::trimmed_places(home(&world)),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: 10,
        reverse: false,
    };
    let answers = world.store.memory.read_now(home(&world).shard(), &[left]);
    assert_eq!(as_range(answers.into_iter().next()).unwrap(), []);
}

#[test]
fn what_is_too_old_goes_whatever_answers_get_lost_and_is_remembered_for_a_week() {
    for loses in [false, true] {
        let world = limited(loses, None, Some(2));
        let first = writes(&world, 0..3);
        passes(&world, DAY);
        let second = writes(&world, 3..5);
        assert_eq!(passes(&world, DAY - 3_600_000), 0);
        assert_eq!(shown(&world).len(), 5);
        passes(&world, 2 * 3_600_000);
        assert_eq!(
            (shown(&world), counted(&world)),
            (vec!["3".to_owned(), "4".to_owned()], 2)
        );
        assert_eq!((places(&world, &first), places(&world, &second)), (3, 2));
        writes(&world, 0..3);
        assert_eq!(shown(&world).len(), 2, "they came before");
        for _ in 0..8 * 24 {
            passes(&world, 3_600_000);
        }
        assert_eq!((counted(&world), shown(&world).len()), (0, 0));
        assert_eq!((places(&world, &first), places(&world, &second)), (0, 0));
        assert_eq!(trim_timers(&world), []);
        // And it begins anew.
        writes(&world, 5..6);
        assert_eq!((trim_timers(&world).len(), shown(&world).len()), (1, 1));
    }
}

#[test]
fn whoever_is_killed_while_trimming_is_followed_by_the_timer() {
    for commits in 0..100 {
        let world = limited(false, Some(10), None);
        let events = writes(&world, 0..350);
        world.pass(60_000);
        let (due, id) = trim_timers(&world)[0];
        world.store.stops_after(commits);
        let done = now(trim::trim(&world.context(), id, due)).is_ok();
        world.store.goes_on();
        passes(&world, 3_600_000);
        assert_eq!(
            (shown(&world).len(), counted(&world)),
            (10, 10),
            "after {commits} commits"
        );
        assert_eq!((places(&world, &events), trim_timers(&world).len()), (350, 1));
        if done {
            assert!(commits > 3);
            return;
        }
    }
    panic!("100 commits were not enough");
}

/// Begins to send it and hears that the provider took it under this id.
fn leaves(world: &World, id: MessageId, provider_id: &str) {
    let Begun::Go(_, submission) = now(begin(&world.context(), id, &Rules::default(), &[7; 16])).unwrap() else {
        panic!("nothing stands before it");
    };
    let accepted = Answer {
        piece_count: 1,
        outcome: Ok(delivery::accepted(provider_id)),
    };
    now(submit::answer(&world.context(), &submission, &accepted, 0)).unwrap();
}

#[test]
fn messages_of_ours_stay_while_they_travel_and_their_deliveries_until_nobody_asks() {
    let world = limited(false, Some(3), None);
    let accepts = |request_id: &str, later| {
        let accepted = now(send::accept(&world.context(), &answer(&world, request_id, later))).unwrap();
        let delivery = accepted.record.delivery.clone().unwrap();
        delivery.message_id.parse::<MessageId>().unwrap()
    };
    let (sent, planned) = (accepts("r0", 0), accepts("r1", 30 * DAY));
    leaves(&world, sent, "theirs");
    let events = writes(&world, 0..5);
    assert_eq!(passes(&world, 60_000), 4);
    // The one that waits, and the newest two.
    assert_eq!(shown(&world), ["", "3", "4"]);
    let get = |id| now(protocol::delivery::get(&world.context(), id)).unwrap();
    // The request that is repeated does not send it again, and an echo is no second message.
    assert_eq!(accepts("r0", 0), sent);
    let mut echo = message("sms", PHONE, &[], "theirs");
    echo.set_direction(omnigate_proto::v1::Direction::Outbound);
    let applied = now(apply(&world.context(), &[received(&world, echo.clone())])).unwrap();
    assert_eq!((applied.applied.len(), applied.repeated), (0, 1));
    assert!(get(sent).is_some());
    for _ in 0..8 * 24 {
        passes(&world, 3_600_000);
    }
    assert!(get(sent).is_none());
    assert_eq!(delivery::state_of(&get(planned).unwrap()), DeliveryState::Planned);
    let alias = received(&world, echo).id;
    assert_eq!((places(&world, &events), places(&world, &[alias])), (2, 0));
}

#[test]
fn an_erasure_takes_deliveries_whose_entries_were_trimmed() {
    let world = limited(false, Some(1), None);
    let accepted = now(send::accept(&world.context(), &answer(&world, "r0", 0))).unwrap();
    let delivery = accepted.record.delivery.clone().unwrap();
    leaves(&world, delivery.message_id.parse().unwrap(), "theirs");
    writes(&world, 0..2);
    assert_eq!(passes(&world, 60_000), 2);
    let id = home(&world);
    assert!(stands(&world, "secret-answer"));
    now(erase(&world.context(), "t", id)).unwrap().unwrap();
    let deliveries = world.store.memory.read_now(
        id.shard(),
        &[Query::Record(keys::delivery(delivery.message_id.parse().unwrap()))],
    );
    assert_eq!(deliveries, [omnigate_core::port::store::Answer::Record(None)]);
    for _ in 0..8 * 24 {
        passes(&world, 3_600_000);
    }
}

#[test]
fn what_changes_a_message_that_was_trimmed_is_harmless_and_leaves_nothing_behind() {
    let world = limited(false, Some(2), None);
    let events = writes(&world, 0..4);
    passes(&world, 60_000);
    // Of one that is remembered, and of one that never comes.
    let deletion = |id: &str| event("sms", PHONE, &[], id, Kind::Deletion(Deletion::default()));
    let edit = Kind::Edit(Edit {
        message: Some(Message::default()),
        edited_at: None,
    });
    let changes = [
        received(&world, deletion("0")),
        received(&world, deletion("never")),
        received(&world, event("sms", PHONE, &[], "never", edit)),
    ];
    let never = omnigate_core::timeline::target(&changes[1].event).unwrap();
    now(apply(&world.context(), &changes)).unwrap();
    assert_eq!((places(&world, &[never]), shown(&world).len()), (1, 5));
    passes(&world, 60_000);
    assert_eq!(shown(&world), ["never", "never"]);
    // While one of the changes is there, the place waits for the message.
    writes(&world, 10..11);
    passes(&world, 60_000);
    for _ in 0..8 * 24 {
        passes(&world, 3_600_000);
    }
    assert_eq!(places(&world, &[never]), 1);
    writes(&world, 11..12);
    for _ in 0..9 * 24 {
        passes(&world, 3_600_000);
    }
    assert_eq!((places(&world, &[never]), places(&world, &events)), (0, 0));
    assert_eq!(shown(&world), ["10", "11"]);
}

#[test]
fn pieces_of_a_message_that_was_trimmed_are_forgotten_with_it() {
    let world = limited(false, Some(1), None);
    let piece = |number: u32| {
        let piece = Piece {
            reference: "r".into(),
            number,
            total: 2,
            ..Piece::default()
        };
        let whole = Message {
            piece: Some(piece),
            ..Message::default()
        };
        received(
            &world,
            event("sms", PHONE, &[], &format!("p{number}"), Kind::Message(whole)),
        )
    };
    let pieces = [piece(1), piece(2)];
    now(apply(&world.context(), &pieces)).unwrap();
    let ids: Vec<EventId> = pieces.iter().map(|piece| piece.id).collect();
    writes(&world, 0..1);
    assert_eq!(passes(&world, 60_000), 1);
    assert!(places(&world, &ids) >= 1);
    for _ in 0..8 * 24 {
        passes(&world, 3_600_000);
    }
    assert_eq!((places(&world, &ids), counted(&world)), (0, 1));
}

#[test]
fn a_page_goes_on_with_what_is_there_and_a_trimmed_entry_is_called_so() {
    let world = limited(false, Some(4), None);
    writes(&world, 0..6);
    let id = home(&world);
    let page = |after| {
        let whole = now(read::customer(&world.context(), "t", id)).unwrap().unwrap();
        let wanted = Wanted {
            after,
            ..Wanted::first(1, true)
        };
        now(entries::page(&world.context(), &whole.views(), &wanted)).unwrap()
    };
    let first = page(None);
    let entry: EntryId = first.entries[0].1.entry_id.parse().unwrap();
    let event = |page: &entries::Page| page.entries[0].1.event.clone().unwrap().provider_message_id;
    assert_eq!(event(&first), "0");
    let trimmed = || now(trim::was_trimmed(&world.context(), "t", entry)).unwrap();
    passes(&world, 60_000);
    assert_eq!(event(&page(first.next)), "2");
    assert!(now(entries::entry(&world.context(), "t", entry)).unwrap().is_none());
    assert!(trimmed());
    assert!(!now(trim::was_trimmed(&world.context(), "other", entry)).unwrap());
    for _ in 0..8 * 24 {
        passes(&world, 3_600_000);
    }
    assert!(!trimmed(), "nobody knows any more");
}

#[test]
fn limits_that_are_new_hold_for_silent_customers_too() {
    let mut world = World::new(false);
    let ids = two(&world, PHONE, "email//lan@example.vn");
    writes(&world, 0..20);
    assert_eq!(trim_timers(&world), []);
    merged(&world, ids[0], ids[1]);
    world.tenants = limited(false, Some(5), None).tenants;
    let sweep = |shard| {
        now(trim::sweep(&world.context(), "t", Shard::new(shard), None))
            .unwrap()
            .timed
    };
    assert_eq!((0..=u8::MAX).map(sweep).sum::<usize>(), 1);
    assert_eq!((0..=u8::MAX).map(sweep).sum::<usize>(), 0, "it has its timer");
    assert_eq!(passes(&world, 60_000), 17);
}

#[test]
fn who_says_nothing_keeps_everything() {
    let world = World::new(false);
    writes(&world, 0..200);
    assert_eq!(trim_timers(&world), []);
    assert_eq!(passes(&world, 3650 * DAY), 0);
    assert_eq!(shown(&world).len(), 200);
}
