//! EventService.Subscribe and TimelineService.Watch: what took effect, from the partitions of the events log.

use crate::resume::Resume;
use crate::{Api, problems};
use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};
use omnigate_core::customer_event;
use omnigate_core::port::broker::LogEntry;
use omnigate_core::time::Moment;
use omnigate_core::topology;
use omnigate_proto::v1::{
    AcknowledgeRequest, AcknowledgeResponse, CustomerEvent, DeleteEventGroupRequest, DeleteEventGroupResponse,
    ListEventGroupsRequest, ListEventGroupsResponse, SubscribeRequest, SubscribeResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::v1::event_service_server::EventService;
use omnigate_runtime::log::attach;
use tonic::{Request, Response, Status};

/// CustomerEvents of a tenant with the token to go on after each.
pub(crate) type Happenings = BoxStream<'static, Result<(Option<CustomerEvent>, String), Status>>;

impl Api {
    /// Everything that takes effect for a tenant; all that does so after the answer, where that is asked for.
    pub(crate) async fn happenings(
        &self,
        tenant_id: String,
        token: &str,
        from_oldest: bool,
    ) -> Result<Happenings, Problem> {
        let fresh = token.is_empty();
        let resume = match token {
            "" if from_oldest => Resume::from_oldest(),
            "" => Resume::from_now(self.ports.clock.now()),
            token => Resume::decode(token)
                .ok_or_else(|| Problem::invalid("resume_token", "is not a token of this gateway"))?,
        };
        let mut entries = SelectAll::new();
        let attached = topology::event_logs(self.partitions).map(|partition| {
            let from = resume.start(partition, fresh);
            let log = attach(self.broker.clone(), topology::events(partition), from);
            async move { (partition, log.await) }
        });
        for (partition, log) in join_all(attached).await {
            entries.push(log.map(move |entry| (partition, entry)).boxed());
        }
        let state = (entries, resume);
        let batches = stream::unfold(state, |(mut entries, mut resume)| async move {
            let (partition, entry) = entries.next().await?;
            let before = resume.encode();
            resume.given(partition, entry.offset);
            let token = resume.encode();
            Some(((entry, before, token, resume.began), (entries, resume)))
        });
        let events = batches.flat_map(move |(entry, before, token, began)| {
            stream::iter(unpack(&entry, &before, &token, began, &tenant_id))
        });
        let stop = self.stop.clone();
        let stopped = async move { stop.requested().await };
        let stopping = Problem::unavailable("STOPPING", "the gateway is stopping; go on with the last resume token");
        let last = stream::once(async move { Err(Status::from(stopping)) });
        Ok(events.take_until(stopped).chain(last).boxed())
    }
}

/// The events of one entry. All but the last carry the token before the entry: going on from there repeats some of it,
/// and loses nothing.
fn unpack(
    entry: &LogEntry,
    before: &str,
    after: &str,
    began: Option<Moment>,
    tenant_id: &str,
) -> Vec<Result<(Option<CustomerEvent>, String), Status>> {
    let events = customer_event::of_tenant(entry, tenant_id).into_iter();
    let events = events.map(|found| found.event);
    let wanted = events.filter(|event| customer_event::is_since(event, began));
    let mut out: Vec<_> = wanted.map(|event| Ok((Some(event), before.to_owned()))).collect();
    match out.last_mut() {
        Some(Ok((_, token))) => after.clone_into(token),
        _ => out.push(Ok((None, after.to_owned()))),
    }
    out
}

#[tonic::async_trait]
impl EventService for Api {
    type SubscribeStream = BoxStream<'static, Result<SubscribeResponse, Status>>;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Self::SubscribeStream>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        if !request.group.is_empty() {
            return Ok(Response::new(self.join_group(&tenant_id, &request).await?));
        }
        let happenings = self
            .happenings(tenant_id, &request.resume_token, request.from_oldest)
            .await?;
        let responses = happenings.map(|happening| {
            let (event, resume_token) = happening?;
            Ok(SubscribeResponse {
                event,
                resume_token,
                ack_token: String::new(),
            })
        });
        Ok(Response::new(responses.boxed()))
    }

    async fn acknowledge(&self, request: Request<AcknowledgeRequest>) -> Result<Response<AcknowledgeResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let asked = request.into_inner();
        let moved = self.acknowledge_events(&tenant_id, &asked.group, &asked.ack_tokens);
        Ok(Response::new(moved.await?))
    }

    async fn list_event_groups(
        &self,
        request: Request<ListEventGroupsRequest>,
    ) -> Result<Response<ListEventGroupsResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let groups = self.groups(&tenant_id).await?;
        Ok(Response::new(ListEventGroupsResponse { groups }))
    }

    async fn delete_event_group(
        &self,
        request: Request<DeleteEventGroupRequest>,
    ) -> Result<Response<DeleteEventGroupResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        self.delete_group(&tenant_id, &request.get_ref().group).await?;
        Ok(Response::new(DeleteEventGroupResponse {}))
    }
}
