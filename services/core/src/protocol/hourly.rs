//! Keys of an hour in the store: made by whoever needs one first, found by everybody else.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::resolve::{expect_record, put};
use crate::hourly::{Hour, HourKey, read_keys, shard_of, with_key};
use crate::keys;
use crate::port::store::{Shape, StoreError, Write};
use omnigate_proto::state::v1::HourKeyRecord;
use std::time::Duration;

const WHAT: &str = "hour key";

/// The keys of a tenant and hour as they stand; none where they ended or were never made.
pub async fn find(context: &Context<'_>, tenant_id: &str, hour: Hour) -> Result<Vec<HourKey>, StoreError> {
    let loaded = load(context, tenant_id, hour).await?;
    Ok(loaded.value.as_ref().map(read_keys).unwrap_or_default())
}

/// The same, where there must be one: makes it if there is none, to be kept for `life` after the hour. `ours` is a key that
/// this process sealed with; one that the store does not know any more is given back to it.
pub async fn obtain(
    context: &Context<'_>,
    tenant_id: &str,
    hour: Hour,
    ours: Option<&HourKey>,
    life: Duration,
) -> Result<Vec<HourKey>, Stop> {
    let (shard, key) = (shard_of(tenant_id, hour), keys::hour_key(tenant_id, hour));
    let made: Vec<u8> = match ours {
        Some(ours) => ours.bytes().to_vec(),
        None => [context.entropy.bytes(), context.entropy.bytes()].concat(),
    };
    for _ in 0..MAX_TRIES {
        let loaded = load(context, tenant_id, hour).await?;
        let known = loaded.value.as_ref().map(read_keys).unwrap_or_default();
        let next = with_key(loaded.value.as_ref(), &made).filter(|_| known.is_empty() || ours.is_some());
        let Some(next) = next else {
            return Ok(known);
        };
        let expire = Write::Expire {
            shape: Shape::Record,
            key: key.clone(),
            after: (hour.ends() + life).since(context.now()),
        };
        let expect = vec![expect_record(key.clone(), loaded.stamp)];
        let write = vec![put(key.clone(), &next), expire];
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(read_keys(&next));
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

async fn load(context: &Context<'_>, tenant_id: &str, hour: Hour) -> Result<Loaded<HourKeyRecord>, StoreError> {
    let (shard, key) = (shard_of(tenant_id, hour), keys::hour_key(tenant_id, hour));
    context.record(shard, key, WHAT).await
}
