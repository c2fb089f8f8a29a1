//! What can be set about taking pushes.

use omnigate_core::topology::DEFAULT_PARTITIONS;
use std::time::Duration;

/// Limits of the role, with defaults that suit a small machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Partitions of the inbound queues; the same for all processes of a gateway.
    pub partitions: u16,
    /// Events in one message to the broker.
    pub batch_events: usize,
    /// Bytes in one message to the broker, unless a single event is larger.
    pub batch_bytes: usize,
    /// Events held in memory until the broker confirms them; beyond it pushes are refused.
    pub in_flight_events: usize,
    /// Bytes held in memory until the broker confirms them; beyond it pushes are refused.
    pub in_flight_bytes: usize,
    /// How long a push waits for the broker's confirm.
    pub confirm_within: Duration,
    /// How long a stop waits for what is in flight.
    pub drain_within: Duration,
    /// True to keep providers' requests for replay.
    pub keep_raw: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: DEFAULT_PARTITIONS,
            batch_events: 512,
            batch_bytes: 256 * 1024,
            in_flight_events: 100_000,
            in_flight_bytes: 128 * 1024 * 1024,
            confirm_within: Duration::from_secs(10),
            drain_within: Duration::from_secs(5),
            keep_raw: true,
        }
    }
}
