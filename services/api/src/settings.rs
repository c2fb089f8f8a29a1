//! What can be set about the role.

use omnigate_core::details::Schema;
use std::sync::Arc;
use std::time::Duration;

/// Copies of what people wrote outside the store, which go by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copies {
    /// Where, as `RemainingCopy.place` says it.
    pub place: &'static str,
    /// How long a copy is kept there.
    pub kept: Duration,
}

/// Times and limits of consumer groups, what is known of customers, how long copies are kept elsewhere, and
/// what the gateway works for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long a member holds a log without renewing it.
    pub lease: Duration,
    /// How often leases are renewed and shares compared; well below a third of `lease`.
    pub tick: Duration,
    /// After this long an event that was not acknowledged is sent again.
    pub acknowledge_within: Duration,
    /// Most events of one member that were sent and not acknowledged.
    pub max_unacknowledged: usize,
    /// How long a member that has to give a log up may take to acknowledge what it was sent of it.
    pub hand_over_within: Duration,
    /// Copies that an erasure does not reach.
    pub copies: Vec<Copies>,
    /// Attributes that customers may have.
    pub schema: Arc<Schema>,
    /// What the store is of: campaigns that it holds for another environment send nothing.
    pub environment: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(6),
            tick: Duration::from_secs(1),
            acknowledge_within: Duration::from_secs(60),
            max_unacknowledged: 1_000,
            hand_over_within: Duration::from_secs(10),
            copies: Vec::new(),
            schema: Arc::default(),
            environment: "default".to_owned(),
        }
    }
}
