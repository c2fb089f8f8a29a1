//! Sends through the built-in channels. Whatever goes wrong is an answer that says whether it may have left.

use crate::{
    catalog::{Catalog, Served},
    credentials::{Credentials, Host},
    failure::{error, failed},
    holders::{self, Holders},
    metrics::Metrics,
    settings::Settings,
};
use futures_util::FutureExt as _;
use omnigate_core::{
    port::{
        Clock,
        adapter::{Channel, Outgoing, Transport},
    },
    time::Moment,
};
use omnigate_proto::v1::{
    ErrorClass, GetCapabilitiesRequest, GetCapabilitiesResponse, LookupSendRequest, LookupSendResponse,
    LookupTemplateRequest, LookupTemplateResponse, ProviderTemplate, SendAccepted, SendError, SendRequest,
    SendResponse, send_response::Outcome,
};
use omnigate_rpc::{error::Problem, v1::adapter_service_server::AdapterService};
use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Request, Response, Status};

/// Calls that may wait for a place, for every one that has one.
const WAITING_PER_PLACE: usize = 8;
/// How long a caller waits before trying again when even the waiting places are taken.
const CROWDED_MS: u64 = 200;

/// Longest time that looking a template up may take: somebody waits who wants to send.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);

const NOT_HOSTED: &str = "no such account is hosted here";

/// The built-in channels as a service.
pub struct Sending {
    catalog: Arc<Catalog>,
    transport: Arc<dyn Transport>,
    credentials: Credentials,
    holders: Holders,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    settings: Settings,
    places: BTreeMap<String, Places>,
}

/// Bounds the calls through one account.
struct Places {
    waiting: Semaphore,
    calling: Semaphore,
}

impl Sending {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        transport: Arc<dyn Transport>,
        (credentials, holders): (Credentials, holders::Parts),
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        settings: Settings,
    ) -> Self {
        let through = |(account, served): (&String, &Served<dyn Channel>)| {
            let sessions = served.by.sends_through();
            (!sessions.is_empty()).then(|| (account.clone(), sessions))
        };
        let place = |(account, served): (&String, &Served<dyn Channel>)| {
            let calls = served.by.calls_at_once().unwrap_or(settings.sends_per_account);
            let places = Places {
                waiting: Semaphore::new(calls * (WAITING_PER_PLACE + 1)),
                calling: Semaphore::new(calls),
            };
            (account.clone(), places)
        };
        Self {
            places: catalog.channels.iter().map(place).collect(),
            holders: Holders::new(holders, catalog.channels.iter().filter_map(through)),
            catalog,
            transport,
            credentials,
            clock,
            metrics,
            settings,
        }
    }

    async fn submit(&self, request: SendRequest) -> SendResponse {
        let account = request.account_id.clone();
        let (Some(served), Some(places)) = (self.catalog.channels.get(&account), self.places.get(&account)) else {
            return failed(0, error(ErrorClass::Account, NOT_HOSTED));
        };
        let pieces = match request.message.as_ref().map(|message| served.by.piece_count(message)) {
            Some(Ok(pieces)) => pieces.max(1),
            Some(Err(error)) => return failed(0, error),
            None => return failed(0, error(ErrorClass::Content, "the message is missing")),
        };
        if request.piece >= pieces {
            return failed(pieces, error(ErrorClass::Content, "the message has no such piece"));
        }
        let deadline = request.deadline.as_ref().map(Moment::from_timestamp);
        if request.peer.is_none() {
            return failed(pieces, error(ErrorClass::Content, "the peer is missing"));
        }
        let _place = match self.place(places, deadline).await {
            Ok(place) => place,
            Err(error) => return failed(pieces, error),
        };
        if let Some(response) = self.elsewhere(served, &request, pieces, deadline).await {
            return response;
        }
        let Some(outgoing) = outgoing(request) else {
            return failed(pieces, error(ErrorClass::Content, "the peer is missing"));
        };
        let outcome = self.call(&account, served.by.as_ref(), outgoing, deadline).await;
        SendResponse {
            piece_count: pieces,
            outcome: Some(match outcome {
                Ok(accepted) => Outcome::Accepted(accepted),
                Err(error) => Outcome::Error(error),
            }),
        }
    }

    /// Sends through an edge that holds the account's connection, when none is up here. `None` leaves the answer to the
    /// adapter of this process: it holds one after all, or says how things stand.
    async fn elsewhere(
        &self,
        served: &Served<dyn Channel>,
        request: &SendRequest,
        pieces: u32,
        deadline: Option<Moment>,
    ) -> Option<SendResponse> {
        if request.handed_on || served.by.is_connected() {
            return None;
        }
        let until = self.clock.now() + self.left(deadline).ok()?;
        let response = self.holders.send(request, pieces, until).await?;
        self.metrics.handed_on(&served.channel);
        Some(response)
    }

    /// A place among the account's calls, before the deadline.
    async fn place<'a>(
        &self,
        places: &'a Places,
        deadline: Option<Moment>,
    ) -> Result<(SemaphorePermit<'a>, SemaphorePermit<'a>), SendError> {
        let crowded = || SendError {
            retry_after_ms: CROWDED_MS,
            ..error(ErrorClass::Throttled, "too many calls wait for this account")
        };
        let waiting = places.waiting.try_acquire().map_err(|_| crowded())?;
        let left = self.left(deadline)?;
        match tokio::time::timeout(left, places.calling.acquire()).await {
            Ok(Ok(calling)) => Ok((waiting, calling)),
            Ok(Err(_)) => Err(crowded()),
            Err(_) => Err(too_late()),
        }
    }

    /// How long a call that begins now may take.
    fn left(&self, deadline: Option<Moment>) -> Result<Duration, SendError> {
        let Some(deadline) = deadline else {
            return Ok(self.settings.send_within);
        };
        let left = deadline.since(self.clock.now());
        if left.is_zero() {
            return Err(too_late());
        }
        Ok(left.min(self.settings.send_within))
    }

    /// Calls the adapter. From here on everything that is not clearly a "no" is ambiguous.
    async fn call(
        &self,
        account: &str,
        channel: &dyn Channel,
        mut outgoing: Outgoing,
        deadline: Option<Moment>,
    ) -> Result<SendAccepted, SendError> {
        outgoing.time_limit = self.left(deadline)?;
        let limit = outgoing.time_limit;
        let host = self.host(account);
        let call = AssertUnwindSafe(channel.send(&outgoing, &host)).catch_unwind();
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                tracing::error!(send_key = outgoing.send_key, "the adapter failed while sending");
                Err(error(ErrorClass::Ambiguous, "the adapter failed while sending"))
            }
            Err(_) => Err(error(ErrorClass::Ambiguous, "no answer before the deadline")),
        }
    }

    fn host<'a>(&'a self, account: &'a str) -> Host<'a> {
        Host {
            account,
            transport: self.transport.as_ref(),
            clock: self.clock.as_ref(),
            credentials: &self.credentials,
        }
    }

    /// Asks a provider for one template, in a place among the account's calls.
    async fn look_up(&self, asked: &LookupTemplateRequest) -> Result<Vec<ProviderTemplate>, Problem> {
        let account = asked.account_id.as_str();
        let (Some(served), Some(places)) = (self.catalog.channels.get(account), self.places.get(account)) else {
            return Err(Problem::not_found("ACCOUNT_NOT_FOUND", NOT_HOSTED));
        };
        let unknown = |why: &str| Problem::unavailable("TEMPLATE_NOT_LOOKED_UP", why);
        let deadline = self.clock.now() + LOOK_UP_WITHIN;
        let place = self.place(places, Some(deadline)).await;
        let _place = place.map_err(|error| unknown(&error.text))?;
        let host = self.host(account);
        let call = AssertUnwindSafe(served.by.look_up_template(&asked.template_id, &host)).catch_unwind();
        match tokio::time::timeout(LOOK_UP_WITHIN, call).await {
            Ok(Ok(Ok(Some(found)))) => Ok(found),
            Ok(Ok(Ok(None))) => Err(Problem::unimplemented(
                "TEMPLATE_LOOKUP_UNSUPPORTED",
                "the channel cannot look a template up",
            )),
            Ok(Ok(Err(error))) => Err(unknown(&error.text)),
            Ok(Err(_)) => {
                tracing::error!(account, "the adapter failed while looking a template up");
                Err(unknown("the adapter failed"))
            }
            Err(_) => Err(unknown("no answer in time")),
        }
    }
}

fn outgoing(request: SendRequest) -> Option<Outgoing> {
    let identifier = request.peer?;
    let peer = identifier.value;
    let peer_provider_form = match request.peer_provider_form {
        form if form.is_empty() => peer.clone(),
        form => form,
    };
    Some(Outgoing {
        peer_type: identifier.r#type,
        peer,
        peer_provider_form,
        message: request.message?,
        piece: request.piece,
        send_key: request.send_key,
        time_limit: Duration::ZERO,
    })
}

fn too_late() -> SendError {
    error(ErrorClass::NotSent, "the deadline passed before it was submitted")
}

#[async_trait::async_trait]
impl AdapterService for Sending {
    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        let request = request.into_inner();
        let account = request.account_id.clone();
        let response = self.submit(request).await;
        let error = match &response.outcome {
            Some(Outcome::Error(error)) => Some(error.class()),
            Some(Outcome::Accepted(_)) | None => None,
        };
        let channel = self.catalog.channels.get(&account).map_or("", |served| &served.channel);
        self.metrics.sent(channel, error);
        Ok(Response::new(response))
    }

    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        let account = request.into_inner().account_id;
        let channel = self.catalog.channels.get(&account);
        let channel = channel.ok_or_else(|| Problem::not_found("ACCOUNT_NOT_FOUND", NOT_HOSTED))?;
        Ok(Response::new(GetCapabilitiesResponse {
            capabilities: Some(channel.by.capabilities()),
        }))
    }

    async fn lookup_send(&self, _: Request<LookupSendRequest>) -> Result<Response<LookupSendResponse>, Status> {
        let problem = "no built-in channel can look a send up";
        Err(Problem::unimplemented("LOOKUP_UNSUPPORTED", problem).into())
    }

    async fn lookup_template(
        &self,
        request: Request<LookupTemplateRequest>,
    ) -> Result<Response<LookupTemplateResponse>, Status> {
        let templates = self.look_up(request.get_ref()).await?;
        Ok(Response::new(LookupTemplateResponse { templates }))
    }
}
