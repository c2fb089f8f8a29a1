//! Who is in an audience, through merges, splits, exclusions and erasure.

use super::{audience, found, imported, list, names, row, rows_of, vietnamese};
use crate::link::{message, named, told};
use crate::stories::{merged, undo_last_merge};
use crate::{World, now};
use omnigate_core::id::CustomerId;
use omnigate_core::protocol::audience::{NotDone, memberships, select};
use omnigate_core::protocol::identity::{erase, go_on};
use omnigate_core::protocol::read;

fn of(world: &World, identifier: &str) -> CustomerId {
    now(read::resolve(&world.context(), "t", &named(identifier)))
        .unwrap()
        .unwrap()
        .id
}

#[test]
fn a_merge_makes_two_members_one_and_a_split_two_again() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    imported(&world, id, "1", &[row(1, "phone:0900000001", "An")]);
    world.pass(10);
    imported(&world, id, "2", &[row(1, "phone:0900000002", "Bình")]);
    let [an, binh] = ["phone//+84900000001", "phone//+84900000002"].map(|identifier| of(&world, identifier));
    merged(&world, an, binh);
    let once = found(&world, id);
    assert_eq!(once.len(), 1);
    assert_eq!((once[0].customer, rows_of(&world, id)), (an, 2));
    // A row of theirs changes what stands, and adds none.
    world.pass(10);
    assert_eq!(
        imported(&world, id, "3", &[row(1, "phone:0900000002", "both")]),
        [0, 1, 0, 0]
    );
    assert_eq!((names(&world, id), rows_of(&world, id)), (vec!["both".to_owned()], 2));
    undo_last_merge(&world, an, binh);
    assert_eq!(names(&world, id), ["Bình", "both"]);
}

#[test]
fn a_member_who_was_merged_away_is_found_where_the_row_stands() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    told(&world, message("sms", "phone//+84900000001", &[], "1"));
    world.pass(10);
    imported(&world, id, "1", &[row(1, "phone:0900000002", "Bình")]);
    let [an, binh] = ["phone//+84900000001", "phone//+84900000002"].map(|identifier| of(&world, identifier));
    merged(&world, an, binh);
    world.pass(10);
    assert_eq!(
        imported(&world, id, "2", &[row(1, "phone:0900000001", "one")]),
        [0, 1, 0, 0]
    );
    assert_eq!(rows_of(&world, id), 1);
    let one = found(&world, id);
    assert_eq!((one[0].at, one[0].customer), (binh, an));
}

#[test]
fn exclusions_leave_out_whoever_is_in_them_by_any_of_their_records() {
    let world = vietnamese(false);
    let out = list(&world, "out");
    let segment = audience(&world, "s", "customer.identifiers.exists(i, i.type == \"crm\")", &[]).id;
    let id = audience(&world, "a", "", &[out, segment]).id;
    imported(
        &world,
        out,
        "1",
        &[row(1, "phone:0900000001", "x"), row(2, "phone:0900000009", "x")],
    );
    world.pass(10);
    let rows = [
        row(1, "phone:0900000001", "in the list"),
        row(2, "phone:0900000002", "merged with somebody in it"),
        row(3, "phone:0900000003 crm:3", "in the segment"),
        row(4, "phone:0900000004", "An"),
    ];
    imported(&world, id, "1", &rows);
    merged(
        &world,
        of(&world, "phone//+84900000009"),
        of(&world, "phone//+84900000002"),
    );
    assert_eq!(names(&world, id), ["An"]);
    assert_eq!(found(&world, id).len(), 4);
    assert_eq!(found(&world, segment).len(), 1);
}

#[test]
fn a_segment_holds_each_customer_once() {
    let world = vietnamese(false);
    let everybody = audience(&world, "s", "true", &[]).id;
    for number in 1..5 {
        told(&world, message("sms", &format!("phone//+8490000000{number}"), &[], "1"));
        world.pass(10);
    }
    assert_eq!(found(&world, everybody).len(), 4);
    merged(
        &world,
        of(&world, "phone//+84900000001"),
        of(&world, "phone//+84900000002"),
    );
    assert_eq!(found(&world, everybody).len(), 3);
}

#[test]
fn a_filter_that_fits_no_more_is_said() {
    let world = vietnamese(false);
    let wrong = audience(&world, "s", "customer.attributes.nonsense ==", &[]);
    let schema = omnigate_core::details::Schema::default();
    let refused = now(select(&world.context(), &wrong, &schema, true));
    assert!(matches!(refused, Err(NotDone::Filter(id, _)) if id == wrong.id));
}

#[test]
fn nothing_of_the_erased_is_left_in_any_list_and_all_was_in_their_copy() {
    for commits in 1..200 {
        let world = vietnamese(false);
        let lists = ["a", "b", "c"].map(|name| list(&world, name));
        let rows = [
            row(1, "phone:0900000001", "Secret One"),
            row(2, "phone:0900000003", "Kept"),
        ];
        for id in &lists[..2] {
            imported(&world, *id, "1", &rows);
        }
        world.pass(10);
        imported(&world, lists[1], "2", &[row(1, "phone:0900000002", "Secret Two")]);
        let [one, two] = ["phone//+84900000001", "phone//+84900000002"].map(|identifier| of(&world, identifier));
        merged(&world, one, two);
        let whole = now(read::customer(&world.context(), "t", one)).unwrap().unwrap();
        let mut said: Vec<String> = now(memberships(&world.context(), &whole))
            .unwrap()
            .into_iter()
            .map(|membership| {
                format!(
                    "{} {}",
                    membership.audience.record.display_name, membership.member.display_name
                )
            })
            .collect();
        said.sort();
        assert_eq!(said, ["a Secret One", "b Secret One", "b Secret Two"]);
        world.pass(1000);
        world.store.stops_after(commits);
        let done = now(erase(&world.context(), "t", one)).is_ok();
        world.store.goes_on();
        world.pass(60_000);
        now(go_on(&world.context(), one, world.context().now())).unwrap();
        assert!(!crate::erasure::stands(&world, "Secret"), "after {commits}");
        assert_eq!(lists.map(|id| rows_of(&world, id)), [1, 1, 0], "after {commits}");
        assert_eq!(names(&world, lists[0]), ["Kept"]);
        if done {
            return;
        }
    }
    panic!("200 commits were not enough");
}
