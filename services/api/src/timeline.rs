//! TimelineService: what happened with a customer.

use crate::watched::Watched;
use crate::{Api, as_limit, problems};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use omnigate_core::id::{EntryId, ThreadId};
use omnigate_core::protocol::entries::{self, View};
use omnigate_proto::v1::customer_event::Kind;
use omnigate_proto::v1::list_entries_request::Of;
use omnigate_proto::v1::{
    CustomerEvent, GetEntryRequest, GetEntryResponse, ListEntriesRequest, ListEntriesResponse, WatchRequest,
    WatchResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::timeline_service_server::TimelineService;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl TimelineService for Api {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let (whose, views) = match &request.of {
            Some(Of::CustomerId(id)) => (id.as_str(), self.whole_customer(&tenant_id, id).await?.views()),
            Some(Of::ThreadId(id)) => (id.as_str(), vec![self.thread_view(&tenant_id, id).await?]),
            None => return Err(Problem::invalid("of", "customer_id or thread_id must be set").into()),
        };
        let order = if request.oldest_first { "oldest" } else { "newest" };
        let query = [
            &b"entries"[..],
            tenant_id.as_bytes(),
            whose.as_bytes(),
            order.as_bytes(),
        ];
        let after = self.tokens.cursor(&query, &request.page_token)?.map(Bytes::from);
        let found = entries::page(&self.context(), &views, after, as_limit(size), request.oldest_first).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let last = found.last().filter(|_| found.len() >= size);
        let next = last.map(|(position, _)| self.tokens.token(&query, position));
        Ok(Response::new(ListEntriesResponse {
            entries: found.into_iter().map(|(_, entry)| entry).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_entry(&self, request: Request<GetEntryRequest>) -> Result<Response<GetEntryResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let id = request.into_inner().entry_id;
        let id: EntryId = problems::id("entry_id", &id)?;
        let found = entries::entry(&self.context(), &tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let (entry, _) = found.ok_or_else(|| Problem::not_found("ENTRY_NOT_FOUND", "there is no such entry"))?;
        Ok(Response::new(GetEntryResponse { entry: Some(entry) }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let watched = match request.customer_id.as_str() {
            "" => None,
            id => Some(Watched::new(self.clone(), tenant_id.clone(), id.to_owned()).await?),
        };
        let happenings = self.happenings(tenant_id, &request.resume_token, false)?;
        let responses = stream::unfold((happenings, watched), |(mut happenings, mut watched)| async move {
            let response = match happenings.next().await? {
                Ok((event, resume_token)) => response(watched.as_mut(), event, resume_token).await,
                Err(status) => Err(status),
            };
            Some((response, (happenings, watched)))
        });
        Ok(Response::new(responses.boxed()))
    }
}

/// What a watcher is told of an event.
async fn response(
    watched: Option<&mut Watched>,
    event: Option<CustomerEvent>,
    resume_token: String,
) -> Result<WatchResponse, Status> {
    let mut response = WatchResponse {
        resume_token,
        ..WatchResponse::default()
    };
    let Some(event) = event else { return Ok(response) };
    let is_shown = match watched {
        Some(watched) => {
            response.customer_changed = watched.follow(&event).await?;
            watched.shows(&event)
        }
        None => true,
    };
    if let (true, Some(Kind::EntryAdded(added))) = (is_shown, event.kind) {
        response.entry = added.entry;
        response.customer_id = event.customer_id;
    }
    Ok(response)
}

impl Api {
    async fn thread_view(&self, tenant_id: &str, id: &str) -> Result<View, Problem> {
        let missing = || Problem::not_found("THREAD_NOT_FOUND", "there is no such thread");
        let id: ThreadId = problems::id("thread_id", id)?;
        let account = self.account_of(tenant_id, id).ok_or_else(missing)?;
        let found = entries::thread_view(&self.context(), id, &account.id).await;
        found.map_err(|error| problems::store(&error))?.ok_or_else(missing)
    }
}
