//! What is checked of a topology whichever broker it is for.

use omnigate_core::port::broker::{BrokerError, Topology};

/// Longest name that AMQP can carry, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Refuses names that no broker could carry.
pub(crate) fn check_names(topology: &Topology) -> Result<(), BrokerError> {
    let queues = topology.queues.iter().map(|spec| spec.name.0.as_str());
    let logs = topology.logs.iter().map(|spec| spec.name.0.as_str());
    for name in queues.chain(logs) {
        if name.is_empty() || name.len() > MAX_NAME {
            let start: String = name.chars().take(40).collect();
            return Err(BrokerError::Unusable(format!(
                "a name has {} bytes, but must have 1 to {MAX_NAME}: {start}…",
                name.len()
            )));
        }
    }
    Ok(())
}
