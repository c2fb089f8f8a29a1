//! Another turn for recipients, because somebody says so.

use super::bucket::{Change, Rows, read, timer, writes};
use super::change::change;
use super::list::Buckets;
use super::{NotDone, Order};
use crate::campaign::ledger;
use crate::campaign::life::{self, Refused};
use crate::campaign::place::{Bucket, Place, ROWS};
use crate::campaign::plan::Plan;
use crate::id::CampaignId;
use crate::keys;
use crate::protocol::context::{Context, Ended, MAX_TRIES, Stop};
use crate::protocol::resolve::expect_record;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CampaignRecord, ControlRecord};
use omnigate_proto::v1::CampaignState;
use std::time::Duration;

/// How long a campaign does not end by itself while somebody gives its recipients another turn: longer than one call takes.
const HELD: Duration = Duration::from_secs(60);
/// After this long a call leaves the rest to the next one, well before the campaign may end.
const LONGEST: Duration = Duration::from_secs(10);
/// Buckets of one call.
const MAX_BUCKETS: usize = 200;

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retried {
    /// Recipients that have another turn.
    pub recipients: u64,
    /// Of them, those who may get it twice.
    pub possible_duplicates: u64,
    /// Where the next call goes on; `None` when all were looked at.
    pub next: Option<Place>,
}

/// Gives recipients behind one another turn: those whose message provably did not leave, and with `include_unknown` those of
/// whom nobody knows. Called again it changes nobody who waits already.
pub async fn retry(
    context: &Context<'_>,
    id: CampaignId,
    order: &Order<'_>,
    after: Option<Place>,
    include_unknown: bool,
) -> Result<Retried, NotDone> {
    let record = hold(context, id, order).await?;
    let campaign = record.campaign.unwrap_or_default();
    let plan = Plan::new(&campaign, Moment(record.send_until_ms));
    let began = context.now();
    let mut retried = Retried::default();
    let mut buckets = Buckets::behind(id.handle(), after);
    for number in 0.. {
        let Some(bucket) = buckets.next(context).await? else {
            retried.next = None;
            break;
        };
        // At least one, so that every call comes further.
        if number > 0 && (number >= MAX_BUCKETS || context.now().since(began) > LONGEST) {
            break;
        }
        let found = retry_bucket(context, bucket, &plan, include_unknown).await?;
        retried.recipients += found.recipients;
        retried.possible_duplicates += found.possible_duplicates;
        retried.next = Some(Place { bucket, row: ROWS - 1 });
    }
    Ok(retried)
}

/// Keeps the campaign from ending by itself for a while.
async fn hold(context: &Context<'_>, id: CampaignId, order: &Order<'_>) -> Result<CampaignRecord, NotDone> {
    let held = change(context, id, |record, now| {
        let campaign = record.campaign.as_ref();
        if campaign.is_none_or(|campaign| campaign.tenant_id != order.tenant_id) {
            return Err(NotDone::NoSuchCampaign);
        }
        let state = life::state(record);
        let sends = match state {
            CampaignState::Running => true,
            CampaignState::Paused => record.send_until_ms != 0,
            _ => false,
        };
        if !sends {
            let what = "given another turn";
            return Err(Refused::Impossible { state, what }.into());
        }
        if now >= Moment(record.send_until_ms) {
            return Err(NotDone::TimeOver);
        }
        let mut next = record.clone();
        next.held_until_ms = next.held_until_ms.max((now + HELD).0);
        Ok(Some(next))
    });
    held.await?.ok_or(NotDone::NoSuchCampaign)?
}

async fn retry_bucket(
    context: &Context<'_>,
    bucket: Bucket,
    plan: &Plan,
    include_unknown: bool,
) -> Result<Retried, Stop> {
    let mut lost: Option<(u16, Bytes, Retried)> = None;
    for _ in 0..MAX_TRIES {
        let rows = read(context, bucket).await?.filter(|rows| goes_on(&rows.control));
        let Some(rows) = rows else {
            return Ok(Retried::default());
        };
        // All rows are written or none: one that is not as it was tells that the commit whose answer was lost took place.
        let is_written = |(row, stored, _): &(u16, Bytes, Retried)| {
            let mut rows = rows.recipients.iter();
            rows.any(|recipient| recipient.place.row == *row && recipient.stored != *stored)
        };
        if let Some((.., retried)) = lost.take_if(|lost| is_written(lost)) {
            return Ok(retried);
        }
        let (changes, retried) = chosen(&rows, plan, include_unknown, context.now());
        if changes.is_empty() {
            return Ok(retried);
        }
        let (mut expect, mut write) = writes(context, bucket, &changes, Some(plan));
        let key = keys::campaign::control(bucket.campaign);
        expect.push(expect_record(key, rows.stamp));
        write.push(timer(bucket, context.now()));
        match context.commit(bucket.shard, expect, write).await? {
            Ended::Committed(_) => return Ok(retried),
            Ended::Conflict(_) => lost = None,
            Ended::Unknown => {
                lost = changes
                    .first()
                    .and_then(|first| Some((first.number(), first.before()?, retried)))
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

fn goes_on(control: &ControlRecord) -> bool {
    matches!(control.state(), CampaignState::Running | CampaignState::Paused)
}

fn chosen(rows: &Rows, plan: &Plan, include_unknown: bool, now: Moment) -> (Vec<Change>, Retried) {
    let mut retried = Retried::default();
    let again = rows.recipients.iter().filter_map(|recipient| {
        let after = ledger::retry(&recipient.row, plan, include_unknown, now)?;
        retried.recipients += 1;
        retried.possible_duplicates += u64::from(after.in_doubt);
        Some(Change::of(recipient, after))
    });
    let changes = again.collect();
    (changes, retried)
}
