//! The suppression list in the store.

use crate::consent::suppression::{self, HashKey, KEY_BYTES, TooManyCauses};
use crate::id::SuppressionId;
use crate::keys;
use crate::port::store::{StoreError, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::lease::COMMON;
use crate::protocol::resolve::{expect_record, put};
use crate::protocol::walk::Walk;
use crate::time::Moment;
use omnigate_proto::state::v1::{SuppressionCause, SuppressionKeyRecord, SuppressionRecord};
use omnigate_proto::v1::{Identifier, SuppressionReason};
use prost::Message as _;

const WHAT: &str = "suppression";

/// Why nothing was put on the list.
#[derive(Debug, thiserror::Error)]
pub enum NotListed {
    /// The identifier has too many reasons.
    #[error(transparent)]
    TooManyCauses(#[from] TooManyCauses),
    /// The store did not let it happen; trying again goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotListed {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// What identifiers are hashed with: made once for a gateway, then the same for ever.
pub async fn hash_key(context: &Context<'_>) -> Result<HashKey, Stop> {
    if let Some(key) = context.cache.hash_key() {
        return Ok(key);
    }
    for _ in 0..MAX_TRIES {
        let known: Loaded<SuppressionKeyRecord> = context.record(COMMON, keys::suppression_key(), WHAT).await?;
        if let Some(known) = known.value {
            let bytes: [u8; KEY_BYTES] = known
                .key
                .as_ref()
                .try_into()
                .map_err(|_| StoreError::Corrupt("the key of the suppression list is damaged".to_owned()))?;
            context.cache.keep_hash_key(HashKey(bytes));
            return Ok(HashKey(bytes));
        }
        let random = [context.entropy.bytes(), context.entropy.bytes()].concat();
        let made = SuppressionKeyRecord { key: random.into() };
        let expect = vec![expect_record(keys::suppression_key(), None)];
        // Read again, whatever came of it: what stands in the store is the key.
        context
            .commit(COMMON, expect, vec![put(keys::suppression_key(), &made)])
            .await?;
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// What stands for a canonical identifier on the list.
pub async fn id(context: &Context<'_>, tenant_id: &str, identifier: &Identifier) -> Result<SuppressionId, Stop> {
    Ok(suppression::id(hash_key(context).await?, tenant_id, identifier))
}

/// What the list of the tenant says under an id.
pub async fn listed(
    context: &Context<'_>,
    tenant_id: &str,
    id: SuppressionId,
) -> Result<SuppressionRecord, StoreError> {
    let loaded: Loaded<SuppressionRecord> = context.record(id.shard(), keys::suppression(id), WHAT).await?;
    let ours = loaded.value.filter(|record| record.tenant_id == tenant_id);
    Ok(ours.unwrap_or_default())
}

/// Puts an entry on the list; gives what the list says then.
pub async fn suppress(
    context: &Context<'_>,
    tenant_id: &str,
    id: SuppressionId,
    cause: &SuppressionCause,
) -> Result<SuppressionRecord, NotListed> {
    change(context, tenant_id, id, |before| suppression::suppress(before, cause)).await
}

/// Lifts an entry, if it is older than that; gives what the list says then.
pub async fn lift(
    context: &Context<'_>,
    tenant_id: &str,
    id: SuppressionId,
    (channel, reason): (&str, SuppressionReason),
    at: Moment,
) -> Result<SuppressionRecord, NotListed> {
    let lifted = |before: &SuppressionRecord| Ok(suppression::lift(before, channel, reason, at));
    change(context, tenant_id, id, lifted).await
}

async fn change(
    context: &Context<'_>,
    tenant_id: &str,
    id: SuppressionId,
    decide: impl Fn(&SuppressionRecord) -> Result<Option<SuppressionRecord>, TooManyCauses>,
) -> Result<SuppressionRecord, NotListed> {
    for _ in 0..MAX_TRIES {
        let loaded: Loaded<SuppressionRecord> = context.record(id.shard(), keys::suppression(id), WHAT).await?;
        let mut before = loaded.value.unwrap_or_default();
        // The id of another tenant's entry, which its own hash never is.
        if loaded.stamp.is_some() && before.tenant_id != tenant_id {
            return Ok(SuppressionRecord::default());
        }
        tenant_id.clone_into(&mut before.tenant_id);
        let Some(next) = decide(&before)? else {
            return Ok(before);
        };
        let expect = vec![expect_record(keys::suppression(id), loaded.stamp)];
        let write = written(tenant_id, id, &next).to_vec();
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            return Ok(next);
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Writes what the list says under an id.
pub(in crate::protocol) fn written(tenant_id: &str, id: SuppressionId, next: &SuppressionRecord) -> [Write; 2] {
    [
        put(keys::suppression(id), next),
        Write::Insert {
            key: keys::suppressions(tenant_id),
            member: id.to_bytes(),
            value: next.encode_to_vec().into(),
        },
    ]
}

/// A page of the tenant's list, by id. `after` is the last one of the page before.
pub async fn list(
    context: &Context<'_>,
    tenant_id: &str,
    after: Option<SuppressionId>,
    limit: u32,
) -> Result<Vec<(SuppressionId, SuppressionRecord)>, StoreError> {
    let after = after.map(|id| (id.shard(), id.to_bytes()));
    let mut walk = Walk::new(keys::suppressions(tenant_id), after, limit);
    let mut page = Vec::new();
    while let Some(members) = walk.next(context).await? {
        for (member, value) in members {
            let Some(id) = SuppressionId::from_bytes(&member) else {
                continue;
            };
            let record = SuppressionRecord::decode(value);
            let record = record.map_err(|error| StoreError::Corrupt(format!("{WHAT}: {error}")))?;
            page.push((id, record));
            if page.len() >= limit as usize {
                return Ok(page);
            }
        }
    }
    Ok(page)
}
