//! Outbound HTTP: one request, one answer, no retries, no redirects.
//!
//! Hosts that the operator configured are called wherever they are; every other one only at public addresses, because
//! links in messages come from strangers.

mod guard;

use bytes::{Bytes, BytesMut};
use guard::{Private, PublicOnly, is_public};
use omnigate_core::port::adapter::{FormPart, HttpBody, HttpRequest, HttpResponse, Transport, TransportError};
use reqwest::{Client, Method, RequestBuilder, multipart};
use std::{collections::BTreeSet, error::Error, io, net::IpAddr, time::Duration};
use url::{Host, Url};

/// Largest answer taken.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Connections kept per host while nothing is sent.
const IDLE_CONNECTIONS: usize = 32;
/// How long connecting may take; much less than a call, so that a dead host is known to have got nothing.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Outbound HTTP cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The process has not chosen its cryptography.
    #[error("no TLS provider is installed in this process")]
    NoTlsProvider,
    /// The client refuses its settings.
    #[error("http client cannot be built")]
    Client(#[from] reqwest::Error),
}

/// Outbound HTTP with pooled connections.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    /// Host and port of every address the operator configured.
    configured: BTreeSet<(String, u16)>,
    anywhere: Client,
    public_only: Client,
}

impl HttpTransport {
    /// A transport that trusts the hosts of these configured addresses (settings of an account or app whose names end in `_url`). The process
    /// must have installed its TLS provider.
    pub fn new<'a>(configured: impl IntoIterator<Item = &'a str>) -> Result<Self, SetupError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(SetupError::NoTlsProvider);
        }
        let client = || {
            Client::builder()
                .user_agent(concat!("omnigate/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .connect_timeout(CONNECT_WITHIN)
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
        };
        Ok(Self {
            configured: configured
                .into_iter()
                .filter_map(|address| host_and_port(&Url::parse(address).ok()?))
                .collect(),
            anywhere: client().build()?,
            public_only: client().dns_resolver(PublicOnly).build()?,
        })
    }

    /// The client for an address. Literal addresses never reach the resolver and are checked here.
    fn client(&self, url: &Url) -> Result<&Client, TransportError> {
        let place = host_and_port(url).ok_or_else(|| TransportError::Forbidden("it names no host".to_owned()))?;
        if self.configured.contains(&place) {
            return Ok(&self.anywhere);
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if literal.is_some_and(|address| !is_public(address)) {
            return Err(TransportError::Forbidden(Private.to_string()));
        }
        Ok(&self.public_only)
    }
}

fn host_and_port(url: &Url) -> Option<(String, u16)> {
    Some((url.host_str()?.to_lowercase(), url.port_or_known_default()?))
}

#[async_trait::async_trait]
impl Transport for HttpTransport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let not_sent = |problem: &str| TransportError::NotSent(problem.to_owned());
        let url = Url::parse(&request.url).map_err(|_| not_sent("malformed address"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TransportError::Forbidden("only http and https are called".to_owned()));
        }
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| not_sent("malformed method"))?;
        let mut call = self.client(&url)?.request(method, url).timeout(request.time_limit);
        let says_type = request
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        for (name, value) in &request.headers {
            call = call.header(*name, value);
        }
        let response = with_body(call, request.body, says_type)?
            .send()
            .await
            .map_err(classify)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        Ok(HttpResponse {
            status,
            headers,
            body: read(response).await?,
        })
    }
}

fn with_body(call: RequestBuilder, body: HttpBody, says_type: bool) -> Result<RequestBuilder, TransportError> {
    match body {
        HttpBody::Empty => Ok(call),
        HttpBody::Json(text) if says_type => Ok(call.body(text)),
        HttpBody::Json(text) => Ok(call.header("content-type", "application/json").body(text)),
        HttpBody::Form(fields) => Ok(call.form(&fields)),
        HttpBody::Multipart(parts) => parts
            .into_iter()
            .try_fold(multipart::Form::new(), |form, part| {
                Ok(form.part(part.name.clone(), field(part)?))
            })
            .map(|form| call.multipart(form)),
    }
}

fn field(part: FormPart) -> Result<multipart::Part, TransportError> {
    let length = u64::try_from(part.content.len()).unwrap_or(u64::MAX);
    let mut field = multipart::Part::stream_with_length(part.content, length);
    if let Some(name) = part.file_name {
        field = field.file_name(name);
    }
    match part.mime_type {
        None => Ok(field),
        Some(kind) => field
            .mime_str(&kind)
            .map_err(|_| TransportError::NotSent("malformed mime type".to_owned())),
    }
}

/// Reads the answer chunk by chunk, so that neither a long nor a well-packed one fills the memory.
async fn read(mut response: reqwest::Response) -> Result<Bytes, TransportError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(classify)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(TransportError::Ambiguous(format!(
                "the answer is larger than {MAX_ANSWER} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Only what failed before a connection stood is known not to have been sent. Texts are our own: the client's name the
/// address, which may hold a token.
fn classify(error: reqwest::Error) -> TransportError {
    if cause::<Private>(&error).is_some() {
        return TransportError::Forbidden(Private.to_string());
    }
    let detail = cause::<io::Error>(&error).map(|error| error.kind().to_string());
    if error.is_builder() {
        return TransportError::NotSent("malformed request".to_owned());
    }
    if error.is_connect() {
        let timed_out = error.is_timeout().then(|| "timed out".to_owned());
        return TransportError::NotSent(timed_out.or(detail).unwrap_or_else(|| "no connection".to_owned()));
    }
    if error.is_timeout() {
        return TransportError::Ambiguous("timed out".to_owned());
    }
    TransportError::Ambiguous(detail.unwrap_or_else(|| "connection broke".to_owned()))
}

/// The innermost cause of a type.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref::<E>().or(found);
        next = error.source();
    }
    found
}
