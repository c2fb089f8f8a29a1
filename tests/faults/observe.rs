//! Looks at everything once nothing moves any more.

use crate::SHOP;
use crate::load::is_over;
use crate::oracle::{self, Known, Observed};
use crate::world::World;
use anyhow::Context as _;
use bytes::Bytes;
use omnigate_core::port::broker::{Broker, From};
use omnigate_core::topology;
use omnigate_proto::state::v1::CustomerEventBatch;
use omnigate_proto::v1::{CustomerEvent, ListParkedRequest, SubscribeRequest};
use omnigate_rpc::client::Connection;
use omnigate_tests::reading::{customer, delivery, timeline};
use omnigate_tests::wait;
use prost::Message as _;
use std::time::{Duration, Instant};

/// How long a submission whose dispatcher was killed may stay open: its lease, the margin of its recovery, and one
/// more attempt.
const RECOVERY: Duration = Duration::from_secs(150);
/// After this long without an event a stream has told everything.
const QUIET: Duration = Duration::from_secs(3);
/// After this long without an entry a log has given everything.
const SHORT: Duration = Duration::from_millis(300);

/// Waits until all deliveries ended and all timelines are as long as they must be, or the time is over, and looks.
pub(crate) async fn after_quiescence(world: &World, known: &Known) -> anyhow::Result<Observed> {
    for line in [&world.broker, &world.store, &world.provider] {
        line.delay(Duration::ZERO);
    }
    let mut observed = Observed::default();
    let begun = Instant::now();
    let deadline = begun + RECOVERY;
    for sending in &known.sendings {
        let delivery = loop {
            let found = delivery(&world.connection, &sending.message_id).await?;
            if is_over(&found) || Instant::now() > deadline {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        observed.deliveries.insert(sending.message_id.clone(), delivery);
    }
    println!("deliveries ended {:.1} s after the load", begun.elapsed().as_secs_f32());
    for (chat, acknowledged) in &known.acknowledged {
        let answers = known.sendings.iter().filter(|sending| sending.chat == *chat).count();
        let customer = customer(&world.connection, SHOP, *chat).await?.context("no customer")?;
        let whole = acknowledged.len() + answers;
        let deadline = Instant::now() + wait::PATIENCE;
        let entries = loop {
            let entries = timeline(&world.connection, &customer.customer_id).await?;
            if entries.len() >= whole || Instant::now() > deadline {
                break entries;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        observed.timelines.insert(*chat, entries);
    }
    println!("timelines read {:.1} s after the load", begun.elapsed().as_secs_f32());
    let sent = world.sandbox.sent().into_iter();
    observed.sent = sent.map(|sent| (sent.chat_id, sent.text.unwrap_or_default())).collect();
    let parked = world
        .connection
        .parked()
        .list_parked(ListParkedRequest::default())
        .await?;
    observed.parked = parked.into_inner().items.into_iter().map(|item| item.reason).collect();
    // What a killed process left in the outbox is told by the scheduler that gets its shard.
    let deadline = Instant::now() + wait::PATIENCE;
    loop {
        observed.told = everything_told(&world.connection).await?;
        if oracle::is_all_told(&observed) || Instant::now() > deadline {
            return Ok(observed);
        }
    }
}

/// All customer events that are kept.
pub(crate) async fn everything_told(connection: &Connection) -> anyhow::Result<Vec<CustomerEvent>> {
    let asked = SubscribeRequest {
        from_oldest: true,
        ..SubscribeRequest::default()
    };
    let mut stream = connection.events().subscribe(asked).await?.into_inner();
    let mut told = Vec::new();
    while let Ok(next) = tokio::time::timeout(QUIET, stream.message()).await {
        told.extend(next?.context("the stream ended")?.event);
    }
    Ok(told)
}

/// The same as bytes, from the logs themselves.
pub(crate) async fn everything_logged(broker: &dyn Broker) -> anyhow::Result<Vec<Bytes>> {
    let mut told = Vec::new();
    for partition in topology::event_logs(topology::DEFAULT_PARTITIONS) {
        let mut log = broker.read(&topology::events(partition), From::Oldest).await?;
        while let Ok(Some(entry)) = tokio::time::timeout(SHORT, log.next()).await {
            told.extend(CustomerEventBatch::decode(entry.body)?.events);
        }
    }
    Ok(told)
}
