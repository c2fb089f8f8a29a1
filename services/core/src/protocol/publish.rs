//! Tells others: publishes CustomerEvents and hints.

use super::outbox::{Outbox, Outgoing};
use crate::campaign::place::Bucket;
use crate::id::{CustomerId, MessageId, hash};
use crate::port::broker::{Broker, Publication, PublishError, QueueName};
use crate::shard::Partition;
use crate::topology;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerEventBatch, DeliveryRecord, Hint};
use omnigate_proto::v1::Lane;
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most CustomerEvents in one entry of a log.
const MAX_EVENTS: usize = 512;
/// Hints in one message: few, because all come again when one of them cannot be carried out.
const HINTS_TOGETHER: usize = 16;
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
    hints(broker, std::iter::once(record)).await
}

/// Says that deliveries may be ready, those of one queue together. The first failure is told; what the others met is made
/// up for in the same way.
pub async fn hints(
    broker: &dyn Broker,
    records: impl IntoIterator<Item = &DeliveryRecord>,
) -> Result<(), PublishError> {
    broker.publish(publications(records)).await.into_iter().collect()
}

fn publications<'a>(records: impl IntoIterator<Item = &'a DeliveryRecord>) -> Vec<Publication> {
    let mut by_queue: BTreeMap<QueueName, Vec<Hint>> = BTreeMap::new();
    for record in records {
        if let Some(delivery) = &record.delivery {
            let queue = topology::outbound(&delivery.account_id, delivery.lane());
            by_queue.entry(queue).or_default().push(Hint {
                message_id: delivery.message_id.clone(),
                traceparent: record.traceparent.clone(),
                ..Hint::default()
            });
        }
    }
    let mut publications = Vec::new();
    for (queue, hints) in by_queue {
        let mut hints = hints.into_iter().peekable();
        while let Some(mut first) = hints.next() {
            first.others = hints.by_ref().take(HINTS_TOGETHER - 1).collect();
            publications.push(Publication {
                queue: queue.clone(),
                traceparent: first.traceparent.clone(),
                body: first.encode_to_vec().into(),
            });
        }
    }
    publications
}

/// Says that somebody in these buckets of campaigns may be written to through an account. A hint that is lost is made up for
/// by the bucket's timer.
pub async fn hint_buckets(
    broker: &dyn Broker,
    hints: impl IntoIterator<Item = (&str, Bucket)>,
) -> Result<(), PublishError> {
    let publications = hints.into_iter().map(|(account_id, bucket)| Publication {
        queue: topology::outbound(account_id, Lane::Bulk),
        traceparent: String::new(),
        body: Hint {
            bucket: Some(bucket.to_hint()),
            ..Hint::default()
        }
        .encode_to_vec()
        .into(),
    });
    broker.publish(publications.collect()).await.into_iter().collect()
}

/// Hints messages of which only the ids are known, such as the next ones of their threads' chains, which may be in another
/// lane. A message that cannot be read is told about after the others were hinted.
pub async fn hint_by_ids(
    context: &super::Context<'_>,
    broker: &dyn Broker,
    ids: impl IntoIterator<Item = MessageId>,
) -> Result<(), super::Stop> {
    let (mut records, mut failed) = (Vec::new(), None);
    for id in ids {
        // Only what never changes is needed of it.
        match super::delivery::cached(context, id) {
            Some(loaded) => records.push(loaded.record),
            None => match super::delivery::outline(context, id).await {
                Ok(record) => records.extend(record.map(Arc::new)),
                Err(stop) => failed = Some(stop),
            },
        }
    }
    if let Err(error) = hints(broker, records.iter().map(AsRef::as_ref)).await {
        tracing::warn!(%error, "hints were not confirmed; timers will look at their messages");
    }
    failed.map_or(Ok(()), Err)
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

    #[test]
    fn hints_of_one_queue_travel_together_and_none_is_left_out() {
        let record = |account: &str, number: usize| DeliveryRecord {
            delivery: Some(omnigate_proto::v1::Delivery {
                message_id: format!("{account}-{number}"),
                account_id: account.to_owned(),
                ..omnigate_proto::v1::Delivery::default()
            }),
            ..DeliveryRecord::default()
        };
        let mut records: Vec<DeliveryRecord> = (0..HINTS_TOGETHER * 2 + 1).map(|number| record("a", number)).collect();
        records.push(record("b", 0));
        let publications = publications(&records);
        let read = |publication: &Publication| {
            let hint = Hint::decode(publication.body.clone()).unwrap();
            let mut ids = vec![hint.message_id];
            ids.extend(hint.others.into_iter().map(|other| other.message_id));
            ids
        };
        let counts: Vec<usize> = publications.iter().map(|publication| read(publication).len()).collect();
        assert_eq!(counts, [HINTS_TOGETHER, HINTS_TOGETHER, 1, 1]);
        let ids: std::collections::BTreeSet<String> = publications.iter().flat_map(read).collect();
        assert_eq!(ids.len(), records.len());
    }
}
