//! A store in memory that can be away.

use bytes::Bytes;
use omnigate_core::port::store::{
    Answer, Commit, Expect, Found, Key, Outcome, Query, Store, StoreError, Versioned, Write,
};
use omnigate_core::shard::Shard;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) away: AtomicBool,
    /// Answers nobody for as long as this is true.
    pub(crate) hangs: AtomicBool,
    pub(crate) reads: AtomicUsize,
    /// How often the server behind it was replaced.
    pub(crate) failovers: AtomicUsize,
    shards: Mutex<BTreeMap<Shard, Things>>,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Things {
    records: BTreeMap<Key, Versioned>,
    fields: BTreeMap<(Key, Bytes), Bytes>,
    members: BTreeMap<Key, BTreeMap<Bytes, Bytes>>,
    counters: BTreeMap<Key, i64>,
}

impl FakeStore {
    fn shards(&self) -> MutexGuard<'_, BTreeMap<Shard, Things>> {
        self.shards.lock().unwrap()
    }

    async fn check(&self) -> Result<(), StoreError> {
        while self.hangs.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        Ok(())
    }

    /// Loses a record, as a replica does that had not got it.
    pub(crate) fn lose(&self, shard: Shard, key: &Key) {
        self.shards().entry(shard).or_default().records.remove(key).unwrap();
    }

    /// Everything in it, to be compared.
    pub(crate) fn snapshot(&self) -> String {
        format!("{:?}", self.shards())
    }

    /// Members of an index in all shards.
    pub(crate) fn members(&self, key: &Key) -> usize {
        self.shards()
            .values()
            .map(|things| things.members.get(key).map_or(0, BTreeMap::len))
            .sum()
    }
}

impl Things {
    fn answer(&self, query: &Query) -> Answer {
        match query {
            Query::Record(key) => Answer::Record(self.records.get(key).cloned()),
            Query::Fields { key, fields } => {
                let value = |field: &Bytes| self.fields.get(&(key.clone(), field.clone())).cloned();
                Answer::Fields(fields.iter().map(value).collect())
            }
            Query::Range {
                key,
                from,
                to,
                limit,
                reverse,
            } => {
                let empty = BTreeMap::new();
                let members = self.members.get(key).unwrap_or(&empty);
                let range = members.range::<Bytes, (Bound<Bytes>, Bound<Bytes>)>((from.clone(), to.clone()));
                let pair = |(member, value): (&Bytes, &Bytes)| (member.clone(), value.clone());
                let limit = usize::try_from(*limit).unwrap();
                Answer::Range(if *reverse {
                    range.rev().take(limit).map(pair).collect()
                } else {
                    range.take(limit).map(pair).collect()
                })
            }
            Query::Counter(key) => Answer::Counter(self.counters.get(key).copied().unwrap_or_default()),
        }
    }

    fn failure(&self, expect: &Expect) -> Option<Found> {
        match expect {
            Expect::Record { key, stamp } => {
                let found = self.records.get(key);
                (found.map(|one| one.stamp) != *stamp).then(|| Found::Record(found.cloned()))
            }
            Expect::Field { key, field, value } => {
                let found = self.fields.get(&(key.clone(), field.clone()));
                (found != value.as_ref()).then(|| Found::Field(found.cloned()))
            }
            Expect::Member { key, member, present } => {
                let found = self.members.get(key).and_then(|members| members.get(member));
                (found.is_some() != *present).then(|| Found::Member(found.cloned()))
            }
        }
    }

    fn write(&mut self, commit: &Commit) {
        for write in commit.write.iter().cloned() {
            match write {
                Write::Put { key, value } => {
                    let stamp = commit.stamp;
                    self.records.insert(key, Versioned { stamp, value });
                }
                Write::SetField { key, field, value } => {
                    self.fields.insert((key, field), value);
                }
                Write::RemoveField { key, field } => {
                    self.fields.remove(&(key, field));
                }
                Write::Insert { key, member, value } => {
                    self.members.entry(key).or_default().insert(member, value);
                }
                Write::Remove { key, member } => {
                    self.members.entry(key).or_default().remove(&member);
                }
                Write::Delete { key, .. } => {
                    self.records.remove(&key);
                }
                Write::Add { key, delta } => *self.counters.entry(key).or_default() += delta,
                Write::Expire { .. } => {}
            }
        }
    }
}

#[async_trait::async_trait]
impl Store for FakeStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.check().await?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        let mut shards = self.shards();
        let things = shards.entry(shard).or_default();
        Ok(queries.iter().map(|query| things.answer(query)).collect())
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.check().await?;
        let mut shards = self.shards();
        let things = shards.entry(shard).or_default();
        let failures = commit.expect.iter().enumerate();
        let found: Vec<_> = failures
            .filter_map(|(number, expect)| Some((number, things.failure(expect)?)))
            .collect();
        if !found.is_empty() {
            return Ok(Outcome::Conflict(found));
        }
        things.write(&commit);
        Ok(Outcome::Committed)
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.check().await
    }

    async fn incarnation(&self, _: Shard) -> Result<Bytes, StoreError> {
        self.check().await?;
        Ok(match self.failovers.load(Ordering::SeqCst) {
            0 => Bytes::new(),
            number => Bytes::from(number.to_string()),
        })
    }
}

/// What a store held at some moment.
pub(crate) struct Replica(BTreeMap<Shard, Things>);

impl FakeStore {
    /// All of it as it stands, as a replica may have it.
    pub(crate) fn replica(&self) -> Replica {
        Replica(self.shards().clone())
    }

    /// The server behind it is replaced by a replica.
    pub(crate) fn fail_over(&self, to: &Replica) {
        *self.shards() = to.0.clone();
        self.failovers.fetch_add(1, Ordering::SeqCst);
    }
}
