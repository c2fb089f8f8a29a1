//! What every call passes: trace, token, deadline, and a net for panics.

use crate::{
    auth::{self, Tokens},
    deadline::{self, Deadline, GRPC_TIMEOUT},
    error::Problem,
    trace,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;

/// The transport answers CANCELLED at the deadline itself; we answer DEADLINE_EXCEEDED this much before.
const BEFORE_TRANSPORT: Duration = Duration::from_millis(5);

/// Puts the gate before a service.
#[derive(Clone)]
pub(crate) struct GateLayer {
    rules: Rules,
}

/// What the gate knows.
#[derive(Clone)]
struct Rules {
    tokens: Arc<Tokens>,
    call_limit: Duration,
}

/// A service behind the gate.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    rules: Rules,
}

impl GateLayer {
    pub(crate) fn new(tokens: Arc<Tokens>, call_limit: Duration) -> Self {
        Self {
            rules: Rules { tokens, call_limit },
        }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        let rules = self.rules.clone();
        Gate { inner, rules }
    }
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The service that was polled ready is the one to call; its clone waits for the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let method = match self.rules.admit(&mut request) {
            Ok(method) => method,
            Err(problem) => return Box::pin(std::future::ready(Ok(answer(problem)))),
        };
        let context = trace::next(trace::of_headers(request.headers()));
        request.extensions_mut().insert(context);
        let limit = self.rules.limit(request.headers());
        let until = Instant::now() + limit;
        request.extensions_mut().insert(Deadline(until));
        let call = async move {
            let call = AssertUnwindSafe(async { inner.call(request).await }).catch_unwind();
            match timeout_at(until, call).await {
                Ok(Ok(response)) => response,
                Ok(Err(_)) => {
                    tracing::error!("call panicked");
                    Ok(answer(Problem::internal()))
                }
                Err(_) => Ok(deadline::exceeded().into_http()),
            }
        };
        Box::pin(trace::scope(context, call).instrument(trace::span(method, &context)))
    }
}

impl Rules {
    /// Lets a call in, with its caller as an extension.
    fn admit(&self, request: &mut Request<Body>) -> Result<&'static str, Problem> {
        let path = request.uri().path();
        let unknown = || Problem::unimplemented("METHOD_UNKNOWN", "there is no such method");
        let method = auth::method(path).ok_or_else(unknown)?;
        let caller = auth::authorize(request.headers(), method, &self.tokens);
        let caller = caller.inspect_err(|problem| {
            tracing::debug!(method = method.path, reason = problem.reason, "call refused");
        })?;
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        Ok(method.path)
    }

    /// How long the call may take.
    fn limit(&self, headers: &HeaderMap) -> Duration {
        let asked = headers
            .get(GRPC_TIMEOUT)
            .and_then(|header| deadline::parse(header.to_str().ok()?));
        let Some(asked) = asked else {
            return self.call_limit;
        };
        let before = asked.saturating_sub(BEFORE_TRANSPORT).max(asked / 2);
        before.min(self.call_limit)
    }
}

fn answer(problem: Problem) -> Response<Body> {
    Status::from(problem).into_http()
}
