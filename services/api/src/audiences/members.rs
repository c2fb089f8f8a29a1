//! Who is in an audience.

use super::not_done;
use crate::{Api, problems};
use omnigate_core::id::CustomerId;
use omnigate_core::protocol::audience::{self as protocol, Audience, Found, Selection};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::MemberRecord;
use omnigate_proto::v1::{
    AudienceMember, ListMembersRequest, ListMembersResponse, PreviewAudienceRequest, PreviewAudienceResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;

/// Candidates that one page of members looks at, however few a filter lets through.
const MAX_LOOKED_AT: usize = 1_000;
/// Candidates that one call counts.
const COUNTED: usize = 20_000;
/// Of them, looked at together.
const COUNTED_TOGETHER: usize = 1_000;
/// Most samples.
const MAX_SAMPLES: i32 = 20;

impl Api {
    pub(super) async fn members(
        &self,
        tenant_id: &str,
        request: &ListMembersRequest,
    ) -> Result<ListMembersResponse, Problem> {
        let size = page::size(request.page_size)?;
        let audience = self.audience(tenant_id, &request.audience_id).await?;
        let selection = self.selection(&audience, false).await?;
        let query: [&[u8]; 3] = [b"members", tenant_id.as_bytes(), &audience.id.0];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| CustomerId::from_bytes(&cursor));
        let limits = (size, MAX_LOOKED_AT);
        let page = protocol::page(&self.context(), (tenant_id, &selection), after, limits).await;
        let page = page.map_err(|error| problems::store(&error))?;
        let next = page.next.map(|id| self.tokens.token(&query, &id.0));
        Ok(ListMembersResponse {
            members: page.found.iter().map(shown).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(super) async fn sampled(
        &self,
        tenant_id: &str,
        request: &PreviewAudienceRequest,
    ) -> Result<PreviewAudienceResponse, Problem> {
        if !(0..=MAX_SAMPLES).contains(&request.sample_size) {
            return Err(Problem::invalid("sample_size", format!("must be 0 to {MAX_SAMPLES}")));
        }
        let wanted = usize::try_from(request.sample_size).unwrap_or(0);
        let audience = self.audience(tenant_id, &request.audience_id).await?;
        let selection = self.selection(&audience, true).await?;
        // A change of it would count half of one and half of the other.
        let query: [&[u8]; 4] = [b"preview", tenant_id.as_bytes(), &audience.id.0, &audience.stamp.0];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let mut after = after.and_then(|cursor| CustomerId::from_bytes(&cursor));
        let mut answer = PreviewAudienceResponse::default();
        let mut looked_at = 0;
        while looked_at < COUNTED {
            let limits = (COUNTED_TOGETHER, COUNTED_TOGETHER);
            let page = protocol::page(&self.context(), (tenant_id, &selection), after, limits).await;
            let page = page.map_err(|error| problems::store(&error))?;
            looked_at += page.looked_at;
            let (excluded, counted): (Vec<&Found>, Vec<&Found>) = page.found.iter().partition(|found| found.excluded);
            answer.excluded += as_count(excluded.len());
            answer.count += as_count(counted.len());
            let room = wanted - answer.samples.len();
            answer.samples.extend(counted.into_iter().take(room).map(shown));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        answer.looked_at = as_count(looked_at);
        answer.next_page_token = after.map(|id| self.tokens.token(&query, &id.0)).unwrap_or_default();
        Ok(answer)
    }

    async fn selection(&self, audience: &Audience, with_exclusions: bool) -> Result<Selection, Problem> {
        let schema = &self.settings.schema;
        let selection = protocol::select(&self.context(), audience, schema, with_exclusions).await;
        selection.map_err(|refused| not_done(&refused))
    }
}

fn as_count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn shown(found: &Found) -> AudienceMember {
    match &found.member {
        Some(record) => to_member(found.customer, record),
        None => AudienceMember {
            customer_id: found.customer.to_string(),
            ..AudienceMember::default()
        },
    }
}

/// What a list says of a customer, as readers see it.
pub(crate) fn to_member(customer: CustomerId, record: &MemberRecord) -> AudienceMember {
    AudienceMember {
        customer_id: customer.to_string(),
        variables: record.variables.clone(),
        locale: record.locale.clone(),
        time_zone: record.time_zone.clone(),
        display_name: record.display_name.clone(),
        updated_at: Some(Moment(record.updated_at_ms).to_timestamp()),
    }
}
