//! Compares the broker's log of intents with a store that may have forgotten some of what was announced there.
//!
//! Every commit that lets something leave has a number in its shard, is announced under it, and only then is a provider
//! called. A store whose server was replaced by one that had not got everything says so by another incarnation: nothing is
//! written down or submitted in such a shard until whoever holds its lease has read the log, made up for what the store does
//! not know any more, and written the new incarnation beside the highest number.

use super::bucket::{Change, some, writes};
use super::control::control;
use super::{command, get, plan_of};
use crate::campaign::ledger::{self, Attempt};
use crate::campaign::life::Command;
use crate::campaign::place::{Bucket, Sent};
use crate::campaign::plan::Plan;
use crate::id::{CampaignId, MessageId};
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range};
use crate::protocol::resolve::{expect_record, put};
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{ControlRecord, Intent, IntentBatch, IntentItem, IntentsRecord};
use prost::Message as _;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

/// Announcements so old are looked at although the store knows their numbers: right after a replacement some may have been
/// numbered like forgotten ones.
const LOOKED_BACK: Duration = Duration::from_secs(3600);
/// Campaigns that are listed at once.
const LISTED: u32 = 500;

/// A shard that another store counted.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Behind {
    /// Highest number that the store knows.
    known: u64,
    /// Highest number that was read in the log.
    newest: u64,
    /// What the store says that it is.
    incarnation: Bytes,
    /// True when another incarnation counted there, false when nobody did.
    was_counted: bool,
}

/// Shards that are being compared with the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comparison {
    behind: BTreeMap<Shard, Behind>,
    /// What was found.
    pub found: Forgotten,
}

/// What a store had forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Forgotten {
    /// Submissions that stand in their rows again.
    pub submissions: usize,
    /// Rows that were made again.
    pub rows: usize,
    /// Submissions whose campaign the shard does not know, or whose row is somebody else's.
    pub unplaced: usize,
}

/// Intents of a shard.
async fn counted(context: &Context<'_>, shard: Shard) -> Result<Loaded<IntentsRecord>, StoreError> {
    context
        .record(shard, keys::campaign::intents(), "intents of a shard")
        .await
}

/// True when nothing that was announced in a shard may be forgotten there, as far as is known.
pub(super) async fn is_current(context: &Context<'_>, shard: Shard) -> Result<bool, StoreError> {
    let incarnation = context.store.incarnation(shard).await?;
    Ok(is_counted_by(
        counted(context, shard).await?.value.as_ref(),
        &incarnation,
    ))
}

/// A store that is never replaced has an empty incarnation, and needs no record to be known.
fn is_counted_by(record: Option<&IntentsRecord>, incarnation: &Bytes) -> bool {
    record.map_or(incarnation.is_empty(), |record| record.incarnation == *incarnation)
}

impl Comparison {
    /// Those of some shards that have to be compared; `None` when none has.
    pub async fn of(context: &Context<'_>, shards: &[Shard]) -> Result<Option<Self>, StoreError> {
        let mut behind = BTreeMap::new();
        for shard in shards {
            let incarnation = context.store.incarnation(*shard).await?;
            let record = counted(context, *shard).await?.value;
            if !is_counted_by(record.as_ref(), &incarnation) {
                let known = record.as_ref().map_or(0, |record| record.number);
                let one = Behind {
                    known,
                    newest: known,
                    incarnation,
                    was_counted: record.is_some(),
                };
                behind.insert(*shard, one);
            }
        }
        Ok((!behind.is_empty()).then(|| Self {
            behind,
            found: Forgotten::default(),
        }))
    }

    /// True when a submission that is forgotten may still be under way. Then the log has to be read up to a place that was
    /// appended longer than [`LEASE_TIME`](crate::delivery::LEASE_TIME) after the replacement: by then everything is announced
    /// that may have left.
    #[must_use]
    pub fn has_to_wait(&self) -> bool {
        self.behind.values().any(|behind| behind.was_counted)
    }

    /// Makes up for what an entry of the log announces. Taken again it changes nothing.
    pub async fn take(&mut self, context: &Context<'_>, entry: &IntentBatch) -> Result<(), Stop> {
        for intent in entry.intents.iter().filter(|intent| intent.number > 0) {
            let Ok(shard) = u8::try_from(intent.shard).map(Shard::new) else {
                continue;
            };
            let Some(behind) = self.behind.get_mut(&shard) else {
                continue;
            };
            behind.newest = behind.newest.max(intent.number);
            let is_forgotten = intent.number > behind.known;
            if is_forgotten || Moment(intent.at_ms) + LOOKED_BACK > context.now() {
                self.make_up(context, (shard, is_forgotten), intent).await?;
            }
        }
        Ok(())
    }

    async fn make_up(
        &mut self,
        context: &Context<'_>,
        (shard, is_forgotten): (Shard, bool),
        intent: &Intent,
    ) -> Result<(), Stop> {
        let mut by_bucket: BTreeMap<Bucket, BTreeMap<u16, (Sent, &IntentItem)>> = BTreeMap::new();
        for item in &intent.items {
            let sent = item.message_id.parse::<MessageId>().ok().and_then(Sent::of);
            if let Some(sent) = sent.filter(|sent| sent.place.bucket.shard == shard) {
                let rows = by_bucket.entry(sent.place.bucket).or_default();
                rows.insert(sent.place.row, (sent, item));
            }
        }
        for (bucket, items) in by_bucket {
            let found = make_up_bucket(context, bucket, &items, is_forgotten).await?;
            self.found.submissions += found.submissions;
            self.found.rows += found.rows;
            self.found.unplaced += found.unplaced;
        }
        Ok(())
    }

    /// The log was read: the shards count on from its highest numbers.
    pub async fn finish(&self, context: &Context<'_>) -> Result<(), Stop> {
        for (shard, behind) in &self.behind {
            let decide = |record: Option<&IntentsRecord>, _| {
                let number = record.map_or(0, |record| record.number).max(behind.newest);
                let next = IntentsRecord {
                    number,
                    incarnation: behind.incarnation.clone(),
                };
                (record != Some(&next)).then_some(next)
            };
            let place = (*shard, keys::campaign::intents());
            context.change(place, "intents of a shard", decide).await?;
        }
        Ok(())
    }
}

/// What was announced for some rows of a bucket.
async fn make_up_bucket(
    context: &Context<'_>,
    bucket: Bucket,
    items: &BTreeMap<u16, (Sent, &IntentItem)>,
    is_forgotten: bool,
) -> Result<Forgotten, Stop> {
    let numbers: Vec<u16> = items.keys().copied().collect();
    let mut perhaps_made_up = None;
    for _ in 0..MAX_TRIES {
        let mut found = Forgotten::default();
        let standing = control(context, bucket.shard, bucket.campaign).await?;
        let campaign = match &standing.value {
            Some(control) => plan_of(context, control).await?,
            None => None,
        };
        let (Some(before), Some((_, plan))) = (standing.value, campaign) else {
            found.unplaced = items.len();
            return Ok(found);
        };
        let rows = some(context, bucket, &numbers).await?;
        let mut control = before.clone();
        let mut changes = Vec::new();
        let of_row: BTreeMap<u16, _> = rows.iter().map(|recipient| (recipient.place.row, recipient)).collect();
        for (row, (sent, item)) in items {
            let announced = attempt(*sent, item);
            let of = (announced, is_forgotten, context.now());
            match of_row.get(row) {
                Some(recipient) if !item.customer.is_empty() && recipient.row.customer != item.customer => {
                    found.unplaced += 1;
                }
                Some(recipient) => {
                    let after = ledger::intended(&recipient.row, &plan, of.0, of.1, of.2);
                    found.submissions += usize::from(after.is_some());
                    changes.extend(after.map(|after| Change::of(recipient, after)));
                }
                None if is_forgotten && item.customer.len() == 16 => {
                    found.rows += 1;
                    changes.push(made_again(&mut control, (bucket, *row), item, &plan, of));
                }
                None => found.unplaced += 1,
            }
        }
        if changes.is_empty() {
            return Ok(perhaps_made_up.unwrap_or(found));
        }
        let (mut expect, mut write) = writes(context, bucket, &changes, Some(&plan));
        if control != before {
            let key = keys::campaign::control(bucket.campaign);
            expect.push(expect_record(key.clone(), standing.stamp));
            write.push(put(key, &control));
        }
        match context.commit(bucket.shard, expect, write).await? {
            Ended::Committed(_) => return Ok(found),
            Ended::Conflict(_) => {}
            Ended::Unknown => perhaps_made_up = Some(found),
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

fn attempt(sent: Sent, item: &IntentItem) -> Attempt {
    Attempt {
        step: u32::from(sent.step),
        piece: item.piece,
        number: item.attempt,
    }
}

/// A row that the store forgot with the page that wrote it. Where planning has not come so far, it goes on behind the row and
/// leaves its customer out.
fn made_again(
    control: &mut ControlRecord,
    (bucket, row): (Bucket, u16),
    item: &IntentItem,
    plan: &Plan,
    (announced, is_forgotten, now): (Attempt, bool, Moment),
) -> Change {
    let (buckets, rows) = (u32::from(bucket.number) + 1, u32::from(row) + 1);
    if (buckets, rows) > (control.buckets, control.rows) {
        control.buckets = buckets;
        control.rows = rows;
    }
    if !control.planned {
        control.remade.push(item.customer.clone());
    }
    let new = ledger::planned(item.customer.clone());
    let after = ledger::intended(&new, plan, announced, is_forgotten, now);
    Change::new(row, after.unwrap_or(new))
}

/// Lets all campaigns of a tenant that live in a shard be looked at again, after the store was replaced: their state goes to
/// every shard anew. Those that changed after `compared` need not: whoever was copying a state when the store was replaced
/// had ended by then.
pub async fn recheck(
    context: &Context<'_>,
    (tenant_id, shard): (&str, Shard),
    compared: Moment,
    environment: &str,
) -> Result<(), Stop> {
    let mut from = Bound::Unbounded;
    loop {
        let query = Query::Range {
            key: keys::campaign::campaigns(tenant_id),
            from,
            to: Bound::Unbounded,
            limit: LISTED,
            reverse: false,
        };
        let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
        for id in members.iter().filter_map(|(member, _)| CampaignId::from_bytes(member)) {
            let record = get(context, id).await?.value.unwrap_or_default();
            let changed = record.transitions.last().map_or(0, |newest| newest.at_ms);
            if Moment(changed) < compared {
                // None of the states that need it refuses.
                let _standing = command(context, id, Command::Recheck, environment, "").await?;
            }
        }
        match members.last() {
            Some((last, _)) if members.len() >= LISTED as usize => from = Bound::Excluded(last.clone()),
            _ => return Ok(()),
        }
    }
}

/// An entry of the log that only names its place.
#[must_use]
pub fn mark(name: Bytes) -> Bytes {
    let entry = IntentBatch {
        mark: name,
        ..IntentBatch::default()
    };
    entry.encode_to_vec().into()
}
