//! What can be set about the role.

use omnigate_core::details::Schema;
use std::sync::Arc;
use std::time::Duration;

/// Times and limits of consumer groups, and what is known of customers.
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
    /// Attributes that customers may have.
    pub schema: Arc<Schema>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(6),
            tick: Duration::from_secs(1),
            acknowledge_within: Duration::from_secs(60),
            max_unacknowledged: 1_000,
            hand_over_within: Duration::from_secs(10),
            schema: Arc::default(),
        }
    }
}
