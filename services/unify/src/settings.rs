//! What can be set about applying events.

use omnigate_core::topology::DEFAULT_PARTITIONS;
use std::time::Duration;

/// Limits and times of the role, with defaults that suit a small machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Partitions of the inbound queues; the same for all processes of a gateway.
    pub partitions: u16,
    /// Id of this process, random per start.
    pub owner: String,
    /// Messages of the broker in hand, each partition.
    pub prefetch: u16,
    /// Events in hand, each partition; beyond it no further message is read.
    pub events_in_hand: usize,
    /// Bytes of messages in hand, each partition; beyond it no further message is read.
    pub bytes_in_hand: usize,
    /// Threads worked on at once, each partition.
    pub concurrency: usize,
    /// How long a partition stays ours without being renewed.
    pub lease: Duration,
    /// How often leases are renewed and shares compared; well below a third of `lease`.
    pub tick: Duration,
    /// How long giving a partition back waits for what is in hand; less than `lease`.
    pub drain_within: Duration,
    /// How often published events are taken out of shards without traffic.
    pub flush_every: Duration,
    /// Attempts at an event that fails for a reason of its own, before it is parked.
    pub attempts: u32,
    /// First wait between such attempts; it doubles.
    pub retry_after: Duration,
    /// From this delivery of a message on its events are tried one by one: it may have taken processes down.
    pub suspicious_delivery: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: DEFAULT_PARTITIONS,
            owner: String::new(),
            // Messages of ingest hold up to 256 KiB: those of all partitions are 64 MiB.
            prefetch: 16,
            events_in_hand: 10_000,
            bytes_in_hand: 2 * 1024 * 1024,
            concurrency: 64,
            lease: Duration::from_secs(6),
            tick: Duration::from_secs(1),
            drain_within: Duration::from_secs(4),
            flush_every: Duration::from_secs(1),
            attempts: 5,
            retry_after: Duration::from_millis(50),
            suspicious_delivery: 4,
        }
    }
}
