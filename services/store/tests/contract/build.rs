//! Short ways to say commits and queries.

use bytes::Bytes;
use omnigate_core::{
    port::store::{Answer, Commit, Expect, Outcome, Query, Shape, Stamp, Store, Versioned, Write},
    shard::Shard,
};
use std::{
    ops::Bound,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub(crate) const HERE: Shard = Shard::new(42);
pub(crate) const ELSEWHERE: Shard = Shard::new(43);

/// Any bytes as a key, field, member or value.
pub(crate) fn b(bytes: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(bytes.as_ref())
}

/// A fresh version.
pub(crate) fn stamp() -> Stamp {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Stamp(NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes())
}

pub(crate) fn commit(expect: Vec<Expect>, write: Vec<Write>) -> Commit {
    let stamp = stamp();
    Commit { stamp, expect, write }
}

pub(crate) fn put(key: &str, value: &str) -> Write {
    let (key, value) = (b(key), b(value));
    Write::Put { key, value }
}

pub(crate) fn set(key: &str, field: &str, value: &str) -> Write {
    let (key, field, value) = (b(key), b(field), b(value));
    Write::SetField { key, field, value }
}

pub(crate) fn unset(key: &str, field: &str) -> Write {
    let (key, field) = (b(key), b(field));
    Write::RemoveField { key, field }
}

pub(crate) fn insert(key: &str, member: &str, value: &str) -> Write {
    let (key, member, value) = (b(key), b(member), b(value));
    Write::Insert { key, member, value }
}

pub(crate) fn remove(key: &str, member: &str) -> Write {
    let (key, member) = (b(key), b(member));
    Write::Remove { key, member }
}

pub(crate) fn add(key: &str, delta: i64) -> Write {
    Write::Add { key: b(key), delta }
}

pub(crate) fn delete(shape: Shape, key: &str) -> Write {
    Write::Delete { shape, key: b(key) }
}

pub(crate) fn expire(shape: Shape, key: &str, after: Duration) -> Write {
    let key = b(key);
    Write::Expire { shape, key, after }
}

pub(crate) fn is_record(key: &str, stamp: Option<Stamp>) -> Expect {
    Expect::Record { key: b(key), stamp }
}

pub(crate) fn is_field(key: &str, field: &str, value: Option<&str>) -> Expect {
    let (key, field, value) = (b(key), b(field), value.map(b));
    Expect::Field { key, field, value }
}

pub(crate) fn is_member(key: &str, member: &str, present: bool) -> Expect {
    let (key, member) = (b(key), b(member));
    Expect::Member { key, member, present }
}

pub(crate) fn range(key: &str, from: Bound<&str>, to: Bound<&str>, limit: u32, reverse: bool) -> Query {
    Query::Range {
        key: b(key),
        from: from.map(b),
        to: to.map(b),
        limit,
        reverse,
    }
}

pub(crate) fn all(key: &str) -> Query {
    range(key, Bound::Unbounded, Bound::Unbounded, u32::MAX, false)
}

/// Commits here and requires that it happened.
pub(crate) async fn committed(store: &dyn Store, commit: Commit) {
    let outcome = store.commit(HERE, commit.clone()).await.unwrap();
    assert_eq!(outcome, Outcome::Committed, "{commit:?}");
}

/// Writes here without expectations.
pub(crate) async fn written(store: &dyn Store, write: Vec<Write>) {
    committed(store, commit(Vec::new(), write)).await;
}

pub(crate) async fn answer(store: &dyn Store, query: Query) -> Answer {
    let mut answers = store.read(HERE, vec![query]).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

pub(crate) async fn record(store: &dyn Store, key: &str) -> Option<Versioned> {
    match answer(store, Query::Record(b(key))).await {
        Answer::Record(record) => record,
        other => panic!("asked for a record, got {other:?}"),
    }
}

pub(crate) async fn field(store: &dyn Store, key: &str, field: &str) -> Option<Bytes> {
    let fields = vec![b(field)];
    match answer(store, Query::Fields { key: b(key), fields }).await {
        Answer::Fields(values) if values.len() == 1 => values[0].clone(),
        other => panic!("asked for a field, got {other:?}"),
    }
}

pub(crate) async fn members(store: &dyn Store, key: &str) -> Vec<Bytes> {
    match answer(store, all(key)).await {
        Answer::Range(members) => members.into_iter().map(|(member, _)| member).collect(),
        other => panic!("asked for members, got {other:?}"),
    }
}

pub(crate) async fn counter(store: &dyn Store, key: &str) -> i64 {
    match answer(store, Query::Counter(b(key))).await {
        Answer::Counter(number) => number,
        other => panic!("asked for a counter, got {other:?}"),
    }
}
