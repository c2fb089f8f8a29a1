//! The ways out: connections and HTTP, given to adapters by their host.

use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Where a session connects to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Host name or address, as configured.
    pub host: String,
    /// Port.
    pub port: u16,
    /// True for TLS from the first byte on.
    pub tls: bool,
    /// With TLS, certificates as PEM of which one must have signed the other side's; without them the system's.
    pub authority: Option<String>,
}

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An HTTP request to a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpRequest {
    /// Method, upper case.
    pub method: &'static str,
    /// Address.
    pub url: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: HttpBody,
    /// How long the call may take at most.
    pub time_limit: Duration,
}

/// Body of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HttpBody {
    /// None.
    Empty,
    /// JSON text.
    Json(Bytes),
    /// `application/x-www-form-urlencoded`: names and values in order.
    Form(Vec<(String, String)>),
    /// `multipart/form-data`.
    Multipart(Vec<FormPart>),
}

/// A field of a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormPart {
    /// Field name.
    pub name: String,
    /// File name, for files.
    pub file_name: Option<String>,
    /// MIME type, for files.
    pub mime_type: Option<String>,
    /// Content.
    pub content: Bytes,
}

/// A provider's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpResponse {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, at most 4 MiB.
    pub body: Bytes,
}

/// Why there is no answer. Texts carry no address: addresses may hold tokens.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransportError {
    /// Provably nothing left: no name, no connection, no TLS.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// It may have arrived: time-out or reset after sending began.
    #[error("no answer: {0}")]
    Ambiguous(String),
    /// The address is not allowed (private network).
    #[error("address refused: {0}")]
    Forbidden(String),
}

/// Outbound HTTP.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// One request, no retries, no redirects.
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// Outbound connections that are not HTTP. Every place comes from the configuration.
#[async_trait::async_trait]
pub trait Dialer: Send + Sync {
    /// Opens a connection, within a time of its own.
    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError>;
}
