//! Copies of a campaign's state in the shards: what a claim there expects.

use super::bucket::timer;
use crate::campaign::place::{Bucket, Handle};
use crate::campaign::tally::{Cell, Sums};
use crate::id::CampaignId;
use crate::keys;
use crate::port::store::{Answer, Key, Query, StoreError};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::resolve::{expect_record, put};
use crate::shard::Shard;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::state::v1::ControlRecord;
use omnigate_proto::v1::{Campaign, CampaignState};

/// Shards that are written or read side by side.
const SIDE_BY_SIDE: usize = 32;

/// What stands about a campaign in a shard.
pub async fn control(
    context: &Context<'_>,
    shard: Shard,
    campaign: Handle,
) -> Result<Loaded<ControlRecord>, StoreError> {
    context
        .record(shard, keys::campaign::control(campaign), "control of a campaign")
        .await
}

/// Copies a campaign's state and epoch into every shard, forward only. Afterwards no claim is made under an earlier one.
pub(super) async fn spread(context: &Context<'_>, id: CampaignId, campaign: &Campaign) -> Result<(), Stop> {
    let copies = stream::iter(Shard::all()).map(|shard| copy(context, shard, id, (campaign.state(), campaign.epoch)));
    copies.buffer_unordered(SIDE_BY_SIDE).try_collect().await
}

async fn copy(
    context: &Context<'_>,
    shard: Shard,
    id: CampaignId,
    (state, epoch): (CampaignState, u64),
) -> Result<(), Stop> {
    let (handle, key) = (id.handle(), keys::campaign::control(id.handle()));
    for _ in 0..MAX_TRIES {
        let loaded = control(context, shard, handle).await?;
        let before = loaded.value.unwrap_or_default();
        if before.epoch >= epoch {
            return Ok(());
        }
        let next = ControlRecord {
            state: state.into(),
            epoch,
            campaign: id.to_bytes(),
            ..before
        };
        let mut write = vec![put(key.clone(), &next)];
        // Whatever waits there is looked at as soon as may be: it may go now, or must not any more.
        let numbers = (0..next.buckets).filter_map(|number| u16::try_from(number).ok());
        write.extend(numbers.map(|number| {
            let bucket = Bucket {
                campaign: handle,
                shard,
                number,
            };
            timer(bucket, context.now())
        }));
        let expect = vec![expect_record(key.clone(), loaded.stamp)];
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// True where recipients may be claimed.
pub(super) fn runs(control: &ControlRecord) -> bool {
    control.state() == CampaignState::Running
}

/// Rows of a bucket.
pub(super) fn rows(control: &ControlRecord, bucket: Bucket) -> u16 {
    let number = u32::from(bucket.number);
    match control.buckets.checked_sub(1) {
        Some(last) if number == last => u16::try_from(control.rows).unwrap_or(0),
        Some(last) if number < last => crate::campaign::place::ROWS,
        _ => 0,
    }
}

/// Where the recipients of a campaign with so many steps stand, over all shards.
pub async fn sums(context: &Context<'_>, campaign: Handle, steps: usize) -> Result<Sums, StoreError> {
    let cells: Vec<Cell> = Cell::all(steps).collect();
    let keys = cells
        .iter()
        .map(|cell| keys::campaign::tally(campaign, *cell))
        .collect();
    let mut sums = Sums::default();
    for counted in counters(context, keys).await? {
        for (cell, counted) in cells.iter().zip(counted) {
            sums.add(*cell, counted);
        }
    }
    Ok(sums)
}

/// How many recipients of a campaign have not ended.
pub async fn open(context: &Context<'_>, campaign: Handle) -> Result<i64, StoreError> {
    let counted = counters(context, vec![keys::campaign::open(campaign)]).await?;
    Ok(counted.into_iter().flatten().sum())
}

/// The same counters of every shard.
async fn counters(context: &Context<'_>, keys: Vec<Key>) -> Result<Vec<Vec<i64>>, StoreError> {
    let queries: Vec<Query> = keys.into_iter().map(Query::Counter).collect();
    let reads = stream::iter(Shard::all()).map(|shard| context.store.read(shard, queries.clone()));
    let answers: Vec<Vec<Answer>> = reads.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    let counted = |answer: &Answer| match answer {
        Answer::Counter(counted) => *counted,
        _ => 0,
    };
    Ok(answers
        .iter()
        .map(|answers| answers.iter().map(counted).collect())
        .collect())
}
