//! Audiences: lists of customers, filled by imports, and segments, which a filter finds.

pub mod member;
pub mod row;

use crate::id::{AudienceId, hash};
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::AudienceRecord;

/// Most audiences of a tenant.
pub const MAX_AUDIENCES: u32 = 1_000;
/// Most audiences that one excludes.
pub const MAX_EXCLUDED: usize = 20;
/// Longest name of an audience, in characters.
pub const MAX_NAME: usize = 128;
/// Longest id of an import, in characters.
pub const MAX_IMPORT_ID: usize = 128;
/// Commands that a record knows it was changed by: whoever repeats one does it sooner.
const MAX_APPLIED: usize = 32;

impl AudienceId {
    /// The audience that a request makes.
    #[must_use]
    pub fn new(tenant_id: &str, request_id: &str) -> Self {
        let mut id = [0; 16];
        id[0] = shard_of(tenant_id).number();
        id[1..].copy_from_slice(&hash("audience", &[tenant_id.as_bytes(), request_id.as_bytes()])[..15]);
        Self(id)
    }

    /// Shard its record lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[0])
    }
}

/// Shard of a tenant's audiences: one, so that a tenant's list is one read and exclusions are decided where they stand.
#[must_use]
pub fn shard_of(tenant_id: &str) -> Shard {
    Shard::new(hash("audiences", &[tenant_id.as_bytes()])[0])
}

/// True for a segment.
#[must_use]
pub const fn is_segment(record: &AudienceRecord) -> bool {
    !record.filter.is_empty()
}

/// The audiences that one excludes.
pub fn excluded(record: &AudienceRecord) -> impl Iterator<Item = AudienceId> {
    record.excluded.iter().filter_map(|id| AudienceId::from_bytes(id))
}

/// A command that changes an audience.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// Names the command.
    pub name: Bytes,
    /// New name.
    pub display_name: Option<String>,
    /// New filter of a segment.
    pub filter: Option<String>,
    /// New exclusions.
    pub excluded: Option<Vec<AudienceId>>,
}

/// True when a command took effect before.
#[must_use]
pub fn is_applied(record: &AudienceRecord, name: &Bytes) -> bool {
    record.applied.contains(name)
}

/// The record as a command leaves it.
#[must_use]
pub fn changed(record: &AudienceRecord, change: &Change, now: Moment) -> AudienceRecord {
    let mut next = noted(record, &change.name);
    next.updated_at_ms = now.0;
    if let Some(name) = &change.display_name {
        next.display_name.clone_from(name);
    }
    if let Some(filter) = &change.filter {
        next.filter.clone_from(filter);
    }
    if let Some(excluded) = &change.excluded {
        next.excluded = excluded.iter().map(|id| id.to_bytes()).collect();
    }
    next
}

/// The record as its deletion leaves it.
#[must_use]
pub fn deleted(record: &AudienceRecord, name: &Bytes, now: Moment) -> AudienceRecord {
    AudienceRecord {
        deleted_ms: now.0,
        ..noted(record, name)
    }
}

fn noted(record: &AudienceRecord, name: &Bytes) -> AudienceRecord {
    let mut next = record.clone();
    let too_many = (next.applied.len() + 1).saturating_sub(MAX_APPLIED);
    next.applied.drain(..too_many);
    next.applied.push(name.clone());
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_lives_in_the_shard_of_its_tenants() {
        let one = AudienceId::new("t", "1");
        assert_eq!(
            (one.shard(), AudienceId::new("t", "2").shard()),
            (shard_of("t"), shard_of("t"))
        );
        assert_eq!(one, AudienceId::new("t", "1"));
        assert_ne!(one, AudienceId::new("u", "1"));
    }

    #[test]
    fn a_command_is_known_by_its_name_and_changes_what_it_names() {
        let record = AudienceRecord {
            display_name: "old".to_owned(),
            filter: "true".to_owned(),
            ..AudienceRecord::default()
        };
        let change = Change {
            name: Bytes::from_static(b"c"),
            display_name: Some("new".to_owned()),
            ..Change::default()
        };
        let mut next = changed(&record, &change, Moment(7));
        assert_eq!(
            (next.display_name.as_str(), next.filter.as_str(), next.updated_at_ms),
            ("new", "true", 7)
        );
        assert!(is_applied(&next, &change.name) && !is_applied(&record, &change.name));
        for number in 0..100_u8 {
            next = deleted(&next, &Bytes::from(vec![number]), Moment(8));
        }
        assert_eq!((next.applied.len(), next.deleted_ms), (MAX_APPLIED, 8));
    }
}
