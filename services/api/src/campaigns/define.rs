//! Campaigns made, changed and told what to do.

use super::{not_done, to_campaign};
use crate::Api;
use crate::customers::Asked;
use bytes::Bytes;
use omnigate_core::campaign::definition::{self, Change};
use omnigate_core::id::{CampaignId, hash};
use omnigate_core::protocol::campaign::{self as protocol, Known, Order};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    Campaign, CampaignStep, CreateCampaignRequest, ScheduleCampaignRequest, UpdateCampaignRequest,
};
use omnigate_rpc::error::Problem;
use prost::Message as _;
use std::collections::BTreeMap;

/// Id and etag of the campaign that a word is about.
type About<'a> = (&'a str, &'a str);

impl Api {
    pub(super) async fn create_campaign_of(
        &self,
        tenant_id: &str,
        mut request: CreateCampaignRequest,
    ) -> Result<Campaign, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let given = request.campaign.take();
        let given = given.ok_or_else(|| Problem::invalid("campaign", "must be set"))?;
        // What nobody may say makes no other body.
        let campaign = definition::defined(given);
        request.campaign = Some(campaign.clone());
        let asked = Asked::new(tenant_id, request_id, "create campaign", &request)?;
        let id = CampaignId::new(tenant_id, &asked.request_id);
        let known = self.known(BTreeMap::new());
        let at = self.decided(&asked).await?.map(|record| Moment(record.at_ms));
        let at = match at {
            Some(at) => at,
            None => {
                let checked = definition::check(&campaign);
                checked.map_err(|mistake| not_done(&mistake.into()))?;
                // What is put right may come under the same id.
                let fits = protocol::fits(&self.context(), tenant_id, &campaign, &known).await;
                fits.map_err(|refused| not_done(&refused))?;
                Moment(self.remember(&asked, asked.record(self)).await?.at_ms)
            }
        };
        let order = self.order(&asked, Bytes::new(), "");
        let request_hash = hash("definition of a campaign", &[&campaign.encode_to_vec()]);
        let made = protocol::create(&self.context(), id, (&order, at, request_hash), &campaign, &known).await;
        made.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    pub(super) async fn update_campaign_of(
        &self,
        tenant_id: &str,
        mut request: UpdateCampaignRequest,
    ) -> Result<Campaign, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "update campaign", &request)?;
        let (id, record) = self.campaign(tenant_id, &request.campaign_id).await?;
        let etag = std::mem::take(&mut request.etag);
        let change = to_change(request);
        if change.is_empty() {
            return Err(Problem::invalid("display_name", "nothing is to be changed"));
        }
        let before = record.campaign.unwrap_or_default();
        let wanted = change.on(&before);
        let known = self.known(self.receipts(&wanted.steps).await);
        let name = self.remember(&asked, asked.record(self)).await?.name;
        let order = self.order(&asked, name, &etag);
        let changed = protocol::update(&self.context(), id, &order, &change, &known).await;
        changed.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    pub(super) async fn schedule_campaign_of(
        &self,
        tenant_id: &str,
        mut request: ScheduleCampaignRequest,
    ) -> Result<Campaign, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "schedule campaign", &request)?;
        let (id, record) = self.campaign(tenant_id, &request.campaign_id).await?;
        let known = self.known(self.receipts(&record.campaign.unwrap_or_default().steps).await);
        let at = request.start_at.as_ref().map(Moment::from_timestamp);
        let name = self.remember(&asked, asked.record(self)).await?.name;
        let order = self.order(&asked, name, &request.etag);
        let scheduled = protocol::schedule(&self.context(), id, &order, at, &known).await;
        scheduled.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    pub(super) async fn started(&self, asked: &Asked<'_>, (id, etag): About<'_>) -> Result<Campaign, Problem> {
        let (id, record) = self.campaign(asked.tenant_id, id).await?;
        let known = self.known(self.receipts(&record.campaign.unwrap_or_default().steps).await);
        let name = self.remember(asked, asked.record(self)).await?.name;
        let order = self.order(asked, name, etag);
        let started = protocol::start(&self.context(), id, &order, &known).await;
        started.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    pub(super) async fn unscheduled(&self, asked: &Asked<'_>, about: About<'_>) -> Result<Campaign, Problem> {
        let (id, order) = self.told(asked, about).await?;
        let told = protocol::unschedule(&self.context(), id, &order).await;
        told.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    pub(super) async fn paused(&self, asked: &Asked<'_>, about: About<'_>) -> Result<Campaign, Problem> {
        let (id, order) = self.told(asked, about).await?;
        let told = protocol::pause(&self.context(), id, &order).await;
        told.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    pub(super) async fn resumed(&self, asked: &Asked<'_>, about: About<'_>) -> Result<Campaign, Problem> {
        let (id, order) = self.told(asked, about).await?;
        let told = protocol::resume(&self.context(), id, &order).await;
        told.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    pub(super) async fn cancelled(&self, asked: &Asked<'_>, about: About<'_>) -> Result<Campaign, Problem> {
        let (id, order) = self.told(asked, about).await?;
        let told = protocol::cancel(&self.context(), id, &order).await;
        told.map(to_campaign).map_err(|refused| not_done(&refused))
    }

    /// A command that was remembered.
    async fn told<'a>(
        &'a self,
        asked: &'a Asked<'_>,
        (id, etag): About<'a>,
    ) -> Result<(CampaignId, Order<'a>), Problem> {
        let (id, _) = self.campaign(asked.tenant_id, id).await?;
        let name = self.remember(asked, asked.record(self)).await?.name;
        Ok((id, self.order(asked, name, etag)))
    }

    pub(super) fn order<'a>(&'a self, asked: &'a Asked<'_>, name: Bytes, etag: &'a str) -> Order<'a> {
        Order {
            tenant_id: asked.tenant_id,
            name,
            etag,
            environment: &self.settings.environment,
            cause: &asked.trace_id,
        }
    }

    fn known(&self, receipts: BTreeMap<String, Vec<omnigate_proto::v1::ReceiptState>>) -> Known<'_> {
        Known {
            directory: &self.directory,
            receipts,
        }
    }

    /// Receipts of the steps' accounts, as far as their adapters answer.
    async fn receipts(&self, steps: &[CampaignStep]) -> BTreeMap<String, Vec<omnigate_proto::v1::ReceiptState>> {
        let mut found = BTreeMap::new();
        for step in steps {
            // Nobody else's account is asked.
            if found.contains_key(&step.account_id) || !self.directory.accounts.contains_key(&step.account_id) {
                continue;
            }
            if let Some(capabilities) = self.abilities.of(&step.account_id).await {
                found.insert(step.account_id.clone(), capabilities.receipts().collect());
            }
        }
        found
    }
}

fn to_change(request: UpdateCampaignRequest) -> Change {
    Change {
        display_name: request.display_name,
        audience_id: request.audience_id,
        excluded_audience_ids: request.excluded.map(|excluded| excluded.audience_ids),
        purpose: request.purpose,
        steps: request.steps.map(|steps| steps.steps),
        start_at: request.start_at.as_ref().map(Moment::from_timestamp),
        late_by_ms: request.late_by_ms,
        send_within_ms: request.send_within_ms,
        on_unknown: request.on_unknown,
        scope: request.scope,
        messages_per_second: request.messages_per_second,
        weight: request.weight,
    }
}
