//! Names of audiences, their members and imports.

use super::key;
use crate::id::AudienceId;
use crate::port::store::Key;
use bytes::Bytes;

/// Record `state.v1.AudienceRecord`.
#[must_use]
pub fn audience(id: AudienceId) -> Key {
    key(b'A', &id.0)
}

/// Index of the shard of a tenant's audiences: their ids.
#[must_use]
pub fn audiences(tenant_id: &str) -> Key {
    key(b'A', tenant_id.as_bytes())
}

/// Index of a shard: members of an audience, customer id → encoded `state.v1.MemberRecord`.
#[must_use]
pub fn members_of(id: AudienceId) -> Key {
    key(b'U', &id.0)
}

/// Record `state.v1.AudiencePartRecord` of an audience, in each shard that has members of it.
#[must_use]
pub fn audience_part(id: AudienceId) -> Key {
    key(b'U', &id.0)
}

/// Record `state.v1.ImportRecord`, by hash of audience and import id.
#[must_use]
pub fn import(hash: [u8; 32]) -> Key {
    key(b'M', &hash[..16])
}

/// Index beside an import: number of a row → encoded `state.v1.RowProblemRecord`.
#[must_use]
pub fn import_problems(hash: [u8; 32]) -> Key {
    key(b'M', &hash[..16])
}

/// Member of [`import_problems`].
#[must_use]
pub fn problem_member(row: u64) -> Bytes {
    Bytes::copy_from_slice(&row.to_be_bytes())
}

/// Back from [`problem_member`]; `None` when it cannot be read.
#[must_use]
pub fn read_problem_member(member: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(member.try_into().ok()?))
}
