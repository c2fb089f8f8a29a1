//! A sweep over a group of shards, in pieces: every customer of every tenant, then every identifier. How far it has come is
//! kept in the store, so whoever takes the group over goes on there.

use super::{Mended, customer, identifier};
use crate::id::{CustomerId, IdentifierKey};
use crate::identity::repair::schedule::{self, Sweep};
use crate::keys;
use crate::port::store::{Key, Query, StoreError};
use crate::protocol::context::{Context, Ended, Loaded, Stop, as_range};
use crate::protocol::lease::COMMON;
use crate::protocol::resolve::{expect_record, put};
use crate::shard::Shard;
use bytes::Bytes;
use omnigate_proto::state::v1::RepairRecord;
use std::ops::Bound;

/// What is swept together, under one lease.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Its number.
    pub number: u16,
    /// Its shards, in order.
    pub shards: &'a [Shard],
    /// All tenants, in order.
    pub tenants: &'a [String],
}

/// How far a sweep has come.
pub type Progress = Loaded<RepairRecord>;

/// How a piece ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// There is more.
    More,
    /// The sweep has ended.
    Ended,
    /// Somebody else sweeps the group by now.
    Lost,
}

/// How far the sweep of a group has come.
pub async fn progress(context: &Context<'_>, group: u16) -> Result<Progress, StoreError> {
    context.record(COMMON, keys::repair(group), "repair").await
}

/// Keeps what a sweep's record says now. False when somebody else has changed it.
pub async fn keep(
    context: &Context<'_>,
    group: u16,
    progress: &mut Progress,
    next: RepairRecord,
) -> Result<bool, Stop> {
    let key = keys::repair(group);
    let expect = vec![expect_record(key.clone(), progress.stamp)];
    let Ended::Committed(stamp) = context.commit(COMMON, expect, vec![put(key, &next)]).await? else {
        return Ok(false);
    };
    *progress = Loaded {
        stamp: Some(stamp),
        value: Some(next),
    };
    Ok(true)
}

/// Does one piece of a sweep that is under way: at most `at_once` customers or identifiers, and keeps how far it has come.
/// A piece that is done twice finds nothing more to put right.
pub async fn piece(
    context: &Context<'_>,
    group: Group<'_>,
    progress: &mut Progress,
    at_once: u32,
    mended: &mut Mended,
) -> Result<Piece, Stop> {
    let Some(record) = progress.value.clone().filter(|record| record.began_ms != 0) else {
        return Ok(Piece::Ended);
    };
    let before = mended.repairs.len();
    let sweep = Sweep::of(&record, group.shards, group.tenants);
    let mut last = None;
    let mut unfinished = 0;
    if let Some(sweep) = &sweep {
        let (members, is_full) = page(context, sweep, at_once).await?;
        for member in &members {
            match look(context, sweep, member, mended).await {
                Ok(()) => {}
                Err(Stop::Store(error @ StoreError::Unavailable(_))) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(shard = %sweep.shard, %error, "identity not looked at, it has another turn");
                    unfinished += 1;
                }
            }
        }
        last = members.into_iter().last().filter(|_| is_full);
    }
    let repairs = u64::try_from(mended.repairs.len() - before).unwrap_or(u64::MAX) + unfinished;
    let next = match sweep {
        Some(sweep) => sweep.next(&record, last, repairs, (group.shards, group.tenants), context.now()),
        None => schedule::ended(&record, context.now()),
    };
    let is_over = next.began_ms == 0;
    Ok(match keep(context, group.number, progress, next).await? {
        false => Piece::Lost,
        true if is_over => Piece::Ended,
        true => Piece::More,
    })
}

/// The most buckets of identifiers that one read asks for.
const MOST_BUCKETS: u8 = 64;

/// The next customers or identifiers, and whether there may be more.
async fn page(context: &Context<'_>, sweep: &Sweep, at_once: u32) -> Result<(Vec<Bytes>, bool), StoreError> {
    let mut members = if sweep.in_claims {
        identifiers(context, sweep, at_once).await?
    } else {
        read(context, sweep, vec![keys::customers(&sweep.tenant_id)], at_once).await?
    };
    let at_once = usize::try_from(at_once).unwrap_or(usize::MAX);
    let is_full = members.len() >= at_once;
    members.truncate(at_once);
    Ok((members, is_full))
}

/// The next identifiers, in order, and perhaps some that come behind them: first the bucket where the sweep stands is read,
/// then ever more at once for as long as they have little in them.
async fn identifiers(context: &Context<'_>, sweep: &Sweep, at_once: u32) -> Result<Vec<Bytes>, StoreError> {
    let enough = usize::try_from(at_once).unwrap_or(usize::MAX);
    let mut next = Some(IdentifierKey::from_bytes(&sweep.after).map_or(0, keys::claims_bucket));
    let mut count: u8 = 1;
    let mut members = Vec::new();
    while let Some(first) = next.filter(|_| members.len() < enough) {
        let last = first.saturating_add(count - 1);
        let buckets = (first..=last).map(|bucket| keys::claims(bucket, &sweep.tenant_id));
        members.extend(read(context, sweep, buckets.collect(), at_once).await?);
        next = last.checked_add(1);
        count = count.saturating_mul(4).min(MOST_BUCKETS);
    }
    Ok(members)
}

/// The first members of each of these indexes behind where the sweep stands.
async fn read(context: &Context<'_>, sweep: &Sweep, indexes: Vec<Key>, at_once: u32) -> Result<Vec<Bytes>, StoreError> {
    let from = match sweep.after.is_empty() {
        true => Bound::Unbounded,
        false => Bound::Excluded(sweep.after.clone()),
    };
    let query = |key| Query::Range {
        key,
        from: from.clone(),
        to: Bound::Unbounded,
        limit: at_once,
        reverse: false,
    };
    let queries = indexes.into_iter().map(query).collect();
    let mut members = Vec::new();
    for answer in context.store.read(sweep.shard, queries).await? {
        members.extend(as_range(Some(answer))?.into_iter().map(|(member, _)| member));
    }
    Ok(members)
}

async fn look(context: &Context<'_>, sweep: &Sweep, member: &Bytes, mended: &mut Mended) -> Result<(), Stop> {
    if sweep.in_claims {
        return match IdentifierKey::from_bytes(member) {
            Some(key) => identifier(context, &sweep.tenant_id, key, mended).await,
            None => Ok(()),
        };
    }
    match CustomerId::from_bytes(member) {
        Some(id) => customer(context, id, mended).await,
        None => Ok(()),
    }
}
