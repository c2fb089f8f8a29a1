//! Answers providers: verify and translate, push, and only then say that all is well.

use crate::{
    catalog::Catalog,
    metrics::Metrics,
    pushes::{Parcel, Pushes},
    settings::Settings,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::any,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use omnigate_core::{
    port::{
        Clock,
        adapter::{Received, Reply, Webhook, WebhookRequest},
    },
    trace::TraceContext,
};
use omnigate_proto::v1::{Event, RawRequest};
use omnigate_rpc::trace;
use omnigate_runtime::http::Remote;
use percent_encoding::percent_decode_str;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// Headers that carry secrets whoever sends them.
const ALWAYS_SECRET: &[&str] = &["authorization", "proxy-authorization", "cookie"];
/// Unit in which memory for bodies is counted.
const PAGE: usize = 4096;

/// What answering needs.
pub(crate) struct Reception {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) pushes: Arc<Pushes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    /// Memory for bodies, in pages.
    pub(crate) memory: Semaphore,
}

/// A request that cannot be read.
enum Unreadable {
    TooLarge,
    TooSlow,
    Broken,
    NoRoom,
}

/// A provider that waited longer may have given up before it heard the answer.
const PROMPT: Duration = Duration::from_secs(3);

/// Tells the adapter how a request with events was answered, also when it is cut off.
struct Answered<'a> {
    webhook: &'a dyn Webhook,
    stable_keys: Vec<String>,
    begun: Instant,
    kept: bool,
}

impl<'a> Answered<'a> {
    fn new(webhook: &'a dyn Webhook, events: &[Event]) -> Self {
        let keys = events.iter().map(|event| &event.stable_key);
        Self {
            webhook,
            stable_keys: keys.filter(|key| !key.is_empty()).cloned().collect(),
            begun: Instant::now(),
            kept: false,
        }
    }
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        if !self.stable_keys.is_empty() {
            let kept = self.kept && self.begun.elapsed() <= PROMPT;
            self.webhook.answered(&self.stable_keys, kept);
        }
    }
}

/// How many times the largest body is read of one that is larger, before its connection is cut.
const DISCARDED: usize = 8;

/// The only route.
pub(crate) fn routes(reception: Arc<Reception>) -> Router {
    Router::new()
        .route("/v1/webhooks/{app_id}", any(receive))
        .with_state(reception)
}

/// Pages to reserve for bodies.
pub(crate) fn pages(bytes: usize) -> usize {
    bytes.div_ceil(PAGE)
}

async fn receive(State(reception): State<Arc<Reception>>, Path(app_id): Path<String>, request: Request) -> Response {
    let begun = Instant::now();
    let Some((app_id, served)) = reception.catalog.webhooks.get_key_value(&app_id) else {
        reception.metrics.webhook("", "unknown_app", begun.elapsed());
        tracing::debug!(app = %app_id.escape_default(), "webhook request for an unknown app");
        return (StatusCode::NOT_FOUND, "no app of this id has a webhook here\n").into_response();
    };
    let (response, outcome) = reception.answer(app_id, served.by.as_ref(), request).await;
    reception.metrics.webhook(&served.channel, outcome, begun.elapsed());
    response
}

impl Reception {
    /// The answer, and what to call it in metrics.
    async fn answer(&self, app_id: &str, webhook: &dyn Webhook, request: Request) -> (Response, &'static str) {
        let (head, body) = request.into_parts();
        let (body, _room) = match self.read(&head.headers, body).await {
            Ok(read) => read,
            Err(unreadable) => return self.unread(app_id, &unreadable),
        };
        let trace = trace_of(&head.headers);
        let request = webhook_request(head, body, self.clock.as_ref());
        let Ok(received) = catch_unwind(AssertUnwindSafe(|| webhook.receive(&request, true))) else {
            tracing::error!(
                app = app_id,
                trace_id = trace.trace_id(),
                "the adapter failed on a webhook request"
            );
            return (StatusCode::INTERNAL_SERVER_ERROR.into_response(), "failed");
        };
        match received {
            Received::Rejected { reply, problem } => {
                tracing::warn!(app = app_id, problem, "webhook request rejected");
                (response(reply), "rejected")
            }
            Received::Events { events, reply } if events.is_empty() => (response(reply), "empty"),
            Received::Events { mut events, reply } => {
                for event in &mut events {
                    event
                        .received_at
                        .get_or_insert_with(|| request.received_at.to_timestamp());
                    if event.trace_id.is_empty() {
                        event.trace_id = trace.trace_id();
                    }
                }
                let raw = vec![kept(app_id, webhook, request)];
                let mut answered = Answered::new(webhook, &events);
                match self.pushes.push(app_id, Parcel { events, raw }, trace).await {
                    Ok(()) => {
                        answered.kept = true;
                        (response(reply), "accepted")
                    }
                    Err(problem) => {
                        tracing::warn!(app = app_id, trace_id = trace.trace_id(), %problem, "webhook request not kept");
                        (come_again(), "unavailable")
                    }
                }
            }
        }
    }

    /// Reads the body, within the limits of size, time and memory. The memory is given back when the permit goes.
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<(Bytes, SemaphorePermit<'_>), Unreadable> {
        let limit = self.settings.body_bytes;
        let said = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if said.is_some_and(|length| length > limit) {
            self.discard(body).await;
            return Err(Unreadable::TooLarge);
        }
        let pages = u32::try_from(pages(said.unwrap_or(limit)).max(1)).unwrap_or(u32::MAX);
        let room = self.memory.try_acquire_many(pages).map_err(|_| Unreadable::NoRoom)?;
        let read = tokio::time::timeout(self.settings.body_within, Limited::new(body, limit).collect());
        match read.await {
            Err(_) => Err(Unreadable::TooSlow),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unreadable::TooLarge),
            Ok(Err(_)) => Err(Unreadable::Broken),
            Ok(Ok(body)) => Ok((body.to_bytes(), room)),
        }
    }

    /// Reads on for a while and keeps nothing: a client that is still writing would see its connection reset and not the
    /// answer.
    async fn discard(&self, body: Body) {
        let mut body = Limited::new(body, self.settings.body_bytes.saturating_mul(DISCARDED));
        let reading = async { while let Some(Ok(_)) = body.frame().await {} };
        if tokio::time::timeout(self.settings.body_within, reading).await.is_err() {
            tracing::debug!("a client took too long over a body that is too large");
        }
    }

    fn unread(&self, app_id: &str, why: &Unreadable) -> (Response, &'static str) {
        let (response, outcome) = match why {
            Unreadable::TooLarge => {
                let text = format!("the body is larger than {} bytes\n", self.settings.body_bytes);
                ((StatusCode::PAYLOAD_TOO_LARGE, text).into_response(), "too_large")
            }
            Unreadable::TooSlow => (StatusCode::REQUEST_TIMEOUT.into_response(), "too_slow"),
            Unreadable::Broken => (StatusCode::BAD_REQUEST.into_response(), "broken"),
            Unreadable::NoRoom => (come_again(), "no_room"),
        };
        tracing::warn!(app = app_id, outcome, "webhook request not read");
        (response, outcome)
    }
}

/// The next step of the provider's trace, or a new one.
fn trace_of(headers: &HeaderMap) -> TraceContext {
    let given = headers.get(trace::TRACEPARENT);
    trace::next(given.and_then(|text| TraceContext::parse(text.to_str().ok()?)))
}

fn webhook_request(head: Parts, body: Bytes, clock: &dyn Clock) -> WebhookRequest {
    WebhookRequest {
        method: head.method.as_str().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
        body,
        remote: head.extensions.get::<Remote>().map(|remote| remote.0.ip()),
        received_at: clock.now(),
    }
}

/// The request as it is kept for replay: everything but secrets.
fn kept(app_id: &str, webhook: &dyn Webhook, request: WebhookRequest) -> RawRequest {
    let secret = webhook.secret_headers();
    let is_secret = |name: &str| ALWAYS_SECRET.contains(&name) || secret.contains(&name);
    let query = without_parameters(&request.query, webhook.secret_parameters());
    RawRequest {
        app_id: app_id.to_owned(),
        method: request.method,
        query,
        headers: request
            .headers
            .into_iter()
            .filter(|(name, _)| !is_secret(name))
            .filter_map(|(name, value)| Some((name, String::from_utf8(value.to_vec()).ok()?)))
            .collect(),
        body: request.body,
        received_at_ms: request.received_at.0,
    }
}

/// A query string without these parameters.
fn without_parameters(query: &str, names: &[&str]) -> String {
    let is_kept = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        let name = percent_decode_str(&name).decode_utf8_lossy();
        !names.contains(&&*name)
    };
    query.split('&').filter(is_kept).collect::<Vec<_>>().join("&")
}

/// Nothing is kept, and soon it could be.
fn come_again() -> Response {
    let headers = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::SERVICE_UNAVAILABLE, headers).into_response()
}

fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    // An adapter's reply is a constant of its code; a status that is none must not look like success.
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !reply.content_type.is_empty() {
        let kind = HeaderValue::from_static(reply.content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::without_parameters;

    #[test]
    fn secrets_leave_the_query() {
        let kept = |query| without_parameters(query, &["token"]);
        assert_eq!(kept("token=a&SMSID=1&token=b&to%6ben=c&x"), "SMSID=1&x");
        assert_eq!(kept("token"), "");
        assert_eq!(kept("tokens=a&%ff=b"), "tokens=a&%ff=b");
        assert_eq!(without_parameters("a=1&&b=%20", &[]), "a=1&&b=%20");
    }
}
