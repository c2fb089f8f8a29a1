//! What a campaign does by itself: starts in its time, has its recipients written down, and ends when they have.

use super::plan::{Members, Planned, plan_page};
use super::{command, copy_everywhere, get, open};
use crate::campaign::life::{self, Command, has_ended};
use crate::id::CampaignId;
use crate::protocol::context::{Context, Stop};
use crate::shard::Shard;
use crate::time::Moment;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::CampaignState;
use std::time::Duration;

/// Shards that are planned side by side.
const SIDE_BY_SIDE: usize = 16;
/// Pages of a shard that are written in one go.
const PAGES: usize = 8;
/// How often it is looked whether all recipients have ended.
const COUNTED_EVERY: Duration = Duration::from_secs(2);

/// When a campaign has to be driven again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driven {
    /// After this long.
    Again(Duration),
    /// When somebody says something.
    Waits,
    /// Never: it has ended, or there is none.
    Ended,
}

/// Drives a campaign on. A process may die anywhere in it; the next one goes on.
pub async fn drive(
    context: &Context<'_>,
    id: CampaignId,
    members: &dyn Members,
    environment: &str,
) -> Result<Driven, Stop> {
    let Some(record) = get(context, id).await?.value else {
        return Ok(Driven::Ended);
    };
    if let Some(fence) = life::fence(&record, environment) {
        return told(context, id, fence, environment).await;
    }
    let state = life::state(&record);
    if state != CampaignState::Draft && state != CampaignState::Scheduled {
        copy_everywhere(context, id, &record).await?;
    }
    match state {
        CampaignState::Scheduled => {
            let wait = starts_in(&record, context.now());
            match wait.is_zero() {
                true => told(context, id, Command::Due, environment).await,
                false => Ok(Driven::Again(wait)),
            }
        }
        CampaignState::Planning => match plan(context, id, members).await? {
            true => told(context, id, Command::Planned, environment).await,
            false => Ok(Driven::Again(Duration::ZERO)),
        },
        CampaignState::Running if context.now() < Moment(record.held_until_ms) => Ok(Driven::Again(COUNTED_EVERY)),
        CampaignState::Running => ended(context, id, Command::Settled, environment).await,
        CampaignState::Cancelling => ended(context, id, Command::Drained, environment).await,
        state if has_ended(state) => Ok(Driven::Ended),
        _ => Ok(Driven::Waits),
    }
}

fn starts_in(record: &CampaignRecord, now: Moment) -> Duration {
    let at = record.campaign.as_ref().and_then(|campaign| campaign.start_at.as_ref());
    at.map_or(Duration::ZERO, |at| Moment::from_timestamp(at).since(now))
}

/// Somebody else may have decided otherwise meanwhile: then it is looked at anew.
async fn told(context: &Context<'_>, id: CampaignId, what: Command<'_>, environment: &str) -> Result<Driven, Stop> {
    command(context, id, what, environment, "").await?;
    Ok(Driven::Again(Duration::ZERO))
}

/// Writes recipients down; true when all are.
async fn plan(context: &Context<'_>, id: CampaignId, members: &dyn Members) -> Result<bool, Stop> {
    let shards = stream::iter(Shard::all()).map(async |shard| {
        for _ in 0..PAGES {
            match plan_page(context, id, shard, members).await? {
                Planned::More => {}
                Planned::All => return Ok::<bool, Stop>(true),
                Planned::Overtaken => return Ok(false),
            }
        }
        Ok(false)
    });
    let all: Vec<bool> = shards.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    Ok(all.into_iter().all(|planned| planned))
}

/// Ends a campaign of whose recipients all have ended.
async fn ended(context: &Context<'_>, id: CampaignId, how: Command<'_>, environment: &str) -> Result<Driven, Stop> {
    match open(context, id.handle()).await? {
        0 => told(context, id, how, environment).await,
        _ => Ok(Driven::Again(COUNTED_EVERY)),
    }
}
