//! Serving calls and making callbacks.

use super::{
    Options,
    callback::{Callback, Retry, SentCallback},
    control,
    desk::Desk,
    face::{Call, Face, Reply},
    fault::Fault,
    handle::SmsHandle,
    journal::JournalEntry,
};
use crate::{
    clock::{Clock, Now},
    connection::{Cut, CuttableListener},
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, DefaultBodyLimit, State},
    http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header::CONTENT_TYPE},
    response::Response,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    future, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Largest call read.
const REQUEST_LIMIT: usize = 1 << 20;
/// Callbacks under way at once.
const AT_ONCE: usize = 64;

pub(super) struct Inner {
    face: Box<dyn Face>,
    pub(super) desk: Desk,
}

impl Inner {
    pub(super) fn split(&mut self) -> (&mut dyn Face, &mut Desk) {
        (&mut *self.face, &mut self.desk)
    }
}

pub(super) struct Shared {
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
    clock: Clock,
    silence: Duration,
    pub(super) callback_timeout: Duration,
    pub(super) client: Client<HttpConnector, Full<Bytes>>,
    pub(super) address: SocketAddr,
    pub(super) prefix: &'static str,
    pub(super) cancel: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked in a condition must not take the fake down with it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Wakes whoever waits for a condition, and the deliveries.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Serves a face on `listener` until the last handle is dropped or stopped. `prefix` is the path of the provider's API.
pub(crate) fn start(
    listener: TcpListener,
    options: Options,
    prefix: &'static str,
    face: impl Face,
) -> io::Result<SmsHandle> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let control = options.control;
    let shared = Arc::new(Shared {
        changes: watch::Sender::new(0),
        clock: options.clock.clone(),
        silence: options.silence,
        callback_timeout: options.callback_timeout,
        client: Client::builder(TokioExecutor::new()).build(connector),
        address: listener.local_addr()?,
        prefix,
        cancel: CancellationToken::new(),
        tasks: TaskTracker::new(),
        inner: Mutex::new(Inner {
            face: Box::new(face),
            desk: Desk::new(options),
        }),
    });
    shared.tasks.spawn(deliver(Arc::clone(&shared)));
    shared.tasks.spawn(serve(listener, Arc::clone(&shared), control));
    let guard = shared.cancel.clone().drop_guard();
    Ok(SmsHandle::outer(shared, guard))
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, control: bool) {
    let cancel = shared.cancel.clone();
    let mut router = Router::new();
    if control {
        router = router.nest("/control", control::router());
    }
    let service = router
        .fallback(answer)
        .layer(DefaultBodyLimit::max(REQUEST_LIMIT))
        .with_state(shared)
        .into_make_service_with_connect_info::<Cut>();
    tokio::select! {
        served = axum::serve(CuttableListener(listener), service) => {
            if let Err(error) = served {
                tracing::error!(%error, "an SMS sandbox stopped serving");
            }
        }
        // No grace: a provider that vanishes does so in the middle of an answer.
        () = cancel.cancelled() => {}
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    method: Method,
    uri: Uri,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        method,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    };
    let now = shared.now();
    let (reply, fault) = {
        let mut inner = shared.lock();
        let (face, desk) = inner.split();
        desk.journal.counters.requests += 1;
        let fault = if face.sends(&call) { desk.faults.strike() } else { None };
        let reply = match &fault {
            Some(fault) if !fault.is_processed() => face.spoiled(fault),
            _ => face.call(desk, &call, now),
        };
        let counters = &mut desk.journal.counters;
        counters.faults += u64::from(fault.is_some());
        counters.refused += u64::from(reply.error.is_some());
        let is_silent = fault.as_ref().is_some_and(is_without_answer);
        desk.journal.call(JournalEntry {
            number: 0,
            unix: now.unix,
            call: format!("{} {}", call.method, call.path),
            status: if is_silent { 0 } else { reply.status },
            error: reply.error.clone(),
            fault: fault.clone(),
        });
        (reply, fault)
    };
    shared.changed();
    match fault {
        Some(Fault::SilenceBefore | Fault::SilenceAfter) => {
            tokio::select! {
                () = tokio::time::sleep(shared.silence) => {}
                () = shared.cancel.cancelled() => {}
            }
            cut.cut();
        }
        Some(Fault::ResetBefore | Fault::ResetAfter) => cut.cut(),
        Some(Fault::BadGateway) => return raw(502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>"),
        Some(Fault::Garbled) => {
            let text = reply.body.to_string();
            let half = text.chars().take(text.chars().count() / 2).collect::<String>();
            return raw(reply.status, "application/json", half);
        }
        _ => {}
    }
    written(reply)
}

fn is_without_answer(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::SilenceBefore | Fault::SilenceAfter | Fault::ResetBefore | Fault::ResetAfter
    )
}

fn raw(status: u16, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn written(reply: Reply) -> Response {
    let mut response = raw(reply.status, "application/json", reply.body.to_string());
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Makes callbacks until the sandbox stops.
async fn deliver(shared: Arc<Shared>) {
    let mut changes = shared.changes();
    let mut running = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let wake = {
            let now = shared.now().at;
            let mut inner = shared.lock();
            while running.len() < AT_ONCE
                && let Some(callback) = inner.desk.waiting.take_due(now)
            {
                running.spawn(make(Arc::clone(&shared), callback));
            }
            inner.desk.waiting.wakes_at().filter(|_| running.len() < AT_ONCE)
        };
        tokio::select! {
            () = shared.cancel.cancelled() => return,
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(joined) = running.join_next() => {
                if let Err(error) = joined {
                    tracing::error!(%error, "a callback task failed");
                }
            }
            () = until(wake) => {}
        }
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => future::pending().await,
    }
}

/// How a callback failed.
enum Failed {
    Connection,
    Silence,
    Status(u16),
}

/// Makes one callback; a failure that the provider repeats goes back among those that wait.
async fn make(shared: Arc<Shared>, mut callback: Callback) {
    let headers = callback.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let outcome = match request(callback.method, &callback.url, headers, &callback.body) {
        None => Err(Failed::Connection),
        Some(request) => match timeout(shared.callback_timeout, shared.client.request(request)).await {
            Err(_) => Err(Failed::Silence),
            Ok(Err(error)) if error.is_connect() => Err(Failed::Connection),
            Ok(Err(_)) => Err(Failed::Silence),
            Ok(Ok(response)) if response.status().is_success() => Ok(response.status().as_u16()),
            Ok(Ok(response)) => Err(Failed::Status(response.status().as_u16())),
        },
    };
    let now = shared.now();
    {
        let mut inner = shared.lock();
        let journal = &mut inner.desk.journal;
        journal.counters.deliveries += 1;
        journal.callback(SentCallback {
            number: 0,
            unix: now.unix,
            method: callback.method.to_owned(),
            url: callback.url.clone(),
            headers: callback
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            body: callback.body.clone(),
            about: callback.about.clone(),
            status: match outcome {
                Ok(status) | Err(Failed::Status(status)) => status,
                Err(_) => 0,
            },
        });
        match outcome {
            Ok(_) => journal.counters.delivered += 1,
            Err(failed) => {
                journal.counters.failed_deliveries += 1;
                let is_repeated = match (callback.retry, failed) {
                    (_, Failed::Connection) | (Retry::Silence, Failed::Silence) | (Retry::Any, _) => true,
                    (Retry::Connection, Failed::Silence) | (Retry::Connection | Retry::Silence, Failed::Status(_)) => {
                        false
                    }
                };
                if is_repeated && callback.retries > 0 {
                    callback.retries -= 1;
                    let at = now.at + callback.pause / inner.desk.options.speed.max(1);
                    inner.desk.waiting.add(at, callback);
                } else {
                    journal.counters.dropped += 1;
                }
            }
        }
    }
    shared.changed();
}

/// A request of ours; `None` when it cannot be one.
pub(super) fn request<'a>(
    method: &str,
    url: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: &str,
) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).ok()
}
