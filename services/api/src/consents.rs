//! ConsentService: who may be sent what, and why.

mod effective;
mod ledger;
mod listed;

pub(crate) use ledger::shown;

use crate::{Api, as_limit, problems};
use omnigate_core::id::SuppressionId;
use omnigate_core::identifier;
use omnigate_core::protocol::consent;
use omnigate_proto::state::v1::RefusalRecord;
use omnigate_proto::v1::{
    ConsentStatus, GetConsentRequest, GetConsentResponse, GetSuppressionRequest, GetSuppressionResponse,
    ListConsentsRequest, ListConsentsResponse, ListSuppressionsRequest, ListSuppressionsResponse, SetConsentRequest,
    SetConsentResponse, SetMarketingRefusalRequest, SetMarketingRefusalResponse, SuppressRequest, SuppressResponse,
    UnsuppressRequest, UnsuppressResponse,
};
use omnigate_rpc::auth::{Caller, Scope};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::consent_service_server::ConsentService;
use tonic::{Request, Response, Status};

use crate::customers::{Asked, canonical_of};

/// Longest source and version of a text, in bytes.
const MAX_SOURCE: usize = 128;
/// Longest reference to a proof, in bytes.
const MAX_PROOF: usize = 512;
/// Longest kind of channel, in bytes.
const MAX_CHANNEL: usize = 64;

#[tonic::async_trait]
impl ConsentService for Api {
    async fn set_consent(&self, request: Request<SetConsentRequest>) -> Result<Response<SetConsentResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        if request.get_ref().status() != ConsentStatus::Denied {
            may_undo(&request)?;
        }
        let consent = self.record_consent(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(SetConsentResponse { consent: Some(consent) }))
    }

    async fn get_consent(&self, request: Request<GetConsentRequest>) -> Result<Response<GetConsentResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let consents = self.effective_consents(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(GetConsentResponse { consents }))
    }

    async fn list_consents(
        &self,
        request: Request<ListConsentsRequest>,
    ) -> Result<Response<ListConsentsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let identifier = canonical_of(&request.identifier.unwrap_or_default(), "identifier")?;
        let key = identifier::key(&tenant_id, &identifier);
        let size = page::size(request.page_size)?;
        let query: [&[u8]; 3] = [b"consents", tenant_id.as_bytes(), &key.0];
        let before = self.tokens.cursor(&query, &request.page_token)?;
        let before = before.and_then(|cursor| Some(u64::from_be_bytes(cursor.try_into().ok()?)));
        let facts = consent::history(&self.context(), key, before, as_limit(size)).await;
        let facts = facts.map_err(|error| problems::store(&error))?;
        let last = facts.last().filter(|_| facts.len() >= size);
        let next = last.map(|fact| self.tokens.token(&query, &fact.number.to_be_bytes()));
        Ok(Response::new(ListConsentsResponse {
            consents: facts.iter().map(|fact| ledger::shown(&identifier, fact)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn set_marketing_refusal(
        &self,
        request: Request<SetMarketingRefusalRequest>,
    ) -> Result<Response<SetMarketingRefusalResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        if !request.get_ref().refuses {
            may_undo(&request)?;
        }
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(&tenant_id, request_id, "set marketing refusal", &request)?;
        said_by(&request.source)?;
        short("proof", &request.proof, MAX_PROOF)?;
        let id = problems::id("customer_id", &request.customer_id)?;
        let command = self.remember(&asked, asked.record(self)).await?;
        let word = RefusalRecord {
            refuses: request.refuses,
            at_ms: command.at_ms,
            source: request.source,
            proof: request.proof,
        };
        let set = consent::set_refusal(&self.context(), &tenant_id, id, &word).await;
        let set = set.map_err(|stop| problems::stop(&stop))?;
        let (id, refuses) = set.ok_or_else(|| Problem::not_found("CUSTOMER_NOT_FOUND", "there is no such customer"))?;
        Ok(Response::new(SetMarketingRefusalResponse {
            customer_id: id.to_string(),
            refuses,
        }))
    }

    async fn suppress(&self, request: Request<SuppressRequest>) -> Result<Response<SuppressResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let suppression = self.put_on_list(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(SuppressResponse {
            suppression: Some(suppression),
        }))
    }

    async fn unsuppress(&self, request: Request<UnsuppressRequest>) -> Result<Response<UnsuppressResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let suppressions = self.take_off_list(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(UnsuppressResponse { suppressions }))
    }

    async fn get_suppression(
        &self,
        request: Request<GetSuppressionRequest>,
    ) -> Result<Response<GetSuppressionResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let (id, suppressions) = self.on_list(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(GetSuppressionResponse {
            suppression_id: id.to_string(),
            suppressions,
        }))
    }

    async fn list_suppressions(
        &self,
        request: Request<ListSuppressionsRequest>,
    ) -> Result<Response<ListSuppressionsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let query: [&[u8]; 2] = [b"suppressions", tenant_id.as_bytes()];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| SuppressionId::from_bytes(&cursor));
        let found = consent::list(&self.context(), &tenant_id, after, as_limit(size)).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let last = found.last().filter(|_| found.len() >= size);
        let next = last.map(|(id, _)| self.tokens.token(&query, &id.0));
        let now = self.ports.clock.now();
        Ok(Response::new(ListSuppressionsResponse {
            suppressions: found
                .iter()
                .flat_map(|(id, record)| listed::shown(*id, record, now))
                .collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}

/// What undoes a refusal is for those who operate the gateway.
fn may_undo<T>(request: &Request<T>) -> Result<(), Problem> {
    if Caller::of(request)?.scopes.contains(Scope::Admin) {
        return Ok(());
    }
    let text = "to undo what somebody refused the token needs scope admin";
    Err(Problem::denied("SCOPE_MISSING", text).with("scope", Scope::Admin.as_str()))
}

fn short(field: &'static str, text: &str, most: usize) -> Result<(), Problem> {
    if text.len() > most {
        return Err(Problem::invalid(field, format!("must have at most {most} bytes")));
    }
    Ok(())
}

/// Where something was said must be known.
fn said_by(source: &str) -> Result<(), Problem> {
    if source.is_empty() {
        return Err(Problem::invalid("source", "must be set"));
    }
    short("source", source, MAX_SOURCE)
}

fn channel(name: &str) -> Result<(), Problem> {
    let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > MAX_CHANNEL || !name.bytes().all(named) {
        return Err(Problem::invalid("channel", "must be 1 to 64 of a-z, 0-9, _ and -"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
