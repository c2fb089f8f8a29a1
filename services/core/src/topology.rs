//! Names and shapes of everything on the broker, in one place.

use crate::{
    port::broker::{LogName, LogSpec, QueueName, QueueSpec, Topology},
    shard::Partition,
};
use omnigate_proto::v1::Lane;
use std::time::Duration;

/// Partitions when the configuration names no other number.
pub const DEFAULT_PARTITIONS: u16 = 16;

const HOUR: Duration = Duration::from_hours(1);
/// How the names of queues of normalised events begin.
const INBOUND: &str = "omnigate.inbound.";
/// How the names of logs of what took effect begin.
pub(crate) const EVENTS: &str = "omnigate.events.";
/// Name of the queue of what could not be applied.
pub(crate) const PARKED: &str = "omnigate.parked";
/// Name of the log of providers' requests.
pub(crate) const RAW: &str = "omnigate.raw";

/// True for the name of a queue of normalised events.
#[must_use]
pub fn is_inbound(queue: &str) -> bool {
    queue.starts_with(INBOUND)
}

/// Queue of normalised events, in order; bodies are `EventBatch`.
#[must_use]
pub fn inbound(partition: Partition) -> QueueName {
    QueueName(format!("{INBOUND}{partition}"))
}

/// Queue of hints that messages of an account may be ready to leave; bodies are `Hint`.
#[must_use]
pub fn outbound(account_id: &str, lane: Lane) -> QueueName {
    let lane = match lane {
        Lane::Unspecified | Lane::Transactional => "transactional",
        Lane::Bulk => "bulk",
    };
    QueueName(format!("omnigate.outbound.{account_id}.{lane}"))
}

/// Queue of what could not be applied; bodies are `Parked`.
#[must_use]
pub fn parked() -> QueueName {
    QueueName(PARKED.to_owned())
}

/// Log with a copy of every inbound batch.
#[must_use]
pub fn journal() -> LogName {
    LogName("omnigate.journal".to_owned())
}

/// Log of providers' requests as they came; bodies are `RawBatch`.
#[must_use]
pub fn raw() -> LogName {
    LogName(RAW.to_owned())
}

/// Log of submissions that are about to happen; bodies are `Intent`.
#[must_use]
pub fn intents() -> LogName {
    LogName("omnigate.intents".to_owned())
}

/// Log of what took effect; bodies are `CustomerEventBatch`.
#[must_use]
pub fn events(partition: Partition) -> LogName {
    LogName(format!("{EVENTS}{partition}"))
}

/// Logs of what took effect, for so many partitions of inbound queues. Fewer, because each append costs the broker several
/// operations on files, and a log is read whole by whoever reads it, however many read.
pub fn event_logs(partitions: u16) -> impl Iterator<Item = Partition> {
    (0..event_log_count(partitions)).map(Partition)
}

/// How many [`event_logs`] there are.
#[must_use]
pub const fn event_log_count(partitions: u16) -> u16 {
    let logs = partitions / 4;
    if logs == 0 { 1 } else { logs }
}

/// All partitions of inbound queues, in order.
pub fn partitions(count: u16) -> impl Iterator<Item = Partition> {
    (0..count).map(Partition)
}

/// What the gateway is to look like on its broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Partitions of inbound queues.
    pub partitions: u16,
    /// How long the journal is kept; `None` for no journal.
    pub journal: Option<Duration>,
    /// How long providers' requests are kept; `None` for not at all.
    pub raw: Option<Duration>,
    /// How long customer events are kept, and with them resume tokens.
    pub events: Duration,
    /// How long intents are kept: longer than any store failover takes.
    pub intents: Duration,
    /// Waiting messages beyond which a queue refuses more. An inbound message holds up to 512 events.
    pub max_length: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            partitions: DEFAULT_PARTITIONS,
            journal: Some(72 * HOUR),
            raw: Some(72 * HOUR),
            events: 72 * HOUR,
            intents: 24 * HOUR,
            max_length: 1_000_000,
        }
    }
}

/// Everything to declare for a plan and the accounts that can send.
pub fn topology<'a>(plan: &Plan, accounts: impl IntoIterator<Item = &'a str>) -> Topology {
    let queue = |name, ordered, journal| QueueSpec {
        name,
        ordered,
        journal,
        max_length: plan.max_length,
    };
    let mut queues: Vec<QueueSpec> = partitions(plan.partitions)
        .map(|partition| queue(inbound(partition), true, plan.journal.map(|_| journal())))
        .collect();
    queues.push(queue(parked(), false, None));
    for account in accounts {
        for lane in [Lane::Transactional, Lane::Bulk] {
            queues.push(queue(outbound(account, lane), false, None));
        }
    }
    let log = |name, retention| LogSpec { name, retention };
    let mut logs: Vec<LogSpec> = event_logs(plan.partitions)
        .map(|partition| log(events(partition), plan.events))
        .collect();
    logs.push(log(intents(), plan.intents));
    logs.extend(plan.journal.map(|kept| log(journal(), kept)));
    logs.extend(plan.raw.map(|kept| log(raw(), kept)));
    Topology { queues, logs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_fixed() {
        assert_eq!(inbound(Partition(3)).0, "omnigate.inbound.03");
        assert_eq!(events(Partition(12)).0, "omnigate.events.12");
        assert_eq!(outbound("shop", Lane::Bulk).0, "omnigate.outbound.shop.bulk");
        assert_eq!(
            outbound("shop", Lane::Unspecified),
            outbound("shop", Lane::Transactional)
        );
    }

    #[test]
    fn every_journal_that_a_queue_names_is_declared() {
        let declared = topology(&Plan::default(), ["a", "b"]);
        let logs: BTreeSet<_> = declared.logs.iter().map(|log| &log.name).collect();
        assert_eq!(declared.queues.len(), 16 + 1 + 4);
        assert_eq!(declared.logs.len(), 4 + 3);
        for queue in &declared.queues {
            assert!(
                queue.journal.iter().all(|journal| logs.contains(journal)),
                "{}",
                queue.name
            );
            assert_eq!(queue.ordered, queue.name.0.starts_with("omnigate.inbound."));
        }
    }

    #[test]
    fn journal_and_raw_may_be_off() {
        let plan = Plan {
            journal: None,
            raw: None,
            ..Plan::default()
        };
        let declared = topology(&plan, []);
        assert!(declared.queues.iter().all(|queue| queue.journal.is_none()));
        assert_eq!(declared.logs.len(), 4 + 1);
    }
}
