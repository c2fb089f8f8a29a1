//! What can be set about facing the Internet.

use omnigate_runtime::http::Limits;
use std::time::Duration;

/// Limits of the role, with defaults that suit a small machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Largest body of a webhook request; WhatsApp sends up to 3 MB.
    pub body_bytes: usize,
    /// Largest headers of a request, together.
    pub header_bytes: usize,
    /// Open connections; further ones wait to be accepted.
    pub connections: usize,
    /// Bodies being read or pushed, together; further requests are answered 503.
    pub in_flight_bytes: usize,
    /// How long a client may take to send its headers.
    pub headers_within: Duration,
    /// How long a client may take to send its body.
    pub body_within: Duration,
    /// How long a push may take before the provider is told to come again.
    pub push_within: Duration,
    /// How long a stop waits for open requests and sessions.
    pub drain_within: Duration,
    /// Calls to the provider at once through one account.
    pub sends_per_account: usize,
    /// Longest call to a provider, whatever the deadline allows.
    pub send_within: Duration,
}

impl Settings {
    pub(crate) const fn http(&self) -> Limits {
        Limits {
            connections: self.connections,
            header_bytes: self.header_bytes,
            headers_within: self.headers_within,
            drain_within: self.drain_within,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            header_bytes: 64 * 1024,
            connections: 2048,
            in_flight_bytes: 128 * 1024 * 1024,
            headers_within: Duration::from_secs(10),
            body_within: Duration::from_secs(20),
            push_within: Duration::from_secs(15),
            drain_within: Duration::from_secs(5),
            sends_per_account: 64,
            send_within: Duration::from_secs(60),
        }
    }
}
