//! Roles of the same process: called directly, as if through a server. The call has the gateway itself as its caller, a
//! deadline when the request names a time-out, a trace, and a net for panics, so that a role sees no difference.

use crate::{
    AdapterPort, CredentialPort, IngestPort, SessionPort,
    auth::Caller,
    deadline::{self, Deadline, GRPC_TIMEOUT},
    error::Problem,
    push::Push,
    trace,
    v1::{
        adapter_service_server::AdapterService, credential_service_server::CredentialService,
        ingest_service_server::IngestService, session_service_server::SessionService,
    },
};
use futures_util::FutureExt as _;
use omnigate_proto::v1;
use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status, metadata::MetadataMap};
use tracing::Instrument as _;

/// A service of this process as a port.
struct Local<S: ?Sized>(Arc<S>);

/// The ingest role of this process.
#[must_use]
pub fn ingest(service: IngestPort) -> IngestPort {
    Arc::new(Local(service))
}

/// The edge role of this process.
#[must_use]
pub fn adapter(service: AdapterPort) -> AdapterPort {
    Arc::new(Local(service))
}

/// The scheduler role's sessions of this process.
#[must_use]
pub fn session(service: SessionPort) -> SessionPort {
    Arc::new(Local(service))
}

/// The scheduler role's access tokens of this process.
#[must_use]
pub fn credential(service: CredentialPort) -> CredentialPort {
    Arc::new(Local(service))
}

/// Calls `work` with the request as a server would hand it over.
async fn call<Q, A, F>(
    method: &'static str,
    mut request: Request<Q>,
    work: impl FnOnce(Request<Q>) -> F,
) -> Result<Response<A>, Status>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let context = trace::next(trace::of_request(request.metadata(), request.extensions()));
    let timeout = request.metadata().get(GRPC_TIMEOUT);
    let timeout = timeout.and_then(|header| deadline::parse(header.to_str().ok()?));
    let given = request.extensions().get::<Deadline>().copied();
    let until = timeout.map(|timeout| Deadline(Instant::now() + timeout)).or(given);
    // Nothing of the metadata travels, as through a client: it may belong to whoever called us.
    *request.metadata_mut() = MetadataMap::new();
    request.extensions_mut().insert(Caller::internal());
    request.extensions_mut().insert(context);
    if let Some(until) = until {
        request.extensions_mut().insert(until);
    }
    let work = AssertUnwindSafe(async { work(request).await }).catch_unwind();
    let work = trace::scope(context, work).instrument(trace::span(method, &context));
    let ended = match until {
        Some(Deadline(until)) => timeout_at(until, work).await.map_err(|_| deadline::exceeded())?,
        None => work.await,
    };
    ended.unwrap_or_else(|_| {
        tracing::error!(method, trace_id = context.trace_id(), "call panicked");
        Err(Problem::internal().into())
    })
}

macro_rules! local {
    ($service:ident { $($method:ident($request:ty) -> $response:ident,)+ }) => {
        #[tonic::async_trait]
        impl<S: $service + ?Sized> $service for Local<S> {
            $(
                async fn $method(&self, request: Request<$request>) -> Result<Response<v1::$response>, Status> {
                    let name = concat!(stringify!($service), ".", stringify!($method));
                    call(name, request, |request| self.0.$method(request)).await
                }
            )+
        }
    };
}

local!(IngestService { push(Push) -> PushResponse, });
local!(AdapterService {
    send(v1::SendRequest) -> SendResponse,
    get_capabilities(v1::GetCapabilitiesRequest) -> GetCapabilitiesResponse,
    lookup_send(v1::LookupSendRequest) -> LookupSendResponse,
    lookup_template(v1::LookupTemplateRequest) -> LookupTemplateResponse,
});
local!(SessionService {
    acquire(v1::AcquireRequest) -> AcquireResponse,
    renew(v1::RenewRequest) -> RenewResponse,
    checkpoint(v1::CheckpointRequest) -> CheckpointResponse,
    release(v1::ReleaseRequest) -> ReleaseResponse,
    locate(v1::LocateRequest) -> LocateResponse,
});
local!(CredentialService { get_access_token(v1::GetAccessTokenRequest) -> GetAccessTokenResponse, });
