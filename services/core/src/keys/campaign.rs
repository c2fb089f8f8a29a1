//! Names of what is kept of campaigns.

use super::key;
use crate::campaign::place::{Bucket, Handle};
use crate::campaign::tally::Cell;
use crate::id::{CampaignId, CustomerId};
use crate::port::store::Key;
use bytes::Bytes;

/// Record `state.v1.CampaignRecord`, in the campaign's shard.
#[must_use]
pub fn campaign(id: CampaignId) -> Key {
    key(b'G', &id.0)
}

/// Index of a shard: a tenant's campaigns, by id.
#[must_use]
pub fn campaigns(tenant_id: &str) -> Key {
    key(b'J', tenant_id.as_bytes())
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
