//! AudienceService: whom campaigns are for.

mod define;
mod import;
mod members;

pub(crate) use members::to_member;

use crate::{Api, as_limit, problems};
use omnigate_core::audience;
use omnigate_core::id::AudienceId;
use omnigate_core::port::store::StoreError;
use omnigate_core::protocol::audience::{
    self as protocol, Audience as Stored, NotDone, problems as problems_of, standing,
};
use omnigate_core::time::Moment;
use omnigate_proto::v1::audience::Kind;
use omnigate_proto::v1::{
    Audience, AudienceList, AudienceSegment, CreateAudienceRequest, CreateAudienceResponse, DeleteAudienceRequest,
    DeleteAudienceResponse, GetAudienceRequest, GetAudienceResponse, GetImportRequest, GetImportResponse,
    ImportAudienceRequest, ImportAudienceResponse, ListAudiencesRequest, ListAudiencesResponse, ListMembersRequest,
    ListMembersResponse, PreviewAudienceRequest, PreviewAudienceResponse, RowProblem, UpdateAudienceRequest,
    UpdateAudienceResponse,
};
use omnigate_rpc::deadline::Deadline;
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::audience_service_server::AudienceService;
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl AudienceService for Api {
    async fn create_audience(
        &self,
        request: Request<CreateAudienceRequest>,
    ) -> Result<Response<CreateAudienceResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let audience = self.create_audience_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(CreateAudienceResponse {
            audience: Some(audience),
        }))
    }

    async fn get_audience(
        &self,
        request: Request<GetAudienceRequest>,
    ) -> Result<Response<GetAudienceResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let stored = self.audience(&tenant_id, &request.into_inner().audience_id).await?;
        Ok(Response::new(GetAudienceResponse {
            audience: Some(self.counted(&stored).await?),
        }))
    }

    async fn list_audiences(
        &self,
        request: Request<ListAudiencesRequest>,
    ) -> Result<Response<ListAudiencesResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let query: [&[u8]; 2] = [b"audiences", tenant_id.as_bytes()];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| AudienceId::from_bytes(&cursor));
        let listed = protocol::list(&self.context(), &tenant_id, after, as_limit(size)).await;
        let (found, next) = listed.map_err(|error| problems::store(&error))?;
        let next = next.map(|id| self.tokens.token(&query, &id.0));
        Ok(Response::new(ListAudiencesResponse {
            audiences: found.iter().map(|stored| to_audience(stored, 0)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn update_audience(
        &self,
        request: Request<UpdateAudienceRequest>,
    ) -> Result<Response<UpdateAudienceResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let audience = self.update_audience_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(UpdateAudienceResponse {
            audience: Some(audience),
        }))
    }

    async fn delete_audience(
        &self,
        request: Request<DeleteAudienceRequest>,
    ) -> Result<Response<DeleteAudienceResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        self.delete_audience_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(DeleteAudienceResponse {}))
    }

    async fn import_audience(
        &self,
        request: Request<Streaming<ImportAudienceRequest>>,
    ) -> Result<Response<ImportAudienceResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let limit = Deadline::of(&request);
        Ok(Response::new(
            self.import(&tenant_id, limit, request.into_inner()).await?,
        ))
    }

    async fn get_import(&self, request: Request<GetImportRequest>) -> Result<Response<GetImportResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.import_of(&tenant_id, &request.into_inner()).await?))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.members(&tenant_id, &request.into_inner()).await?))
    }

    async fn preview_audience(
        &self,
        request: Request<PreviewAudienceRequest>,
    ) -> Result<Response<PreviewAudienceResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.sampled(&tenant_id, &request.into_inner()).await?))
    }
}

/// When to come back after a refusal for want of room: audiences go when somebody deletes them.
const LATER: Duration = Duration::from_secs(60);

impl Api {
    /// An audience of the tenant.
    async fn audience(&self, tenant_id: &str, id: &str) -> Result<Stored, Problem> {
        let id: AudienceId = problems::id("audience_id", id)?;
        let found = protocol::get(&self.context(), tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        found.ok_or_else(|| not_done(&NotDone::NoSuchAudience))
    }

    /// An audience with the number of its rows.
    async fn counted(&self, stored: &Stored) -> Result<Audience, Problem> {
        let rows = match audience::is_segment(&stored.record) {
            true => 0,
            false => {
                let size = protocol::size(&self.context(), stored.id).await;
                size.map_err(|error| problems::store(&error))?
            }
        };
        Ok(to_audience(stored, rows))
    }

    async fn import_of(&self, tenant_id: &str, request: &GetImportRequest) -> Result<GetImportResponse, Problem> {
        let size = page::size(request.page_size)?;
        let audience = self.audience(tenant_id, &request.audience_id).await?;
        let id = &request.import_id;
        let query: [&[u8]; 4] = [b"import", tenant_id.as_bytes(), &audience.id.0, id.as_bytes()];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| omnigate_core::keys::read_problem_member(&cursor));
        let (context, unreachable) = (self.context(), |error: StoreError| problems::store(&error));
        let standing = standing(&context, audience.id, id).await.map_err(unreachable)?;
        let standing = standing.ok_or_else(|| Problem::not_found("IMPORT_NOT_FOUND", "there is no such import"))?;
        let found = problems_of(&context, audience.id, id, (after, as_limit(size))).await;
        let found = found.map_err(unreachable)?;
        let last = found.last().filter(|_| found.len() >= size);
        let next = last.map(|(row, _)| self.tokens.token(&query, &omnigate_core::keys::problem_member(*row)));
        Ok(GetImportResponse {
            import: Some(import::to_import(&standing.record)),
            problems: found
                .into_iter()
                .map(|(row, problem)| RowProblem {
                    row,
                    field: problem.field,
                    reason: problem.reason,
                    problem: problem.problem,
                })
                .collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }
}

/// An audience as readers see it.
fn to_audience(stored: &Stored, member_count: u64) -> Audience {
    let record = &stored.record;
    let kind = match audience::is_segment(record) {
        true => Kind::Segment(AudienceSegment {
            filter: record.filter.clone(),
        }),
        false => Kind::List(AudienceList {}),
    };
    Audience {
        audience_id: stored.id.to_string(),
        display_name: record.display_name.clone(),
        kind: Some(kind),
        excluded_audience_ids: audience::excluded(record).map(|id| id.to_string()).collect(),
        created_at: Some(Moment(record.created_at_ms).to_timestamp()),
        updated_at: Some(Moment(record.updated_at_ms).to_timestamp()),
        etag: stored.etag(),
        member_count,
    }
}

/// A command on an audience was not carried out.
fn not_done(refused: &NotDone) -> Problem {
    let text = refused.to_string();
    match refused {
        NotDone::NoSuchAudience | NotDone::NoSuchExclusion(_) => Problem::not_found("AUDIENCE_NOT_FOUND", text),
        NotDone::Changed => Problem::aborted("ETAG_MISMATCH", text),
        NotDone::InUse(id) => Problem::failed_precondition("AUDIENCE_IN_USE", text).with("audience_id", id.to_string()),
        NotDone::NotAList => Problem::failed_precondition("NOT_A_LIST", text),
        NotDone::TooMany => Problem::exhausted("TOO_MANY_AUDIENCES", text, LATER),
        NotDone::Filter(id, _) => {
            Problem::failed_precondition("FILTER_INVALID", text).with("audience_id", id.to_string())
        }
        NotDone::ImportReused => Problem::already_exists("IMPORT_ID_REUSED", text),
        NotDone::TakenOver => Problem::aborted("IMPORT_TAKEN_OVER", text),
        NotDone::OutOfOrder(..) => Problem::invalid("rows.row", text),
        NotDone::Stop(reason) => problems::stop(reason),
    }
}
