//! What becomes of a row.

use super::{import, imported, index, list, names, reasons, row, rows_of, seen, take, vietnamese};
use crate::link::{message, told};
use crate::now;
use crate::stories::asking;
use omnigate_core::keys;
use omnigate_core::protocol::audience::{NotDone, Session, standing};
use omnigate_core::protocol::identity::erase;
use omnigate_core::protocol::read;
use omnigate_proto::v1::ImportRow;

#[test]
fn rows_become_customers_and_members_once() {
    for loses in [false, true] {
        let world = vietnamese(loses);
        let id = list(&world, "a");
        let rows = [
            row(1, "phone:0900000001", "An"),
            row(2, "phone:0900000002 email:b@b.vn", "Bình"),
            row(3, "email:c@b.vn", "Cúc"),
        ];
        assert_eq!(imported(&world, id, "1", &rows), [3, 0, 0, 0]);
        let first = seen(&world, id);
        assert_eq!((first.births, first.rows), (3, 3));
        assert_eq!(names(&world, id), ["An", "Bình", "Cúc"]);
        // The same import, and the same rows by another.
        assert_eq!(imported(&world, id, "1", &rows), [3, 0, 0, 0]);
        world.pass(1);
        assert_eq!(imported(&world, id, "2", &rows), [0, 0, 3, 0]);
        world.pass(1);
        let changed = [
            row(1, "phone:0900000001 email:a@b.vn", "An"),
            row(2, "email:b@b.vn", "Bích"),
        ];
        assert_eq!(imported(&world, id, "3", &changed), [0, 2, 0, 0]);
        assert_eq!(names(&world, id), ["An", "Bích", "Cúc"]);
        assert_eq!(seen(&world, id).births, 3);
    }
}

#[test]
fn a_row_finds_who_is_known_and_gives_them_what_they_lack() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    told(&world, message("bot", "tg_chat/bot/1", &["phone//+84900000001"], "1"));
    assert_eq!(
        imported(&world, id, "1", &[row(1, "email:a@b.vn phone:0900000001", "An")]),
        [1, 0, 0, 0]
    );
    let seen = seen(&world, id);
    assert_eq!(seen.births, 1);
    let identifiers = &seen.customers.first().unwrap().0;
    assert_eq!(identifiers, &["email//a@b.vn", "phone//+84900000001", "tg_chat/bot/1"]);
}

#[test]
fn two_customers_of_one_row_are_a_problem_or_become_one() {
    for loses in [false, true] {
        let world = vietnamese(loses);
        let id = list(&world, "a");
        told(&world, message("sms", "phone//+84900000001", &[], "1"));
        told(&world, message("mail", "email//a@b.vn", &[], "1"));
        let rows = [row(1, "email:a@b.vn phone:0900000001", "An")];
        assert_eq!(imported(&world, id, "1", &rows), [0, 0, 0, 1]);
        assert_eq!(reasons(&world, id, "1"), [(1, "CUSTOMERS_DIFFER".to_owned())]);
        assert_eq!(seen(&world, id).customers.len(), 2);
        let merged = import(&world.context(), id, ("2", true), (&rows, 10)).unwrap();
        assert_eq!(super::counts(&merged), [1, 0, 0, 0]);
        assert_eq!(seen(&world, id).customers.len(), 1);
        // Two ids of a system of record prove two people.
        let apart = [
            row(1, "crm:1 phone:0900000003", "Cúc"),
            row(2, "crm:2 phone:0900000004", "Dung"),
            row(3, "crm:1 phone:0900000004", "Ai"),
        ];
        let merged = import(&world.context(), id, ("3", true), (&apart, 10)).unwrap();
        assert_eq!(super::counts(&merged), [2, 0, 0, 1]);
        assert_eq!(reasons(&world, id, "3"), [(3, "CUSTOMERS_APART".to_owned())]);
    }
}

#[test]
fn a_row_that_cannot_be_taken_stops_no_other() {
    for together in [1, 2, 100] {
        let world = vietnamese(false);
        let id = list(&world, "a");
        let unreadable = ImportRow {
            row: 4,
            problem: "2 columns instead of 3".to_owned(),
            ..ImportRow::default()
        };
        let rows = [
            row(1, "phone:123", "x"),
            row(2, "phone:", "x"),
            row(3, "crm:null", "x"),
            unreadable,
            row(5, "crm:7 phone:0900000001", "An"),
            row(7, "crm:8 phone:0900000001", "Ai"),
            row(8, "phone:0900000002", "Bình"),
        ];
        let ended = import(&world.context(), id, ("1", false), (&rows, together)).unwrap();
        assert_eq!(super::counts(&ended), [2, 0, 0, 5]);
        assert_eq!((ended.next_row, ended.problems), (9, 5));
        let expected = [
            "FIELD_INVALID",
            "NO_IDENTIFIER",
            "IDENTIFIER_BLOCKED",
            "UNREADABLE",
            "NO_ROOM",
        ];
        let expected: Vec<(u64, String)> = [1, 2, 3, 4, 7].into_iter().zip(expected.map(str::to_owned)).collect();
        assert_eq!(reasons(&world, id, "1"), expected);
        assert_eq!(names(&world, id), ["An", "Bình"]);
    }
}

#[test]
fn somebody_who_stands_in_several_rows_is_one_and_the_last_row_has_the_word() {
    for together in [1, 2, 100] {
        let world = vietnamese(false);
        let id = list(&world, "a");
        let rows = [
            row(1, "phone:0900000001", "one"),
            row(2, "phone:0900000001 email:a@b.vn", "two"),
            row(3, "email:a@b.vn", "three"),
            row(4, "email:a@b.vn", "three"),
        ];
        let ended = import(&world.context(), id, ("1", false), (&rows, together)).unwrap();
        assert_eq!(super::counts(&ended), [1, 2, 1, 0], "{together}");
        assert_eq!(names(&world, id), ["three"]);
        assert_eq!(seen(&world, id).births, 1);
    }
}

#[test]
fn a_call_that_brings_rows_in_the_wrong_order_is_refused() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    let rows = [row(2, "phone:0900000002", "x"), row(1, "phone:0900000001", "x")];
    let refused = import(&world.context(), id, ("1", false), (&rows, 10));
    assert!(matches!(refused, Err(NotDone::OutOfOrder(1, 2))));
    assert_eq!(rows_of(&world, id), 0);
    let nought = import(
        &world.context(),
        id,
        ("1", false),
        (&[row(0, "phone:0900000002", "x")], 10),
    );
    assert!(matches!(nought, Err(NotDone::OutOfOrder(0, 0))));
}

#[test]
fn an_import_stays_what_it_was_begun_as() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    import(&world.context(), id, ("1", false), (&[], 1)).unwrap();
    let other = import(&world.context(), id, ("1", true), (&[], 1));
    assert!(matches!(other, Err(NotDone::ImportReused)));
    let segment = super::audience(&world, "s", "true", &[]).id;
    assert!(matches!(
        import(&world.context(), segment, ("1", false), (&[], 1)),
        Err(NotDone::NotAList)
    ));
    assert!(now(standing(&world.context(), id, "2")).unwrap().is_none());
}

#[test]
fn a_call_that_begins_later_takes_the_import_over() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    let rows = [row(1, "phone:0900000001", "An"), row(2, "phone:0900000002", "Bình")];
    let mut slow = now(Session::begin(&world.context(), ("t", id), ("1", false), super::TRACE)).unwrap();
    take(&world.context(), &mut slow, &rows[..1]).unwrap();
    let ended = import(&world.context(), id, ("1", false), (&rows, 10)).unwrap();
    assert_eq!(super::counts(&ended), [2, 0, 0, 0]);
    let late = take(&world.context(), &mut slow, &rows[1..]);
    assert!(matches!(late, Err(NotDone::TakenOver)));
    let stands = now(standing(&world.context(), id, "1")).unwrap().unwrap().record;
    assert_eq!(super::counts(&stands), [2, 0, 0, 0]);
}

#[test]
fn whoever_was_erased_since_an_import_began_is_not_brought_back_by_it() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    let rows = [row(1, "phone:0900000001", "An"), row(2, "phone:0900000002", "Bình")];
    let context = world.context();
    let mut session = now(Session::begin(&context, ("t", id), ("1", false), super::TRACE)).unwrap();
    take(&context, &mut session, &rows[..1]).unwrap();
    let an = now(read::resolve(&context, "t", &crate::link::named("phone//+84900000001")))
        .unwrap()
        .unwrap()
        .id;
    world.pass(1000);
    now(erase(&context, "t", an)).unwrap();
    world.pass(1000);
    let again = [row(2, "phone:0900000001", "An"), row(3, "phone:0900000002", "Bình")];
    take(&context, &mut session, &again).unwrap();
    assert_eq!(super::counts(session.record()), [2, 0, 0, 1]);
    assert_eq!(reasons(&world, id, "1"), [(2, "ERASED".to_owned())]);
    assert_eq!(names(&world, id), ["Bình"]);
    // An import that began afterwards may know them anew.
    assert_eq!(imported(&world, id, "2", &again), [1, 0, 1, 0]);
}

#[test]
fn what_a_later_import_said_is_not_overwritten() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    let context = world.context();
    let mut early = now(Session::begin(&context, ("t", id), ("1", false), super::TRACE)).unwrap();
    world.pass(1);
    assert_eq!(
        imported(&world, id, "2", &[row(1, "phone:0900000001", "late")]),
        [1, 0, 0, 0]
    );
    take(&context, &mut early, &[row(1, "phone:0900000001", "early")]).unwrap();
    assert_eq!(super::counts(early.record()), [0, 0, 1, 0]);
    assert_eq!(names(&world, id), ["late"]);
}

#[test]
fn a_number_that_is_known_in_another_form_is_the_same_customer() {
    let world = vietnamese(false);
    let id = list(&world, "a");
    told(&world, message("sms", "phone//+5511961234567", &[], "1"));
    assert_eq!(
        imported(&world, id, "1", &[row(1, "phone:+551161234567", "An")]),
        [1, 0, 0, 0]
    );
    assert_eq!(seen(&world, id).customers.len(), 1);
    assert_eq!(index(&world, &keys::customers("t")).len(), 1);
    let _ = asking();
}
