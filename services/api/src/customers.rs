//! CustomerService: customers and their identifiers.

use crate::{Api, as_limit, problems};
use omnigate_core::id::CustomerId;
use omnigate_core::time::Moment;
use omnigate_core::{identifier, protocol::read, window};
use omnigate_proto::v1::{
    Customer, GetCustomerRequest, GetCustomerResponse, ListCustomersRequest, ListCustomersResponse,
    ResolveCustomerRequest, ResolveCustomerResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::customer_service_server::CustomerService;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl CustomerService for Api {
    async fn resolve_customer(
        &self,
        request: Request<ResolveCustomerRequest>,
    ) -> Result<Response<ResolveCustomerResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner().identifier.unwrap_or_default();
        let canonical =
            identifier::canonical(&asked).map_err(|error| Problem::invalid("identifier", error.to_string()))?;
        let found = read::resolve(&self.context(), &tenant_id, &canonical).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let whole = found.ok_or_else(|| Problem::not_found("CUSTOMER_NOT_FOUND", "nobody has this identifier"))?;
        Ok(Response::new(ResolveCustomerResponse {
            customer: Some(self.shown(&whole).await),
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
            customer: Some(self.shown(&whole).await),
        }))
    }

    async fn list_customers(
        &self,
        request: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let query: [&[u8]; 2] = [b"customers", tenant_id.as_bytes()];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| CustomerId::from_bytes(&cursor));
        let found = read::customers(&self.context(), &tenant_id, after, as_limit(size)).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let last = found.last().filter(|_| found.len() >= size);
        let next = last.map(|whole| self.tokens.token(&query, &whole.id.0));
        let mut customers = Vec::with_capacity(found.len());
        for whole in &found {
            customers.push(self.shown(whole).await);
        }
        Ok(Response::new(ListCustomersResponse {
            customers,
            next_page_token: next.unwrap_or_default(),
        }))
    }
}

impl Api {
    /// A customer with the reply windows of their threads as they stand now.
    async fn shown(&self, whole: &read::Whole) -> Customer {
        let mut customer = whole.to_customer();
        let now = self.ports.clock.now();
        for thread in &mut customer.threads {
            let opened = thread.reply_window.take().and_then(|window| window.opened_at);
            let opened = opened.as_ref().map(Moment::from_timestamp);
            let capabilities = self.abilities.of(&thread.account_id).await;
            let rule = capabilities.and_then(|capabilities| capabilities.reply_window);
            let peer_type = thread.peer.as_ref().map_or("", |peer| peer.r#type.as_str());
            thread.reply_window = rule.and_then(|rule| window::of(&rule, peer_type, opened, now));
        }
        customer
    }

    /// The present customer behind an id of the tenant.
    pub(crate) async fn whole_customer(&self, tenant_id: &str, id: &str) -> Result<read::Whole, Problem> {
        let id: CustomerId = problems::id("customer_id", id)?;
        let found = read::customer(&self.context(), tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        found.ok_or_else(|| Problem::not_found("CUSTOMER_NOT_FOUND", "there is no such customer"))
    }
}
