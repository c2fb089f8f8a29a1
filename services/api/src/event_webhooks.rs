//! EventWebhookService: how outgoing webhooks stand, and what operators do about it.

use crate::messages::MAX_REQUEST_ID;
use crate::{Api, problems};
use futures_util::future::try_join_all;
use omnigate_core::event_webhook::{self, Endpoint};
use omnigate_core::protocol;
use omnigate_core::time::Moment;
use omnigate_core::topology;
use omnigate_proto::state::v1::EventWebhookRecord;
use omnigate_proto::v1::{
    DisableEventWebhookRequest, DisableEventWebhookResponse, EnableEventWebhookRequest, EnableEventWebhookResponse,
    EventWebhook, EventWebhookState, ListEventWebhooksRequest, ListEventWebhooksResponse, ReplayEventWebhookRequest,
    ReplayEventWebhookResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::v1::event_webhook_service_server::EventWebhookService;
use pbjson_types::Timestamp;
use tonic::{Request, Response, Status};

/// Why an endpoint is disabled that an operator disabled.
const BY_OPERATOR: &str = "an operator disabled it";

#[tonic::async_trait]
impl EventWebhookService for Api {
    async fn list_event_webhooks(
        &self,
        request: Request<ListEventWebhooksRequest>,
    ) -> Result<Response<ListEventWebhooksResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let ours = self.event_webhooks.iter();
        let ours = ours.filter(|endpoint| endpoint.tenant_id == tenant_id);
        let shown = ours.map(async |endpoint| {
            let record = protocol::event_webhook::get(&self.context(), &endpoint.id).await;
            let record = record.map_err(|error| problems::store(&error))?;
            self.event_webhook_shown(endpoint, &record).await
        });
        let event_webhooks = try_join_all(shown).await?;
        Ok(Response::new(ListEventWebhooksResponse { event_webhooks }))
    }

    async fn enable_event_webhook(
        &self,
        request: Request<EnableEventWebhookRequest>,
    ) -> Result<Response<EnableEventWebhookResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let id = request.into_inner().event_webhook_id;
        let changed = self.change_event_webhook(&tenant_id, &id, |record, _| event_webhook::enabled(record));
        let event_webhook = Some(changed.await?);
        Ok(Response::new(EnableEventWebhookResponse { event_webhook }))
    }

    async fn disable_event_webhook(
        &self,
        request: Request<DisableEventWebhookRequest>,
    ) -> Result<Response<DisableEventWebhookResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let id = request.into_inner().event_webhook_id;
        let disable = |record: &_, now| event_webhook::disabled(record, BY_OPERATOR, now);
        let event_webhook = Some(self.change_event_webhook(&tenant_id, &id, disable).await?);
        Ok(Response::new(DisableEventWebhookResponse { event_webhook }))
    }

    async fn replay_event_webhook(
        &self,
        request: Request<ReplayEventWebhookRequest>,
    ) -> Result<Response<ReplayEventWebhookResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner();
        if asked.request_id.is_empty() || asked.request_id.chars().count() > MAX_REQUEST_ID {
            return Err(Problem::invalid("request_id", "must have 1 to 128 characters").into());
        }
        let since = asked.since.as_ref().map(Moment::from_timestamp);
        let since = since.filter(|since| *since <= self.ports.clock.now());
        let since = since.ok_or_else(|| Problem::invalid("since", "must be set and not lie ahead"))?;
        let replay = |record: &_, _| event_webhook::replayed(record, since, &asked.request_id);
        let event_webhook = Some(
            self.change_event_webhook(&tenant_id, &asked.event_webhook_id, replay)
                .await?,
        );
        Ok(Response::new(ReplayEventWebhookResponse { event_webhook }))
    }
}

impl Api {
    async fn change_event_webhook(
        &self,
        tenant_id: &str,
        id: &str,
        decide: impl Fn(&EventWebhookRecord, Moment) -> Option<EventWebhookRecord>,
    ) -> Result<EventWebhook, Problem> {
        let mut endpoints = self.event_webhooks.iter();
        let endpoint = endpoints.find(|endpoint| endpoint.tenant_id == tenant_id && endpoint.id == id);
        let endpoint = endpoint
            .ok_or_else(|| Problem::not_found("EVENT_WEBHOOK_NOT_FOUND", "no such outgoing webhook is configured"))?;
        let changed = protocol::event_webhook::change(&self.context(), id, decide).await;
        let record = changed.map_err(|stop| problems::stop(&stop))?;
        self.event_webhook_shown(endpoint, &record).await
    }

    async fn event_webhook_shown(
        &self,
        endpoint: &Endpoint,
        record: &EventWebhookRecord,
    ) -> Result<EventWebhook, Problem> {
        let logs = topology::event_logs(self.partitions);
        let places = protocol::event_webhook::places(&self.context(), endpoint, logs).await;
        let places = places.map_err(|error| problems::store(&error))?;
        let waiting: usize = places.iter().flatten().map(|place| place.waiting.len()).sum();
        let (state, problem) = if event_webhook::is_disabled(record) {
            (EventWebhookState::Disabled, &record.disabled_reason)
        } else if record.failing_since_ms != 0 {
            (EventWebhookState::Failing, &record.error)
        } else {
            (EventWebhookState::Active, &String::new())
        };
        Ok(EventWebhook {
            event_webhook_id: endpoint.id.clone(),
            url: endpoint.shown_url.clone(),
            description: endpoint.description.clone(),
            events: endpoint.kinds.iter().cloned().collect(),
            state: state.into(),
            problem: problem.clone(),
            failing_since: time(record.failing_since_ms),
            disabled_at: time(record.disabled_at_ms),
            succeeded_at: time(record.succeeded_at_ms),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
            given_up: record.given_up,
        })
    }
}

fn time(ms: i64) -> Option<Timestamp> {
    (ms != 0).then(|| Moment(ms).to_timestamp())
}
