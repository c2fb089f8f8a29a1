//! The broker port: queues and logs.
//!
//! Laws, each proved by the contract suite for every implementation:
//! 1. *Confirmed.* `Ok` for a publication or an append means that it survives a restart of the broker.
//! 2. *Honest.* An error means that it may or may not be there: publish it again, readers drop repeats. A publication that
//!    no queue would take is [`PublishError::Unroutable`].
//! 3. *At least once.* A delivery that is dropped unsettled, or whose subscriber dies, comes again with a higher attempt.
//! 4. *Settled.* An acknowledged delivery never comes again, also after a restart, unless the answer was
//!    [`Settled::Stale`]: then it will.
//! 5. *Ordered.* On an ordered queue one subscription at a time receives, in the order of publication; after a return the
//!    unsettled ones come again in that order before later ones.
//! 6. *Shared.* Subscriptions of an unordered queue each get different deliveries.
//! 7. *Bounded.* At most `prefetch` deliveries of a subscription are unsettled, before and after a reconnect.
//! 8. *Patient.* `retry(after)` does not come back early and holds nothing else up.
//! 9. *Parked.* `park(reason)` moves a delivery durably to the parked queue, with its reason, before it leaves its own.
//! 10. *Full is said.* A queue at its limit refuses publications; nothing grows without bound.
//! 11. *Logs.* A log yields its entries in the order of appending, from any offset still kept, to any number of readers.

use bytes::Bytes;
use std::{fmt, time::Duration};

/// Name of a queue, such as `omnigate.inbound.03`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueName(pub String);

/// Name of a log, such as `omnigate.events.03`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LogName(pub String);

impl fmt::Display for QueueName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A queue to declare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueSpec {
    /// Its name.
    pub name: QueueName,
    /// True: one subscription at a time, in order. False: many subscriptions share it.
    pub ordered: bool,
    /// Log that gets a copy of every message in the same confirmed publication.
    pub journal: Option<LogName>,
    /// Publications beyond this many waiting messages are refused.
    pub max_length: u64,
}

/// A log to declare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSpec {
    /// Its name.
    pub name: LogName,
    /// How long entries are kept at least.
    pub retention: Duration,
}

/// Queues and logs to declare. Declaring the same again changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// Queues.
    pub queues: Vec<QueueSpec>,
    /// Logs; journals included.
    pub logs: Vec<LogSpec>,
}

/// A message to publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publication {
    /// Where to.
    pub queue: QueueName,
    /// What.
    pub body: Bytes,
    /// W3C traceparent; empty for none.
    pub traceparent: String,
}

/// Why a publication or append was not confirmed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// Not confirmed in time, or the connection broke: it may be there or not.
    #[error("broker did not confirm: {0}")]
    Unconfirmed(String),
    /// No queue of that name takes messages; nothing was stored.
    #[error("no queue takes messages for {0}")]
    Unroutable(String),
    /// The queue is at its limit; nothing was stored in it.
    #[error("queue {0} is full")]
    Full(String),
}

/// Why a broker call failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// Not reachable within the deadline.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// It cannot serve us as it is: too old, wrong arguments, no such queue.
    #[error("broker unusable: {0}")]
    Unusable(String),
}

/// How a settlement ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// It will not come again.
    Done,
    /// It was given back before; it will come again.
    Stale,
}

/// Settles one delivery. Dropping it gives the delivery back.
#[async_trait::async_trait]
pub trait Settle: Send + Sync {
    /// The effect is durable; do not deliver again.
    async fn ack(self: Box<Self>) -> Settled;
    /// Deliver again, not before this long. Unordered queues only.
    async fn retry(self: Box<Self>, after: Duration) -> Settled;
    /// Move to the parked queue.
    async fn park(self: Box<Self>, reason: &str) -> Settled;
}

/// A delivered message.
pub struct Delivery {
    /// What was published.
    pub body: Bytes,
    /// W3C traceparent; empty for none.
    pub traceparent: String,
    /// Which delivery of this message it is, from 1; best effort, grows with every return.
    pub attempt: u32,
    /// Settles it.
    pub settle: Box<dyn Settle>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Delivery")
            .field("bytes", &self.body.len())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// A subscription. Dropping it gives everything unsettled back.
#[async_trait::async_trait]
pub trait Subscription: Send {
    /// The next delivery; `None` when the subscription has ended (connection lost): subscribe again.
    async fn next(&mut self) -> Option<Delivery>;
}

/// Where to begin reading a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// With the oldest entry still kept.
    Oldest,
    /// With what is appended from now on.
    Next,
    /// With the entry at this offset, or the oldest kept after it.
    Offset(u64),
}

/// An entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Its offset; grows with every entry, not always by one.
    pub offset: u64,
    /// What was appended.
    pub body: Bytes,
}

/// Reads a log.
#[async_trait::async_trait]
pub trait LogReader: Send {
    /// The next entry, waiting for it if need be; `None` when reading has ended (connection lost): read again from the
    /// offset after the last one.
    async fn next(&mut self) -> Option<LogEntry>;
}

/// The broker. Reconnects by itself; calls made meanwhile wait up to their deadline and then fail.
#[async_trait::async_trait]
pub trait Broker: Send + Sync {
    /// Declares queues and logs, now and after every reconnect.
    async fn declare(&self, topology: Topology) -> Result<(), BrokerError>;

    /// Publishes messages, pipelined, in order; one answer each.
    async fn publish(&self, messages: Vec<Publication>) -> Vec<Result<(), PublishError>>;

    /// Subscribes to a queue. On an ordered queue it waits its turn behind the present subscription.
    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Subscription>, BrokerError>;

    /// Appends entries to a log, in order; one answer each.
    async fn append(&self, log: &LogName, entries: Vec<Bytes>) -> Vec<Result<(), PublishError>>;

    /// Reads a log.
    async fn read(&self, log: &LogName, from: From) -> Result<Box<dyn LogReader>, BrokerError>;

    /// True when the broker could be asked just now, for readiness.
    fn is_connected(&self) -> bool;
}
