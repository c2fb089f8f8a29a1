//! What can be set about sending.

use omnigate_core::consent::MarketingDefaults;
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
    /// Submissions of one account, from the claim to the answer, that are under way at once however slow its adapter is: with
    /// a second for each, all are answered within a call's time.
    pub calls_at_least: usize,
    /// … and while it answers at once. Edge lets more calls wait for each account.
    pub calls_at_most: usize,
    /// How long a stop waits for calls in flight, which take up to 30 s; less than the process gives this phase of its
    /// stop. What is cut off is settled by recovery.
    pub drain_within: Duration,
    /// What holds for advertising to somebody of whom nothing is known.
    pub marketing: MarketingDefaults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: DEFAULT_PARTITIONS,
            in_flight_per_account: 1024,
            in_flight: 4096,
            calls_at_least: 128,
            calls_at_most: 512,
            drain_within: Duration::from_secs(8),
            marketing: MarketingDefaults::default(),
        }
    }
}
