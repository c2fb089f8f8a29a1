//! What can be set about what happens by itself.

use omnigate_core::details::Schema;
use omnigate_core::topology::DEFAULT_PARTITIONS;
use std::sync::Arc;
use std::time::Duration;

/// Times and limits of the role, with defaults that suit a small machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Partitions of the events logs; the same for all processes of a gateway.
    pub partitions: u16,
    /// How long anything is kept on the broker at the longest.
    pub kept: Duration,
    /// How long a share of the shards is held without being renewed.
    pub lease: Duration,
    /// How long an account's session is held without being renewed.
    pub session_lease: Duration,
    /// Pause between two looks at a busy group of shards.
    pub busy_pause: Duration,
    /// Longest pause between two looks at a group in which nothing happens; timers fire late by this much at most.
    pub idle_pause: Duration,
    /// Age from which an event in the outbox is no longer left to its committer.
    pub leftover_age: Duration,
    /// How long a stop waits for what is under way.
    pub drain_within: Duration,
    /// How often the places of outgoing webhooks are kept: what was delivered since is delivered again after a crash.
    pub webhook_tick: Duration,
    /// How long a receiver of outgoing webhooks may take to answer.
    pub webhook_time: Duration,
    /// After this long without a delivery that succeeded an outgoing webhook is disabled.
    pub webhook_disable_after: Duration,
    /// How often everybody's identity is looked through for what a failover of the store lost; zero for only after one.
    pub repair_every: Duration,
    /// Tenants that have customers, besides those of accounts.
    pub tenants: Vec<String>,
    /// What the store is of: campaigns that it holds for another environment send nothing.
    pub environment: String,
    /// Attributes that customers may have.
    pub schema: Arc<Schema>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: DEFAULT_PARTITIONS,
            kept: Duration::from_hours(72),
            lease: Duration::from_secs(15),
            session_lease: Duration::from_secs(15),
            busy_pause: Duration::from_millis(100),
            idle_pause: Duration::from_millis(800),
            leftover_age: Duration::from_secs(2),
            drain_within: Duration::from_secs(5),
            webhook_tick: Duration::from_secs(1),
            webhook_time: Duration::from_secs(15),
            webhook_disable_after: Duration::from_hours(24),
            repair_every: Duration::from_hours(24),
            tenants: Vec::new(),
            environment: "default".to_owned(),
            schema: Arc::default(),
        }
    }
}
