//! CampaignService: one message to many.

mod define;
mod progress;
mod recipients;

use crate::customers::Asked;
use crate::{Api, problems};
use futures_util::stream::BoxStream;
use omnigate_core::campaign::definition::NotChanged;
use omnigate_core::campaign::life::Refused;
use omnigate_core::id::CampaignId;
use omnigate_core::protocol::campaign::{self as protocol, NotDone};
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{
    Campaign, CampaignState, CancelCampaignRequest, CancelCampaignResponse, CreateCampaignRequest,
    CreateCampaignResponse, GetCampaignProgressRequest, GetCampaignProgressResponse, GetCampaignRequest,
    GetCampaignResponse, ListCampaignsRequest, ListCampaignsResponse, ListRecipientsRequest, ListRecipientsResponse,
    PauseCampaignRequest, PauseCampaignResponse, ResumeCampaignRequest, ResumeCampaignResponse, RetryRecipientsRequest,
    RetryRecipientsResponse, ScheduleCampaignRequest, ScheduleCampaignResponse, StartCampaignRequest,
    StartCampaignResponse, UnscheduleCampaignRequest, UnscheduleCampaignResponse, UpdateCampaignRequest,
    UpdateCampaignResponse, WatchCampaignRequest, WatchCampaignResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::campaign_service_server::CampaignService;
use tonic::{Request, Response, Status};

/// A method that gives a campaign a word, and answers with the campaign as it stands then.
macro_rules! word {
    ($api:ident, $request:ident, $method:ident, $name:literal, $response:ident) => {{
        let tenant_id = problems::tenant(&$request)?;
        let mut request = $request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(&tenant_id, request_id, $name, &request)?;
        let about = (request.campaign_id.as_str(), request.etag.as_str());
        let campaign = $api.$method(&asked, about).await?;
        Ok(Response::new($response {
            campaign: Some(campaign),
        }))
    }};
}

#[tonic::async_trait]
impl CampaignService for Api {
    type WatchCampaignStream = BoxStream<'static, Result<WatchCampaignResponse, Status>>;

    async fn create_campaign(
        &self,
        request: Request<CreateCampaignRequest>,
    ) -> Result<Response<CreateCampaignResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let campaign = self.create_campaign_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(CreateCampaignResponse {
            campaign: Some(campaign),
        }))
    }

    async fn get_campaign(
        &self,
        request: Request<GetCampaignRequest>,
    ) -> Result<Response<GetCampaignResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let (_, record) = self.campaign(&tenant_id, &request.into_inner().campaign_id).await?;
        Ok(Response::new(GetCampaignResponse {
            campaign: Some(to_campaign(record)),
        }))
    }

    async fn list_campaigns(
        &self,
        request: Request<ListCampaignsRequest>,
    ) -> Result<Response<ListCampaignsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let states: Vec<CampaignState> = request.states().collect();
        if states.len() < request.states.len() || states.contains(&CampaignState::Unspecified) {
            return Err(Problem::invalid("states", "names no state of a campaign").into());
        }
        let filter = request.states.iter().flat_map(|state| state.to_be_bytes());
        let filter: Vec<u8> = filter.collect();
        let query: [&[u8]; 3] = [b"campaigns", tenant_id.as_bytes(), &filter];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let listed = protocol::list(&self.context(), &tenant_id, after.map(Into::into), size, &states).await;
        let listed = listed.map_err(|error| problems::store(&error))?;
        let next = listed.next.map(|member| self.tokens.token(&query, &member));
        Ok(Response::new(ListCampaignsResponse {
            campaigns: listed.campaigns.into_iter().map(to_campaign).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn update_campaign(
        &self,
        request: Request<UpdateCampaignRequest>,
    ) -> Result<Response<UpdateCampaignResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let campaign = self.update_campaign_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(UpdateCampaignResponse {
            campaign: Some(campaign),
        }))
    }

    async fn schedule_campaign(
        &self,
        request: Request<ScheduleCampaignRequest>,
    ) -> Result<Response<ScheduleCampaignResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let campaign = self.schedule_campaign_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(ScheduleCampaignResponse {
            campaign: Some(campaign),
        }))
    }

    async fn unschedule_campaign(
        &self,
        request: Request<UnscheduleCampaignRequest>,
    ) -> Result<Response<UnscheduleCampaignResponse>, Status> {
        word!(
            self,
            request,
            unscheduled,
            "unschedule campaign",
            UnscheduleCampaignResponse
        )
    }

    async fn start_campaign(
        &self,
        request: Request<StartCampaignRequest>,
    ) -> Result<Response<StartCampaignResponse>, Status> {
        word!(self, request, started, "start campaign", StartCampaignResponse)
    }

    async fn pause_campaign(
        &self,
        request: Request<PauseCampaignRequest>,
    ) -> Result<Response<PauseCampaignResponse>, Status> {
        word!(self, request, paused, "pause campaign", PauseCampaignResponse)
    }

    async fn resume_campaign(
        &self,
        request: Request<ResumeCampaignRequest>,
    ) -> Result<Response<ResumeCampaignResponse>, Status> {
        word!(self, request, resumed, "resume campaign", ResumeCampaignResponse)
    }

    async fn cancel_campaign(
        &self,
        request: Request<CancelCampaignRequest>,
    ) -> Result<Response<CancelCampaignResponse>, Status> {
        word!(self, request, cancelled, "cancel campaign", CancelCampaignResponse)
    }

    async fn get_campaign_progress(
        &self,
        request: Request<GetCampaignProgressRequest>,
    ) -> Result<Response<GetCampaignProgressResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let progress = self.progress_of(&tenant_id, &request.into_inner().campaign_id).await?;
        Ok(Response::new(GetCampaignProgressResponse {
            progress: Some(progress),
        }))
    }

    async fn watch_campaign(
        &self,
        request: Request<WatchCampaignRequest>,
    ) -> Result<Response<Self::WatchCampaignStream>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let watched = self.watched(&tenant_id, &request.into_inner().campaign_id).await?;
        Ok(Response::new(watched))
    }

    async fn list_recipients(
        &self,
        request: Request<ListRecipientsRequest>,
    ) -> Result<Response<ListRecipientsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(
            self.recipients_of(&tenant_id, &request.into_inner()).await?,
        ))
    }

    async fn retry_recipients(
        &self,
        request: Request<RetryRecipientsRequest>,
    ) -> Result<Response<RetryRecipientsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.retried(&tenant_id, request.into_inner()).await?))
    }
}

impl Api {
    /// A campaign of the tenant.
    async fn campaign(&self, tenant_id: &str, id: &str) -> Result<(CampaignId, CampaignRecord), Problem> {
        let id: CampaignId = problems::id("campaign_id", id)?;
        let found = protocol::get(&self.context(), id).await;
        let found = found.map_err(|error| problems::store(&error))?.value;
        let is_own = |campaign: &Campaign| campaign.tenant_id == tenant_id;
        let own = found.filter(|record| record.campaign.as_ref().is_some_and(is_own));
        let record = own.ok_or_else(|| not_done(&NotDone::NoSuchCampaign))?;
        Ok((id, record))
    }
}

/// A campaign as readers see it.
fn to_campaign(record: CampaignRecord) -> Campaign {
    let campaign = record.campaign.unwrap_or_default();
    Campaign {
        etag: protocol::etag(&campaign),
        ..campaign
    }
}

/// A command on a campaign was not carried out.
fn not_done(refused: &NotDone) -> Problem {
    let text = refused.to_string();
    let of_step =
        |reason, step: usize| Problem::failed_precondition(reason, text.clone()).with("step", step.to_string());
    match refused {
        NotDone::NoSuchCampaign => Problem::not_found("CAMPAIGN_NOT_FOUND", text),
        NotDone::Changed => Problem::aborted("ETAG_MISMATCH", text),
        NotDone::RequestIdReused => Problem::already_exists("REQUEST_ID_REUSED", text),
        NotDone::Refused(Refused::NoTime) => Problem::failed_precondition("NO_START_TIME", text),
        NotDone::Refused(Refused::Impossible { state, .. }) => {
            Problem::failed_precondition("CAMPAIGN_STATE", text).with("state", state.as_str_name())
        }
        NotDone::Definition(NotChanged::Mistake(mistake)) => Problem::invalid(&mistake.field, mistake.problem.clone()),
        NotDone::Definition(NotChanged::Fixed(field)) => {
            Problem::failed_precondition("CAMPAIGN_FIXED", text).with("field", *field)
        }
        NotDone::Definition(NotChanged::Ended(state)) => {
            Problem::failed_precondition("CAMPAIGN_STATE", text).with("state", state.as_str_name())
        }
        NotDone::NoSuchAudience(field, id) => Problem::not_found("AUDIENCE_NOT_FOUND", text)
            .with("field", *field)
            .with("audience_id", id.to_string()),
        NotDone::NoSuchTemplate(step) => Problem::not_found("TEMPLATE_NOT_FOUND", text).with("step", step.to_string()),
        NotDone::Archived(step) => of_step("TEMPLATE_ARCHIVED", *step),
        NotDone::NeverHeard(step, _) => of_step("SUCCESS_NEVER_HEARD", *step),
        NotDone::Silent(step, _) => Problem::unavailable("ACCOUNT_SILENT", text).with("step", step.to_string()),
        NotDone::TimeOver => Problem::failed_precondition("CAMPAIGN_TIME_OVER", text),
        NotDone::Stop(reason) => problems::stop(reason),
    }
}
