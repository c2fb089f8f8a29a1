//! Carries parked messages from the broker to the store, where people find them.

use crate::shared::Shared;
use omnigate_core::{
    port::broker::Delivery,
    protocol::{
        Stop,
        park::{self, Unfit},
    },
    topology,
};
use omnigate_proto::{
    state::v1::{EventBatch, Parked},
    v1::ParkedItem,
};
use prost::Message as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Messages held at once.
const PREFETCH: u16 = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Queues whose messages hold several events.
const INBOUND: &str = "omnigate.inbound.";

/// Carries until stopped.
pub(crate) async fn run(shared: &Shared, stop: &CancellationToken) {
    let queue = topology::parked();
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let subscribed = stop.run_until_cancelled(shared.broker.subscribe(&queue, PREFETCH));
        let Some(subscribed) = subscribed.await else {
            return;
        };
        match subscribed {
            Ok(mut subscription) => {
                while let Some(Some(delivery)) = stop.run_until_cancelled(subscription.next()).await {
                    if !carry(shared, delivery, stop).await {
                        return;
                    }
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) => tracing::warn!(%queue, %error, "not subscribed, trying again"),
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Carries one message, however long the store is away; false when stopped before.
async fn carry(shared: &Shared, delivery: Delivery, stop: &CancellationToken) -> bool {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = keep(shared, &delivery).await {
        tracing::warn!(%error, "parked message not stored, trying again");
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return false;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    shared.metrics.parked();
    delivery.settle.ack().await;
    true
}

async fn keep(shared: &Shared, delivery: &Delivery) -> Result<(), Stop> {
    let context = shared.context();
    let Some(item) = read(delivery) else {
        // Kept as it is: somebody may still make sense of it. Named by its content, so that it is kept once.
        let item = ParkedItem {
            reason: "undecodable".to_owned(),
            detail: "the message on the parked queue cannot be read".to_owned(),
            origin: topology::parked().0,
            body: delivery.body.clone(),
            ..ParkedItem::default()
        };
        return park::keep(&context, &item).await.map(drop);
    };
    let batch = EventBatch::decode(item.body.clone()).ok();
    match batch.filter(|_| item.origin.starts_with(INBOUND)) {
        None => park::keep(&context, &item).await.map(drop),
        Some(batch) => {
            for stamped in &batch.events {
                let unfit = Unfit {
                    stamped,
                    reason: &item.reason,
                    detail: &item.detail,
                    attempts: item.attempts,
                    origin: &item.origin,
                };
                park::park_event(&context, &unfit).await?;
            }
            Ok(())
        }
    }
}

fn read(delivery: &Delivery) -> Option<ParkedItem> {
    let parked = Parked::decode(delivery.body.clone()).ok()?;
    ParkedItem::decode(parked.item)
        .ok()
        .filter(|item| !item.reason.is_empty())
}
