//! Campaigns made, changed and told what to do by people and systems. A command is known by its name, which the campaign
//! remembers: repeated, it only goes on with what is not finished.

use super::change::change;
use super::refer::{self, Known, pinned};
use super::{NotDone, copy_everywhere, get};
use crate::campaign::definition::{self, Change, check, check_start, is_applied, noted};
use crate::campaign::life::{self, Command};
use crate::id::{CampaignId, hash};
use crate::keys;
use crate::port::store::{Expect, Write};
use crate::protocol::context::{Context, Ended, MAX_TRIES, Stop};
use crate::protocol::resolve::{expect_record, put};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{Campaign, CampaignState, CampaignStep, PauseReason};
use prost::Message as _;

/// Somebody's command.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Tenant whose campaign it is about.
    pub tenant_id: &'a str,
    /// Names the command, the same for each repetition.
    pub name: Bytes,
    /// How the campaign must stand; empty for however it stands.
    pub etag: &'a str,
    /// Environment that this process works for.
    pub environment: &'a str,
    /// Trace id of what caused it.
    pub cause: &'a str,
}

/// Changes with everything that readers see of a campaign.
#[must_use]
pub fn etag(campaign: &Campaign) -> String {
    data_encoding::HEXLOWER.encode(&hash("campaign as it stands", &[&campaign.encode_to_vec()])[..12])
}

/// Makes the campaign of a request, a DRAFT, unless that was done before. `at` is when it was asked for, the same for each
/// repetition.
pub async fn create(
    context: &Context<'_>,
    id: CampaignId,
    (order, at, request_hash): (&Order<'_>, Moment, [u8; 32]),
    campaign: &Campaign,
    known: &Known<'_>,
) -> Result<CampaignRecord, NotDone> {
    let campaign = definition::defined(campaign.clone());
    check(&campaign)?;
    let key = keys::campaign::campaign(id);
    for _ in 0..MAX_TRIES {
        let standing = get(context, id).await?;
        if let Some(record) = standing.value {
            let same = record.request_hash == request_hash.as_slice() && is_of(&record, order.tenant_id);
            return if same {
                Ok(record)
            } else {
                Err(NotDone::RequestIdReused)
            };
        }
        refer::check(context, order.tenant_id, &campaign, known).await?;
        // Listed first: one that is listed and not there is passed over, one that is there and not listed would be lost.
        enlist(context, (order.tenant_id, at), id).await?;
        let record = CampaignRecord {
            campaign: Some(Campaign {
                campaign_id: id.to_string(),
                tenant_id: order.tenant_id.to_owned(),
                state: CampaignState::Draft.into(),
                epoch: 1,
                created_at: Some(at.to_timestamp()),
                ..campaign.clone()
            }),
            environment: order.environment.to_owned(),
            request_hash: Bytes::copy_from_slice(&request_hash),
            ..CampaignRecord::default()
        };
        let expect = vec![expect_record(key.clone(), None)];
        if let Ended::Committed(_) = context
            .commit(id.shard(), expect, vec![put(key.clone(), &record)])
            .await?
        {
            return Ok(record);
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

fn is_of(record: &CampaignRecord, tenant_id: &str) -> bool {
    record
        .campaign
        .as_ref()
        .is_some_and(|campaign| campaign.tenant_id == tenant_id)
}

async fn enlist(context: &Context<'_>, (tenant_id, at): (&str, Moment), id: CampaignId) -> Result<(), Stop> {
    let (key, member) = (keys::campaign::campaigns(tenant_id), keys::campaign::listed(at, id));
    let expect = vec![Expect::Member {
        key: key.clone(),
        member: member.clone(),
        present: false,
    }];
    let insert = Write::Insert {
        key,
        member,
        value: Bytes::new(),
    };
    let shard = keys::campaign::shard_of_list(tenant_id);
    for _ in 0..MAX_TRIES {
        match context.commit(shard, expect.clone(), vec![insert.clone()]).await? {
            // It is listed already.
            Ended::Committed(_) | Ended::Conflict(_) => return Ok(()),
            Ended::Unknown => {}
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Carries a command out, once, and sees to it that every shard knows.
async fn carry_out(
    context: &Context<'_>,
    id: CampaignId,
    order: &Order<'_>,
    mut decide: impl FnMut(&CampaignRecord, Moment) -> Result<Option<CampaignRecord>, NotDone>,
) -> Result<CampaignRecord, NotDone> {
    let decide = |record: &CampaignRecord, now: Moment| {
        if !is_of(record, order.tenant_id) {
            return Err(NotDone::NoSuchCampaign);
        }
        if is_applied(record, &order.name) {
            return Ok(None);
        }
        stands_so(record, order)?;
        let next = decide(record, now)?.unwrap_or_else(|| record.clone());
        Ok(Some(noted(next, &order.name)))
    };
    let decided = change(context, id, decide).await?;
    let record = decided.ok_or(NotDone::NoSuchCampaign)??;
    copy_everywhere(context, id, &record).await?;
    Ok(record)
}

fn stands_so(record: &CampaignRecord, order: &Order<'_>) -> Result<(), NotDone> {
    let is_so = |campaign| order.etag.is_empty() || etag(campaign) == order.etag;
    match record.campaign.as_ref().is_some_and(is_so) {
        true => Ok(()),
        false => Err(NotDone::Changed),
    }
}

/// A campaign of the tenant as a command finds it. `None` when the command took effect before.
async fn found(context: &Context<'_>, id: CampaignId, order: &Order<'_>) -> Result<Option<CampaignRecord>, NotDone> {
    let record = get(context, id).await?.value;
    let own = record.filter(|record| is_of(record, order.tenant_id));
    let record = own.ok_or(NotDone::NoSuchCampaign)?;
    if is_applied(&record, &order.name) {
        return Ok(None);
    }
    stands_so(&record, order)?;
    Ok(Some(record))
}

/// Changes what a campaign is.
pub async fn update(
    context: &Context<'_>,
    id: CampaignId,
    order: &Order<'_>,
    change: &Change,
    known: &Known<'_>,
) -> Result<CampaignRecord, NotDone> {
    let mut looked_at = None;
    if let Some(record) = found(context, id, order).await? {
        let next = definition::changed(&record, change)?;
        if change.start_at.is_some() {
            starts_ahead(&next, context.now())?;
        }
        let campaign = next.campaign.unwrap_or_default();
        let steps = match life::state(&record) {
            CampaignState::Draft if change.refers() => {
                refer::check(context, order.tenant_id, &campaign, known).await?;
                None
            }
            CampaignState::Scheduled if change.refers() => {
                Some(pinned(context, order.tenant_id, &campaign, known).await?)
            }
            _ => None,
        };
        looked_at = Some((record, steps));
    }
    carry_out(context, id, order, |record, _| {
        let (before, steps) = looked_at.as_ref().ok_or(NotDone::Changed)?;
        if change.refers() && !is_as_before(record, before) {
            return Err(NotDone::Changed);
        }
        let mut next = definition::changed(record, change)?;
        if let (Some(steps), Some(campaign)) = (steps, next.campaign.as_mut()) {
            if let Some(given) = &change.steps {
                next.unpinned.clone_from(given);
            }
            campaign.steps.clone_from(steps);
        }
        Ok(Some(next))
    })
    .await
}

/// True when nobody changed what was looked at.
fn is_as_before(record: &CampaignRecord, before: &CampaignRecord) -> bool {
    record.campaign == before.campaign
}

fn starts_ahead(record: &CampaignRecord, now: Moment) -> Result<(), NotDone> {
    let at = record.campaign.as_ref().and_then(|campaign| campaign.start_at.as_ref());
    match at {
        Some(at) => Ok(check_start(Moment::from_timestamp(at), now)?),
        None => Ok(()),
    }
}

/// Lets a campaign start by itself, at `start_at` where that is given, else at its own.
pub async fn schedule(
    context: &Context<'_>,
    id: CampaignId,
    order: &Order<'_>,
    start_at: Option<Moment>,
    known: &Known<'_>,
) -> Result<CampaignRecord, NotDone> {
    let timed = |record: &CampaignRecord| {
        let mut next = record.clone();
        if let (Some(at), Some(campaign)) = (start_at, next.campaign.as_mut()) {
            campaign.start_at = Some(at.to_timestamp());
        }
        next
    };
    let looked_at = ready(context, id, order, known).await?;
    carry_out(context, id, order, |record, now| {
        let next = timed(record);
        let decided = life::decide(&next, Command::Schedule, order.environment, (now, order.cause));
        let decided = decided.map_err(NotDone::Refused)?;
        starts_ahead(&next, now)?;
        match decided {
            Some(decided) => Ok(Some(pin(decided, record, looked_at.as_ref())?)),
            None => Ok(Some(next)),
        }
    })
    .await
}

/// Starts a campaign now.
pub async fn start(
    context: &Context<'_>,
    id: CampaignId,
    order: &Order<'_>,
    known: &Known<'_>,
) -> Result<CampaignRecord, NotDone> {
    let looked_at = ready(context, id, order, known).await?;
    carry_out(context, id, order, |record, now| {
        let decided = life::decide(record, Command::Start, order.environment, (now, order.cause));
        match decided.map_err(NotDone::Refused)? {
            Some(decided) => Ok(Some(pin(decided, record, looked_at.as_ref())?)),
            None => Ok(None),
        }
    })
    .await
}

/// What is carried out of a campaign that is about to start, beside the campaign as it was looked at. `None` where nothing is
/// to be pinned: it is no draft and not scheduled, or the command took effect before.
async fn ready(
    context: &Context<'_>,
    id: CampaignId,
    order: &Order<'_>,
    known: &Known<'_>,
) -> Result<Option<(CampaignRecord, Vec<CampaignStep>)>, NotDone> {
    let record = found(context, id, order).await?;
    let record = record.filter(|record| {
        let state = life::state(record);
        matches!(state, CampaignState::Draft | CampaignState::Scheduled)
    });
    let Some(record) = record else { return Ok(None) };
    let campaign = record.campaign.clone().unwrap_or_default();
    check(&campaign)?;
    let steps = pinned(context, order.tenant_id, &campaign, known).await?;
    Ok(Some((record, steps)))
}

/// The record with the steps that were looked at, if it is still what was looked at.
fn pin(
    mut next: CampaignRecord,
    record: &CampaignRecord,
    looked_at: Option<&(CampaignRecord, Vec<CampaignStep>)>,
) -> Result<CampaignRecord, NotDone> {
    let (before, steps) = looked_at.ok_or(NotDone::Changed)?;
    if !is_as_before(record, before) {
        return Err(NotDone::Changed);
    }
    let is_scheduled = life::state(&next) == CampaignState::Scheduled;
    if let Some(campaign) = next.campaign.as_mut() {
        let asked = std::mem::replace(&mut campaign.steps, steps.clone());
        next.unpinned = if is_scheduled { asked } else { Vec::new() };
    }
    Ok(next)
}

/// Makes a campaign a draft again, with its steps as somebody defined them.
pub async fn unschedule(context: &Context<'_>, id: CampaignId, order: &Order<'_>) -> Result<CampaignRecord, NotDone> {
    carry_out(context, id, order, |record, now| {
        let decided = life::decide(record, Command::Unschedule, order.environment, (now, order.cause));
        let Some(mut next) = decided.map_err(NotDone::Refused)? else {
            return Ok(None);
        };
        let unpinned = std::mem::take(&mut next.unpinned);
        if let Some(campaign) = next.campaign.as_mut().filter(|_| !unpinned.is_empty()) {
            campaign.steps = unpinned;
        }
        Ok(Some(next))
    })
    .await
}

/// Begins nothing new.
pub async fn pause(context: &Context<'_>, id: CampaignId, order: &Order<'_>) -> Result<CampaignRecord, NotDone> {
    told(context, id, order, Command::Pause(PauseReason::User, "")).await
}

/// Goes on.
pub async fn resume(context: &Context<'_>, id: CampaignId, order: &Order<'_>) -> Result<CampaignRecord, NotDone> {
    told(context, id, order, Command::Resume).await
}

/// Ends it.
pub async fn cancel(context: &Context<'_>, id: CampaignId, order: &Order<'_>) -> Result<CampaignRecord, NotDone> {
    told(context, id, order, Command::Cancel).await
}

async fn told(
    context: &Context<'_>,
    id: CampaignId,
    order: &Order<'_>,
    what: Command<'_>,
) -> Result<CampaignRecord, NotDone> {
    carry_out(context, id, order, |record, now| {
        life::decide(record, what, order.environment, (now, order.cause)).map_err(NotDone::Refused)
    })
    .await
}
