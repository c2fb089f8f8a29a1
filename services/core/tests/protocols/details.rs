//! Attributes and tags through merges, splits, crashes and erasure.

use crate::link::{message, told};
use crate::stories::{asking, by_id, merged, two, undo_last_merge};
use crate::{World, now};
use omnigate_core::details::{Change, text};
use omnigate_core::id::CustomerId;
use omnigate_core::identity::merge::Word;
use omnigate_core::keys;
use omnigate_core::protocol::details::{Command, NotChanged, change};
use omnigate_core::protocol::identity::{Person, erase, merge};
use omnigate_core::protocol::read;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{CustomerState, DetailsRecord};
use omnigate_proto::v1::DetailSource;

/// A command that sets a city and gives a tag.
fn said(world: &World, customer: CustomerId, city: &str, tag: &str) -> Command {
    command(world, customer, |change| {
        change.set = vec![("city".into(), text(city))];
        change.add_tags = vec![tag.into()];
    })
}

fn command(world: &World, customer: CustomerId, fill: impl FnOnce(&mut Change)) -> Command {
    world.pass(1);
    let mut change = Change {
        source: DetailSource::Agent,
        at: by_id(world, customer).details_moment(world.context().now()),
        ..Change::default()
    };
    fill(&mut change);
    Command {
        tenant_id: "t".into(),
        customer,
        change,
        etag: String::new(),
    }
}

fn carried_out(world: &World, command: &Command) {
    now(change(&world.context(), command)).unwrap();
}

fn shown(world: &World, id: CustomerId) -> (Vec<String>, Vec<String>) {
    let customer = by_id(world, id).to_customer();
    let cities = customer.attributes.iter().map(|attribute| {
        let value = attribute.standing.clone().unwrap().value.unwrap();
        format!("{}={:?}", attribute.name, value.kind.unwrap())
    });
    (
        cities.collect(),
        customer.tags.into_iter().map(|tag| tag.name).collect(),
    )
}

fn city(name: &str) -> Vec<String> {
    vec![format!("city=Text({name:?})")]
}

#[test]
fn a_merge_keeps_both_and_a_split_gives_each_their_own() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
        carried_out(&world, &said(&world, older, "Huế", "vip"));
        carried_out(&world, &said(&world, younger, "Vinh", "b2b"));
        merged(&world, older, younger);
        assert_eq!(shown(&world, younger), (city("Vinh"), vec!["b2b".into(), "vip".into()]));
        carried_out(&world, &said(&world, older, "Hà Nội", "new"));
        assert_eq!(
            shown(&world, older),
            (city("Hà Nội"), vec!["b2b".into(), "new".into(), "vip".into()])
        );
        undo_last_merge(&world, older, younger);
        assert_eq!(shown(&world, older), (city("Hà Nội"), vec!["new".into(), "vip".into()]));
        assert_eq!(shown(&world, younger), (city("Vinh"), vec!["b2b".into()]));
    }
}

#[test]
fn what_is_removed_is_removed_wherever_it_stands_also_after_a_crash_in_between() {
    for loses in [false, true] {
        // Killed after so many commits, and repeated.
        for commits in 0..4 {
            let world = World::new(loses);
            let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
            carried_out(&world, &said(&world, older, "Huế", "vip"));
            carried_out(&world, &said(&world, younger, "Vinh", "vip"));
            merged(&world, older, younger);
            let removal = command(&world, younger, |change| {
                change.remove = vec!["city".into()];
                change.remove_tags = vec!["vip".into()];
            });
            world.store.stops_after(commits);
            drop(now(change(&world.context(), &removal)));
            world.store.goes_on();
            carried_out(&world, &removal);
            assert_eq!(shown(&world, older), (vec![], vec![]));
            undo_last_merge(&world, older, younger);
            for id in [older, younger] {
                assert_eq!(shown(&world, id), (vec![], vec![]), "{commits}");
            }
        }
    }
}

#[test]
fn a_repeated_command_undoes_nothing_that_came_after_it() {
    let world = World::new(true);
    let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
    let first = said(&world, younger, "Huế", "vip");
    carried_out(&world, &first);
    merged(&world, older, younger);
    let removal = command(&world, older, |change| {
        change.remove = vec!["city".into()];
        change.remove_tags = vec!["vip".into()];
    });
    carried_out(&world, &removal);
    carried_out(&world, &first);
    assert_eq!(shown(&world, older), (vec![], vec![]));
    carried_out(&world, &said(&world, older, "Vinh", "vip"));
    carried_out(&world, &removal);
    assert_eq!(shown(&world, older), (city("Vinh"), vec!["vip".into()]));
}

#[test]
fn an_etag_holds_for_one_version_and_for_a_repetition() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [one, _] = two(&world, "phone//+84900000001", "email//a@b.vn");
        let with_etag = |city: &str, name: &'static [u8], etag: String| {
            let mut command = said(&world, one, city, "vip");
            command.change.conditional = Some(name.into());
            command.etag = etag;
            command
        };
        let before = by_id(&world, one).etag();
        let first = with_etag("Huế", b"first", before.clone());
        carried_out(&world, &first);
        assert_ne!(by_id(&world, one).etag(), before);
        carried_out(&world, &first);
        let stale = with_etag("Vinh", b"second", before);
        let refused = now(change(&world.context(), &stale));
        assert!(matches!(refused, Err(NotChanged::Changed)), "{refused:?}");
        assert_eq!(shown(&world, one).0, city("Huế"));
        carried_out(&world, &with_etag("Vinh", b"third", by_id(&world, one).etag()));
        assert_eq!(shown(&world, one).0, city("Vinh"));
    }
}

#[test]
fn an_erasure_leaves_nothing_and_takes_nothing_more() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
        carried_out(&world, &said(&world, older, "Huế", "vip"));
        let late = said(&world, younger, "Vinh", "vip");
        carried_out(&world, &late);
        merged(&world, older, younger);
        assert!(now(erase(&world.context(), "t", younger)).unwrap().is_some());
        for id in [older, younger] {
            let refused = now(change(
                &world.context(),
                &Command {
                    customer: id,
                    ..late.clone()
                },
            ));
            assert!(matches!(refused, Err(NotChanged::NoSuchCustomer)), "{refused:?}");
            let left = now(world
                .context()
                .record::<DetailsRecord>(id.shard(), keys::details(id), "details"));
            assert_eq!(left.unwrap().value, None);
        }
    }
}

#[test]
fn a_clock_that_is_behind_loses_nothing() {
    let world = World::new(false);
    let [one, _] = two(&world, "phone//+84900000001", "email//a@b.vn");
    let mut ahead = said(&world, one, "Huế", "vip");
    ahead.change.at = Moment(world.context().now().0 + 60_000);
    carried_out(&world, &ahead);
    carried_out(&world, &said(&world, one, "Vinh", "vip"));
    assert_eq!(shown(&world, one).0, city("Vinh"));
}

#[test]
fn what_is_said_of_a_customer_whose_merge_was_left_is_said_when_that_has_ended() {
    for commits in 1..4 {
        let world = World::new(false);
        let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
        world.store.stops_after(commits);
        let people = [Person::Customer(older), Person::Customer(younger)];
        let both = [&people[0], &people[1]];
        drop(now(merge(
            &world.context(),
            &asking(),
            both,
            Word::Person,
            &mut Vec::new(),
        )));
        world.store.goes_on();
        carried_out(&world, &said(&world, younger, "Huế", "vip"));
        assert_eq!(shown(&world, younger), (city("Huế"), vec!["vip".into()]));
        let told = now(world
            .context()
            .record::<DetailsRecord>(younger.shard(), keys::details(younger), "details"));
        if told.unwrap().value.is_some() {
            let record = by_id(&world, younger).record;
            assert_eq!(record.state(), CustomerState::Active, "written into a frozen record");
        }
    }
}

#[test]
fn a_page_looks_at_so_many_and_holds_so_much() {
    let world = World::new(false);
    for number in 1..=1050 {
        told(&world, message("a", &format!("tg_chat/bot/{number}"), &[], "1"));
    }
    let page = |after, keep: bool| now(read::customers(&world.context(), "t", after, 1000, |_| keep)).unwrap();
    let first = page(None, false);
    assert!(first.customers.is_empty() && first.next.is_some());
    assert!(page(first.next, false).next.is_none(), "all were looked at");
    let some = page(None, true);
    for (whole, _) in some.customers.iter().take(50) {
        let long = command(&world, whole.id, |change| {
            change.set = (0..100)
                .map(|number| (format!("a{number}"), text(&"x".repeat(1000))))
                .collect();
        });
        carried_out(&world, &long);
    }
    let long = page(None, true);
    assert!(long.customers.len() < 50 && long.next == long.customers.last().map(|(whole, _)| whole.id));
}
