//! Callbacks: requests that wait for their time, and are tried again as the provider tries.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Failures after which a provider tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It could not connect.
    Connection,
    /// It could not connect, or was not answered in time.
    Silence,
    /// Anything but a success.
    Any,
}

/// A request that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Callback {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Tries after the first one.
    pub(crate) retries: u32,
    pub(crate) retry: Retry,
    pub(crate) pause: Duration,
    /// Id of the message that it is about.
    pub(crate) about: String,
}

/// A callback that was made, as it went out.
#[derive(Clone, Debug, Serialize)]
pub struct SentCallback {
    /// Counts from 1.
    pub number: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// Method.
    pub method: String,
    /// Address with its query.
    pub url: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
    /// Id of the message that it is about.
    pub about: String,
    /// HTTP status of the answer; 0 where there was none.
    pub status: u16,
}

/// A request that somebody makes up who is not the provider.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forgery {
    /// Method; POST when empty.
    pub method: String,
    /// Address with its query.
    pub url: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

/// Callbacks by the time they are due.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    due: BTreeMap<(Instant, u64), Callback>,
    next: u64,
}

impl Waiting {
    pub(super) fn add(&mut self, at: Instant, callback: Callback) {
        self.next += 1;
        self.due.insert((at, self.next), callback);
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<Callback> {
        let &key = self
            .due
            .first_key_value()
            .map(|(key, _)| key)
            .filter(|(at, _)| *at <= now)?;
        self.due.remove(&key)
    }

    pub(super) fn drop_first(&mut self) -> bool {
        self.due.pop_first().is_some()
    }

    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}
