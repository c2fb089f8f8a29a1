//! What can be set about sending.

use omnigate_core::topology::DEFAULT_PARTITIONS;
use std::time::Duration;

/// Limits of the role, with defaults that suit a small machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Partitions of the events logs; the same for all processes of a gateway.
    pub partitions: u16,
    /// Messages of one account that are worked on at once.
    pub in_flight_per_account: usize,
    /// Messages of all accounts that are worked on at once.
    pub in_flight: usize,
    /// How long a stop waits for calls in flight, which take up to 30 s; less than the process gives this phase of its
    /// stop. What is cut off is settled by recovery.
    pub drain_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: DEFAULT_PARTITIONS,
            in_flight_per_account: 256,
            in_flight: 1024,
            drain_within: Duration::from_secs(8),
        }
    }
}
