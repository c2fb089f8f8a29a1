//! Recipients of a campaign: listed, and given another turn.

use super::not_done;
use crate::customers::Asked;
use crate::{Api, problems};
use omnigate_core::campaign::ledger::{past, reason, state};
use omnigate_core::campaign::place::{Bucket, Handle, Place, ROWS, Sent};
use omnigate_core::id::CustomerId;
use omnigate_core::protocol::campaign::{self as protocol, Filter, Recipient};
use omnigate_core::protocol::identity::mark_answered;
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    CampaignPastStep, CampaignRecipient, DeliveryState, ListRecipientsRequest, ListRecipientsResponse,
    RetryRecipientsRequest, RetryRecipientsResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use prost::Message as _;

impl Api {
    pub(super) async fn recipients_of(
        &self,
        tenant_id: &str,
        request: &ListRecipientsRequest,
    ) -> Result<ListRecipientsResponse, Problem> {
        let size = page::size(request.page_size)?;
        let filter = filter(request)?;
        let (id, _) = self.campaign(tenant_id, &request.campaign_id).await?;
        let filtered = ListRecipientsRequest {
            page_size: 0,
            page_token: String::new(),
            ..request.clone()
        };
        let filtered = filtered.encode_to_vec();
        let query: [&[u8]; 3] = [b"recipients", tenant_id.as_bytes(), &filtered];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| read_cursor(id.handle(), &cursor));
        let walked = protocol::walk(&self.context(), id.handle(), after, size, &filter).await;
        let walked = walked.map_err(|error| problems::store(&error))?;
        let next = walked.next.map(|place| self.tokens.token(&query, &cursor(place)));
        Ok(ListRecipientsResponse {
            recipients: walked.recipients.iter().map(shown).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(super) async fn retried(
        &self,
        tenant_id: &str,
        mut request: RetryRecipientsRequest,
    ) -> Result<RetryRecipientsResponse, Problem> {
        let request_id = std::mem::take(&mut request.request_id);
        let asked = Asked::new(tenant_id, request_id, "retry recipients", &request)?;
        let (id, _) = self.campaign(tenant_id, &request.campaign_id).await?;
        let unknown = [u8::from(request.include_unknown)];
        let query: [&[u8]; 4] = [b"retry", tenant_id.as_bytes(), &id.0, &unknown];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| read_cursor(id.handle(), &cursor));
        let record = self.remember(&asked, asked.record(self)).await?;
        if record.done {
            let answer = RetryRecipientsResponse::decode(record.answer);
            return answer.map_err(|_| Problem::internal());
        }
        let order = self.order(&asked, record.name, "");
        let again = protocol::retry(&self.context(), id, &order, after, request.include_unknown).await;
        let again = again.map_err(|refused| not_done(&refused))?;
        let next = again.next.map(|place| self.tokens.token(&query, &cursor(place)));
        let answer = RetryRecipientsResponse {
            retried: again.recipients,
            possible_duplicates: again.possible_duplicates,
            next_page_token: next.unwrap_or_default(),
        };
        let encoded = answer.encode_to_vec().into();
        let context = self.context();
        let told = mark_answered(&context, tenant_id, &asked.request_id, encoded);
        told.await.map_err(|stop| problems::stop(&stop))?;
        Ok(answer)
    }
}

/// Which recipients a request is for.
fn filter(request: &ListRecipientsRequest) -> Result<Filter, Problem> {
    let states: Vec<DeliveryState> = request.states().collect();
    if states.len() < request.states.len() || states.contains(&DeliveryState::Unspecified) {
        return Err(Problem::invalid("states", "names no state of a recipient"));
    }
    let reasons: Vec<_> = request.reasons().collect();
    if reasons.len() < request.reasons.len() {
        return Err(Problem::invalid("reasons", "names no reason"));
    }
    Ok(Filter {
        states,
        reasons,
        step: request.step,
    })
}

fn cursor(place: Place) -> [u8; 5] {
    let [bucket, row] = [place.bucket.number, place.row].map(u16::to_be_bytes);
    let shard = place.bucket.shard.number();
    [shard, bucket[0], bucket[1], row[0], row[1]]
}

/// Back from [`cursor`]; a token is ours, so what it holds can be read.
fn read_cursor(campaign: Handle, cursor: &[u8]) -> Option<Place> {
    let &[shard, b0, b1, r0, r1] = cursor else { return None };
    let row = u16::from_be_bytes([r0, r1]);
    (row < ROWS).then_some(Place {
        bucket: Bucket {
            campaign,
            shard: Shard::new(shard),
            number: u16::from_be_bytes([b0, b1]),
        },
        row,
    })
}

/// A recipient as readers see them.
fn shown(recipient: &Recipient) -> CampaignRecipient {
    let (place, row) = (recipient.place, &recipient.row);
    let message_id = |step: u32| {
        let step = u8::try_from(step).unwrap_or(u8::MAX);
        Sent { place, step }.message_id().to_string()
    };
    let state = state(row);
    let past_steps = (0..).zip(past(row)).map(|(step, past)| CampaignPastStep {
        state: past.state.into(),
        reason: past.reason.into(),
        late_state: past.late.unwrap_or_default().into(),
        possible_duplicate: past.possible_duplicate,
        message_id: message_id(step),
    });
    let waits = state == DeliveryState::Deferred;
    CampaignRecipient {
        customer_id: CustomerId::from_bytes(&row.customer)
            .map(|id| id.to_string())
            .unwrap_or_default(),
        step: row.step,
        state: state.into(),
        reason: reason(row).into(),
        attempts: row.attempts,
        settled: row.settled,
        possible_duplicate: row.possible_duplicate,
        deferred_until: waits.then(|| Moment(row.until_ms).to_timestamp()),
        past_steps: past_steps.collect(),
        message_id: message_id(row.step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_row() {
        let campaign = Handle([7; 8]);
        let place = Place {
            bucket: Bucket {
                campaign,
                shard: Shard::new(200),
                number: 40_000,
            },
            row: 499,
        };
        assert_eq!(read_cursor(campaign, &cursor(place)), Some(place));
        assert_eq!(read_cursor(campaign, &[1, 2, 3]), None);
        assert_eq!(read_cursor(campaign, &[0, 0, 0, 255, 255]), None);
    }
}
