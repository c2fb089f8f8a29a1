//! Planning: the recipients of a shard are written down, page by page, each of them once.

use super::bucket::{Change, writes};
use super::control::control;
use super::intents::is_current;
use crate::campaign::ledger::planned;
use crate::campaign::place::{Bucket, ROWS};
use crate::id::{CampaignId, CustomerId};
use crate::keys;
use crate::protocol::context::{Context, Ended, Stop};
use crate::protocol::resolve::{expect_record, put};
use crate::shard::Shard;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::v1::CampaignState;

/// Shards that are looked at side by side.
const SIDE_BY_SIDE: usize = 32;

/// Who the recipients are.
#[async_trait::async_trait]
pub trait Members: Send + Sync {
    /// The next of them in a shard, by id.
    async fn page(
        &self,
        context: &Context<'_>,
        shard: Shard,
        after: Option<CustomerId>,
        most: u16,
    ) -> Result<Page, Stop>;
}

/// Some of the recipients of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// They, by id.
    pub customers: Vec<CustomerId>,
    /// The last customer that was looked at; `None` when there is nobody behind these.
    pub looked_to: Option<CustomerId>,
}

/// How far a shard is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planned {
    /// There may be more.
    More,
    /// All are written.
    All,
    /// The campaign is not being planned any more, or something else changed: look again.
    Overtaken,
    /// The shard may have forgotten who is written already, and has to be compared before.
    Waits,
}

/// Writes the next recipients of a shard down. Where it has come to stands in the commit that writes them, so that whoever
/// goes on after a crash writes nobody twice and leaves nobody out.
pub async fn plan_page(
    context: &Context<'_>,
    id: CampaignId,
    shard: Shard,
    members: &dyn Members,
) -> Result<Planned, Stop> {
    let handle = id.handle();
    let loaded = control(context, shard, handle).await?;
    let Some(record) = loaded.value.filter(|record| record.state() == CampaignState::Planning) else {
        return Ok(Planned::Overtaken);
    };
    if record.planned {
        return Ok(Planned::All);
    }
    if !is_current(context, shard).await? {
        return Ok(Planned::Waits);
    }
    let is_full = record.buckets == 0 || record.rows >= u32::from(ROWS);
    let mut next = record.clone();
    if is_full {
        next.buckets += 1;
        next.rows = 0;
    }
    let Ok(number) = u16::try_from(next.buckets - 1) else {
        return Err(Stop::Contended(u32::from(u16::MAX)));
    };
    let room = ROWS - u16::try_from(next.rows).unwrap_or(ROWS);
    let after = CustomerId::from_bytes(&record.planned_to);
    let page = members.page(context, shard, after, room).await?;
    let bucket = Bucket {
        campaign: handle,
        shard,
        number,
    };
    let mut changes = Vec::new();
    let is_written = |customer: &CustomerId| record.remade.iter().any(|one| *one == customer.to_bytes());
    let new = page.customers.iter().filter(|customer| !is_written(customer));
    for customer in new.take(usize::from(room)) {
        let row = u16::try_from(next.rows).unwrap_or(ROWS);
        changes.push(Change::new(row, planned(customer.to_bytes())));
        next.rows += 1;
    }
    match page.looked_to {
        Some(last) => next.planned_to = last.to_bytes(),
        None => {
            next.planned = true;
            next.remade.clear();
        }
    }
    if changes.is_empty() && is_full {
        next.buckets = record.buckets;
        next.rows = record.rows;
    }
    let key = keys::campaign::control(handle);
    let (mut expect, mut write) = writes(context, bucket, &changes, None);
    expect.push(expect_record(key.clone(), loaded.stamp));
    write.push(put(key, &next));
    Ok(match context.commit(shard, expect, write).await? {
        Ended::Committed(_) if next.planned => Planned::All,
        Ended::Committed(_) => Planned::More,
        Ended::Conflict(_) | Ended::Unknown => Planned::Overtaken,
    })
}

/// True when the recipients of all shards are written.
pub(super) async fn is_planned(context: &Context<'_>, id: CampaignId) -> Result<bool, Stop> {
    let looks = stream::iter(Shard::all()).map(|shard| control(context, shard, id.handle()));
    let mut looks = looks.buffer_unordered(SIDE_BY_SIDE);
    while let Some(found) = looks.try_next().await? {
        if !found.value.is_some_and(|control| control.planned) {
            return Ok(false);
        }
    }
    Ok(true)
}
