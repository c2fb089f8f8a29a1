//! How outgoing webhooks stand, in the store.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, found_record};
use super::lease::{COMMON, look};
use super::resolve::{expect_record, put};
use crate::event_webhook::Endpoint;
use crate::keys;
use crate::port::store::StoreError;
use crate::shard::Partition;
use crate::time::Moment;
use omnigate_proto::state::v1::{EventWebhookPlace, EventWebhookRecord};
use prost::Message as _;

/// How an endpoint stands.
pub async fn get(context: &Context<'_>, endpoint_id: &str) -> Result<EventWebhookRecord, StoreError> {
    let loaded = load(context, endpoint_id).await?;
    Ok(loaded.value.unwrap_or_default())
}

async fn load(context: &Context<'_>, endpoint_id: &str) -> Result<Loaded<EventWebhookRecord>, StoreError> {
    context
        .record(COMMON, keys::event_webhook(endpoint_id), "event webhook")
        .await
}

/// Changes how an endpoint stands, as far as `decide` wants a change, and gives the record as it is then.
pub async fn change(
    context: &Context<'_>,
    endpoint_id: &str,
    decide: impl Fn(&EventWebhookRecord, Moment) -> Option<EventWebhookRecord>,
) -> Result<EventWebhookRecord, Stop> {
    let key = keys::event_webhook(endpoint_id);
    let mut loaded = load(context, endpoint_id).await?;
    for _ in 0..MAX_TRIES {
        let present = loaded.value.unwrap_or_default();
        let Some(next) = decide(&present, context.now()) else {
            return Ok(present);
        };
        let expect = vec![expect_record(key.clone(), loaded.stamp)];
        let found = match context.commit(COMMON, expect, vec![put(key.clone(), &next)]).await? {
            Ended::Committed(_) => return Ok(next),
            Ended::Conflict(found) => found_record(&found, 0),
            Ended::Unknown => None,
        };
        loaded = match found {
            Some(found) => Loaded::decode(found, "event webhook")?,
            None => load(context, endpoint_id).await?,
        };
    }
    Err(Stop::Contended(MAX_TRIES))
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
