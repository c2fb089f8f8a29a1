//! Names of everything in the store, in one place. One letter for the kind keeps keys short; the shape keeps kinds apart.

mod audience;
pub mod campaign;
mod template;
mod timer;

pub use audience::{
    audience, audience_part, audiences, import, import_problems, members_of, problem_member, read_problem_member,
};
pub use template::{template, template_mark, template_version, tenant_templates};
pub use timer::{Timer, account_mark, read_timer_member, timer_member, timers};

use crate::hourly::Hour;
use crate::id::{CustomerId, EventId, IdentifierKey, MessageId, ParkedId, SuppressionId};
use crate::port::store::Key;
use crate::time::Moment;
use crate::timeline::{SPOT, Spot};
use bytes::{BufMut as _, Bytes, BytesMut};

fn key(kind: u8, id: &[u8]) -> Key {
    let mut key = BytesMut::with_capacity(1 + id.len());
    key.put_u8(kind);
    key.put_slice(id);
    key.freeze()
}

/// Record `state.v1.Claim` of an identifier.
#[must_use]
pub fn claim(identifier: IdentifierKey) -> Key {
    key(b'i', &identifier.0)
}

/// Record `state.v1.CustomerRecord`.
#[must_use]
pub fn customer(id: CustomerId) -> Key {
    key(b'c', &id.0)
}

/// Record `state.v1.HomeRecord`.
#[must_use]
pub fn home(id: CustomerId) -> Key {
    key(b'h', &id.0)
}

/// Record `state.v1.DetailsRecord` of a customer record.
#[must_use]
pub fn details(id: CustomerId) -> Key {
    key(b'D', &id.0)
}

/// Map of a home: event id → where its entry stands ([`crate::timeline::Place`]).
#[must_use]
pub fn places(home: CustomerId) -> Key {
    key(b'p', &home.0)
}

/// Index of a home: when a place of an entry that was trimmed is forgotten, and its event id → encoded
/// `state.v1.TrimmedPlace`.
#[must_use]
pub fn trimmed_places(home: CustomerId) -> Key {
    key(b'p', &home.0)
}

/// Member of [`trimmed_places`].
#[must_use]
pub fn trimmed_member(until: Moment, event: EventId) -> Bytes {
    let mut member = BytesMut::with_capacity(24);
    member.put_slice(&until.to_key());
    member.put_slice(&event.0);
    member.freeze()
}

/// Back from [`trimmed_member`]; `None` when it cannot be read.
#[must_use]
pub fn read_trimmed_member(member: &[u8]) -> Option<(Moment, EventId)> {
    let (until, event) = member.split_first_chunk::<8>()?;
    Some((Moment::from_key(*until), EventId::from_bytes(event)?))
}

/// Index of a home: spot and event id → `state.v1.EntryRecord`.
#[must_use]
pub fn timeline(home: CustomerId) -> Key {
    key(b't', &home.0)
}

/// Member of [`timeline`].
#[must_use]
pub fn timeline_member(spot: Spot, event: EventId) -> Bytes {
    let mut member = BytesMut::with_capacity(SPOT + 16);
    member.put_slice(&spot.to_key());
    member.put_slice(&event.0);
    member.freeze()
}

/// Back from [`timeline_member`]; `None` when it cannot be read.
#[must_use]
pub fn read_timeline_member(member: &[u8]) -> Option<(Spot, EventId)> {
    let (spot, event) = member.split_first_chunk::<SPOT>()?;
    Some((Spot::from_key(*spot), EventId::from_bytes(event)?))
}

/// Index of a shard: home and number → encoded `v1.CustomerEvent` not yet known to be published.
#[must_use]
pub fn outbox() -> Key {
    Key::from_static(b"o")
}

/// Member of [`outbox`].
#[must_use]
pub fn outbox_member(home: CustomerId, home_seq: u64) -> Bytes {
    let mut member = BytesMut::with_capacity(24);
    member.put_slice(&home.0);
    member.put_u64(home_seq);
    member.freeze()
}

/// Index of a shard: a tenant's customers, by id.
#[must_use]
pub fn customers(tenant_id: &str) -> Key {
    key(b'l', tenant_id.as_bytes())
}

/// Index of a shard: a tenant's identifiers that ever had a claim, by key; those of one bucket. Repair finds by it what no
/// customer knows of. There are so many because Redis keeps small indexes in a sixth of the space of large ones.
#[must_use]
pub fn claims(bucket: u8, tenant_id: &str) -> Key {
    key(b'I', &[&[bucket], tenant_id.as_bytes()].concat())
}

/// Bucket of [`claims`] that an identifier stands in: buckets have the order of keys, whose first byte is the shard.
#[must_use]
pub const fn claims_bucket(identifier: IdentifierKey) -> u8 {
    identifier.0[1]
}

/// Record `state.v1.RepairRecord` of a group of shards, in shard 0.
#[must_use]
pub fn repair(group: u16) -> Key {
    key(b'R', &group.to_be_bytes())
}

/// Map of a customer: number → `state.v1.IdentityEventRecord`.
#[must_use]
pub fn identity_log(id: CustomerId) -> Key {
    key(b'r', &id.0)
}

/// Index of a shard: a tenant's conflicts, by survivor and other customer → `state.v1.ConflictRecord`.
#[must_use]
pub fn conflicts(tenant_id: &str) -> Key {
    key(b'f', tenant_id.as_bytes())
}

/// Member of [`conflicts`].
#[must_use]
pub fn conflict_member(survivor: CustomerId, loser: CustomerId) -> Bytes {
    let mut member = BytesMut::with_capacity(32);
    member.put_slice(&survivor.0);
    member.put_slice(&loser.0);
    member.freeze()
}

/// Back from [`conflict_member`]; `None` when it cannot be read.
#[must_use]
pub fn read_conflict_member(member: &[u8]) -> Option<(CustomerId, CustomerId)> {
    let (survivor, loser) = member.split_at_checked(16)?;
    Some((CustomerId::from_bytes(survivor)?, CustomerId::from_bytes(loser)?))
}

/// Index of a home: conversations that are closed, by key → `state.v1.ConversationRecord`.
#[must_use]
pub fn closed_conversations(home: CustomerId) -> Key {
    key(b'v', &home.0)
}

/// Index of a shard: a tenant's conversations that are not closed, by id → `state.v1.ConversationOutline`.
#[must_use]
pub fn open_conversations(tenant_id: &str) -> Key {
    key(b'V', tenant_id.as_bytes())
}

/// Record `state.v1.DeliveryRecord`.
#[must_use]
pub fn delivery(id: MessageId) -> Key {
    key(b'd', &id.0)
}

/// Record `state.v1.RequestRecord`, by hash of tenant and request id.
#[must_use]
pub fn request(hash: [u8; 32]) -> Key {
    key(b'q', &hash[..16])
}

/// Record `state.v1.CommandRecord`, by hash of tenant and request id.
#[must_use]
pub fn command(hash: [u8; 32]) -> Key {
    key(b'j', &hash[..16])
}

/// Record `state.v1.ProviderPointer`, by hash of account, peer and provider id.
#[must_use]
pub fn provider_message(hash: [u8; 32]) -> Key {
    key(b'm', &hash[..16])
}

/// Record `state.v1.LeaseRecord`, by name; in the shard it protects, or shard 0.
#[must_use]
pub fn lease(name: &str) -> Key {
    key(b'x', name.as_bytes())
}

/// Index of shard 0: members of a group of processes that share work; each has a lease of its own.
#[must_use]
pub fn members(group: &str) -> Key {
    key(b'n', group.as_bytes())
}

/// Index of shard 0: a tenant's consumer groups, name → encoded `state.v1.EventGroupRecord`.
#[must_use]
pub fn event_groups(tenant_id: &str) -> Key {
    key(b'e', tenant_id.as_bytes())
}

/// Record `state.v1.EventWebhookRecord` of an endpoint, in shard 0.
#[must_use]
pub fn event_webhook(endpoint_id: &str) -> Key {
    key(b'u', endpoint_id.as_bytes())
}

/// Record `state.v1.AttemptRecord` of an event that fails.
#[must_use]
pub fn attempt(event: EventId) -> Key {
    key(b'a', &event.0)
}

/// Index of a shard: parked item id → encoded `v1.ParkedItem`.
#[must_use]
pub fn parked() -> Key {
    Key::from_static(b"k")
}

/// Record `state.v1.ParkedKeyRecord` of a parked item, in its shard.
#[must_use]
pub fn parked_key(id: ParkedId) -> Key {
    key(b'P', &id.0)
}

/// Record `state.v1.PaceRecord` of a limit.
#[must_use]
pub fn pace(limit: &str) -> Key {
    key(b'b', limit.as_bytes())
}

/// Record `state.v1.GatewayRecord`, in shard 0.
#[must_use]
pub fn gateway() -> Key {
    Key::from_static(b"g")
}

/// Record `state.v1.CredentialRecord` of an account.
#[must_use]
pub fn credential(account_id: &str) -> Key {
    key(b'z', account_id.as_bytes())
}

/// True for records that are stored smaller than they are, by [`crate::identity::stored`].
#[must_use]
pub fn is_packed(key: &Key) -> bool {
    matches!(key.first(), Some(b'c' | b'i'))
}

/// True for records that hold secrets: whoever can read the store's files must not be able to use them.
#[must_use]
pub fn is_secret(key: &Key) -> bool {
    matches!(key.first(), Some(b'z' | b'K' | b'P')) || *key == suppression_key()
}

/// Record `state.v1.HourKeyRecord` of a tenant and hour.
#[must_use]
pub fn hour_key(tenant_id: &str, hour: Hour) -> Key {
    key(b'K', &[&hour.0.to_be_bytes(), tenant_id.as_bytes()].concat())
}

/// Record `state.v1.ConsentRecord` of an identifier.
#[must_use]
pub fn consent(identifier: IdentifierKey) -> Key {
    key(b'C', &identifier.0)
}

/// Record `state.v1.NumberRecord` of an identifier that is a phone number.
#[must_use]
pub fn number(identifier: IdentifierKey) -> Key {
    key(b'N', &identifier.0)
}

/// Index of an identifier: number → encoded `state.v1.ConsentFact`; and map: id of a fact → its number.
#[must_use]
pub fn consent_history(identifier: IdentifierKey) -> Key {
    key(b'L', &identifier.0)
}

/// Record `state.v1.RefusalRecord` of a customer.
#[must_use]
pub fn refusal(id: CustomerId) -> Key {
    key(b'W', &id.0)
}

/// Record `state.v1.SuppressionRecord`.
#[must_use]
pub fn suppression(id: SuppressionId) -> Key {
    key(b'S', &id.0)
}

/// Index of a shard: a tenant's suppression list, id → encoded `state.v1.SuppressionRecord`.
#[must_use]
pub fn suppressions(tenant_id: &str) -> Key {
    key(b'S', tenant_id.as_bytes())
}

/// Record `state.v1.SuppressionKeyRecord`, in shard 0.
#[must_use]
pub fn suppression_key() -> Key {
    Key::from_static(b"S")
}

/// Record `state.v1.ErasedRecord` of an identifier, in another shard than its claim.
#[must_use]
pub fn erased(identifier: IdentifierKey) -> Key {
    key(b'E', &identifier.0)
}

/// Record `v1.ProviderTemplates` of an account.
#[must_use]
pub fn templates(account_id: &str) -> Key {
    key(b'y', account_id.as_bytes())
}
