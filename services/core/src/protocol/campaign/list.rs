//! Lists: a tenant's campaigns, and the recipients of one.

use super::bucket::{Recipient, read};
use super::control::control;
use super::get;
use crate::campaign::ledger;
use crate::campaign::place::{Bucket, Handle, Place, ROWS};
use crate::id::CampaignId;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, as_range};
use crate::shard::Shard;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::state::v1::{CampaignRecord, RecipientRow};
use omnigate_proto::v1::{CampaignState, DeliveryState, RecipientReason};
use std::collections::VecDeque;
use std::ops::Bound;

/// How many of a tenant's campaigns are looked at for one page.
const MAX_SCANNED: usize = 1_000;
/// Campaigns that are read side by side.
const TOGETHER: u32 = 50;
/// Buckets that are looked at for one page of recipients.
const MAX_BUCKETS: usize = 20;
/// Shards that are asked side by side how many buckets they have.
const SHARDS_TOGETHER: usize = 32;

/// A page of campaigns.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Listed {
    /// They, the newest first.
    pub campaigns: Vec<CampaignRecord>,
    /// The last one that was looked at, where there may be more.
    pub next: Option<Bytes>,
}

/// Some of a tenant's campaigns behind one, the newest first; only those in some states, where there are any named.
pub async fn list(
    context: &Context<'_>,
    tenant_id: &str,
    after: Option<Bytes>,
    limit: usize,
    states: &[CampaignState],
) -> Result<Listed, StoreError> {
    let shard = keys::campaign::shard_of_list(tenant_id);
    let mut listed = Listed {
        campaigns: Vec::new(),
        next: after,
    };
    for _ in 0..MAX_SCANNED.div_ceil(TOGETHER as usize) {
        let to = listed.next.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let query = Query::Range {
            key: keys::campaign::campaigns(tenant_id),
            from: Bound::Unbounded,
            to,
            limit: TOGETHER,
            reverse: true,
        };
        let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
        let is_last = members.len() < TOGETHER as usize;
        let ids = members.iter().map(|(member, _)| keys::campaign::read_listed(member));
        let ids: Vec<Option<CampaignId>> = ids.collect();
        let records = stream::iter(ids).map(|id| async move {
            match id {
                Some(id) => Ok(get(context, id).await?.value),
                None => Ok::<_, StoreError>(None),
            }
        });
        let records: Vec<Option<CampaignRecord>> = records.buffered(TOGETHER as usize).try_collect().await?;
        for ((member, _), record) in members.into_iter().zip(records) {
            listed.next = Some(member);
            listed
                .campaigns
                .extend(record.filter(|record| is_wanted(record, tenant_id, states)));
            if listed.campaigns.len() >= limit {
                return Ok(listed);
            }
        }
        if is_last {
            listed.next = None;
            return Ok(listed);
        }
    }
    Ok(listed)
}

fn is_wanted(record: &CampaignRecord, tenant_id: &str, states: &[CampaignState]) -> bool {
    let campaign = record.campaign.as_ref();
    campaign.is_some_and(|campaign| {
        campaign.tenant_id == tenant_id && (states.is_empty() || states.contains(&campaign.state()))
    })
}

/// Which recipients are wanted; empty lists let everybody through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// In one of these states.
    pub states: Vec<DeliveryState>,
    /// For one of these reasons.
    pub reasons: Vec<RecipientReason>,
    /// At this step.
    pub step: Option<u32>,
}

impl Filter {
    /// True for somebody who is wanted.
    #[must_use]
    pub fn wants(&self, row: &RecipientRow) -> bool {
        (self.states.is_empty() || self.states.contains(&ledger::state(row)))
            && (self.reasons.is_empty() || self.reasons.contains(&ledger::reason(row)))
            && self.step.is_none_or(|step| step == row.step)
    }
}

/// Some recipients.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Walked {
    /// They.
    pub recipients: Vec<Recipient>,
    /// The last row that was looked at, where there may be more.
    pub next: Option<Place>,
}

/// Some recipients of a campaign behind one, by shard, bucket and row.
pub async fn walk(
    context: &Context<'_>,
    campaign: Handle,
    after: Option<Place>,
    limit: usize,
    filter: &Filter,
) -> Result<Walked, StoreError> {
    let mut walked = Walked::default();
    let mut buckets = Buckets::behind(campaign, after);
    for _ in 0..MAX_BUCKETS {
        let Some(bucket) = buckets.next(context).await? else {
            walked.next = None;
            return Ok(walked);
        };
        let rows = read(context, bucket).await?.map(|rows| rows.recipients);
        for recipient in rows.unwrap_or_default() {
            let place = recipient.place;
            let is_behind = after.is_none_or(|after| place > after);
            if is_behind && filter.wants(&recipient.row) {
                walked.recipients.push(recipient);
            }
            if walked.recipients.len() >= limit {
                walked.next = Some(place);
                return Ok(walked);
            }
        }
        walked.next = Some(Place { bucket, row: ROWS - 1 });
    }
    Ok(walked)
}

/// The buckets of a campaign, in order.
pub(super) struct Buckets {
    campaign: Handle,
    /// Shards that were not looked at, the first one last.
    shards: Vec<Shard>,
    /// Buckets of those that were, by number.
    found: VecDeque<(Shard, std::ops::Range<u32>)>,
    /// Where to begin: shard, and number there.
    from: Option<(Shard, u32)>,
}

impl Buckets {
    /// Those that hold what stands behind a row; the row's own bucket is one of them unless the row is its last.
    pub(super) fn behind(campaign: Handle, after: Option<Place>) -> Self {
        let from = after.map(|place| {
            let number = u32::from(place.bucket.number) + u32::from(place.row + 1 >= ROWS);
            (place.bucket.shard, number)
        });
        let shards = Shard::all().filter(|shard| from.is_none_or(|(from, _)| *shard >= from));
        let mut shards: Vec<Shard> = shards.collect();
        shards.reverse();
        Self {
            campaign,
            shards,
            found: VecDeque::new(),
            from,
        }
    }

    pub(super) async fn next(&mut self, context: &Context<'_>) -> Result<Option<Bucket>, StoreError> {
        loop {
            if let Some((shard, numbers)) = self.found.front_mut() {
                let shard = *shard;
                match numbers.next().map(u16::try_from) {
                    Some(Ok(number)) => {
                        return Ok(Some(Bucket {
                            campaign: self.campaign,
                            shard,
                            number,
                        }));
                    }
                    _ => drop(self.found.pop_front()),
                }
                continue;
            }
            if self.shards.is_empty() {
                return Ok(None);
            }
            self.look(context).await?;
        }
    }

    /// Looks at some shards more.
    async fn look(&mut self, context: &Context<'_>) -> Result<(), StoreError> {
        let behind = self.shards.split_off(self.shards.len().saturating_sub(SHARDS_TOGETHER));
        let controls = stream::iter(behind.into_iter().rev()).map(async |shard| {
            let standing = control(context, shard, self.campaign).await?.value;
            let count = standing.map_or(0, |control| control.buckets);
            Ok::<_, StoreError>((shard, count))
        });
        let found: Vec<(Shard, u32)> = controls.buffered(SHARDS_TOGETHER).try_collect().await?;
        self.found.extend(found.into_iter().map(|(shard, count)| {
            let first = self
                .from
                .filter(|(from, _)| *from == shard)
                .map_or(0, |(_, number)| number);
            (shard, first..count)
        }));
        Ok(())
    }
}
