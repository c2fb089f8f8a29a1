//! A store in memory: the reference for the other implementations and for simulations.
//!
//! It answers without waiting for anything, so a simulation stays deterministic.

use bytes::Bytes;
use omnigate_core::{
    port::{
        Clock,
        store::{
            Answer, Commit, Expect, Found, Key, Outcome, Query, Shape, Stamp, Store, StoreError, Versioned, Write,
        },
    },
    shard::Shard,
    time::Moment,
};
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A store that lives as long as its process.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    things: Mutex<Things>,
}

/// What a store held at some moment.
pub struct Replica(Things);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            things: Mutex::default(),
        }
    }

    /// Answers all queries at one instant.
    #[must_use]
    pub fn read_now(&self, shard: Shard, queries: &[Query]) -> Vec<Answer> {
        let now = self.clock.now();
        let things = self.lock();
        queries.iter().map(|query| things.answer(shard, query, now)).collect()
    }

    /// Writes everything or nothing.
    #[must_use]
    pub fn commit_now(&self, shard: Shard, commit: &Commit) -> Outcome {
        self.lock().commit(shard, commit, self.clock.now())
    }

    /// Forgets a whole shard, as a failover to an empty copy does.
    pub fn lose(&self, shard: Shard) {
        self.lock().0.retain(|(of, ..), _| *of != shard);
    }

    /// All of it as it stands, as a replica may have it.
    #[must_use]
    pub fn replica(&self) -> Replica {
        Replica(self.lock().clone())
    }

    /// Falls back to what a replica had, as at a failover.
    pub fn fail_over(&self, to: &Replica) {
        *self.lock() = to.0.clone();
    }

    /// Every key, field, member and value that it holds, for who looks for something that must not be there.
    #[must_use]
    pub fn everything(&self) -> Vec<Bytes> {
        let now = self.clock.now();
        let things = self.lock();
        let there = things
            .0
            .iter()
            .filter(|(_, thing)| thing.due.is_none_or(|due| now <= due));
        let of = |((_, _, key), thing): (&(Shard, Shape, Key), &Thing)| {
            let mut all = vec![key.clone()];
            match &thing.body {
                Body::Record(record) => all.push(record.value.clone()),
                Body::Entries(entries) => {
                    all.extend(entries.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
                }
                Body::Counter(_) => {}
            }
            all
        };
        there.flat_map(of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Things> {
        // Nothing in here panics half-way through a commit: a poisoned lock guards whole things.
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        Ok(self.read_now(shard, &queries))
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        Ok(self.commit_now(shard, &commit))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Things(BTreeMap<(Shard, Shape, Key), Thing>);

#[derive(Clone)]
struct Thing {
    body: Body,
    due: Option<Moment>,
}

#[derive(Clone)]
enum Body {
    Record(Versioned),
    /// A map or an index.
    Entries(BTreeMap<Bytes, Bytes>),
    Counter(i64),
}

impl Things {
    fn commit(&mut self, shard: Shard, commit: &Commit, now: Moment) -> Outcome {
        let conflicts: Vec<_> = commit
            .expect
            .iter()
            .enumerate()
            .filter_map(|(position, expect)| Some((position, self.violation(shard, expect, now)?)))
            .collect();
        if !conflicts.is_empty() {
            return Outcome::Conflict(conflicts);
        }
        for write in &commit.write {
            self.write(shard, write, commit.stamp, now);
        }
        Outcome::Committed
    }

    fn body(&self, shard: Shard, shape: Shape, key: &Key, now: Moment) -> Option<&Body> {
        let thing = self.0.get(&(shard, shape, key.clone()))?;
        let gone = thing.due.is_some_and(|due| now > due);
        (!gone).then_some(&thing.body)
    }

    fn record(&self, shard: Shard, key: &Key, now: Moment) -> Option<Versioned> {
        match self.body(shard, Shape::Record, key, now) {
            Some(Body::Record(record)) => Some(record.clone()),
            _ => None,
        }
    }

    fn entries(&self, shard: Shard, shape: Shape, key: &Key, now: Moment) -> Option<&BTreeMap<Bytes, Bytes>> {
        match self.body(shard, shape, key, now) {
            Some(Body::Entries(entries)) => Some(entries),
            _ => None,
        }
    }

    fn answer(&self, shard: Shard, query: &Query, now: Moment) -> Answer {
        match query {
            Query::Record(key) => Answer::Record(self.record(shard, key, now)),
            Query::Fields { key, fields } => {
                let map = self.entries(shard, Shape::Map, key, now);
                Answer::Fields(fields.iter().map(|field| map?.get(field).cloned()).collect())
            }
            Query::Range {
                key,
                from,
                to,
                limit,
                reverse,
            } => Answer::Range(
                self.entries(shard, Shape::Index, key, now)
                    .map(|index| range(index, (from, to), *limit, *reverse))
                    .unwrap_or_default(),
            ),
            Query::Counter(key) => match self.body(shard, Shape::Counter, key, now) {
                Some(Body::Counter(number)) => Answer::Counter(*number),
                _ => Answer::Counter(0),
            },
        }
    }

    fn violation(&self, shard: Shard, expect: &Expect, now: Moment) -> Option<Found> {
        match expect {
            Expect::Record { key, stamp } => {
                let record = self.record(shard, key, now);
                (record.as_ref().map(|record| record.stamp) != *stamp).then_some(Found::Record(record))
            }
            Expect::Field { key, field, value } => {
                let found = self
                    .entries(shard, Shape::Map, key, now)
                    .and_then(|map| map.get(field).cloned());
                (found != *value).then_some(Found::Field(found))
            }
            Expect::Member { key, member, present } => {
                let found = self
                    .entries(shard, Shape::Index, key, now)
                    .and_then(|index| index.get(member).cloned());
                (found.is_some() != *present).then_some(Found::Member(found))
            }
        }
    }

    fn write(&mut self, shard: Shard, write: &Write, stamp: Stamp, now: Moment) {
        match write {
            Write::Put { key, value } => {
                let value = value.clone();
                let body = Body::Record(Versioned { stamp, value });
                self.0
                    .insert((shard, Shape::Record, key.clone()), Thing { body, due: None });
            }
            Write::SetField { key, field, value } => self.set(shard, Shape::Map, key, (field, value), now),
            Write::Insert { key, member, value } => self.set(shard, Shape::Index, key, (member, value), now),
            Write::RemoveField { key, field } => self.unset(shard, Shape::Map, key, field),
            Write::Remove { key, member } => self.unset(shard, Shape::Index, key, member),
            Write::Add { key, delta } => {
                let fresh = || Body::Counter(0);
                if let Body::Counter(number) = self.thing(shard, Shape::Counter, key, now, fresh) {
                    *number = number.saturating_add(*delta);
                }
            }
            Write::Delete { shape, key } => {
                self.0.remove(&(shard, *shape, key.clone()));
            }
            Write::Expire { shape, key, after } => {
                let place = (shard, *shape, key.clone());
                if let Some(thing) = self.0.get_mut(&place) {
                    thing.due = Some(
                        thing
                            .due
                            .filter(|due| now > *due)
                            .unwrap_or(now + at_least_a_millisecond(*after)),
                    );
                }
            }
        }
    }

    fn thing(&mut self, shard: Shard, shape: Shape, key: &Key, now: Moment, fresh: fn() -> Body) -> &mut Body {
        let thing = self.0.entry((shard, shape, key.clone())).or_insert_with(|| Thing {
            body: fresh(),
            due: None,
        });
        if thing.due.is_some_and(|due| now > due) {
            *thing = Thing {
                body: fresh(),
                due: None,
            };
        }
        &mut thing.body
    }

    fn set(&mut self, shard: Shard, shape: Shape, key: &Key, (name, value): (&Bytes, &Bytes), now: Moment) {
        let fresh = || Body::Entries(BTreeMap::new());
        if let Body::Entries(entries) = self.thing(shard, shape, key, now, fresh) {
            entries.insert(name.clone(), value.clone());
        }
    }

    /// Removes an entry; a map or an index without entries does not exist and has no expiry.
    fn unset(&mut self, shard: Shard, shape: Shape, key: &Key, name: &Bytes) {
        let place = (shard, shape, key.clone());
        if let Some(Body::Entries(entries)) = self.0.get_mut(&place).map(|thing| &mut thing.body) {
            entries.remove(name);
            if entries.is_empty() {
                self.0.remove(&place);
            }
        }
    }
}

fn range(
    index: &BTreeMap<Bytes, Bytes>,
    (from, to): (&Bound<Bytes>, &Bound<Bytes>),
    limit: u32,
    reverse: bool,
) -> Vec<(Bytes, Bytes)> {
    if is_empty(from, to) {
        return Vec::new();
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = index.range::<Bytes, _>((from.as_ref(), to.as_ref()));
    let copy = |(member, value): (&Bytes, &Bytes)| (member.clone(), value.clone());
    if reverse {
        found.rev().take(limit).map(copy).collect()
    } else {
        found.take(limit).map(copy).collect()
    }
}

/// True when nothing can lie between the bounds.
pub(crate) fn is_empty(from: &Bound<Bytes>, to: &Bound<Bytes>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
    }
}

/// An expiry's length in whole milliseconds, rounded up so that nothing vanishes early.
pub(crate) fn at_least_a_millisecond(after: Duration) -> Duration {
    /// A thousand years: beyond it sums of milliseconds could overflow where they are kept.
    const LONGEST: Duration = Duration::from_secs(1000 * 366 * 86_400);
    let millis = after.min(LONGEST).as_nanos().div_ceil(1_000_000).max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
