//! Outgoing webhooks: endpoints that are told what took effect, how they stand, and when they are disabled.

mod queue;

pub use queue::{Failed, MAX_WAITING, Queue};

use crate::id::hash;
use crate::time::Moment;
use bytes::Bytes;
use data_encoding::BASE64;
use omnigate_proto::state::v1::EventWebhookRecord;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How long an event is tried, from its first failed attempt on.
pub const LIFE: Duration = Duration::from_hours(24);
/// Waits after each failed attempt at an event; the last one again and again.
const WAITS: [Duration; 12] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(3),
    Duration::from_hours(4),
    Duration::from_hours(6),
    Duration::from_hours(8),
];
/// Times that only people look at are written this far apart.
const COARSE: Duration = Duration::from_mins(1);
/// Longest text of an error that is kept, in characters.
const MAX_ERROR: usize = 200;

/// Shortest and longest key, in bytes, as Standard Webhooks have it.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;
/// What a secret begins with.
const SECRET: &str = "whsec_";

/// What an endpoint signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(pub Bytes);

impl SigningKey {
    /// The key in a secret: `whsec_` and the key in base64; `None` when it is none.
    #[must_use]
    pub fn read(secret: &str) -> Option<Self> {
        let key = BASE64.decode(secret.trim().strip_prefix(SECRET)?.as_bytes()).ok()?;
        KEY.contains(&key.len()).then(|| Self(key.into()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// An endpoint as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id in the configuration.
    pub id: String,
    /// Whose events it is told.
    pub tenant_id: String,
    /// Address; may hold a secret.
    pub url: String,
    /// Scheme and host of the address: what may be shown.
    pub shown_url: String,
    /// Keys that sign, the present one first; a former one signs beside it while receivers change over.
    pub keys: Vec<SigningKey>,
    /// Kinds of events it wants; empty for all.
    pub kinds: BTreeSet<String>,
    /// For people.
    pub description: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Endpoint");
        shown
            .field("id", &self.id)
            .field("url", &self.shown_url)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Name of the lease of one of the logs of events.
    #[must_use]
    pub fn lease(&self, log: crate::shard::Partition) -> String {
        format!("event-webhook/{}/{log}", self.id)
    }

    /// True when it wants events of a kind.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }
}

/// True while nothing is sent to it.
#[must_use]
pub const fn is_disabled(record: &EventWebhookRecord) -> bool {
    record.disabled_at_ms != 0
}

/// A delivery succeeded. `None` when that changes nothing worth writing.
#[must_use]
pub fn succeeded(record: &EventWebhookRecord, now: Moment) -> Option<EventWebhookRecord> {
    let is_news = record.failing_since_ms != 0 || now.since(Moment(record.succeeded_at_ms)) >= COARSE;
    is_news.then(|| EventWebhookRecord {
        failing_since_ms: 0,
        succeeded_at_ms: now.0,
        ..record.clone()
    })
}

/// A delivery failed. `None` when that changes nothing worth writing.
#[must_use]
pub fn failed(record: &EventWebhookRecord, error: &str, now: Moment) -> Option<EventWebhookRecord> {
    let is_news = record.failing_since_ms == 0 || now.since(Moment(record.failed_at_ms)) >= COARSE;
    is_news.then(|| EventWebhookRecord {
        failing_since_ms: if record.failing_since_ms == 0 {
            now.0
        } else {
            record.failing_since_ms
        },
        failed_at_ms: now.0,
        error: error.chars().take(MAX_ERROR).collect(),
        ..record.clone()
    })
}

/// Disables an endpoint to which no delivery has succeeded for so long.
#[must_use]
pub fn lapsed(record: &EventWebhookRecord, after: Duration, now: Moment) -> Option<EventWebhookRecord> {
    let since = Moment(record.failing_since_ms);
    let is_over = record.failing_since_ms != 0 && now.since(since) >= after;
    let hours = after.as_secs() / 3600;
    let reason = format!(
        "every delivery failed for {hours} hours; the last one: {}",
        record.error
    );
    is_over.then(|| disabled(record, &reason, now)).flatten()
}

/// Disables an endpoint. `None` when it is.
#[must_use]
pub fn disabled(record: &EventWebhookRecord, reason: &str, now: Moment) -> Option<EventWebhookRecord> {
    (!is_disabled(record)).then(|| EventWebhookRecord {
        disabled_at_ms: now.0,
        disabled_reason: reason.to_owned(),
        ..record.clone()
    })
}

/// Enables an endpoint, with all the time again that it may fail for. `None` when it is enabled.
#[must_use]
pub fn enabled(record: &EventWebhookRecord) -> Option<EventWebhookRecord> {
    is_disabled(record).then(|| EventWebhookRecord {
        disabled_at_ms: 0,
        disabled_reason: String::new(),
        failing_since_ms: 0,
        ..record.clone()
    })
}

/// An event was given up.
#[must_use]
pub fn gave_up(record: &EventWebhookRecord) -> EventWebhookRecord {
    EventWebhookRecord {
        given_up: record.given_up.saturating_add(1),
        ..record.clone()
    }
}

/// Asks for everything from a moment on to be sent again. `None` when this request did so before.
#[must_use]
pub fn replayed(record: &EventWebhookRecord, since: Moment, request_id: &str) -> Option<EventWebhookRecord> {
    let request = Bytes::copy_from_slice(&hash("replay", &[request_id.as_bytes()])[..16]);
    (record.replay_request != request).then(|| EventWebhookRecord {
        replay: record.replay.saturating_add(1),
        replay_since_ms: since.0,
        replay_request: request,
        ..record.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(hours: u64) -> Moment {
        Moment(1_800_000_000_000) + Duration::from_hours(hours)
    }

    #[test]
    fn attempts_go_on_for_a_day_and_waits_grow() {
        assert!(WAITS.iter().sum::<Duration>() >= LIFE);
        assert!(WAITS.is_sorted());
    }

    #[test]
    fn an_endpoint_is_disabled_when_nothing_succeeded_for_a_day() {
        let failing = failed(&EventWebhookRecord::default(), "status 500", at(0)).unwrap();
        assert_eq!(failed(&failing, "status 500", at(0)), None, "nothing new");
        assert_eq!(lapsed(&failing, DAY, at(23)), None);
        let recovered = succeeded(&failing, at(23)).unwrap();
        assert_eq!(lapsed(&recovered, DAY, at(48)), None);
        let failing = failed(&recovered, "timed out", at(30)).unwrap();
        let failing = failed(&failing, "status 502", at(40)).unwrap();
        assert_eq!(failing.failing_since_ms, at(30).0);
        let over = lapsed(&failing, DAY, at(54)).unwrap();
        assert!(is_disabled(&over));
        assert_eq!(
            over.disabled_reason,
            "every delivery failed for 24 hours; the last one: status 502"
        );
        assert_eq!(lapsed(&over, DAY, at(60)), None, "it is disabled already");
        let again = enabled(&over).unwrap();
        assert_eq!((is_disabled(&again), lapsed(&again, DAY, at(90))), (false, None));
        assert_eq!(enabled(&again), None);
    }

    #[test]
    fn a_replay_is_asked_for_once_a_request() {
        let first = replayed(&EventWebhookRecord::default(), at(1), "a").unwrap();
        assert_eq!((first.replay, replayed(&first, at(1), "a")), (1, None));
        assert_eq!(replayed(&first, at(2), "b").unwrap().replay, 2);
    }

    #[test]
    fn a_secret_holds_a_key_of_some_length_and_is_not_shown() {
        let key = SigningKey::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!((key.0.len(), format!("{key:?}").as_str()), (24, "***"));
        for bad in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
            "whsec_!",
            "whsec_",
        ] {
            assert_eq!(SigningKey::read(bad), None, "{bad}");
        }
    }
}
