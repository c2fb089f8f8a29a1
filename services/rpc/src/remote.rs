//! Roles of other processes, behind the same traits as those of this one.
//!
//! A connection is made when first needed and made again when lost. Nothing is ever sent twice by us: an error means that
//! the call may or may not have happened, and the caller decides.

#[cfg(test)]
mod tests;

use crate::{
    deadline::{self, Deadline, GRPC_TIMEOUT},
    push::Push,
    trace,
    v1::{
        adapter_service_client::AdapterServiceClient, adapter_service_server::AdapterService,
        credential_service_client::CredentialServiceClient, credential_service_server::CredentialService,
        ingest_service_client::IngestServiceClient, ingest_service_server::IngestService,
        session_service_client::SessionServiceClient, session_service_server::SessionService,
    },
};
use omnigate_proto::v1;
use std::{error::Error as _, future::Future, io, time::Duration};
use tokio::time::{Instant, error::Elapsed};
use tonic::{
    Code, ConnectError, Request, Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// Pings on a silent connection, so that a dead server is noticed.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long a ping may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a client calls.
#[derive(Clone)]
pub struct Options {
    /// Token to show; none to an adapter without one.
    pub token: Option<String>,
    /// How long a call may take that names no time-out.
    pub timeout: Duration,
    /// Largest answer, in bytes.
    pub message_bytes: usize,
    /// PEM of the authority that signed the server's certificate; without it the system's. Used with `https://`.
    pub ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            timeout, message_bytes, ..
        } = self;
        formatter
            .debug_struct("Options")
            .field("timeout", timeout)
            .field("message_bytes", message_bytes)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Calls with a token, ten seconds and 16 MiB at most.
    #[must_use]
    pub fn with_token(token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            timeout: Duration::from_secs(10),
            message_bytes: 16 * 1024 * 1024,
            ca: None,
        }
    }
}

/// A client cannot be made; what is wrong is in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("{address:?} is not an address host:port")]
    Address {
        /// What was given.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The authority's certificate cannot be used.
    #[error("TLS for {address}: {source}")]
    Tls {
        /// What was given.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The token holds characters that metadata cannot.
    #[error("the token is not plain ASCII")]
    Token,
}

/// The endpoint at `host:port`, `http://host:port` or `https://host:port`.
pub(crate) fn endpoint(address: &str, ca: Option<&[u8]>) -> Result<Endpoint, ClientError> {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let tls = url.starts_with("https://");
    let endpoint = Endpoint::from_shared(url).map_err(|source| ClientError::Address {
        address: address.to_owned(),
        source,
    })?;
    let endpoint = endpoint
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if !tls {
        return Ok(endpoint);
    }
    let config = match ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    endpoint.tls_config(config).map_err(|source| ClientError::Tls {
        address: address.to_owned(),
        source,
    })
}

/// The metadata that shows a token.
pub(crate) fn bearer(token: &str) -> Result<MetadataValue<Ascii>, ClientError> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| ClientError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What every call of a client gets.
#[derive(Clone, Debug)]
struct Manner {
    bearer: Option<MetadataValue<Ascii>>,
    timeout: Duration,
}

impl Manner {
    /// The request to send for one that a role made: its time-out or deadline, its trace, our token. Nothing else of its
    /// metadata travels: that belongs to whoever called us.
    fn dress<Q>(&self, request: Request<Q>) -> (Request<Q>, Duration) {
        let (metadata, extensions, message) = request.into_parts();
        let timeout = asked(&metadata).or_else(|| extensions.get::<Deadline>().map(|deadline| deadline.remaining()));
        let timeout = timeout.unwrap_or(self.timeout);
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        let context = trace::next(trace::of_request(&metadata, &extensions));
        let traceparent: Option<MetadataValue<Ascii>> = context.to_string().parse().ok();
        let metadata = request.metadata_mut();
        if let Some(traceparent) = traceparent {
            metadata.insert(trace::TRACEPARENT, traceparent);
        }
        if let Some(bearer) = &self.bearer {
            metadata.insert("authorization", bearer.clone());
        }
        (request, timeout)
    }
}

fn asked(metadata: &MetadataMap) -> Option<Duration> {
    deadline::parse(metadata.get(GRPC_TIMEOUT)?.to_str().ok()?)
}

/// The transport answers CANCELLED when time is over; callers are told what it was.
async fn within<A>(
    timeout: Duration,
    call: impl Future<Output = Result<Response<A>, Status>>,
) -> Result<Response<A>, Status> {
    let begun = Instant::now();
    let answered = call.await;
    match answered {
        Err(status) if status.code() == Code::Cancelled && begun.elapsed() >= timeout => Err(deadline::exceeded()),
        answered => answered,
    }
}

/// True when a failed call proves that no connection came to be, so that nothing of it left.
#[must_use]
pub fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() || error.downcast_ref::<io::Error>().is_some_and(proves_no_connection) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A time-out of the operating system is of an established connection; one of the runtime is of [`CONNECT`], which is the
/// only such time-out that a client of ours has.
fn proves_no_connection(error: &io::Error) -> bool {
    let elapsed = || error.get_ref().is_some_and(|inner| inner.is::<Elapsed>());
    match error.kind() {
        io::ErrorKind::ConnectionRefused => true,
        io::ErrorKind::TimedOut => elapsed(),
        _ => false,
    }
}

macro_rules! remote {
    ($(#[$doc:meta])* $name:ident: $service:ident by $client:ident {
        $($method:ident($request:ty) -> $response:ident,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            client: $client<Channel>,
            manner: Manner,
        }

        impl $name {
            /// A client of the service at `host:port` or `https://host:port`; connects when first called. To be made
            /// inside a runtime.
            pub fn connect(address: &str, options: &Options) -> Result<Self, ClientError> {
                let channel = endpoint(address, options.ca.as_deref())?.connect_lazy();
                Ok(Self {
                    client: $client::new(channel).max_decoding_message_size(options.message_bytes),
                    manner: Manner {
                        bearer: options.token.as_deref().map(bearer).transpose()?,
                        timeout: options.timeout,
                    },
                })
            }
        }

        #[tonic::async_trait]
        impl $service for $name {
            $(
                async fn $method(&self, request: Request<$request>) -> Result<Response<v1::$response>, Status> {
                    let (request, timeout) = self.manner.dress(request);
                    within(timeout, self.client.clone().$method(request)).await
                }
            )+
        }
    };
}

remote! {
    /// The ingest role of another process.
    Ingest: IngestService by IngestServiceClient {
        push(Push) -> PushResponse,
    }
}
remote! {
    /// The edge role of another process, or an adapter of somebody else's. A call is sent at most once.
    Adapter: AdapterService by AdapterServiceClient {
        send(v1::SendRequest) -> SendResponse,
        get_capabilities(v1::GetCapabilitiesRequest) -> GetCapabilitiesResponse,
        lookup_send(v1::LookupSendRequest) -> LookupSendResponse,
        lookup_template(v1::LookupTemplateRequest) -> LookupTemplateResponse,
    }
}
remote! {
    /// The scheduler role's sessions of another process.
    Session: SessionService by SessionServiceClient {
        acquire(v1::AcquireRequest) -> AcquireResponse,
        renew(v1::RenewRequest) -> RenewResponse,
        checkpoint(v1::CheckpointRequest) -> CheckpointResponse,
        release(v1::ReleaseRequest) -> ReleaseResponse,
        locate(v1::LocateRequest) -> LocateResponse,
    }
}
remote! {
    /// The scheduler role's access tokens of another process.
    Credential: CredentialService by CredentialServiceClient {
        get_access_token(v1::GetAccessTokenRequest) -> GetAccessTokenResponse,
    }
}
