//! Leases in the store: take, renew, keep a cursor, release; and groups of processes that share work by leases.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range, found_record};
use super::resolve::{expect_record, put};
use crate::keys;
use crate::lease::{self, Lost, Take};
use crate::port::store::{Expect, Query, Shape, StoreError, Write};
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::LeaseRecord;
use std::ops::Bound;
use std::time::Duration;

/// Shard of leases that protect no shard, and of groups.
pub const COMMON: Shard = Shard::new(0);
/// Most members of a group that are looked at.
const MAX_MEMBERS: u32 = 1000;

/// Which lease, for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish<'a> {
    /// Shard it lives in: the one it protects, or [`COMMON`].
    pub shard: Shard,
    /// Its name, such as `partition/3`.
    pub name: &'a str,
    /// The asking process, random per process.
    pub owner: &'a str,
    /// Where it takes what only the owner can do; empty where nobody asks.
    pub address: &'a str,
}

/// A lease that is ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Fencing number.
    pub epoch: u64,
    /// When it ends unless renewed.
    pub until: Moment,
    /// Last stored cursor.
    pub cursor: Bytes,
}

/// Why a lease is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it.
    #[error("held by {owner} until {until}")]
    Held {
        /// Who.
        owner: String,
        /// Until when.
        until: Moment,
    },
    /// It is no longer ours.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The cursor is longer than [`lease::MAX_CURSOR`].
    #[error("cursor of {0} bytes is too long")]
    CursorTooLong(usize),
    /// Nothing was decided.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for LeaseError {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// Takes a lease for `ttl`.
pub async fn acquire(context: &Context<'_>, wish: Wish<'_>, ttl: Duration) -> Result<Held, LeaseError> {
    let decide = |record: Option<&LeaseRecord>, now| match lease::take(record, (wish.owner, wish.address), ttl, now) {
        Take::Granted(record) => Ok(Some(record)),
        Take::Held { owner, until } => Err(LeaseError::Held { owner, until }),
    };
    held(change(context, wish, decide, &[]).await?)
}

/// Prolongs a lease of ours.
pub async fn renew(context: &Context<'_>, wish: Wish<'_>, epoch: u64, ttl: Duration) -> Result<Held, LeaseError> {
    let decide = |record: Option<&LeaseRecord>, now| Ok(Some(lease::renew(record, wish.owner, epoch, ttl, now)?));
    held(change(context, wish, decide, &[]).await?)
}

/// Stores a cursor durably and prolongs the lease.
pub async fn checkpoint(
    context: &Context<'_>,
    wish: Wish<'_>,
    epoch: u64,
    cursor: Bytes,
    ttl: Duration,
) -> Result<Held, LeaseError> {
    if cursor.len() > lease::MAX_CURSOR {
        return Err(LeaseError::CursorTooLong(cursor.len()));
    }
    let decide = |record: Option<&LeaseRecord>, now| {
        Ok(Some(lease::checkpoint(record, wish.owner, epoch, &cursor, (ttl, now))?))
    };
    held(change(context, wish, decide, &[]).await?)
}

/// Gives a lease back early. One that is not ours is left alone.
pub async fn release(context: &Context<'_>, wish: Wish<'_>, epoch: u64) -> Result<(), LeaseError> {
    let decide = |record: Option<&LeaseRecord>, _| Ok(lease::release(record, wish.owner, epoch));
    change(context, wish, decide, &[]).await.map(drop)
}

/// The leases of these names in one round trip, in their order.
pub async fn look(context: &Context<'_>, shard: Shard, names: &[String]) -> Result<Vec<LeaseRecord>, StoreError> {
    let queries = names.iter().map(|name| Query::Record(keys::lease(name))).collect();
    let answers = context.store.read(shard, queries).await?;
    let decode = |answer| {
        Ok(Loaded::decode(super::context::as_record(Some(answer))?, "lease")?
            .value
            .unwrap_or_default())
    };
    answers.into_iter().map(decode).collect()
}

/// Makes a process a member of a group for `ttl`, or prolongs that.
pub async fn join(context: &Context<'_>, group: &str, owner: &str, ttl: Duration) -> Result<(), LeaseError> {
    let name = member_name(group, owner);
    let wish = Wish {
        shard: COMMON,
        name: &name,
        owner,
        address: "",
    };
    let listed = Write::Insert {
        key: keys::members(group),
        member: Bytes::copy_from_slice(owner.as_bytes()),
        value: Bytes::new(),
    };
    let decide = |record: Option<&LeaseRecord>, now| match lease::take(record, (owner, ""), ttl, now) {
        Take::Granted(record) => Ok(Some(record)),
        Take::Held { owner, until } => Err(LeaseError::Held { owner, until }),
    };
    change(context, wish, decide, &[listed]).await.map(drop)
}

/// Ends a membership early.
pub async fn leave(context: &Context<'_>, group: &str, owner: &str) -> Result<(), LeaseError> {
    for _ in 0..MAX_TRIES {
        let name = member_name(group, owner);
        let record: Loaded<LeaseRecord> = context.record(COMMON, keys::lease(&name), "lease").await?;
        if strike(context, group, owner, &record).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// The living members of a group. Those whose time is over are taken off the list.
pub async fn members(context: &Context<'_>, group: &str) -> Result<Vec<String>, StoreError> {
    let query = Query::Range {
        key: keys::members(group),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: MAX_MEMBERS,
        reverse: false,
    };
    let listed = as_range(context.store.read(COMMON, vec![query]).await?.into_iter().next())?;
    let owners: Vec<String> = listed
        .into_iter()
        .map(|(owner, _)| String::from_utf8_lossy(&owner).into_owned())
        .collect();
    if owners.is_empty() {
        return Ok(owners);
    }
    let queries = owners
        .iter()
        .map(|owner| Query::Record(keys::lease(&member_name(group, owner))))
        .collect();
    let answers = context.store.read(COMMON, queries).await?;
    let now = context.now();
    let mut living = Vec::new();
    for (owner, answer) in owners.into_iter().zip(answers) {
        let record: Loaded<LeaseRecord> = Loaded::decode(super::context::as_record(Some(answer))?, "lease")?;
        if record.value.as_ref().is_some_and(|record| lease::is_held(record, now)) {
            living.push(owner);
        } else {
            // A conflict means that it came back to life: the next look sees it.
            strike(context, group, &owner, &record).await?;
        }
    }
    Ok(living)
}

/// Takes a member off the list, if its record still is as it was read. True when it is off.
async fn strike(
    context: &Context<'_>,
    group: &str,
    owner: &str,
    record: &Loaded<LeaseRecord>,
) -> Result<bool, StoreError> {
    let key = keys::lease(&member_name(group, owner));
    let member = Bytes::copy_from_slice(owner.as_bytes());
    let mut expect = vec![expect_record(key.clone(), record.stamp)];
    let mut write = vec![Write::Remove {
        key: keys::members(group),
        member: member.clone(),
    }];
    if record.stamp.is_some() {
        write.push(Write::Delete {
            shape: Shape::Record,
            key,
        });
    } else {
        expect.push(Expect::Member {
            key: keys::members(group),
            member: member.clone(),
            present: true,
        });
    }
    Ok(match context.commit(COMMON, expect, write).await? {
        Ended::Committed(_) => true,
        // Still without a record, and not listed either.
        Ended::Conflict(found) => record.stamp.is_none() && found_record(&found, 0).is_none(),
        Ended::Unknown => false,
    })
}

fn member_name(group: &str, owner: &str) -> String {
    format!("member/{group}/{owner}")
}

/// Reads, decides and writes until one attempt goes through. `None` from the decision means that nothing is to be written.
pub(super) async fn change(
    context: &Context<'_>,
    wish: Wish<'_>,
    decide: impl Fn(Option<&LeaseRecord>, Moment) -> Result<Option<LeaseRecord>, LeaseError>,
    along: &[Write],
) -> Result<Option<LeaseRecord>, LeaseError> {
    let key = keys::lease(wish.name);
    let mut record: Loaded<LeaseRecord> = context.record(wish.shard, key.clone(), "lease").await?;
    for _ in 0..MAX_TRIES {
        let Some(next) = decide(record.value.as_ref(), context.now())? else {
            return Ok(None);
        };
        let mut write = vec![put(key.clone(), &next)];
        write.extend_from_slice(along);
        let expect = vec![expect_record(key.clone(), record.stamp)];
        let found = match context.commit(wish.shard, expect, write).await? {
            Ended::Committed(_) => return Ok(Some(next)),
            Ended::Conflict(found) => found_record(&found, 0),
            Ended::Unknown => None,
        };
        record = match found {
            Some(found) => Loaded::decode(found, "lease")?,
            None => context.record(wish.shard, key.clone(), "lease").await?,
        };
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

fn held(record: Option<LeaseRecord>) -> Result<Held, LeaseError> {
    let record = record.ok_or(Lost)?;
    Ok(Held {
        epoch: record.epoch,
        until: Moment(record.until_ms),
        cursor: record.cursor,
    })
}
