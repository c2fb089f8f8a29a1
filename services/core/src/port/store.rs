//! The store port: a small transactional map, so that no decision is written twice.
//!
//! Laws, each proved by the contract suite for every implementation:
//! 1. *Atomic.* A commit happens whole or not at all, also across a crash of either side.
//! 2. *Guarded.* It happens only if every expectation holds at that instant.
//! 3. *Durable.* After `Committed` the writes survive a restart of the store process.
//! 4. *Honest.* `Conflict` and an error mean that nothing was written; when that is not certain the answer is `Unknown`.
//! 5. *Once.* A commit that falsifies one of its own expectations ([`Commit::falsifies_itself`]) and is sent again after
//!    `Unknown` writes at most once.
//! 6. *Consistent reads.* A read sees every commit that was answered `Committed` before the read began, and the answers of
//!    one read belong to one instant of the shard.
//! 7. *Ordered.* An index yields its members in ascending byte order (descending when reversed).
//! 8. *Separate.* Records, maps, indexes and counters of one key do not touch each other; neither do shards.
//! 9. *Candid.* While the incarnation of a shard stays what it is, law 3 holds for the shard. A store whose server may be
//!    replaced by one that has not got everything says with another incarnation that this may have happened.

use crate::shard::Shard;
use bytes::Bytes;
use std::{ops::Bound, time::Duration};

/// Name of a record, map, index or counter inside its shard; any bytes, at most 512.
pub type Key = Bytes;

/// Version of a record: random, chosen by the committer, never a counter that another history could reuse.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stamp(pub [u8; 8]);

impl From<[u8; 16]> for Stamp {
    fn from(random: [u8; 16]) -> Self {
        let mut stamp = [0; 8];
        stamp.copy_from_slice(&random[..8]);
        Self(stamp)
    }
}

/// A record's value with its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned {
    /// Version.
    pub stamp: Stamp,
    /// Value.
    pub value: Bytes,
}

/// What to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// A record.
    Record(Key),
    /// Some fields of a map.
    Fields {
        /// The map.
        key: Key,
        /// Its fields.
        fields: Vec<Bytes>,
    },
    /// Members of an index.
    Range {
        /// The index.
        key: Key,
        /// Lower end.
        from: Bound<Bytes>,
        /// Upper end.
        to: Bound<Bytes>,
        /// At most this many.
        limit: u32,
        /// True for descending order.
        reverse: bool,
    },
    /// A counter.
    Counter(Key),
}

impl Query {
    /// One member of an index.
    #[must_use]
    pub fn member(key: Key, member: Bytes) -> Self {
        Self::Range {
            key,
            from: Bound::Included(member.clone()),
            to: Bound::Included(member),
            limit: 1,
            reverse: false,
        }
    }
}

/// What was read, one for each query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The record, if there is one.
    Record(Option<Versioned>),
    /// The fields' values, in the order asked for.
    Fields(Vec<Option<Bytes>>),
    /// Members with their values.
    Range(Vec<(Bytes, Bytes)>),
    /// The counter; 0 if never added to.
    Counter(i64),
}

/// What must hold for a commit to happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The record has this version, or does not exist.
    Record {
        /// The record.
        key: Key,
        /// Its version; `None` for absent.
        stamp: Option<Stamp>,
    },
    /// The field has this value, or does not exist.
    Field {
        /// The map.
        key: Key,
        /// The field.
        field: Bytes,
        /// Its value; `None` for absent.
        value: Option<Bytes>,
    },
    /// The member is in the index, or is not.
    Member {
        /// The index.
        key: Key,
        /// The member.
        member: Bytes,
        /// True for "is in the index".
        present: bool,
    },
}

/// One of the four shapes of data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shape {
    /// Versioned bytes.
    Record,
    /// Field → bytes.
    Map,
    /// Ordered byte members with values.
    Index,
    /// A number.
    Counter,
}

/// What a commit writes; applied in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Sets a record; its version becomes the commit's stamp, a former expiry is lifted.
    Put {
        /// The record.
        key: Key,
        /// Its value.
        value: Bytes,
    },
    /// Sets a field of a map.
    SetField {
        /// The map.
        key: Key,
        /// The field.
        field: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// Removes a field of a map.
    RemoveField {
        /// The map.
        key: Key,
        /// The field.
        field: Bytes,
    },
    /// Sets a member of an index.
    Insert {
        /// The index.
        key: Key,
        /// The member.
        member: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// Removes a member of an index.
    Remove {
        /// The index.
        key: Key,
        /// The member.
        member: Bytes,
    },
    /// Adds to a counter.
    Add {
        /// The counter.
        key: Key,
        /// How much.
        delta: i64,
    },
    /// Removes a whole record, map, index or counter.
    Delete {
        /// Which shape.
        shape: Shape,
        /// Its key.
        key: Key,
    },
    /// Lets a whole record, map, index or counter vanish by itself; never early, late by at most a minute.
    Expire {
        /// Which shape.
        shape: Shape,
        /// Its key.
        key: Key,
        /// After this long, at least a millisecond.
        after: Duration,
    },
}

/// An atomic change of one shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Version that every record put here gets. Fresh and random for every commit.
    pub stamp: Stamp,
    /// What must hold.
    pub expect: Vec<Expect>,
    /// What is written then.
    pub write: Vec<Write>,
}

impl Commit {
    /// True when applying the commit makes one of its own expectations false, so that sending it twice writes once.
    #[must_use]
    pub fn falsifies_itself(&self) -> bool {
        self.expect.iter().any(|expectation| {
            self.write.iter().any(|write| match (expectation, write) {
                (Expect::Record { key, .. }, Write::Put { key: written, .. }) => key == written,
                (
                    Expect::Record { key, stamp },
                    Write::Delete {
                        shape: Shape::Record,
                        key: deleted,
                    },
                ) => stamp.is_some() && key == deleted,
                (
                    Expect::Field { key, field, value },
                    Write::SetField {
                        key: k,
                        field: f,
                        value: v,
                    },
                ) => key == k && field == f && value.as_ref() != Some(v),
                (Expect::Field { key, field, value }, Write::RemoveField { key: k, field: f }) => {
                    value.is_some() && key == k && field == f
                }
                (Expect::Member { key, member, present }, Write::Insert { key: k, member: m, .. }) => {
                    !present && key == k && member == m
                }
                (Expect::Member { key, member, present }, Write::Remove { key: k, member: m }) => {
                    *present && key == k && member == m
                }
                _ => false,
            })
        })
    }
}

/// What a failed expectation met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// The record as it is.
    Record(Option<Versioned>),
    /// The field as it is.
    Field(Option<Bytes>),
    /// The member's value, if it is in the index.
    Member(Option<Bytes>),
}

/// How a commit ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Everything is written and durable.
    Committed,
    /// Nothing is written. For each failed expectation, its position in `Commit::expect` and what was found instead.
    Conflict(Vec<(usize, Found)>),
    /// Nobody knows: read and decide again.
    Unknown,
}

/// The store cannot be reached or answers nonsense; nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Not reachable within the deadline.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// Something stored cannot be read.
    #[error("stored value cannot be read: {0}")]
    Corrupt(String),
}

/// The store. Implementations join the calls of many tasks into few round trips by themselves.
#[async_trait::async_trait]
pub trait Store: Send + Sync {
    /// Answers all queries in one round trip, at one instant.
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError>;

    /// Writes everything or nothing.
    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError>;

    /// Cheap check that the store answers, for readiness.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Names the life of what keeps the shard; at most 64 bytes. May be a second old. A store that keeps what it confirmed
    /// whatever happens has one for ever.
    async fn incarnation(&self, shard: Shard) -> Result<Bytes, StoreError> {
        let _ = shard;
        Ok(Bytes::new())
    }
}
