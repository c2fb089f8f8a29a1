//! Notes, changes of identity on timelines, and which entries are listed.

use crate::link::{arrival, event, message, named, told};
use crate::stories::{by_id, merged, two, undo_last_merge};
use crate::{World, now};
use omnigate_core::append::Arrival;
use omnigate_core::id::CustomerId;
use omnigate_core::note::{self, Written};
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::entries::{Filter, Page, Position, Wanted, page};
use omnigate_core::protocol::identity::erase;
use omnigate_core::protocol::notes::write;
use omnigate_core::time::Moment;
use omnigate_core::timeline::kind_of;
use omnigate_proto::v1::{Direction, Entry, EntryKind, Event, IdentityChangeKind, Message, Postback, event::Kind};

fn written<'a>(world: &World, home: CustomerId, command: &'a str) -> Written<'a> {
    Written {
        tenant_id: "t",
        home,
        command,
        author: "Minh",
        at: world.context().now(),
        trace_id: "trace",
    }
}

fn noted(world: &World, home: CustomerId, command: &str, text: &str) {
    let arrival = note::added(&written(world, home, command), text);
    now(write(&world.context(), "t", home, arrival)).unwrap().unwrap();
}

fn all() -> Wanted {
    Wanted::first(1000, true)
}

fn listed(world: &World, id: CustomerId, wanted: &Wanted) -> Page {
    now(page(&world.context(), &by_id(world, id).views(), wanted)).unwrap()
}

fn events(page: Page) -> Vec<Event> {
    let events = page.entries.into_iter().map(|(_, entry)| entry.event.unwrap());
    events.collect()
}

fn notes(world: &World, id: CustomerId) -> Vec<Entry> {
    let mut wanted = all();
    wanted.filter.kinds = vec![EntryKind::Note];
    listed(world, id, &wanted)
        .entries
        .into_iter()
        .map(|(_, entry)| entry)
        .collect()
}

fn texts(world: &World, id: CustomerId) -> Vec<String> {
    let texts = notes(world, id)
        .into_iter()
        .filter_map(|entry| match entry.event?.kind? {
            Kind::Note(note) => Some(note.text),
            _ => None,
        });
    texts.collect()
}

#[test]
fn a_note_is_there_once_moves_with_merges_and_comes_back_at_splits() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
        let before = by_id(&world, younger).to_customer();
        for _ in 0..3 {
            noted(&world, older, "one", "về chị Lan");
            noted(&world, younger, "two", "về anh Minh");
        }
        let with_note = by_id(&world, younger).to_customer();
        assert_eq!(with_note.entry_count, before.entry_count + 1);
        assert_eq!(with_note.last_inbound_at, before.last_inbound_at, "nobody wrote");
        assert_eq!(with_note.threads, before.threads);
        merged(&world, older, younger);
        assert_eq!(texts(&world, younger), ["về chị Lan", "về anh Minh"]);
        undo_last_merge(&world, older, younger);
        assert_eq!(texts(&world, older), ["về chị Lan"]);
        assert_eq!(texts(&world, younger), ["về anh Minh"]);
    }
}

#[test]
fn a_changed_note_reads_as_it_was_changed_last_also_after_a_merge() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
        noted(&world, younger, "one", "gọi lại");
        merged(&world, older, younger);
        world.pass(10);
        for _ in 0..2 {
            let edit = note::edited(&written(&world, younger, "edit"), "one", "đã gọi");
            now(write(&world.context(), "t", younger, edit)).unwrap().unwrap();
        }
        let [entry] = notes(&world, older).try_into().unwrap();
        assert_eq!((entry.revision, entry.deleted), (1, false));
        let current = format!("{:?}", entry.current.unwrap());
        assert!(current.contains("đã gọi"), "{current}");
        let gone = note::withdrawn(&written(&world, younger, "delete"), "one");
        now(write(&world.context(), "t", younger, gone)).unwrap().unwrap();
        assert!(notes(&world, older)[0].deleted);
    }
}

#[test]
fn an_erased_customer_takes_none() {
    let world = World::new(false);
    let [one, other] = two(&world, "phone//+84900000001", "email//a@b.vn");
    merged(&world, one, other);
    noted(&world, other, "one", "x");
    assert!(now(erase(&world.context(), "t", one)).unwrap().is_some());
    for home in [one, other] {
        let late = note::added(&written(&world, home, "two"), "y");
        assert_eq!(now(write(&world.context(), "t", home, late)).unwrap(), None);
    }
}

#[test]
fn merges_and_splits_stand_on_the_timeline_once() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
        merged(&world, older, younger);
        merged(&world, younger, older);
        undo_last_merge(&world, older, younger);
        let mut wanted = all();
        wanted.filter.kinds = vec![EntryKind::IdentityChange];
        let told: Vec<_> = events(listed(&world, older, &wanted))
            .into_iter()
            .filter_map(|event| match event.kind? {
                Kind::IdentityChange(change) => Some((change.kind(), change.other_customer_id, change.by_person)),
                _ => None,
            })
            .collect();
        let other = younger.to_string();
        assert_eq!(
            told,
            [
                (IdentityChangeKind::Merged, other.clone(), true),
                (IdentityChangeKind::Split, other, true)
            ]
        );
    }
}

/// Entries of two homes on two accounts, a second apart.
fn busy(world: &World) -> CustomerId {
    let [older, younger] = two(world, "phone//+84900000001", "email//a@b.vn");
    merged(world, older, younger);
    for number in 0..30 {
        world.pass(1000);
        let (account, peer) = if number % 3 == 0 {
            ("b", "email//a@b.vn")
        } else {
            ("a", "phone//+84900000001")
        };
        let kind = if number % 5 == 0 {
            Kind::Postback(Postback::default())
        } else {
            Kind::Message(Message::default())
        };
        let mut pushed = arrival(event(account, peer, &[], &format!("busy {number}"), kind));
        pushed.received_at = world.context().now();
        now(apply(&world.context(), &[pushed])).unwrap();
    }
    older
}

/// All pages, and how often a page was empty.
fn pages(world: &World, id: CustomerId, mut wanted: Wanted) -> Vec<(Position, Entry)> {
    let mut entries = Vec::new();
    for _ in 0..200 {
        let page = listed(world, id, &wanted);
        assert!(page.entries.len() <= wanted.limit as usize);
        entries.extend(page.entries);
        match page.next {
            None => return entries,
            next => wanted.after = next,
        }
    }
    panic!("pages without end");
}

/// What a filter means, one entry at a time.
fn passes(filter: &Filter, entry: &Entry) -> bool {
    let event = entry.event.as_ref().unwrap();
    let shown = Moment::from_timestamp(entry.shown_at.as_ref().unwrap());
    (filter.account_ids.is_empty() || filter.account_ids.contains(&event.account_id))
        && (filter.channels.is_empty() || filter.channels.contains(&event.channel))
        && (filter.kinds.is_empty() || filter.kinds.contains(&kind_of(event)))
        && filter.from.is_none_or(|from| shown >= from)
        && filter.to.is_none_or(|to| shown < to)
}

#[test]
fn filters_show_exactly_what_they_say_in_pages_of_any_size() {
    let world = World::new(false);
    let id = busy(&world);
    let everything = pages(&world, id, all());
    let at = |number: usize| Moment::from_timestamp(everything[number].1.shown_at.as_ref().unwrap());
    let filters = [
        Filter::default(),
        Filter {
            account_ids: vec!["b".into()],
            ..Filter::default()
        },
        Filter {
            kinds: vec![EntryKind::Postback, EntryKind::IdentityChange],
            ..Filter::default()
        },
        Filter {
            channels: vec!["test".into()],
            kinds: vec![EntryKind::Message],
            ..Filter::default()
        },
        Filter {
            channels: vec!["none".into()],
            ..Filter::default()
        },
        Filter {
            from: Some(at(7)),
            to: Some(at(20)),
            ..Filter::default()
        },
        Filter {
            from: Some(at(20)),
            to: Some(at(7)),
            ..Filter::default()
        },
        Filter {
            from: Some(at(9)),
            account_ids: vec!["a".into()],
            ..Filter::default()
        },
    ];
    for filter in filters {
        let wanted = everything.iter().map(|(_, entry)| entry);
        let expected: Vec<&Entry> = wanted.filter(|entry| passes(&filter, entry)).collect();
        for limit in [1, 2, 7, 100] {
            for oldest_first in [true, false] {
                let wanted = Wanted {
                    limit,
                    oldest_first,
                    filter: filter.clone(),
                    ..all()
                };
                let mut found = pages(&world, id, wanted);
                if !oldest_first {
                    found.reverse();
                }
                let found: Vec<&Entry> = found.iter().map(|(_, entry)| entry).collect();
                assert_eq!(found, expected, "{filter:?} {limit} {oldest_first}");
            }
        }
    }
}

#[test]
fn a_filter_that_passes_over_much_ends_its_page_and_goes_on() {
    let world = World::new(false);
    told(&world, message("a", "phone//+84900000001", &[], "first"));
    let many: Vec<_> = (0..2500)
        .map(|number| arrival(message("a", "phone//+84900000001", &[], &number.to_string())))
        .collect();
    now(apply(&world.context(), &many)).unwrap();
    let peer = named("phone//+84900000001");
    let found = now(omnigate_core::protocol::read::resolve(&world.context(), "t", &peer));
    let id = found.unwrap().unwrap().id;
    noted(&world, id, "one", "x");
    let mut wanted = Wanted {
        limit: 5,
        oldest_first: true,
        ..all()
    };
    wanted.filter.kinds = vec![EntryKind::Note];
    let first = listed(&world, id, &wanted);
    assert!(first.entries.is_empty() && first.next.is_some());
    assert_eq!(pages(&world, id, wanted).len(), 1);
}

#[test]
fn pages_stay_stable_while_entries_come_in_and_customers_merge() {
    let world = World::new(false);
    let id = busy(&world);
    told(&world, message("c", "zalo_uid/oa/7", &[], "other"));
    let other = now(omnigate_core::protocol::read::resolve(
        &world.context(),
        "t",
        &named("zalo_uid/oa/7"),
    ));
    let other = other.unwrap().unwrap().id;
    noted(&world, other, "two", "a note of theirs");
    let mut wanted = Wanted {
        limit: 4,
        oldest_first: false,
        ..all()
    };
    wanted.filter.kinds = vec![EntryKind::Message, EntryKind::Postback, EntryKind::Note];
    let before: Vec<Entry> = pages(&world, id, wanted.clone())
        .into_iter()
        .map(|(_, entry)| entry)
        .collect();
    let first = listed(&world, id, &wanted);
    wanted.after.clone_from(&first.next);
    merged(&world, id, other);
    world.pass(1000);
    let mut new = arrival(message("a", "phone//+84900000001", &[], "new"));
    new.received_at = world.context().now();
    now(apply(&world.context(), &[new])).unwrap();
    let rest = pages(&world, id, wanted);
    let shown: Vec<String> = first
        .entries
        .iter()
        .chain(&rest)
        .map(|(_, entry)| entry.entry_id.clone())
        .collect();
    let once: std::collections::BTreeSet<&String> = shown.iter().collect();
    assert_eq!(once.len(), shown.len(), "an entry is on two pages");
    for entry in before {
        assert!(once.contains(&entry.entry_id), "an entry is left out");
    }
}

#[test]
fn a_message_is_not_late_for_the_merge_that_it_causes() {
    let world = World::new(false);
    let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
    world.pass(60_000);
    told(&world, message("a", "phone//+84900000001", &["email//a@b.vn"], "both"));
    assert_eq!(by_id(&world, younger).id, older);
    let entries = listed(&world, older, &all()).entries;
    assert_eq!(entries.len(), 4);
    assert!(entries.iter().all(|(_, entry)| !entry.arrived_late), "{entries:?}");
}

#[test]
fn each_side_s_last_word_is_counted_by_channel() {
    let world = World::new(false);
    let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
    merged(&world, older, younger);
    noted(&world, older, "one", "x");
    let mut echo = message("a", "phone//+84900000001", &[], "from another desk");
    echo.set_direction(Direction::Outbound);
    let mut echo = arrival(echo);
    echo.received_at = Moment(1_800_000_005_000);
    now(apply(&world.context(), &[echo])).unwrap();
    let whole = by_id(&world, older);
    let [touchpoint] = whole.touchpoints().try_into().unwrap();
    let at = |at: Option<_>| at.as_ref().map(Moment::from_timestamp);
    assert_eq!(at(touchpoint.last_inbound_at), Some(Moment(1_800_000_000_000)));
    assert_eq!(at(touchpoint.last_outbound_at), Some(Moment(1_800_000_005_000)));
    let counts = (
        touchpoint.inbound_count,
        touchpoint.outbound_count,
        touchpoint.entry_count,
    );
    assert_eq!((touchpoint.channel.as_str(), counts), ("test", (2, 1, 3)));
    assert_eq!(whole.to_customer().entry_count, 5, "with the note and the merge");
}

#[test]
fn what_lies_behind_the_end_of_a_page_is_not_on_it() {
    let world = World::new(false);
    let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
    merged(&world, older, younger);
    let many: Vec<_> = (0..2500)
        .map(|number| arrival(message("a", "phone//+84900000001", &[], &format!("many {number}"))))
        .collect();
    now(apply(&world.context(), &many)).unwrap();
    let presses = [("a", "phone//+84900000001", 1_800_000_001_000)];
    let later = ("b", "email//a@b.vn", 1_800_000_900_000);
    for (number, (account, peer, at)) in presses.into_iter().chain([later; 3]).enumerate() {
        let press = Kind::Postback(Postback::default());
        let mut press = arrival(event(account, peer, &[], &format!("press {number}"), press));
        press.received_at = Moment(at);
        now(apply(&world.context(), &[press])).unwrap();
    }
    let after: Vec<_> = (0..1500)
        .map(|number| Arrival {
            received_at: Moment(1_800_000_901_000),
            ..arrival(message("b", "email//a@b.vn", &[], &format!("after {number}")))
        })
        .collect();
    now(apply(&world.context(), &after)).unwrap();
    let mut wanted = Wanted { limit: 5, ..all() };
    wanted.filter.kinds = vec![EntryKind::Postback];
    assert!(
        listed(&world, older, &wanted).entries.is_empty(),
        "what lies before was not looked at"
    );
    assert_eq!(pages(&world, older, wanted).len(), 4);
}
