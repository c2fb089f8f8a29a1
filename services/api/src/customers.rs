//! CustomerService: customers and their identifiers.

mod beside;
mod details;
mod identity;
mod privacy;
mod reassigned;

pub(crate) use identity::{Asked, canonical_of};

use crate::{Api, as_limit, problems};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use omnigate_core::id::CustomerId;
use omnigate_core::protocol::identity::conflicts;
use omnigate_core::window::{self, Opening};
use omnigate_core::{filter::Filter, keys, protocol::read};
use omnigate_proto::v1::split_customer_request::What;
use omnigate_proto::v1::{
    Customer, EraseCustomerRequest, EraseCustomerResponse, ExportCustomerRequest, ExportCustomerResponse,
    GetCustomerOverviewRequest, GetCustomerOverviewResponse, GetCustomerRequest, GetCustomerResponse,
    LinkIdentifierRequest, LinkIdentifierResponse, ListConflictsRequest, ListConflictsResponse, ListCustomersRequest,
    ListCustomersResponse, ListIdentityEventsRequest, ListIdentityEventsResponse, MergeCustomersRequest,
    MergeCustomersResponse, ResolveConflictRequest, ResolveConflictResponse, ResolveCustomerRequest,
    ResolveCustomerResponse, SplitCustomerRequest, SplitCustomerResponse, UnlinkIdentifierRequest,
    UnlinkIdentifierResponse, UnlinkedIdentifiers, UpdateCustomerRequest, UpdateCustomerResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::customer_service_server::CustomerService;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl CustomerService for Api {
    type ExportCustomerStream = BoxStream<'static, Result<ExportCustomerResponse, Status>>;

    async fn export_customer(
        &self,
        request: Request<ExportCustomerRequest>,
    ) -> Result<Response<Self::ExportCustomerStream>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let whole = self
            .whole_customer(&tenant_id, &request.into_inner().customer_id)
            .await?;
        Ok(Response::new(self.clone().export(whole).boxed()))
    }

    async fn erase_customer(
        &self,
        request: Request<EraseCustomerRequest>,
    ) -> Result<Response<EraseCustomerResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let erasure = self.erase(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(EraseCustomerResponse { erasure: Some(erasure) }))
    }

    async fn resolve_customer(
        &self,
        request: Request<ResolveCustomerRequest>,
    ) -> Result<Response<ResolveCustomerResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner().identifier.unwrap_or_default();
        let whole = self.owner(&tenant_id, &asked).await?;
        Ok(Response::new(ResolveCustomerResponse {
            customer: Some(self.shown(whole.to_customer()).await),
        }))
    }

    async fn get_customer(
        &self,
        request: Request<GetCustomerRequest>,
    ) -> Result<Response<GetCustomerResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let whole = self
            .whole_customer(&tenant_id, &request.into_inner().customer_id)
            .await?;
        Ok(Response::new(GetCustomerResponse {
            customer: Some(self.shown(whole.to_customer()).await),
        }))
    }

    async fn list_customers(
        &self,
        request: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let filter = match request.filter.as_str() {
            "" => None,
            text => Some(self.filter_of("filter", text)?),
        };
        let now = self.ports.clock.now();
        let mut query = vec![&b"customers"[..], tenant_id.as_bytes()];
        query.extend((!request.filter.is_empty()).then_some(request.filter.as_bytes()));
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| CustomerId::from_bytes(&cursor));
        let keeps = |customer: &Customer| filter.as_ref().is_none_or(|filter| filter.holds(customer, now));
        let found = read::customers(&self.context(), &tenant_id, after, as_limit(size), keeps).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let next = found.next.map(|id| self.tokens.token(&query, &id.0));
        let mut customers = Vec::with_capacity(found.customers.len());
        for (_, customer) in found.customers {
            customers.push(self.shown(customer).await);
        }
        Ok(Response::new(ListCustomersResponse {
            customers,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_customer_overview(
        &self,
        request: Request<GetCustomerOverviewRequest>,
    ) -> Result<Response<GetCustomerOverviewResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.overview(&tenant_id, request.into_inner()).await?))
    }

    async fn update_customer(
        &self,
        request: Request<UpdateCustomerRequest>,
    ) -> Result<Response<UpdateCustomerResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let whole = self.update(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(UpdateCustomerResponse {
            customer: Some(self.shown(whole.to_customer()).await),
        }))
    }

    async fn merge_customers(
        &self,
        request: Request<MergeCustomersRequest>,
    ) -> Result<Response<MergeCustomersResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.merge(&tenant_id, request.into_inner()).await?))
    }

    async fn split_customer(
        &self,
        request: Request<SplitCustomerRequest>,
    ) -> Result<Response<SplitCustomerResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        Ok(Response::new(self.split(&tenant_id, request.into_inner()).await?))
    }

    async fn link_identifier(
        &self,
        request: Request<LinkIdentifierRequest>,
    ) -> Result<Response<LinkIdentifierResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let whole = self.link(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(LinkIdentifierResponse {
            customer: Some(self.shown(whole.to_customer()).await),
        }))
    }

    async fn unlink_identifier(
        &self,
        request: Request<UnlinkIdentifierRequest>,
    ) -> Result<Response<UnlinkIdentifierResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner();
        let unlink = UnlinkedIdentifiers {
            identifiers: asked.identifier.into_iter().collect(),
        };
        let split = SplitCustomerRequest {
            customer_id: asked.customer_id,
            request_id: asked.request_id,
            what: Some(What::Unlink(unlink)),
        };
        let split = self.split(&tenant_id, split).await?;
        Ok(Response::new(UnlinkIdentifierResponse {
            customer: split.customer,
            unlinked_customer: split.split_customer,
        }))
    }

    async fn list_conflicts(
        &self,
        request: Request<ListConflictsRequest>,
    ) -> Result<Response<ListConflictsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let query: [&[u8]; 2] = [b"conflicts", tenant_id.as_bytes()];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| keys::read_conflict_member(&cursor));
        let found = conflicts(&self.context(), &tenant_id, after, as_limit(size)).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let last = found.last().filter(|_| found.len() >= size);
        let next = last.map(|(one, other, _)| self.tokens.token(&query, &keys::conflict_member(*one, *other)));
        Ok(Response::new(ListConflictsResponse {
            next_page_token: next.unwrap_or_default(),
            conflicts: found.into_iter().map(identity::to_conflict).collect(),
        }))
    }

    async fn resolve_conflict(
        &self,
        request: Request<ResolveConflictRequest>,
    ) -> Result<Response<ResolveConflictResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let whole = self.resolve_conflict_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(ResolveConflictResponse {
            customer: Some(self.shown(whole.to_customer()).await),
        }))
    }

    async fn list_identity_events(
        &self,
        request: Request<ListIdentityEventsRequest>,
    ) -> Result<Response<ListIdentityEventsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let whole = self
            .whole_customer(&tenant_id, &request.into_inner().customer_id)
            .await?;
        Ok(Response::new(self.identity_events(&whole).await?))
    }
}

impl Api {
    /// A customer with the reply windows of their threads as they stand now.
    async fn shown(&self, mut customer: Customer) -> Customer {
        let now = self.ports.clock.now();
        for thread in &mut customer.threads {
            let opened = Opening::read(thread.reply_window.take().as_ref());
            let capabilities = self.abilities.of(&thread.account_id).await;
            let rule = capabilities.and_then(|capabilities| capabilities.reply_window);
            let peer_type = thread.peer.as_ref().map_or("", |peer| peer.r#type.as_str());
            thread.reply_window = rule.and_then(|rule| window::of(&rule, peer_type, opened, now));
        }
        customer
    }

    /// A filter over customers, or where it is wrong.
    pub(crate) fn filter_of(&self, field: &'static str, text: &str) -> Result<Filter, Problem> {
        Filter::new(text, &self.settings.schema).map_err(|wrong| Problem::invalid(field, wrong.to_string()))
    }

    /// The present customer behind an id of the tenant.
    pub(crate) async fn whole_customer(&self, tenant_id: &str, id: &str) -> Result<read::Whole, Problem> {
        let id: CustomerId = problems::id("customer_id", id)?;
        let found = read::customer(&self.context(), tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        found.ok_or_else(|| Problem::not_found("CUSTOMER_NOT_FOUND", "there is no such customer"))
    }
}
