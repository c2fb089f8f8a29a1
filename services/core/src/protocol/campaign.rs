//! Campaigns over the store: a campaign stands in its own shard, its recipients in theirs, and a copy of its state and epoch
//! in every shard is what claims expect there.
//!
//! Every commit that leaves a recipient waiting for something sets a timer of their bucket with it, so somebody looks again
//! whatever becomes of the process, of hints and of answers.

mod bucket;
mod change;
mod control;
mod define;
mod drive;
mod intents;
mod list;
mod look;
mod members;
mod plan;
mod prepare;
mod preview;
mod refer;
mod retry;
mod script;
mod settle;
mod work;

pub use crate::campaign::ledger::Verdict;
pub use bucket::{Recipient, recipients};
use change::change;
use control::spread;
pub use control::{control, open, sums};
pub use define::{Order, cancel, create, etag, pause, resume, schedule, start, unschedule, update};
pub use drive::{Chooser, Driven, drive, wake};
pub use intents::{Comparison, Forgotten, mark, recheck};
pub use list::{Filter, Listed, Walked, list, walk};
pub use look::{Looked, look};
pub use members::{ByAudience, Chosen, choose};
pub use plan::{Members, Page, Planned, plan_page};
pub use prepare::{Letter, Prepared, Terms, give_back, prepare};
pub use preview::{Foreseen, Foresight, foresee};
pub use refer::{Known, fits};
pub use retry::{Retried, retry};
pub use script::{Script, script};
pub use settle::{Settled, settle};
pub use work::{Answer, Batch, Submission, claim, heard, record, submit};

use super::context::{Context, Loaded, Stop};
use crate::campaign::definition::{Mistake, NotChanged};
use crate::campaign::life::{self, Command, Refused};
use crate::campaign::plan::Plan;
use crate::id::{AudienceId, CampaignId};
use crate::keys;
use crate::port::store::StoreError;
use crate::time::Moment;
use omnigate_proto::state::v1::{CampaignRecord, ControlRecord};
use omnigate_proto::v1::{Campaign, CampaignState, PauseReason};

/// Why a command on a campaign was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// There is no such campaign.
    #[error("there is no such campaign")]
    NoSuchCampaign,
    /// It stands otherwise than the etag says.
    #[error("the campaign has changed")]
    Changed,
    /// The request id made a campaign of another definition.
    #[error("request id was used with another body")]
    RequestIdReused,
    /// It stands where that cannot be done.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its definition would make no sense, or cannot be changed any more.
    #[error(transparent)]
    Definition(#[from] NotChanged),
    /// An audience that it names is not there.
    #[error("{0}: there is no audience {1}")]
    NoSuchAudience(&'static str, AudienceId),
    /// A template that a step names is not there, or has no such version.
    #[error("steps[{0}].template_id: there is no such template or version")]
    NoSuchTemplate(usize),
    /// A template that a step names is out of use.
    #[error("steps[{0}].template_id: the template is archived")]
    Archived(usize),
    /// The adapter of a step's account does not say what it can do.
    #[error("steps[{0}].account_id: the adapter of account {1:?} does not say whether it has receipts")]
    Silent(usize, String),
    /// A step's account never tells of what the step calls success.
    #[error("steps[{0}].success: account {1:?} has no receipts that tell of it")]
    NeverHeard(usize, String),
    /// Nothing may be sent any more.
    #[error("the time is over for which the campaign may send: send_within_ms can be made longer")]
    TimeOver,
    /// The store did not let it happen; trying again with the same request id goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

impl From<Mistake> for NotDone {
    fn from(mistake: Mistake) -> Self {
        Self::Definition(mistake.into())
    }
}

/// A campaign as it stands. `None` when there is none.
pub async fn get(context: &Context<'_>, id: CampaignId) -> Result<Loaded<CampaignRecord>, StoreError> {
    context
        .record(id.shard(), keys::campaign::campaign(id), "campaign")
        .await
}

/// Changes the state of a campaign, sets its timer in the same commit, and copies it into every shard; the campaign as it stands then. Called again it goes on:
/// what was changed without anybody knowing is copied all the same. `None` when there is no such campaign.
pub async fn command(
    context: &Context<'_>,
    id: CampaignId,
    command: Command<'_>,
    environment: &str,
    cause: &str,
) -> Result<Option<Result<CampaignRecord, Refused>>, Stop> {
    let decide = |record: &CampaignRecord, now| life::decide(record, command, environment, (now, cause));
    let Some(decided) = change(context, id, decide).await? else {
        return Ok(None);
    };
    if let Ok(record) = &decided {
        copy_everywhere(context, id, record).await?;
    }
    Ok(Some(decided))
}

/// Pauses a campaign for a reason of its own, such as what its provider answers. It stays in the environment that it is of.
pub async fn hold(context: &Context<'_>, id: CampaignId, reason: PauseReason, problem: &str) -> Result<(), Stop> {
    let environment = get(context, id).await?.value.unwrap_or_default().environment;
    let pause = Command::Pause(reason, problem);
    command(context, id, pause, &environment, "").await.map(drop)
}

/// Copies a campaign's state into every shard, unless that is known to be done, or the campaign has no recipients yet.
async fn copy_everywhere(context: &Context<'_>, id: CampaignId, record: &CampaignRecord) -> Result<(), Stop> {
    let Some(campaign) = record.campaign.as_ref() else {
        return Ok(());
    };
    let epoch = campaign.epoch;
    let is_planned_later = matches!(campaign.state(), CampaignState::Draft | CampaignState::Scheduled);
    if is_planned_later || record.copied_epoch >= epoch {
        return Ok(());
    }
    spread(context, id, campaign).await?;
    let place = (id.shard(), keys::campaign::campaign(id));
    let decide = |record: Option<&CampaignRecord>, _| {
        let record = record.filter(|record| record.copied_epoch < epoch)?;
        Some(CampaignRecord {
            copied_epoch: epoch,
            ..record.clone()
        })
    };
    context.change(place, "campaign", decide).await.map(drop)
}

/// What recipients are decided by.
async fn plan_of(context: &Context<'_>, control: &ControlRecord) -> Result<Option<(Campaign, Plan)>, StoreError> {
    let Some(id) = CampaignId::from_bytes(&control.campaign) else {
        return Ok(None);
    };
    let record = get(context, id).await?.value.unwrap_or_default();
    let send_until = Moment(record.send_until_ms);
    Ok(record.campaign.map(|campaign| {
        let plan = Plan::new(&campaign, send_until);
        (campaign, plan)
    }))
}
