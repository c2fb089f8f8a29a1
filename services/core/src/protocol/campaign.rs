//! Campaigns over the store: a campaign stands in its own shard, its recipients in theirs, and a copy of its state and epoch
//! in every shard is what claims expect there.
//!
//! Every commit that leaves a recipient waiting for something sets a timer of their bucket with it, so somebody looks again
//! whatever becomes of the process, of hints and of answers.

mod bucket;
mod control;
mod drive;
mod intents;
mod look;
mod members;
mod plan;
mod prepare;
mod preview;
mod script;
mod settle;
mod work;

pub use crate::campaign::ledger::Verdict;
pub use bucket::{Recipient, recipients};
use control::spread;
pub use control::{control, open, sums};
pub use drive::{Chooser, Driven, drive, wake};
pub use intents::{Comparison, Forgotten, mark, recheck};
pub use look::{Looked, look};
pub use members::{ByAudience, Chosen, choose};
pub use plan::{Members, Page, Planned, plan_page};
pub use prepare::{Letter, Prepared, Terms, give_back, prepare};
pub use preview::{Foreseen, Foresight, foresee};
pub use script::{Script, script};
pub use settle::{Settled, settle};
pub use work::{Answer, Batch, Submission, claim, heard, record, submit};

use super::context::{Context, Loaded, Stop};
use crate::campaign::life::{self, Command, Refused};
use crate::campaign::plan::Plan;
use crate::id::CampaignId;
use crate::keys;
use crate::port::store::StoreError;
use crate::time::Moment;
use omnigate_proto::state::v1::{CampaignRecord, ControlRecord};
use omnigate_proto::v1::{Campaign, PauseReason};

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
    let place = (id.shard(), keys::campaign::campaign(id));
    let mut refused = None;
    let decide = |record: Option<&CampaignRecord>, now| match life::decide(record?, command, environment, (now, cause))
    {
        Ok(next) => {
            refused = None;
            next
        }
        Err(error) => {
            refused = Some(error);
            None
        }
    };
    // Whatever becomes of this process, somebody goes on.
    let timer = |now| Some(drive::timer(id, now));
    let changed = context.change_beside(place, "campaign", decide, timer);
    let Some(record) = changed.await? else { return Ok(None) };
    if let Some(error) = refused {
        return Ok(Some(Err(error)));
    }
    copy_everywhere(context, id, &record).await?;
    Ok(Some(Ok(record)))
}

/// Pauses a campaign for a reason of its own, such as what its provider answers. It stays in the environment that it is of.
pub async fn pause(context: &Context<'_>, id: CampaignId, reason: PauseReason, problem: &str) -> Result<(), Stop> {
    let environment = get(context, id).await?.value.unwrap_or_default().environment;
    let pause = Command::Pause(reason, problem);
    command(context, id, pause, &environment, "").await.map(drop)
}

/// Copies a campaign's state into every shard, unless that is known to be done.
async fn copy_everywhere(context: &Context<'_>, id: CampaignId, record: &CampaignRecord) -> Result<(), Stop> {
    let Some(campaign) = record.campaign.as_ref() else {
        return Ok(());
    };
    let epoch = campaign.epoch;
    if record.copied_epoch >= epoch {
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
