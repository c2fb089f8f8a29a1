//! The list of those that nothing is sent to. It knows identifiers only by a keyed hash, so that it can outlive erasure.

use super::is_over;
use crate::id::{IdentifierKey, SuppressionId};
use crate::identifier;
use crate::time::Moment;
use hmac::{Hmac, KeyInit as _, Mac as _};
use omnigate_proto::state::v1::{SuppressionCause, SuppressionRecord};
use omnigate_proto::v1::{Identifier, SuppressionReason};
use sha2::Sha256;

/// Most reasons of one identifier: channels times reasons.
pub const MAX_CAUSES: usize = 256;
/// Most events that are remembered of a reason.
const MAX_EVENTS: usize = 8;
/// Bytes of the key.
pub const KEY_BYTES: usize = 32;

/// What identifiers are hashed with. Printing shows nothing.
#[derive(Clone, Copy)]
pub struct HashKey(pub [u8; KEY_BYTES]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HashKey(***)")
    }
}

/// The list has as many reasons for the identifier as there can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the identifier has {MAX_CAUSES} reasons already")]
pub struct TooManyCauses;

/// What stands for a canonical identifier of a tenant. It lives in the identifier's shard, so that one read finds it beside
/// the consents; of the identifier that tells one of 256 parts.
#[must_use]
pub fn id(key: HashKey, tenant_id: &str, identifier: &Identifier) -> SuppressionId {
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(&key.0);
    let mut keyed = Hmac::<Sha256>::new(&block.into());
    for part in [
        "suppression",
        tenant_id,
        &identifier.r#type,
        &identifier.scope,
        &identifier.value,
    ] {
        keyed.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        keyed.update(part.as_bytes());
    }
    let digest = keyed.finalize().into_bytes();
    let IdentifierKey(plain) = identifier::key(tenant_id, identifier);
    let mut id = [0; 16];
    id[0] = plain[0];
    id[1..].copy_from_slice(&digest[..15]);
    SuppressionId(id)
}

/// True while an entry is neither lifted nor over.
#[must_use]
pub const fn holds(cause: &SuppressionCause, now: Moment) -> bool {
    cause.lifted_at_ms == 0 && !is_over(cause.until_ms, now)
}

/// The entry of a channel and a reason.
#[must_use]
pub fn cause<'a>(
    record: &'a SuppressionRecord,
    channel: &str,
    reason: SuppressionReason,
) -> Option<&'a SuppressionCause> {
    let mut causes = record.causes.iter();
    causes.find(|cause| cause.channel == channel && cause.reason() == reason)
}

/// The list with an entry. `None` when something newer was said about it; of two words from the same moment the one that
/// suppresses stands.
pub fn suppress(
    before: &SuppressionRecord,
    added: &SuppressionCause,
) -> Result<Option<SuppressionRecord>, TooManyCauses> {
    let known = cause(before, &added.channel, added.reason());
    let is_repeated = |known: &SuppressionCause| added.events.iter().any(|event| known.events.contains(event));
    if known.is_some_and(|known| known.at_ms >= added.at_ms || known.lifted_at_ms > added.at_ms || is_repeated(known)) {
        return Ok(None);
    }
    let mut added = added.clone();
    if let Some(known) = known {
        added.events.splice(0..0, known.events.iter().cloned());
        let too_many = added.events.len().saturating_sub(MAX_EVENTS);
        added.events.drain(..too_many);
    }
    if known.is_none() && before.causes.len() >= MAX_CAUSES {
        return Err(TooManyCauses);
    }
    let mut record = before.clone();
    record
        .causes
        .retain(|known| known.channel != added.channel || known.reason() != added.reason());
    record.causes.push(added);
    Ok(Some(record))
}

/// The list with an entry lifted. `None` when it does not stand, or was made later than that.
#[must_use]
pub fn lift(
    before: &SuppressionRecord,
    channel: &str,
    reason: SuppressionReason,
    at: Moment,
) -> Option<SuppressionRecord> {
    let mut record = before.clone();
    let mut causes = record.causes.iter_mut();
    let known = causes.find(|cause| cause.channel == channel && cause.reason() == reason)?;
    if known.lifted_at_ms != 0 || known.at_ms >= at.0 {
        return None;
    }
    known.lifted_at_ms = at.0;
    Some(record)
}
