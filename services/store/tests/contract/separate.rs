//! Law 8: shapes, keys and shards do not touch each other.

use crate::{build::*, subject::Subject};
use omnigate_core::port::store::{Answer, Outcome, Query, Shape};

fn everything_of(key: &str) -> Vec<Query> {
    let fields = vec![b("x")];
    let map = Query::Fields { key: b(key), fields };
    vec![Query::Record(b(key)), map, all(key), Query::Counter(b(key))]
}

fn nothing() -> Vec<Answer> {
    vec![
        Answer::Record(None),
        Answer::Fields(vec![None]),
        Answer::Range(vec![]),
        Answer::Counter(0),
    ]
}

pub(crate) async fn shapes_of_one_key(subject: impl Subject) {
    let store = &*subject.store();
    let writes = [put("k", "1"), set("k", "x", "2"), insert("k", "x", "3"), add("k", 4)];
    let mut expected = nothing();
    assert_eq!(store.read(HERE, everything_of("k")).await.unwrap(), expected);
    for (position, write) in writes.into_iter().enumerate() {
        written(store, vec![write]).await;
        let answers = store.read(HERE, everything_of("k")).await.unwrap();
        assert_ne!(answers[position], expected[position]);
        expected[position] = answers[position].clone();
        assert_eq!(answers, expected);
    }
}

pub(crate) async fn shards(subject: impl Subject) {
    let store = &*subject.store();
    written(
        store,
        vec![put("k", "1"), set("k", "x", "2"), insert("k", "x", "3"), add("k", 4)],
    )
    .await;
    assert_eq!(store.read(ELSEWHERE, everything_of("k")).await.unwrap(), nothing());
    let there = commit(
        vec![
            is_record("k", None),
            is_field("k", "x", None),
            is_member("k", "x", false),
        ],
        vec![put("k", "other"), add("k", 1)],
    );
    assert_eq!(store.commit(ELSEWHERE, there).await.unwrap(), Outcome::Committed);
    assert_eq!(record(store, "k").await.unwrap().value, b("1"));
    assert_eq!(counter(store, "k").await, 4);
}

pub(crate) async fn keys_that_begin_alike(subject: impl Subject) {
    let store = &*subject.store();
    // "k" + "x1" and "kx" + "1" must not be the same place.
    written(store, vec![set("k", "x1", "a"), insert("k", "x1", "a")]).await;
    written(store, vec![set("kx", "1", "b"), insert("kx", "1", "b")]).await;
    assert_eq!(field(store, "k", "x1").await, Some(b("a")));
    assert_eq!(field(store, "kx", "1").await, Some(b("b")));
    assert_eq!(members(store, "k").await, [b("x1")]);
    assert_eq!(members(store, "kx").await, [b("1")]);
    assert!(members(store, "").await.is_empty());
    written(store, vec![delete(Shape::Index, "k"), delete(Shape::Map, "k")]).await;
    assert_eq!(field(store, "kx", "1").await, Some(b("b")));
    assert_eq!(members(store, "kx").await, [b("1")]);
}

pub(crate) async fn deleting_one_leaves_the_others(subject: impl Subject) {
    let store = &*subject.store();
    let shapes = [Shape::Record, Shape::Map, Shape::Index, Shape::Counter];
    for (position, shape) in shapes.into_iter().enumerate() {
        written(
            store,
            vec![put("k", "1"), set("k", "x", "2"), insert("k", "x", "3"), add("k", 4)],
        )
        .await;
        let mut expected = store.read(HERE, everything_of("k")).await.unwrap();
        expected[position] = nothing()[position].clone();
        written(store, vec![delete(shape, "k"), delete(shape, "absent")]).await;
        assert_eq!(store.read(HERE, everything_of("k")).await.unwrap(), expected);
        let (map, index) = (shape != Shape::Map, shape != Shape::Index);
        let expect = vec![is_field("k", "x", map.then_some("2")), is_member("k", "x", index)];
        committed(store, commit(expect, Vec::new())).await;
    }
}
