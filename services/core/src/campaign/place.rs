//! Where a recipient stands, and the ids that lead there.
//!
//! A message of a campaign needs no record of its own: its id is the place of its row, so a receipt that echoes the send key
//! finds the row without any look-up.

use crate::id::{CampaignId, MessageId, hash};
use crate::shard::Shard;
use bytes::Bytes;
use omnigate_proto::state::v1::BucketHint;

/// Most rows of one bucket, so that its map keeps the compact form of the store.
pub const ROWS: u16 = 500;

/// What names a campaign in the ledger: the first bytes of its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Handle(pub [u8; 8]);

impl CampaignId {
    /// The campaign that a request creates.
    #[must_use]
    pub fn new(tenant_id: &str, request_id: &str) -> Self {
        let digest = hash("campaign", &[tenant_id.as_bytes(), request_id.as_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Shard the campaign lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[0])
    }

    /// Its name in the ledger.
    #[must_use]
    pub fn handle(self) -> Handle {
        let mut handle = [0; 8];
        handle.copy_from_slice(&self.0[..8]);
        Handle(handle)
    }
}

/// A bucket of a campaign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bucket {
    /// Campaign.
    pub campaign: Handle,
    /// Shard it lies in.
    pub shard: Shard,
    /// Its number there.
    pub number: u16,
}

impl Bucket {
    /// As a hint names it.
    #[must_use]
    pub fn to_hint(self) -> BucketHint {
        BucketHint {
            campaign: Bytes::copy_from_slice(&self.campaign.0),
            shard: u32::from(self.shard.number()),
            number: u32::from(self.number),
        }
    }

    /// As a hint names it; `None` when it names none.
    #[must_use]
    pub fn from_hint(hint: &BucketHint) -> Option<Self> {
        Some(Self {
            campaign: Handle(hint.campaign.as_ref().try_into().ok()?),
            shard: Shard::new(u8::try_from(hint.shard).ok()?),
            number: u16::try_from(hint.number).ok()?,
        })
    }
}

/// A row of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Bucket.
    pub bucket: Bucket,
    /// Number of the row.
    pub row: u16,
}

/// One message of a campaign to one recipient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sent {
    /// Whose row it belongs to.
    pub place: Place,
    /// Position of the step.
    pub step: u8,
}

impl Sent {
    /// Id of the message: shard, campaign, bucket, row, step, and the zero where send keys have the piece. The last byte but
    /// one is a check, by which few other ids look like one of these.
    #[must_use]
    pub fn message_id(self) -> MessageId {
        let Place { bucket, row } = self.place;
        let mut id = [0; 16];
        id[0] = bucket.shard.number();
        id[1..9].copy_from_slice(&bucket.campaign.0);
        id[9..11].copy_from_slice(&bucket.number.to_be_bytes());
        id[11..13].copy_from_slice(&row.to_be_bytes());
        id[13] = self.step;
        id[14] = check(&id[..14]);
        MessageId(id)
    }

    /// Back from an id; `None` for one that belongs to no campaign. A few that do not look as if they did: their ledger has no
    /// such row.
    #[must_use]
    pub fn of(id: MessageId) -> Option<Self> {
        let id = id.0;
        let mut campaign = [0; 8];
        campaign.copy_from_slice(&id[1..9]);
        let bucket = Bucket {
            campaign: Handle(campaign),
            shard: Shard::new(id[0]),
            number: u16::from_be_bytes([id[9], id[10]]),
        };
        let place = Place {
            bucket,
            row: u16::from_be_bytes([id[11], id[12]]),
        };
        (id[14] == check(&id[..14]) && place.row < ROWS).then_some(Self { place, step: id[13] })
    }
}

fn check(of: &[u8]) -> u8 {
    hash("message of a campaign", &[of])[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_row_and_others_do_not() {
        let place = Place {
            bucket: Bucket {
                campaign: CampaignId::new("t", "r").handle(),
                shard: Shard::new(77),
                number: 40_000,
            },
            row: 499,
        };
        let sent = Sent { place, step: 2 };
        let id = sent.message_id();
        assert_eq!(Sent::of(id), Some(sent));
        assert_eq!(id.shard(), Shard::new(77));
        let (again, piece) = MessageId::from_send_key(&id.send_key(3)).unwrap();
        assert_eq!((Sent::of(again), piece), (Some(sent), 3));
        let others = (0..10_000).map(|number| MessageId::new(Shard::new(1), "t", &format!("request {number}")));
        let alike = others.filter(|id| Sent::of(*id).is_some()).count();
        assert!(alike < 10, "{alike} of ten thousand look alike");
    }
}
