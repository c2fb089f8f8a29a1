//! Timers: what has to be looked at when.

use crate::campaign::place::Handle;
use crate::id::{AudienceId, CampaignId, CustomerId, MessageId, hash};
use crate::port::store::Key;
use crate::time::Moment;
use bytes::{BufMut as _, Bytes, BytesMut};

/// Index of a shard: timers by due time.
#[must_use]
pub fn timers() -> Key {
    Key::from_static(b"w")
}

/// What a timer is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// A delivery wants to be looked at.
    Delivery(MessageId),
    /// Pieces of a long message are missing in a home.
    Pieces(CustomerId),
    /// A customer is being erased.
    Erasure(CustomerId),
    /// A conversation of a home wakes up, is resolved or closed by itself.
    Conversations(CustomerId),
    /// A home has more on its timeline than its tenant keeps, or remembers places of what it had.
    Trim(CustomerId),
    /// A campaign goes on by itself.
    Campaign(CampaignId),
    /// Recipients of a campaign wait in a bucket: its campaign, and its number in the shard.
    Bucket(Handle, u16),
    /// An audience is being deleted.
    Audience(AudienceId),
}

/// Member of [`timers`].
#[must_use]
pub fn timer_member(due: Moment, timer: Timer) -> Bytes {
    let mut member = BytesMut::with_capacity(25);
    member.put_slice(&due.to_key());
    let (kind, id) = match timer {
        Timer::Delivery(id) => (b'd', id.0),
        Timer::Pieces(home) => (b'p', home.0),
        Timer::Erasure(customer) => (b'e', customer.0),
        Timer::Conversations(home) => (b'v', home.0),
        Timer::Trim(home) => (b't', home.0),
        Timer::Campaign(campaign) => (b'c', campaign.0),
        Timer::Bucket(campaign, number) => {
            member.put_u8(b'b');
            member.put_slice(&campaign.0);
            member.put_u16(number);
            return member.freeze();
        }
        Timer::Audience(audience) => (b'a', audience.0),
    };
    member.put_u8(kind);
    member.put_slice(&id);
    member.freeze()
}

/// Value of a timer whose delivery waits for its account.
#[must_use]
pub fn account_mark(account_id: &str) -> Bytes {
    Bytes::copy_from_slice(&hash("waits for account", &[account_id.as_bytes()])[..8])
}

/// Back from [`timer_member`]; `None` for a kind this version does not know.
#[must_use]
pub fn read_timer_member(member: &[u8]) -> Option<(Moment, Timer)> {
    let (due, rest) = member.split_first_chunk::<8>()?;
    match rest.split_first()? {
        (b'd', id) => Some((Moment::from_key(*due), Timer::Delivery(MessageId::from_bytes(id)?))),
        (b'p', home) => Some((Moment::from_key(*due), Timer::Pieces(CustomerId::from_bytes(home)?))),
        (b'e', id) => Some((Moment::from_key(*due), Timer::Erasure(CustomerId::from_bytes(id)?))),
        (b'v', home) => Some((
            Moment::from_key(*due),
            Timer::Conversations(CustomerId::from_bytes(home)?),
        )),
        (b't', home) => Some((Moment::from_key(*due), Timer::Trim(CustomerId::from_bytes(home)?))),
        (b'c', id) => Some((Moment::from_key(*due), Timer::Campaign(CampaignId::from_bytes(id)?))),
        (b'b', id) => {
            let (campaign, number) = id.split_first_chunk::<8>()?;
            let number = u16::from_be_bytes(number.try_into().ok()?);
            Some((Moment::from_key(*due), Timer::Bucket(Handle(*campaign), number)))
        }
        (b'a', id) => Some((Moment::from_key(*due), Timer::Audience(AudienceId::from_bytes(id)?))),
        _ => None,
    }
}
