//! Names of what is kept of campaigns.

use super::key;
use crate::campaign::place::{Bucket, Handle};
use crate::campaign::tally::Cell;
use crate::id::{CampaignId, CustomerId, hash};
use crate::port::store::Key;
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;

/// Record `state.v1.CampaignRecord`, in the campaign's shard.
#[must_use]
pub fn campaign(id: CampaignId) -> Key {
    key(b'G', &id.0)
}

/// Shard of [`campaigns`]: campaigns themselves lie anywhere.
#[must_use]
pub fn shard_of_list(tenant_id: &str) -> Shard {
    Shard::new(hash("campaigns", &[tenant_id.as_bytes()])[0])
}

/// Index: a tenant's campaigns, by time of creation. One that is not there was never made.
#[must_use]
pub fn campaigns(tenant_id: &str) -> Key {
    key(b'J', tenant_id.as_bytes())
}

/// Member of [`campaigns`].
#[must_use]
pub fn listed(created_at: Moment, id: CampaignId) -> Bytes {
    [&created_at.to_key()[..], &id.0].concat().into()
}

/// Back from [`listed`]; `None` when it cannot be read.
#[must_use]
pub fn read_listed(member: &[u8]) -> Option<CampaignId> {
    CampaignId::from_bytes(member.get(8..)?)
}

/// Record `state.v1.ControlRecord` of a shard.
#[must_use]
pub fn control(campaign: Handle) -> Key {
    key(b'H', &campaign.0)
}

/// Map of a bucket: number of a row → `state.v1.RecipientRow`.
#[must_use]
pub fn ledger(bucket: Bucket) -> Key {
    key(b'F', &[&bucket.campaign.0[..], &bucket.number.to_be_bytes()].concat())
}

/// Field of a row in its bucket.
#[must_use]
pub fn row(number: u16) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Counter of a shard: recipients of a campaign that are counted in this place.
#[must_use]
pub fn tally(campaign: Handle, cell: Cell) -> Key {
    key(b'X', &[&campaign.0[..], &[cell.code()]].concat())
}

/// Counter of a shard: recipients of a campaign that have not ended.
#[must_use]
pub fn open(campaign: Handle) -> Key {
    key(b'X', &campaign.0)
}

/// Record `state.v1.IntentsRecord` of a shard.
#[must_use]
pub fn intents() -> Key {
    Key::from_static(b"B")
}

/// Record `state.v1.CapRecord` of a customer.
#[must_use]
pub fn caps(id: CustomerId) -> Key {
    key(b'O', &id.0)
}
