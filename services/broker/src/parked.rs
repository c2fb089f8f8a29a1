//! What travels on the parked queue: the same encoding whichever broker parked it and why.

use bytes::Bytes;
use omnigate_core::{id::ParkedId, time::Moment};
use omnigate_proto::{state::v1::Parked, v1::ParkedItem};
use prost::Message as _;

/// A delivery comes at most this often; then it is parked with reason [`DELIVERY_LIMIT`]. A back-stop against a body that
/// kills whoever takes it; roles count and park much earlier.
pub(crate) const MAX_ATTEMPTS: u32 = 1000;
/// Reason of what was delivered [`MAX_ATTEMPTS`] times.
pub(crate) const DELIVERY_LIMIT: &str = "delivery_limit";
/// Reason when the one given does not begin with a stable word.
const OTHER: &str = "other";
/// Parked items beyond which nothing more can be parked; what should be then stays in its own queue.
pub(crate) const MAX_PARKED: u64 = 1_000_000;
/// Longer words for a person are cut.
const MAX_DETAIL: usize = 1000;

/// Where a parked message comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin<'a> {
    /// Name of its queue.
    pub(crate) queue: &'a str,
    /// Deliveries before it was parked.
    pub(crate) attempts: u32,
    /// W3C traceparent; empty for none.
    pub(crate) traceparent: &'a str,
}

/// Body of the message on the parked queue. `reason` is a stable word, or one and a detail: `undecodable: field 3`.
pub(crate) fn encode(body: &Bytes, reason: &str, origin: Origin<'_>, now: Moment) -> Bytes {
    let (word, detail) = split(reason);
    let item = ParkedItem {
        parked_id: ParkedId::new(now, body).to_string(),
        reason: word.to_owned(),
        detail: detail.chars().take(MAX_DETAIL).collect(),
        parked_at: Some(now.to_timestamp()),
        attempts: origin.attempts,
        origin: origin.queue.to_owned(),
        body: body.clone(),
        trace_id: trace_id(origin.traceparent).to_owned(),
        ..ParkedItem::default()
    };
    let item = Bytes::from(item.encode_to_vec());
    Bytes::from(Parked { item }.encode_to_vec())
}

fn split(reason: &str) -> (&str, &str) {
    let (word, detail) = reason.split_once(':').unwrap_or((reason, ""));
    if is_stable_word(word) {
        (word, detail.trim())
    } else {
        (OTHER, reason.trim())
    }
}

fn is_stable_word(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !word.is_empty() && word.len() <= 64 && word.bytes().all(plain)
}

/// Second field of a traceparent, `version-trace-parent-flags`.
fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(reason: &str) -> ParkedItem {
        let origin = Origin {
            queue: "q",
            attempts: 3,
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        };
        let body = encode(&Bytes::from_static(b"x"), reason, origin, Moment(5));
        ParkedItem::decode(Parked::decode(body).unwrap().item).unwrap()
    }

    #[test]
    fn a_reason_is_a_word_and_words_for_a_person() {
        let parked = item("undecodable: field 3: wrong type");
        assert_eq!(
            (parked.reason.as_str(), parked.detail.as_str()),
            ("undecodable", "field 3: wrong type")
        );
        assert_eq!(parked.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(
            (parked.origin.as_str(), parked.attempts, parked.body.as_ref()),
            ("q", 3, b"x".as_slice())
        );
        assert_eq!(item("unknown_account").reason, "unknown_account");
    }

    #[test]
    fn a_reason_without_a_stable_word_is_kept_as_detail() {
        let parked = item("No such Account: 12");
        assert_eq!(
            (parked.reason.as_str(), parked.detail.as_str()),
            ("other", "No such Account: 12")
        );
    }
}
