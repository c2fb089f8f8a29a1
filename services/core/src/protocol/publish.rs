//! Tells others: publishes CustomerEvents and hints.

use super::outbox::{Outbox, Outgoing};
use crate::id::{CustomerId, MessageId, hash};
use crate::port::broker::{Broker, Publication, PublishError};
use crate::shard::Partition;
use crate::topology;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerEventBatch, DeliveryRecord, Hint};
use prost::Message as _;
use std::collections::BTreeMap;

/// Most CustomerEvents in one entry of a log.
const MAX_EVENTS: usize = 512;
/// Most bytes in one entry of a log, short of one larger event.
const MAX_BYTES: usize = 512 * 1024;

/// Log of events that a home's CustomerEvents go to, where there are so many partitions of inbound queues.
#[must_use]
pub fn partition_of(home: CustomerId, partitions: u16) -> Partition {
    let digest = hash("events", &[&home.0]);
    let number = u16::from_be_bytes([digest[0], digest[1]]);
    Partition(number % topology::event_log_count(partitions))
}

/// Publishes CustomerEvents, those of one home in order, and notes which may be taken out of the outbox. What is not
/// confirmed stays there for the lease holder of the shard; the number of those is given back.
pub async fn publish(broker: &dyn Broker, outbox: &Outbox, partitions: u16, outgoing: Vec<Outgoing>) -> usize {
    let mut by_partition: BTreeMap<Partition, Vec<Outgoing>> = BTreeMap::new();
    for event in outgoing {
        let home = event.member.get(..16).and_then(CustomerId::from_bytes);
        let partition = home.map_or(Partition(0), |home| partition_of(home, partitions));
        by_partition.entry(partition).or_default().push(event);
    }
    let appends = by_partition
        .into_iter()
        .map(|(partition, events)| append(broker, outbox, partition, events));
    futures_util::future::join_all(appends).await.into_iter().sum()
}

async fn append(broker: &dyn Broker, outbox: &Outbox, partition: Partition, events: Vec<Outgoing>) -> usize {
    let batches = in_batches(events);
    let bodies = batches.iter().map(|batch| {
        let events = batch.iter().map(|outgoing| outgoing.event.clone()).collect();
        Bytes::from(CustomerEventBatch { events }.encode_to_vec())
    });
    let answers = broker.append(&topology::events(partition), bodies.collect()).await;
    let mut unconfirmed = 0;
    for (batch, answer) in batches.into_iter().zip(answers) {
        match answer {
            Ok(()) => {
                for outgoing in batch {
                    outbox.published(outgoing.shard, vec![outgoing.member]);
                }
            }
            Err(error) => {
                unconfirmed += batch.len();
                tracing::warn!(%partition, events = batch.len(), %error, "customer events stay in the outbox");
            }
        }
    }
    unconfirmed
}

fn in_batches(events: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut batches: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        bytes += event.event.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_EVENTS && bytes <= MAX_BYTES => batch.push(event),
            _ => {
                bytes = event.event.len();
                batches.push(vec![event]);
            }
        }
    }
    batches
}

/// Says that a delivery may be ready. A hint that is lost is made up for by the delivery's timer.
pub async fn hint(broker: &dyn Broker, record: &DeliveryRecord) -> Result<(), PublishError> {
    let Some(delivery) = &record.delivery else {
        return Ok(());
    };
    let body = Hint {
        message_id: delivery.message_id.clone(),
        traceparent: record.traceparent.clone(),
    };
    let publication = Publication {
        queue: topology::outbound(&delivery.account_id, delivery.lane()),
        body: body.encode_to_vec().into(),
        traceparent: record.traceparent.clone(),
    };
    broker.publish(vec![publication]).await.into_iter().collect()
}

/// Hints a message of which only the id is known, such as the next one of a thread's chain, which may be in another lane.
pub async fn hint_by_id(context: &super::Context<'_>, broker: &dyn Broker, id: MessageId) -> Result<(), super::Stop> {
    if let Some(record) = super::delivery::get(context, id).await?
        && let Err(error) = hint(broker, &record).await
    {
        tracing::warn!(message = %id, %error, "hint was not confirmed; the timer will look at it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Shard;

    #[test]
    fn batches_keep_the_order_and_their_limits() {
        let event = |length: usize| Outgoing {
            shard: Shard::new(0),
            member: Bytes::new(),
            event: vec![0; length].into(),
        };
        let lengths: Vec<usize> = (0..2000)
            .map(|number| if number % 700 == 0 { MAX_BYTES + 1 } else { number })
            .collect();
        let batches = in_batches(lengths.iter().map(|length| event(*length)).collect());
        let kept: Vec<usize> = batches.iter().flatten().map(|outgoing| outgoing.event.len()).collect();
        assert_eq!(kept, lengths);
        for batch in &batches {
            let bytes: usize = batch.iter().map(|outgoing| outgoing.event.len()).sum();
            assert!(batch.len() <= MAX_EVENTS && (bytes <= MAX_BYTES || batch.len() == 1));
        }
    }
}
