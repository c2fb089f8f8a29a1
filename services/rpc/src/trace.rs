//! Trace context through calls: from metadata into the work, and from the work into the next call's metadata.

use http::HeaderMap;
pub use omnigate_core::trace::TraceContext;
use std::future::Future;
use tonic::{Extensions, metadata::MetadataMap};

/// Name of the W3C header.
pub const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The context of the work under way; `None` outside [`scope`] and in tasks spawned from it.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// Runs work in a context: calls made inside carry it on.
pub async fn scope<F: Future>(context: TraceContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// The next step of a trace: a child of `parent`, or the root of a new trace.
#[must_use]
pub fn next(parent: Option<TraceContext>) -> TraceContext {
    let mut random = [0; 24];
    // Without entropy ids repeat; traces are for reading, and nothing else depends on them.
    let drawn = getrandom::fill(&mut random);
    debug_assert!(drawn.is_ok());
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    trace.copy_from_slice(&random[..16]);
    span.copy_from_slice(&random[16..]);
    parent.map_or_else(|| TraceContext::root(trace, span), |parent| parent.child(span))
}

/// The context in HTTP headers.
pub(crate) fn of_headers(headers: &HeaderMap) -> Option<TraceContext> {
    let header = headers.get(TRACEPARENT)?.to_str().ok()?;
    TraceContext::parse(header)
}

/// The context a call should carry: set by the caller on the request, or that of the work under way.
pub(crate) fn of_request(metadata: &MetadataMap, extensions: &Extensions) -> Option<TraceContext> {
    let written = metadata
        .get(TRACEPARENT)
        .and_then(|text| TraceContext::parse(text.to_str().ok()?));
    written.or_else(|| extensions.get().copied()).or_else(current)
}

/// The span of a call; its `trace_id` is on every log line inside.
pub(crate) fn span(method: &'static str, context: &TraceContext) -> tracing::Span {
    let (trace_id, span_id) = (context.trace_id(), context.span_id());
    tracing::info_span!("call", method, trace_id, span_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_in_a_scope_knows_its_context() {
        assert_eq!(current(), None);
        let context = next(None);
        let seen = scope(context, async { current() }).await;
        assert_eq!(seen, Some(context));
        let child = next(Some(context));
        assert_eq!(child.trace_id(), context.trace_id());
        assert_ne!(child.span_id(), context.span_id());
        assert_ne!(next(None).trace_id(), context.trace_id());
    }
}
