//! TimelineService: what happened with a customer.

use crate::watched::Watched;
use crate::{Api, as_limit, problems};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use omnigate_core::id::{EntryId, ThreadId};
use omnigate_core::protocol::entries::{self, Filter, View, Wanted};
use omnigate_core::protocol::trim;
use omnigate_core::time::Moment;
use omnigate_proto::v1::customer_event::Kind;
use omnigate_proto::v1::list_entries_request::Of;
use omnigate_proto::v1::{
    AddNoteRequest, AddNoteResponse, CustomerEvent, DeleteNoteRequest, DeleteNoteResponse, EditNoteRequest,
    EditNoteResponse, EntryKind, GetEntryRequest, GetEntryResponse, ListEntriesRequest, ListEntriesResponse,
    WatchRequest, WatchResponse,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::page;
use omnigate_rpc::v1::timeline_service_server::TimelineService;
use prost::Message as _;
use tonic::{Request, Response, Status};

/// Longest list in a filter.
const MAX_FILTERED: usize = 50;

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
        let filter = filter(&request)?;
        let order = if request.oldest_first { "oldest" } else { "newest" };
        let filtered = ListEntriesRequest {
            of: None,
            page_size: 0,
            page_token: String::new(),
            oldest_first: false,
            ..request.clone()
        };
        let filtered = filtered.encode_to_vec();
        let mut query = vec![
            &b"entries"[..],
            tenant_id.as_bytes(),
            whose.as_bytes(),
            order.as_bytes(),
        ];
        // Without a filter a token is what it was before there were any.
        query.extend((!filtered.is_empty()).then_some(filtered.as_slice()));
        let wanted = Wanted {
            after: self.tokens.cursor(&query, &request.page_token)?.map(Bytes::from),
            limit: as_limit(size),
            oldest_first: request.oldest_first,
            filter,
        };
        let found = entries::page(&self.context(), &views, &wanted).await;
        let found = found.map_err(|error| problems::store(&error))?;
        let next = found.next.map(|position| self.tokens.token(&query, &position));
        Ok(Response::new(ListEntriesResponse {
            entries: found.entries.into_iter().map(|(_, entry)| entry).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_entry(&self, request: Request<GetEntryRequest>) -> Result<Response<GetEntryResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let id = request.into_inner().entry_id;
        let id: EntryId = problems::id("entry_id", &id)?;
        let found = entries::entry(&self.context(), &tenant_id, id).await;
        let found = found.map_err(|error| problems::store(&error))?;
        match found {
            Some((entry, _)) => Ok(Response::new(GetEntryResponse { entry: Some(entry) })),
            None => Err(self.no_entry(&tenant_id, id).await.into()),
        }
    }

    async fn add_note(&self, request: Request<AddNoteRequest>) -> Result<Response<AddNoteResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let entry = self.add_note_to(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(AddNoteResponse { entry: Some(entry) }))
    }

    async fn edit_note(&self, request: Request<EditNoteRequest>) -> Result<Response<EditNoteResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let entry = self.edit_note_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(EditNoteResponse { entry: Some(entry) }))
    }

    async fn delete_note(&self, request: Request<DeleteNoteRequest>) -> Result<Response<DeleteNoteResponse>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let entry = self.delete_note_of(&tenant_id, request.into_inner()).await?;
        Ok(Response::new(DeleteNoteResponse { entry: Some(entry) }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let tenant_id = problems::tenant(&request)?;
        let request = request.into_inner();
        let watched = match request.customer_id.as_str() {
            "" => None,
            id => Some(Watched::new(self.clone(), tenant_id.clone(), id.to_owned()).await?),
        };
        let happenings = self.happenings(tenant_id, &request.resume_token, false).await?;
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

/// Which entries a request is for.
fn filter(request: &ListEntriesRequest) -> Result<Filter, Problem> {
    let lists = [
        ("channels", request.channels.len()),
        ("account_ids", request.account_ids.len()),
        ("kinds", request.kinds.len()),
    ];
    if let Some((field, _)) = lists.iter().find(|(_, count)| *count > MAX_FILTERED) {
        return Err(Problem::invalid(field, format!("at most {MAX_FILTERED}")));
    }
    let kinds: Vec<EntryKind> = request.kinds().collect();
    if kinds.len() < request.kinds.len() || kinds.contains(&EntryKind::Unspecified) {
        return Err(Problem::invalid("kinds", "names no kind of entry"));
    }
    Ok(Filter {
        channels: request.channels.clone(),
        account_ids: request.account_ids.clone(),
        kinds,
        from: request.from.as_ref().map(Moment::from_timestamp),
        to: request.to.as_ref().map(Moment::from_timestamp),
    })
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
    /// Why there is no entry.
    async fn no_entry(&self, tenant_id: &str, id: EntryId) -> Problem {
        match trim::was_trimmed(&self.context(), tenant_id, id).await {
            Ok(true) => {
                let what = "the entry is gone: the timeline keeps fewer entries, or for a shorter time";
                Problem::not_found("ENTRY_TRIMMED", what)
            }
            Ok(false) => Problem::not_found("ENTRY_NOT_FOUND", "there is no such entry"),
            Err(error) => problems::store(&error),
        }
    }

    async fn thread_view(&self, tenant_id: &str, id: &str) -> Result<View, Problem> {
        let missing = || Problem::not_found("THREAD_NOT_FOUND", "there is no such thread");
        let id: ThreadId = problems::id("thread_id", id)?;
        let account = self.account_of(tenant_id, id).ok_or_else(missing)?;
        let found = entries::thread_view(&self.context(), tenant_id, id, &account.id).await;
        found.map_err(|error| problems::store(&error))?.ok_or_else(missing)
    }
}
