//! What becomes of an event that breaks the contract: it is kept as an unsupported one.

use bytes::Bytes;
use omnigate_core::id::hash;
use omnigate_proto::v1::{Event, Unsupported, event::Kind};
use prost::Message as _;

/// Bytes of an event that are kept.
const MAX_RAW: usize = 256 * 1024;

/// An event that says that there was one, with its bytes. It stays on the peer's timeline unless the peer was the problem.
pub(crate) fn substitute(event: &Event, problem: &str) -> Event {
    let mut original = event.clone();
    // These differ at every repetition, and a repetition must have the same id.
    original.received_at = None;
    original.trace_id.clear();
    let mut raw: Bytes = original.encode_to_vec().into();
    let digest = hash("refused", &[&raw]);
    let truncated = raw.len() > MAX_RAW;
    raw.truncate(MAX_RAW);
    Event {
        account_id: event.account_id.clone(),
        received_at: event.received_at,
        trace_id: event.trace_id.clone(),
        direction: event.direction,
        peer: event.peer.clone().filter(|_| !problem.starts_with("peer:")),
        stable_key: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        kind: Some(Kind::Unsupported(Unsupported {
            type_name: "omnigate.v1.Event".to_owned(),
            raw,
            truncated,
            reason: "malformed".to_owned(),
        })),
        ..Event::default()
    }
}
