//! Laws 2 and 4: only if every expectation holds, and what was found if not.

use crate::{build::*, subject::Subject};
use omnigate_core::port::store::{Commit, Found, Outcome, Stamp, Store, Versioned};

/// Requires that a commit does not happen, and returns what it found.
async fn refused(store: &dyn Store, commit: Commit) -> Vec<(usize, Found)> {
    match store.commit(HERE, commit.clone()).await.unwrap() {
        Outcome::Conflict(found) => found,
        other => panic!("{other:?} for {commit:?}"),
    }
}

pub(crate) async fn records(subject: impl Subject) {
    let store = &*subject.store();
    let first = commit(vec![is_record("r", None)], vec![put("r", "1")]);
    let found = Versioned {
        stamp: first.stamp,
        value: b("1"),
    };
    committed(store, first.clone()).await;
    assert_eq!(record(store, "r").await, Some(found.clone()));

    let late = commit(vec![is_record("r", None)], vec![put("r", "2")]);
    assert_eq!(refused(store, late).await, [(0, Found::Record(Some(found.clone())))]);
    let wrong = commit(vec![is_record("r", Some(Stamp([0xff; 8])))], vec![put("r", "2")]);
    assert_eq!(refused(store, wrong).await, [(0, Found::Record(Some(found)))]);
    let absent = commit(vec![is_record("r2", Some(first.stamp))], vec![put("r2", "2")]);
    assert_eq!(refused(store, absent).await, [(0, Found::Record(None))]);

    let next = commit(vec![is_record("r", Some(first.stamp))], vec![put("r", "2")]);
    let stamp = next.stamp;
    committed(store, next).await;
    let value = b("2");
    assert_eq!(record(store, "r").await, Some(Versioned { stamp, value }));
}

pub(crate) async fn fields(subject: impl Subject) {
    let store = &*subject.store();
    committed(store, commit(vec![is_field("m", "f", None)], vec![set("m", "f", "1")])).await;
    let late = commit(vec![is_field("m", "f", None)], vec![set("m", "f", "2")]);
    assert_eq!(refused(store, late).await, [(0, Found::Field(Some(b("1"))))]);
    let wrong = commit(vec![is_field("m", "f", Some(""))], vec![set("m", "f", "2")]);
    assert_eq!(refused(store, wrong).await, [(0, Found::Field(Some(b("1"))))]);
    let absent = commit(vec![is_field("m", "g", Some(""))], vec![set("m", "g", "2")]);
    assert_eq!(refused(store, absent).await, [(0, Found::Field(None))]);

    committed(
        store,
        commit(vec![is_field("m", "f", Some("1"))], vec![set("m", "f", "")]),
    )
    .await;
    assert_eq!(field(store, "m", "f").await, Some(b("")));
    committed(store, commit(vec![is_field("m", "f", Some(""))], vec![unset("m", "f")])).await;
    assert_eq!(field(store, "m", "f").await, None);
}

pub(crate) async fn members(subject: impl Subject) {
    let store = &*subject.store();
    committed(
        store,
        commit(vec![is_member("i", "x", false)], vec![insert("i", "x", "1")]),
    )
    .await;
    let late = commit(vec![is_member("i", "x", false)], vec![insert("i", "x", "2")]);
    assert_eq!(refused(store, late).await, [(0, Found::Member(Some(b("1"))))]);
    let absent = commit(vec![is_member("i", "y", true)], vec![remove("i", "x")]);
    assert_eq!(refused(store, absent).await, [(0, Found::Member(None))]);

    committed(
        store,
        commit(vec![is_member("i", "x", true)], vec![insert("i", "x", "")]),
    )
    .await;
    committed(store, commit(vec![is_member("i", "x", true)], vec![remove("i", "x")])).await;
    committed(store, commit(vec![is_member("i", "x", false)], vec![])).await;
}

pub(crate) async fn every_failed_expectation_is_named(subject: impl Subject) {
    let store = &*subject.store();
    let base = commit(vec![], vec![put("r", "1"), set("m", "f", "1"), insert("i", "x", "1")]);
    let stamp = base.stamp;
    committed(store, base).await;
    let attempt = commit(
        vec![
            is_record("r", Some(stamp)),
            is_record("r", None),
            is_field("m", "f", Some("1")),
            is_field("m", "g", None),
            is_field("m", "f", Some("2")),
            is_field("m", "g", Some("2")),
            is_field("n", "g", Some("3")),
            is_member("i", "x", true),
            is_member("i", "x", false),
            is_member("i", "y", true),
            is_member("j", "y", false),
            is_record("r", Some(Stamp([9; 8]))),
        ],
        vec![add("c", 1)],
    );
    let value = b("1");
    let there = Versioned { stamp, value };
    assert_eq!(
        refused(store, attempt).await,
        [
            (1, Found::Record(Some(there.clone()))),
            (4, Found::Field(Some(b("1")))),
            (5, Found::Field(None)),
            (6, Found::Field(None)),
            (8, Found::Member(Some(b("1")))),
            (9, Found::Member(None)),
            (11, Found::Record(Some(there))),
        ]
    );
    assert_eq!(counter(store, "c").await, 0);
}

pub(crate) async fn a_commit_without_expectations_happens(subject: impl Subject) {
    let store = &*subject.store();
    written(store, vec![put("r", "1"), add("c", 2)]).await;
    written(store, vec![put("r", "2"), add("c", 3)]).await;
    written(store, vec![]).await;
    assert_eq!(record(store, "r").await.unwrap().value, b("2"));
    assert_eq!(counter(store, "c").await, 5);
}
