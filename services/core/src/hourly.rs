//! Keys of an hour: what lies on the broker is sealed with a key of its tenant and hour, so that nobody reads the disks of
//! the broker without the store, and nobody at all when the key has ended.
//!
//! A body is cut by tenants, and each tenant's part sealed by itself. All bodies that are sealed are messages of one
//! repeated field: parts written one behind the other are a body again, and what stood in it is the same byte for byte.

mod portion;

pub use portion::{Portion, portions};

use crate::id::hash;
use crate::keyring::{self, KEY_BYTES, NonceBytes};
use crate::shard::Shard;
use crate::time::Moment;
use crate::topology;
use bytes::{BufMut as _, Bytes, BytesMut};
use omnigate_proto::state::v1::{EventBatch, HourKeyRecord, SealedBody, SealedPart, Stamped};
use prost::Message as _;
use ring::aead::LessSafeKey;
use std::fmt;
use std::time::Duration;

/// How a sealed body begins: no message does, there is no field 0.
const MARK: [u8; 2] = [0, b'h'];
/// Bytes of a key's id.
pub const KEY_ID: usize = 8;
/// Most keys of one tenant and hour; there is one unless the store forgot it.
const MAX_KEYS: usize = 8;
const HOUR_MS: i64 = 3_600_000;
/// A message may wait this long in its queue, whatever the journal's time: as long as places remember. What waits longer
/// could not be told from a repetition.
const WAITS: Duration = Duration::from_hours(7 * 24);
/// How much longer than that a key lives, and so how old the newest known key may be that seals while the store is away.
pub const MARGIN: Duration = Duration::from_hours(24);

/// How long a key is kept after its hour, when what it seals is kept for `kept` at the longest.
#[must_use]
pub fn life(kept: Duration) -> Duration {
    kept.max(WAITS) + MARGIN
}

/// An hour, counted from the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hour(pub u32);

impl Hour {
    /// The hour in which a moment lies.
    #[must_use]
    pub fn of(moment: Moment) -> Self {
        Self(u32::try_from(moment.0.div_euclid(HOUR_MS)).unwrap_or(0))
    }

    /// The hour after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The hour before it.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Its first millisecond.
    #[must_use]
    pub fn begins(self) -> Moment {
        Moment(i64::from(self.0) * HOUR_MS)
    }

    /// The first millisecond after it.
    #[must_use]
    pub fn ends(self) -> Moment {
        self.next().begins()
    }
}

/// Where the keys of a tenant and hour stand.
#[must_use]
pub fn shard_of(tenant_id: &str, hour: Hour) -> Shard {
    Shard::new(hash("hour key", &[tenant_id.as_bytes(), &hour.0.to_be_bytes()])[0])
}

/// A key of a tenant and hour. Printing shows its id alone.
pub struct HourKey {
    id: [u8; KEY_ID],
    bytes: [u8; KEY_BYTES],
    cipher: LessSafeKey,
}

impl fmt::Debug for HourKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HourKey({:02x?})", self.id)
    }
}

impl HourKey {
    /// The key of these bytes; `None` when they are none.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; KEY_BYTES] = bytes.try_into().ok()?;
        let digest = hash("hour key id", &[&bytes]);
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        let cipher = keyring::cipher(&bytes)?;
        Some(Self { id, bytes, cipher })
    }

    /// Its bytes, for the store alone.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// What parts name it by.
    #[must_use]
    pub const fn id(&self) -> &[u8; KEY_ID] {
        &self.id
    }
}

/// The keys in a record, the one that seals first; what is no key is left out.
#[must_use]
pub fn read_keys(record: &HourKeyRecord) -> Vec<HourKey> {
    record.keys.iter().filter_map(|bytes| HourKey::new(bytes)).collect()
}

/// The record that knows a key as well; `None` when it does already, or knows too many.
#[must_use]
pub fn with_key(record: Option<&HourKeyRecord>, key: &[u8]) -> Option<HourKeyRecord> {
    let mut next = record.cloned().unwrap_or_default();
    if next.keys.iter().any(|known| known == key) || next.keys.len() >= MAX_KEYS {
        return None;
    }
    next.keys.push(Bytes::copy_from_slice(key));
    Some(next)
}

/// What a part is sealed for: it opens for no other place, tenant or hour.
fn bound_to(place: &str, tenant_id: &str, hour: Hour) -> [u8; 32] {
    let parts = [place.as_bytes(), tenant_id.as_bytes(), &hour.0.to_be_bytes()];
    hash("sealed part", &parts)
}

/// Seals what one tenant has in a body. `nonce` must be fresh.
#[must_use]
pub fn seal(place: &str, portion: &Portion, hour: Hour, key: &HourKey, nonce: NonceBytes) -> Option<SealedPart> {
    let mut sealed = BytesMut::with_capacity(portion.body.len() + 32);
    let bound = bound_to(place, &portion.tenant_id, hour);
    keyring::seal_with(&key.cipher, &bound, nonce, &portion.body, &mut sealed)?;
    Some(SealedPart {
        tenant_id: portion.tenant_id.clone(),
        hour: hour.0,
        key_id: Bytes::copy_from_slice(&key.id),
        sealed: sealed.freeze(),
    })
}

/// The part again; `None` when none of these keys sealed it, or it was changed or moved.
#[must_use]
pub fn open(place: &str, part: &SealedPart, keys: &[HourKey]) -> Option<Bytes> {
    let key = keys.iter().find(|key| part.key_id == key.id.as_slice())?;
    let bound = bound_to(place, &part.tenant_id, Hour(part.hour));
    keyring::open_with(&key.cipher, &bound, &part.sealed).ok()
}

/// True for a body that is sealed, in whatever way.
#[must_use]
pub fn is_sealed(body: &[u8]) -> bool {
    body.starts_with(&MARK)
}

/// A body as it lies on the broker.
#[must_use]
pub fn encode(sealed: &SealedBody) -> Bytes {
    let mut body = BytesMut::with_capacity(MARK.len() + sealed.encoded_len());
    body.put_slice(&MARK);
    body.put_slice(&sealed.encode_to_vec());
    body.freeze()
}

/// Back from [`encode`]; `None` for a body that is not sealed, or in a way that this version does not know.
#[must_use]
pub fn decode(body: &Bytes) -> Option<SealedBody> {
    body.starts_with(&MARK).then(|| body.slice(MARK.len()..))?;
    SealedBody::decode(body.slice(MARK.len()..)).ok()
}

/// True when a body that was sealed for `place` may lie at `at`: in its own place, or on the journal of its queue.
#[must_use]
pub fn may_lie_at(place: &str, at: &str) -> bool {
    place == at || (at == topology::journal().0 && topology::is_inbound(place))
}

/// Stands in a batch of events for a part that does not open: an event that is no event, so that whoever works on the
/// batch puts it aside and goes on, and everything is there when the key comes back.
#[must_use]
pub fn closed_event(place: &str, part: SealedPart) -> Bytes {
    let received_at_ms = Hour(part.hour).begins().0;
    let event = encode(&SealedBody {
        place: place.to_owned(),
        parts: vec![part],
    });
    let stamped = Stamped {
        event,
        received_at_ms,
        traceparent: String::new(),
        ..Stamped::default()
    };
    EventBatch { events: vec![stamped] }.encode_to_vec().into()
}

/// Whose a body with one part is, though it does not open; `None` for what is not sealed, or of several.
#[must_use]
pub fn tenant_of(body: &Bytes) -> Option<String> {
    match decode(body)?.parts.as_slice() {
        [part] => Some(part.tenant_id.clone()),
        _ => None,
    }
}

/// What was parked without having been opened, and the queue it was sealed for: put back there it comes as it came.
#[must_use]
pub fn closed_in(body: &Bytes) -> Option<(String, Bytes)> {
    let sealed = match is_sealed(body) {
        true => body.clone(),
        false => Stamped::decode(body.clone()).ok()?.event,
    };
    let place = decode(&sealed)?.place;
    topology::is_inbound(&place).then_some((place, sealed))
}

#[cfg(test)]
mod tests;
