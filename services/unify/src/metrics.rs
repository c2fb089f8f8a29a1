//! What the role counts.

use omnigate_core::protocol::append::Applied;
use omnigate_runtime::role::Role;
use omnigate_runtime::telemetry::metrics::Metrics as Shared;

/// Counters of one unify.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    shared: Shared,
}

impl Metrics {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Events of a channel were applied.
    pub(crate) fn applied(&self, channel: &str, applied: &Applied) {
        self.count(channel, "applied", applied.applied.len());
        self.count(channel, "repeated", applied.repeated);
        self.count(channel, "dropped", applied.dropped);
    }

    /// An event was parked.
    pub(crate) fn parked(&self, channel: &str) {
        self.count(channel, "parked", 1);
    }

    /// A message of the broker was no batch.
    pub(crate) fn undecodable(&self) {
        self.count("", "undecodable", 1);
    }

    /// CustomerEvents were published, or stay in the outbox for the lease holder.
    pub(crate) fn published(&self, published: usize, left: usize) {
        self.count("", "published", published);
        self.count("", "left_in_outbox", left);
    }

    /// Partitions this process holds.
    pub(crate) fn held(&self, partitions: usize) {
        let partitions = i64::try_from(partitions).unwrap_or(i64::MAX);
        self.shared.in_flight(Role::Unify, "partitions").set(partitions);
    }

    /// Events in hand changed by this many.
    pub(crate) fn in_hand(&self, change: i64) {
        self.shared.in_flight(Role::Unify, "events").add(change);
    }

    fn count(&self, channel: &str, outcome: &'static str, count: usize) {
        if count > 0 {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.shared.outcome(Role::Unify, channel, outcome).inc_by(count);
        }
    }
}
