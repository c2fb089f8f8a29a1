//! Messages as AMQP carries them.

use super::publisher::Outgoing;
use crate::parked::{self, Origin};
use bytes::Bytes;
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use omnigate_core::time::Moment;

const TRACEPARENT: &str = "traceparent";
/// Deliveries before the message was published again for a retry.
const ATTEMPTS: &str = "x-omnigate-attempts";
/// When a message on its way through the ladder is due, in milliseconds since the epoch.
const DUE: &str = "x-omnigate-due";
/// Returns of a message to its queue, counted by the broker.
const RETURNS: &str = "x-delivery-count";
/// Where a dead-lettered message was; newest first.
const DEATHS: &str = "x-death";
const OFFSET: &str = "x-stream-offset";
/// Type of a message that was encoded for the parked queue.
const PARKED: &str = "omnigate.parked";
const PERSISTENT: u8 = 2;

/// A message received from a queue.
pub(super) struct Received {
    pub(super) tag: u64,
    pub(super) body: Bytes,
    pub(super) traceparent: String,
    pub(super) attempt: u32,
    pub(super) due: Option<Moment>,
}

impl Received {
    /// Reads a delivery.
    pub(super) fn new(delivery: Delivery) -> Self {
        let headers = delivery.properties.headers().as_ref();
        let before = headers.and_then(|headers| number(headers, ATTEMPTS)).unwrap_or(0);
        let returns = headers.and_then(|headers| number(headers, RETURNS)).unwrap_or(0);
        let attempt = before.saturating_add(returns).saturating_add(1);
        Self {
            tag: delivery.delivery_tag,
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            due: headers.and_then(|headers| number(headers, DUE)).map(Moment),
            traceparent: headers
                .and_then(|headers| text(headers, TRACEPARENT))
                .unwrap_or_default(),
            body: delivery.data.into(),
        }
    }

    /// Reads a delivery from the parked queue. What the broker itself dead-lettered is encoded as if we had parked it.
    pub(super) fn parked(delivery: Delivery, now: Moment) -> Self {
        let ours = delivery
            .properties
            .kind()
            .as_ref()
            .is_some_and(|kind| kind.as_str() == PARKED);
        let headers = delivery.properties.headers().as_ref().filter(|_| !ours);
        let death = headers.and_then(newest_death);
        let before = headers.and_then(|headers| number(headers, ATTEMPTS)).unwrap_or(0);
        let mut received = Self::new(delivery);
        received.due = None;
        if let Some(death) = death {
            // Otherwise it was rejected, which only people with other tools do, at its first delivery for all we know.
            let limited = death.reason == parked::DELIVERY_LIMIT;
            let since = if limited { i64::from(parked::MAX_ATTEMPTS) } else { 1 };
            let origin = Origin {
                queue: &death.queue,
                attempts: u32::try_from(before.saturating_add(since)).unwrap_or(u32::MAX),
                traceparent: &received.traceparent,
            };
            received.body = parked::encode(&received.body, &death.reason, origin, death.at.unwrap_or(now));
            received.attempt = received.attempt.saturating_sub(u32::try_from(before).unwrap_or(0));
        }
        received
    }
}

/// An entry received from a stream: its offset and body.
pub(super) fn entry(delivery: Delivery) -> Option<(u64, Bytes)> {
    let offset = delivery
        .properties
        .headers()
        .as_ref()
        .and_then(|headers| number(headers, OFFSET))?;
    Some((u64::try_from(offset).ok()?, delivery.data.into()))
}

struct Death {
    reason: String,
    queue: String,
    at: Option<Moment>,
}

fn newest_death(headers: &FieldTable) -> Option<Death> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get(DEATHS)? else {
        return None;
    };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else {
        return None;
    };
    let seconds = death.inner().get("time").and_then(AMQPValue::as_timestamp);
    Some(Death {
        reason: text(death, "reason")?,
        queue: text(death, "queue")?,
        at: seconds
            .and_then(|seconds| i64::try_from(seconds).ok())
            .map(|seconds| Moment(seconds.saturating_mul(1000))),
    })
}

/// A message that waits somewhere before it comes again.
pub(super) struct Later<'a> {
    pub(super) body: &'a Bytes,
    pub(super) traceparent: &'a str,
    pub(super) attempts: u32,
    pub(super) due: Moment,
}

impl Later<'_> {
    /// For the ladder.
    pub(super) fn outgoing(&self, exchange: ShortString, queue: ShortString) -> Outgoing {
        let mut headers = traced(self.traceparent);
        headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(self.attempts.into()));
        headers.insert(DUE.into(), AMQPValue::LongLongInt(self.due.0));
        Outgoing {
            exchange,
            key: queue,
            body: self.body.clone(),
            properties: properties(headers),
        }
    }
}

/// A message for a queue or a stream.
pub(super) fn plain(exchange: ShortString, key: ShortString, body: Bytes, traceparent: &str) -> Outgoing {
    Outgoing {
        exchange,
        key,
        body,
        properties: properties(traced(traceparent)),
    }
}

/// A message for the parked queue.
pub(super) fn parked(key: ShortString, item: Bytes, traceparent: &str) -> Outgoing {
    let properties = properties(traced(traceparent)).with_type(PARKED.into());
    Outgoing {
        exchange: ShortString::default(),
        key,
        body: item,
        properties,
    }
}

fn traced(traceparent: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    if !traceparent.is_empty() {
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(LongString::from(traceparent)));
    }
    headers
}

fn properties(headers: FieldTable) -> BasicProperties {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if headers.inner().is_empty() {
        properties
    } else {
        properties.with_headers(headers)
    }
}

fn number(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => Some(*number),
        AMQPValue::Timestamp(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}
