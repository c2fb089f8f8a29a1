//! How outgoing webhooks stand, in the store.

use super::context::{Context, Loaded, Stop};
use super::lease::{COMMON, look};
use crate::event_webhook::Endpoint;
use crate::keys;
use crate::port::store::StoreError;
use crate::shard::{Partition, Shard};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{EventWebhookPlace, EventWebhookRecord};
use prost::Message as _;

/// What the record is called where it cannot be read.
const WHAT: &str = "event webhook";

/// How an endpoint stands.
pub async fn get(context: &Context<'_>, endpoint_id: &str) -> Result<EventWebhookRecord, StoreError> {
    let (shard, key) = place(endpoint_id);
    let loaded: Loaded<EventWebhookRecord> = context.record(shard, key, WHAT).await?;
    Ok(loaded.value.unwrap_or_default())
}

fn place(endpoint_id: &str) -> (Shard, Bytes) {
    (COMMON, keys::event_webhook(endpoint_id))
}

/// Changes how an endpoint stands, as far as `decide` wants a change, and gives the record as it is then.
pub async fn change(
    context: &Context<'_>,
    endpoint_id: &str,
    decide: impl Fn(&EventWebhookRecord, Moment) -> Option<EventWebhookRecord>,
) -> Result<EventWebhookRecord, Stop> {
    let none = EventWebhookRecord::default();
    let decide = |record: Option<&EventWebhookRecord>, now| decide(record.unwrap_or(&none), now);
    let stands = context.change(place(endpoint_id), WHAT, decide).await?;
    Ok(stands.unwrap_or_default())
}

/// How far an endpoint is in these logs; `None` where nobody has begun.
pub async fn places(
    context: &Context<'_>,
    endpoint: &Endpoint,
    logs: impl Iterator<Item = Partition>,
) -> Result<Vec<Option<EventWebhookPlace>>, StoreError> {
    let names: Vec<String> = logs.map(|log| endpoint.lease(log)).collect();
    let leases = look(context, COMMON, &names).await?;
    let read = leases.into_iter().map(|lease| {
        let place = (!lease.cursor.is_empty()).then(|| EventWebhookPlace::decode(lease.cursor));
        place.transpose()
    });
    read.collect::<Result<_, _>>()
        .map_err(|error| StoreError::Corrupt(format!("event webhook place: {error}")))
}
