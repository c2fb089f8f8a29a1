//! Changes of a campaign's record, each with the timer by which somebody goes on with it.

use super::drive::timer;
use crate::id::CampaignId;
use crate::keys;
use crate::protocol::context::{Context, Ended, MAX_TRIES, Stop};
use crate::protocol::resolve::{expect_record, put};
use crate::time::Moment;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{Campaign, CampaignState};

/// Decides about a campaign and writes what follows, if anything does; the campaign as it stands then. `None` when there is
/// none.
pub(super) async fn change<R>(
    context: &Context<'_>,
    id: CampaignId,
    mut decide: impl FnMut(&CampaignRecord, Moment) -> Result<Option<CampaignRecord>, R>,
) -> Result<Option<Result<CampaignRecord, R>>, Stop> {
    let key = keys::campaign::campaign(id);
    for _ in 0..MAX_TRIES {
        let loaded = super::get(context, id).await?;
        let Some(record) = loaded.value else { return Ok(None) };
        let now = context.now();
        let next = match decide(&record, now) {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(Some(Ok(record))),
            Err(refused) => return Ok(Some(Err(refused))),
        };
        let mut write = vec![put(key.clone(), &next)];
        write.extend(due(&record, &next, now).map(|at| timer(id, at)));
        let expect = vec![expect_record(key.clone(), loaded.stamp)];
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            return Ok(Some(Ok(next)));
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// When somebody has to go on with a campaign because of a change: at its time when it is scheduled, else at once: whoever
/// changed it may die before every shard knows. `None` where nothing follows.
fn due(before: &CampaignRecord, next: &CampaignRecord, now: Moment) -> Option<Moment> {
    let (before, next) = (before.campaign.as_ref()?, next.campaign.as_ref()?);
    let is_new = |of: fn(&Campaign) -> Option<Moment>| of(before) != of(next);
    match next.state() {
        CampaignState::Draft => None,
        CampaignState::Scheduled => start_at(next).filter(|_| before.epoch != next.epoch || is_new(start_at)),
        _ => (before.epoch != next.epoch).then_some(now),
    }
}

fn start_at(campaign: &Campaign) -> Option<Moment> {
    campaign.start_at.as_ref().map(Moment::from_timestamp)
}
