//! What a campaign does by itself: starts in its time, has its recipients written down, and ends when they have.

use super::plan::{Members, Planned, is_planned, plan_page};
use super::{command, copy_everywhere, get, open};
use crate::campaign::life::{self, Command, has_ended};
use crate::id::CampaignId;
use crate::keys::{self, Timer};
use crate::port::store::{Expect, Write};
use crate::protocol::context::{Context, Stop};
use crate::protocol::resolve::expect_record;
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{Campaign, CampaignState};
use std::collections::BTreeSet;
use std::time::Duration;

/// Shards that are planned side by side.
const SIDE_BY_SIDE: usize = 16;
/// Pages of a shard that are written in one go: others wait for their turn meanwhile.
const PAGES: usize = 2;
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

/// Tells who the recipients of campaigns are.
#[async_trait::async_trait]
pub trait Chooser: Send + Sync {
    /// The recipients of a campaign, as they are now. The inner error says, for people, why nobody can tell.
    async fn choose(
        &self,
        context: &Context<'_>,
        campaign: &Campaign,
    ) -> Result<Result<Box<dyn Members>, String>, Stop>;
}

/// Drives a campaign whose timers fired, and sets the next one in their stead. Where nothing happens by itself none is set:
/// each command does.
pub async fn wake(
    context: &Context<'_>,
    id: CampaignId,
    fired: &BTreeSet<Moment>,
    chooser: &dyn Chooser,
    environment: &str,
) -> Result<Driven, Stop> {
    let stamp = get(context, id).await?.stamp;
    let driven = drive(context, id, chooser, environment).await?;
    let (mut expect, mut write) = (Vec::new(), Vec::new());
    for due in fired {
        let (key, member) = (keys::timers(), keys::timer_member(*due, Timer::Campaign(id)));
        expect.push(Expect::Member {
            key: key.clone(),
            member: member.clone(),
            present: true,
        });
        write.push(Write::Remove { key, member });
    }
    match driven {
        Driven::Again(after) => write.push(timer(id, next(context.now(), after))),
        // A command that came meanwhile may have set the very same one.
        Driven::Waits | Driven::Ended => expect.push(expect_record(keys::campaign::campaign(id), stamp)),
    }
    // Where that fails somebody else drove it, or it changed: what still stands fires again.
    context.commit(id.shard(), expect, write).await?;
    Ok(driven)
}

/// Lets a campaign be driven.
pub(super) fn timer(id: CampaignId, at: Moment) -> Write {
    Write::Insert {
        key: keys::timers(),
        member: keys::timer_member(at, Timer::Campaign(id)),
        value: Bytes::new(),
    }
}

/// When a campaign is driven again. Counting happens on multiples of its interval: several commands set a timer each, and
/// those become one there.
fn next(now: Moment, after: Duration) -> Moment {
    let beat = i64::try_from(COUNTED_EVERY.as_millis()).unwrap_or(1);
    match after == COUNTED_EVERY {
        true => Moment(now.0.div_euclid(beat).saturating_add(1).saturating_mul(beat)),
        false => (now + after).max(Moment(now.0.saturating_add(1))),
    }
}

/// Drives a campaign on. A process may die anywhere in it; the next one goes on.
pub async fn drive(
    context: &Context<'_>,
    id: CampaignId,
    chooser: &dyn Chooser,
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
        // Asked first: of a campaign that is looked at again the audience may be gone.
        CampaignState::Planning if is_planned(context, id).await? => {
            told(context, id, Command::Planned, environment).await
        }
        CampaignState::Planning => {
            let campaign = record.campaign.unwrap_or_default();
            match chooser.choose(context, &campaign).await? {
                Ok(members) => plan(context, id, &*members).await.map(Driven::Again),
                Err(problem) => told(context, id, Command::Fail(&problem), environment).await,
            }
        }
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

/// Writes recipients down; how long to wait before more are.
async fn plan(context: &Context<'_>, id: CampaignId, members: &dyn Members) -> Result<Duration, Stop> {
    let shards = stream::iter(Shard::all()).map(async |shard| {
        for _ in 0..PAGES {
            match plan_page(context, id, shard, members).await? {
                Planned::More => {}
                Planned::All | Planned::Overtaken => break,
                Planned::Waits => return Ok::<Duration, Stop>(COUNTED_EVERY),
            }
        }
        Ok(Duration::ZERO)
    });
    let waits: Vec<Duration> = shards.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    Ok(waits.into_iter().max().unwrap_or_default())
}

/// Ends a campaign of whose recipients all have ended.
async fn ended(context: &Context<'_>, id: CampaignId, how: Command<'_>, environment: &str) -> Result<Driven, Stop> {
    match open(context, id.handle()).await? {
        0 => told(context, id, how, environment).await,
        _ => Ok(Driven::Again(COUNTED_EVERY)),
    }
}
