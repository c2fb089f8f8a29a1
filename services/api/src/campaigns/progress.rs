//! How far a campaign is, once or again and again.

use super::to_campaign;
use crate::{Api, problems};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use omnigate_core::campaign::life::{has_ended, state};
use omnigate_core::campaign::progress::{Rate, progress};
use omnigate_core::campaign::tally::Sums;
use omnigate_core::id::CampaignId;
use omnigate_core::protocol::campaign::{self as protocol};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{CampaignProgress, CampaignState, WatchCampaignResponse};
use omnigate_rpc::error::Problem;
use std::time::Duration;
use tonic::Status;

/// How often somebody who watches is told at most.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked while nothing changes: counting asks every shard.
const EVERY_WHILE_STILL: Duration = Duration::from_secs(2);

/// What somebody who watches was told last.
struct Watching {
    api: Api,
    tenant_id: String,
    campaign_id: String,
    rate: Rate,
    told: Option<CampaignProgress>,
    has_ended: bool,
}

impl Api {
    pub(super) async fn progress_of(&self, tenant_id: &str, id: &str) -> Result<CampaignProgress, Problem> {
        self.seen(tenant_id, id, &mut Rate::default())
            .await
            .map(|(progress, _)| progress)
    }

    /// How far it is, and whether it has ended.
    async fn seen(&self, tenant_id: &str, id: &str, rate: &mut Rate) -> Result<(CampaignProgress, bool), Problem> {
        let (id, record) = self.campaign(tenant_id, id).await?;
        let sums = self.sums(id, &record).await?;
        let now = self.ports.clock.now();
        let campaign = record.campaign.as_ref();
        let since = campaign.and_then(|campaign| campaign.started_at.as_ref());
        let sends = state(&record) == CampaignState::Running;
        let seen = rate.look(sums.taken(), now, since.map(Moment::from_timestamp).filter(|_| sends));
        let ended = has_ended(state(&record));
        let channel = |account: &str| {
            let account = self.directory.accounts.get(account);
            account.map(|account| account.channel.clone()).unwrap_or_default()
        };
        let shown = to_campaign(record.clone());
        Ok((progress(&record, shown, &sums, (seen, now), channel), ended))
    }

    async fn sums(&self, id: CampaignId, record: &CampaignRecord) -> Result<Sums, Problem> {
        let campaign = record.campaign.as_ref();
        let Some(campaign) = campaign.filter(|campaign| campaign.started_at.is_some()) else {
            return Ok(Sums::default());
        };
        let sums = protocol::sums(&self.context(), id.handle(), campaign.steps.len()).await;
        sums.map_err(|error| problems::store(&error))
    }

    /// How far it is, whenever that changes, until it has ended.
    pub(super) async fn watched(
        &self,
        tenant_id: &str,
        id: &str,
    ) -> Result<BoxStream<'static, Result<WatchCampaignResponse, Status>>, Problem> {
        // Who asks for what is not there is told so at once.
        self.campaign(tenant_id, id).await?;
        let watching = Watching {
            api: self.clone(),
            tenant_id: tenant_id.to_owned(),
            campaign_id: id.to_owned(),
            rate: Rate::default(),
            told: None,
            has_ended: false,
        };
        let reports = stream::unfold(Some(watching), |watching| async move {
            let mut watching = watching.filter(|watching| !watching.has_ended)?;
            let stop = watching.api.stop.clone();
            let report = tokio::select! {
                biased;
                () = stop.requested() => Err(stopping()),
                report = watching.next() => report,
            };
            match report {
                Ok(progress) => {
                    let response = WatchCampaignResponse {
                        progress: Some(progress),
                    };
                    Some((Ok(response), Some(watching)))
                }
                Err(problem) => Some((Err(problem.into()), None)),
            }
        });
        Ok(reports.boxed())
    }
}

fn stopping() -> Problem {
    Problem::unavailable("STOPPING", "the gateway is stopping; watch again")
}

impl Watching {
    /// The next thing to tell.
    async fn next(&mut self) -> Result<CampaignProgress, Problem> {
        let mut pause = if self.told.is_some() { EVERY } else { Duration::ZERO };
        loop {
            tokio::time::sleep(pause).await;
            let (progress, has_ended) = self
                .api
                .seen(&self.tenant_id, &self.campaign_id, &mut self.rate)
                .await?;
            if self.told.as_ref().is_none_or(|told| is_news(told, &progress)) {
                self.has_ended = has_ended;
                self.told = Some(progress.clone());
                return Ok(progress);
            }
            pause = EVERY_WHILE_STILL;
        }
    }
}

/// A rate that fades away and a forecast that moves with the clock are no news by themselves.
fn is_news(told: &CampaignProgress, now: &CampaignProgress) -> bool {
    let still = |progress: &CampaignProgress| CampaignProgress {
        accepted_per_second: 0.0,
        ends_earliest: None,
        ends_latest: None,
        ..progress.clone()
    };
    still(told) != still(now)
}
