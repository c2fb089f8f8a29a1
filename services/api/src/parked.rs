//! ParkedService: events that could not be applied.

use crate::{Api, as_limit, problems};
use omnigate_core::id::ParkedId;
use omnigate_core::port::broker::{Publication, PublishError, QueueName};
use omnigate_core::protocol::park;
use omnigate_core::trace::TraceContext;
use omnigate_core::{event::Incoming, hourly, partition, topology};
use omnigate_proto::state::v1::{EventBatch, Stamped};
use omnigate_proto::v1::{
    DiscardParkedRequest, DiscardParkedResponse, Event, GetParkedRequest, GetParkedResponse, ListParkedRequest,
    ListParkedResponse, ParkedItem, ReplayParkedRequest, ReplayParkedResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::trace;
use omnigate_rpc::v1::parked_service_server::ParkedService;
use prost::Message as _;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ParkedService for Api {
    async fn list_parked(&self, request: Request<ListParkedRequest>) -> Result<Response<ListParkedResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let query: [&[u8]; 2] = [b"parked", tenant_id.as_bytes()];
        let after = self.tokens.cursor(&query, &request.page_token)?;
        let after = after.and_then(|cursor| ParkedId::from_bytes(&cursor));
        let found = park::list(&self.context(), &[&tenant_id, ""], after, as_limit(size)).await;
        let (items, next) = found.map_err(|error| problems::store(&error))?;
        Ok(Response::new(ListParkedResponse {
            items,
            next_page_token: next.map(|id| self.tokens.token(&query, &id.0)).unwrap_or_default(),
        }))
    }

    async fn get_parked(&self, request: Request<GetParkedRequest>) -> Result<Response<GetParkedResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let (_, item) = self.parked_item(&tenant_id, &request.into_inner().parked_id).await?;
        Ok(Response::new(GetParkedResponse { item: Some(item) }))
    }

    async fn replay_parked(
        &self,
        request: Request<ReplayParkedRequest>,
    ) -> Result<Response<ReplayParkedResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let (id, item) = self.parked_item(&tenant_id, &request.into_inner().parked_id).await?;
        let publication = self.replayed(&item)?;
        for answer in self.broker.publish(vec![publication]).await {
            answer.map_err(|error| not_published(&error))?;
        }
        park::remove(&self.context(), id)
            .await
            .map_err(|stop| problems::stop(&stop))?;
        Ok(Response::new(ReplayParkedResponse { item: Some(item) }))
    }

    async fn discard_parked(
        &self,
        request: Request<DiscardParkedRequest>,
    ) -> Result<Response<DiscardParkedResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let (id, item) = self.parked_item(&tenant_id, &request.into_inner().parked_id).await?;
        park::remove(&self.context(), id)
            .await
            .map_err(|stop| problems::stop(&stop))?;
        Ok(Response::new(DiscardParkedResponse { item: Some(item) }))
    }
}

fn not_published(error: &PublishError) -> Problem {
    tracing::warn!(%error, "parked item was not replayed");
    Problem::unavailable("BROKER_UNCONFIRMED", "the broker did not confirm; replay it again")
}

impl Api {
    /// A parked item of the tenant, or of none that is known.
    async fn parked_item(&self, tenant_id: &str, id: &str) -> Result<(ParkedId, ParkedItem), Problem> {
        let id: ParkedId = id
            .parse()
            .map_err(|_| Problem::invalid("parked_id", "is not a parked item id (prk_…)"))?;
        let found = park::get(&self.context(), id)
            .await
            .map_err(|error| problems::store(&error))?;
        let ours = found.filter(|item| item.tenant_id.is_empty() || item.tenant_id == tenant_id);
        let ours = ours.ok_or_else(|| Problem::not_found("PARKED_NOT_FOUND", "there is no such parked item"))?;
        Ok((id, ours))
    }

    /// The item as a message for the queue it belongs to.
    fn replayed(&self, item: &ParkedItem) -> Result<Publication, Problem> {
        // Parked by somebody who could not open it: put back as it was, it comes again to somebody who may.
        if let Some((queue, body)) = hourly::closed_in(&item.body) {
            return Ok(Publication {
                queue: QueueName(queue),
                body,
                traceparent: String::new(),
            });
        }
        let stamped = match item.reason.as_str() {
            "unknown_account" => self.stamped_again(item)?,
            _ => {
                let before = park::stamped(item).ok_or_else(unreadable)?;
                // An item's id is made of its body. Parked once more, the event must not be taken for this item, which is
                // removed after it was published: its step in the trace tells them apart.
                let step = trace::next(TraceContext::parse(&before.traceparent).or_else(trace::current));
                Stamped {
                    traceparent: step.to_string(),
                    ..before
                }
            }
        };
        let event = Event::decode(stamped.event.clone()).map_err(|_| unreadable())?;
        let partition = partition::of(&event, self.partitions);
        let traceparent = stamped.traceparent.clone();
        let batch = EventBatch { events: vec![stamped] };
        Ok(Publication {
            queue: topology::inbound(partition),
            body: batch.encode_to_vec().into(),
            traceparent,
        })
    }

    /// An event that was turned away because its account was not known, as ingest would stamp it now.
    fn stamped_again(&self, item: &ParkedItem) -> Result<Stamped, Problem> {
        let incoming = Incoming::read(item.body.clone()).map_err(|_| unreadable())?;
        let account_id = &incoming.event().account_id;
        let account = self.directory.accounts.get(account_id);
        let account = account.ok_or_else(|| {
            let text = format!("account {account_id:?} is still not configured");
            Problem::failed_precondition("ACCOUNT_UNKNOWN", text)
        })?;
        let now = self.ports.clock.now();
        let trace = trace::next(trace::current());
        let taken = incoming.normalise(account, now, &trace.trace_id()).map_err(|refusal| {
            let text = format!("the event breaks the contract: {refusal}");
            Problem::failed_precondition("EVENT_REFUSED", text)
        })?;
        Ok(Stamped {
            event: taken.bytes,
            received_at_ms: now.0,
            traceparent: trace.to_string(),
            ..Stamped::default()
        })
    }
}

fn unreadable() -> Problem {
    Problem::failed_precondition(
        "PARKED_UNREADABLE",
        "the item's body is no event this version can read; discard it",
    )
}
