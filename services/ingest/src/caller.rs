//! Who pushes, and under which trace.

use crate::intake::Pusher;
use omnigate_core::trace::TraceContext;
use tonic::{Extensions, metadata::MetadataMap};

/// The caller as its token describes it; calls inside the process carry no token and may name every account.
pub(crate) fn pusher(_extensions: &Extensions) -> Pusher {
    Pusher::default()
}

/// The trace that the caller goes on.
pub(crate) fn trace(metadata: &MetadataMap) -> Option<TraceContext> {
    TraceContext::parse(metadata.get("traceparent")?.to_str().ok()?)
}

/// A span id made of random bytes.
pub(crate) fn span(random: [u8; 16]) -> [u8; 8] {
    let mut span = [0; 8];
    span.copy_from_slice(&random[..8]);
    span
}
