//! Expiry: never early, late by at most a minute, and as if the thing had been deleted.

use crate::{build::*, subject::Subject};
use omnigate_core::port::store::{Answer, Query, Shape, Store, Write};
use std::time::{Duration, Instant};

const SHAPES: [Shape; 4] = [Shape::Record, Shape::Map, Shape::Index, Shape::Counter];

/// Long enough that a slow machine reads once before it is over where time cannot be held.
const SHORT: Duration = Duration::from_millis(400);
const BEYOND: Duration = Duration::from_millis(450);
const LONG: Duration = Duration::from_secs(3600);

fn writes() -> Vec<Write> {
    vec![put("k", "1"), set("k", "x", "2"), insert("k", "x", "3"), add("k", 4)]
}

fn expiries(after: Duration) -> Vec<Write> {
    SHAPES.into_iter().map(|shape| expire(shape, "k", after)).collect()
}

async fn read(store: &dyn Store) -> Vec<Answer> {
    let fields = vec![b("x")];
    let map = Query::Fields { key: b("k"), fields };
    let queries = vec![Query::Record(b("k")), map, all("k"), Query::Counter(b("k"))];
    store.read(HERE, queries).await.unwrap()
}

fn nothing() -> Vec<Answer> {
    vec![
        Answer::Record(None),
        Answer::Fields(vec![None]),
        Answer::Range(vec![]),
        Answer::Counter(0),
    ]
}

/// Everything written and over.
async fn expired(subject: &impl Subject) {
    let store = &*subject.store();
    written(store, [writes(), expiries(SHORT)].concat()).await;
    subject.pass(BEYOND).await;
}

pub(crate) async fn nothing_vanishes_early_and_all_vanishes<S: Subject>(subject: S) {
    let store = &*subject.store();
    written(store, writes()).await;
    let before = read(store).await;
    let start = Instant::now();
    written(store, expiries(SHORT)).await;
    let soon = read(store).await;
    if start.elapsed() < SHORT {
        assert_eq!(soon, before);
    }
    if S::TIME_STANDS_STILL {
        subject.pass(SHORT).await;
        assert_eq!(read(store).await, before);
        subject.pass(Duration::from_millis(1)).await;
    } else {
        subject.pass(BEYOND).await;
    }
    assert_eq!(read(store).await, nothing());
}

pub(crate) async fn what_expired_is_absent_for_expectations(subject: impl Subject) {
    expired(&subject).await;
    let store = &*subject.store();
    let fresh = commit(
        vec![
            is_record("k", None),
            is_field("k", "x", None),
            is_member("k", "x", false),
        ],
        writes(),
    );
    committed(store, fresh).await;
    assert_ne!(read(store).await, nothing());
}

pub(crate) async fn what_expired_starts_afresh(subject: impl Subject) {
    expired(&subject).await;
    let store = &*subject.store();
    written(
        store,
        vec![put("k", "new"), set("k", "y", ""), insert("k", "y", ""), add("k", 1)],
    )
    .await;
    assert_eq!(field(store, "k", "x").await, None);
    assert_eq!(members(store, "k").await, [b("y")]);
    assert_eq!(counter(store, "k").await, 1);
    // The old expiry is gone with the old things.
    subject.pass(BEYOND).await;
    written(store, vec![put("other", "")]).await;
    assert_eq!(record(store, "k").await.unwrap().value, b("new"));
    assert_eq!(members(store, "k").await, [b("y")]);
    assert_eq!(counter(store, "k").await, 1);
}

pub(crate) async fn a_put_lifts_the_expiry(subject: impl Subject) {
    let store = &*subject.store();
    written(store, vec![put("k", "1"), expire(Shape::Record, "k", SHORT)]).await;
    written(store, vec![put("k", "2")]).await;
    // In one commit the later write counts.
    written(
        store,
        vec![put("j", "1"), expire(Shape::Record, "j", SHORT), put("j", "2")],
    )
    .await;
    subject.pass(BEYOND).await;
    written(store, vec![put("other", "")]).await;
    assert_eq!(record(store, "k").await.unwrap().value, b("2"));
    assert_eq!(record(store, "j").await.unwrap().value, b("2"));
}

pub(crate) async fn an_entry_keeps_the_expiry(subject: impl Subject) {
    let store = &*subject.store();
    written(store, [writes(), expiries(SHORT)].concat()).await;
    written(store, vec![set("k", "y", ""), insert("k", "y", ""), add("k", 1)]).await;
    subject.pass(BEYOND).await;
    assert_eq!(read(store).await, nothing());
    assert!(members(store, "k").await.is_empty());
    assert_eq!(field(store, "k", "y").await, None);
}

pub(crate) async fn an_emptied_map_forgets_its_expiry(subject: impl Subject) {
    let store = &*subject.store();
    written(store, [writes(), expiries(SHORT)].concat()).await;
    written(store, vec![unset("k", "x"), remove("k", "x")]).await;
    written(store, vec![set("k", "y", ""), insert("k", "y", "")]).await;
    subject.pass(BEYOND).await;
    assert_eq!(field(store, "k", "y").await, Some(b("")));
    assert_eq!(members(store, "k").await, [b("y")]);
}

pub(crate) async fn a_new_expiry_replaces_the_old(subject: impl Subject) {
    let store = &*subject.store();
    written(store, [writes(), expiries(SHORT)].concat()).await;
    let before = read(store).await;
    written(store, expiries(LONG)).await;
    subject.pass(BEYOND).await;
    assert_eq!(read(store).await, before);
    written(store, expiries(Duration::ZERO)).await;
    subject.pass(Duration::from_millis(5)).await;
    assert_eq!(read(store).await, nothing());
}

pub(crate) async fn nothing_absent_expires(subject: impl Subject) {
    let store = &*subject.store();
    written(store, expiries(SHORT)).await;
    written(store, writes()).await;
    let before = read(store).await;
    subject.pass(BEYOND).await;
    assert_eq!(read(store).await, before);
    written(store, expiries(Duration::MAX)).await;
    assert_eq!(read(store).await, before);
}

pub(crate) async fn what_is_put_with_its_expiry_vanishes_and_its_neighbours_stay(subject: impl Subject) {
    let store = &*subject.store();
    let writes = vec![
        put("before", "1"),
        put("k", "2"),
        expire(Shape::Record, "k", SHORT),
        put("after", "3"),
        put("last", "4"),
        expire(Shape::Record, "last", LONG),
    ];
    written(store, writes).await;
    subject.pass(BEYOND).await;
    assert_eq!(record(store, "k").await, None);
    for (key, value) in [("before", "1"), ("after", "3"), ("last", "4")] {
        assert_eq!(record(store, key).await.unwrap().value, b(value), "{key}");
    }
    // What is put again without one stays.
    written(store, vec![put("k", "5"), expire(Shape::Record, "k", SHORT)]).await;
    written(store, vec![put("k", "6"), put("other", "7")]).await;
    subject.pass(BEYOND).await;
    assert_eq!(record(store, "k").await.unwrap().value, b("6"));
}
