//! Ids: what they are made of and how they are written.
//!
//! Every id that names something in the store carries the shard it lives in. Texts are a prefix and lower-case base 32
//! that sorts like the bytes.

mod template;

mod conversation;

pub use conversation::ConversationKey;

use crate::{shard::Shard, time::Moment};
use data_encoding::{Encoding, HEXLOWER, Specification};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr, sync::LazyLock};

/// Lower-case base 32 with the digits first, so that texts sort like bytes.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghijklmnopqrstuv");
    #[expect(clippy::expect_used, reason = "32 distinct ASCII symbols are a valid specification")]
    specification.encoding().expect("valid alphabet")
});

/// A text that is no id of the wanted kind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is not a {kind} id ({prefix}…)")]
pub struct NotAnId {
    /// What was given.
    pub text: String,
    /// Kind wanted.
    pub kind: &'static str,
    /// Prefix of that kind.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The id in stored bytes; `None` when the length is wrong.
            #[must_use]
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The id as bytes to store.
            #[must_use]
            pub fn to_bytes(self) -> bytes::Bytes {
                bytes::Bytes::copy_from_slice(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str($prefix)?;
                formatter.write_str(&BASE32.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix($prefix)
                    .and_then(|rest| BASE32.decode(rest.as_bytes()).ok())
                    .and_then(|bytes| Self::from_bytes(&bytes))
                    .ok_or_else(|| NotAnId { text: text.chars().take(80).collect(), kind: $kind, prefix: $prefix })
            }
        }
    };
}

id!(
    /// A customer: 6 bytes of birth time in milliseconds, the shard, 9 random bytes. Older customers sort first, which is
    /// the order in which merges choose their survivor.
    CustomerId, 16, "customer", "cus_"
);
id!(
    /// A thread: the key of the peer's identifier and 8 bytes of a hash of the account.
    ThreadId, 24, "thread", "thr_"
);
id!(
    /// An outbound message: the shard of its thread's home, 14 bytes of a hash of the request, and a zero where the send
    /// keys of its pieces carry their number.
    MessageId, 16, "message", "msg_"
);
id!(
    /// An entry of a timeline: its home and its event.
    EntryId, 32, "entry", "ent_"
);
id!(
    /// A conversation: the home that it began in, and its key there.
    ConversationId, 28, "conversation", "cnv_"
);
id!(
    /// A parked item: its shard, 6 bytes of time in milliseconds, 9 bytes of a hash of its content.
    ParkedId, 16, "parked item", "prk_"
);
id!(
    /// Where an identifier lives: the first 16 bytes of a hash over tenant, type, scope and value.
    IdentifierKey, 16, "identifier key", "idk_"
);
id!(
    /// Reservation token of an identifier: random.
    Birth, 16, "birth", "bir_"
);
id!(
    /// A merge or one attempt at a split: random.
    TransactionId, 16, "transaction", "txn_"
);
id!(
    /// An identifier on the suppression list: its shard, 15 bytes of a keyed hash of it.
    SuppressionId, 16, "suppression", "sup_"
);
id!(
    /// A campaign: its shard, 15 bytes of a hash of the request. The first eight bytes name it in the ledger.
    CampaignId, 16, "campaign", "cmp_"
);
id!(
    /// A template of ours: its shard, 6 bytes of the time it was made in milliseconds, 9 random bytes.
    TemplateId, 16, "template", "tpl_"
);
id!(
    /// An audience: the shard of its tenant's audiences, 15 bytes of a hash of the request that made it.
    AudienceId, 16, "audience", "aud_"
);
id!(
    /// Lease of a worker on a delivery: random.
    LeaseToken, 16, "lease", "lea_"
);

/// A fact: hash over what makes it the same fact. Written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// The id in stored bytes; `None` when the length is wrong.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The id as bytes to store.
    #[must_use]
    pub fn to_bytes(self) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&self.0)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for EventId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or_else(|| NotAnId {
                text: text.chars().take(80).collect(),
                kind: "event",
                prefix: "32 hex digits",
            })
    }
}

impl CustomerId {
    /// A new customer, born now in a shard.
    #[must_use]
    pub fn new(born: Moment, shard: Shard, random: [u8; 16]) -> Self {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&born.to_key()[2..]);
        id[6] = shard.number();
        id[7..].copy_from_slice(&random[..9]);
        Self(id)
    }

    /// When it was born.
    #[must_use]
    pub fn born(self) -> Moment {
        let mut key = Moment(0).to_key();
        key[2..].copy_from_slice(&self.0[..6]);
        Moment::from_key(key)
    }

    /// Shard the customer lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[6])
    }
}

impl IdentifierKey {
    /// Shard the identifier's claim lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[0])
    }
}

impl ThreadId {
    /// The thread of an account and a peer.
    #[must_use]
    pub fn new(peer: IdentifierKey, account_id: &str) -> Self {
        let mut id = [0; 24];
        id[..16].copy_from_slice(&peer.0);
        id[16..].copy_from_slice(&hash("account", &[account_id.as_bytes()])[..8]);
        Self(id)
    }

    /// Key of the peer's identifier.
    #[must_use]
    pub fn peer(self) -> IdentifierKey {
        let mut key = [0; 16];
        key.copy_from_slice(&self.0[..16]);
        IdentifierKey(key)
    }
}

impl MessageId {
    /// The message that a request creates in a home's shard.
    #[must_use]
    pub fn new(shard: Shard, tenant_id: &str, request_id: &str) -> Self {
        let mut id = [0; 16];
        id[0] = shard.number();
        id[1..15].copy_from_slice(&hash("message", &[tenant_id.as_bytes(), request_id.as_bytes()])[..14]);
        Self(id)
    }

    /// Key under which a piece is submitted, the same at every attempt: 26 letters and digits, few enough for every
    /// provider's client reference, from which a receipt finds its way back.
    #[must_use]
    pub fn send_key(self, piece: u8) -> String {
        let mut key = self.0;
        key[15] = piece;
        BASE32.encode(&key)
    }

    /// Message and piece behind a send key that a provider echoes; `None` when it is none of ours.
    #[must_use]
    pub fn from_send_key(key: &str) -> Option<(Self, u8)> {
        let mut id: [u8; 16] = BASE32
            .decode(key.to_ascii_lowercase().as_bytes())
            .ok()?
            .try_into()
            .ok()?;
        let piece = std::mem::take(&mut id[15]);
        Some((Self(id), piece))
    }

    /// Shard the delivery lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[0])
    }
}

impl EntryId {
    /// The entry of an event in a home.
    #[must_use]
    pub fn new(home: CustomerId, event: EventId) -> Self {
        let mut id = [0; 32];
        id[..16].copy_from_slice(&home.0);
        id[16..].copy_from_slice(&event.0);
        Self(id)
    }

    /// Home of the entry.
    #[must_use]
    pub fn home(self) -> CustomerId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        CustomerId(id)
    }

    /// Its event.
    #[must_use]
    pub fn event(self) -> EventId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[16..]);
        EventId(id)
    }
}

impl ParkedId {
    /// The parked item made of this content.
    #[must_use]
    pub fn new(at: Moment, content: &[u8]) -> Self {
        let digest = hash("parked", &[content]);
        let mut id = [0; 16];
        id[0] = digest[0];
        id[1..7].copy_from_slice(&at.to_key()[2..]);
        id[7..].copy_from_slice(&digest[1..10]);
        Self(id)
    }

    /// Shard the item lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[0])
    }
}

impl SuppressionId {
    /// Shard the identifier lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[0])
    }
}

/// SHA-256 over a purpose and length-prefixed parts, so that different parts never hash alike.
#[must_use]
pub fn hash(purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lead_back_and_sort_like_bytes() {
        let older = CustomerId::new(Moment(1_000), Shard::new(200), [9; 16]);
        let newer = CustomerId::new(Moment(1_001), Shard::new(3), [0; 16]);
        assert_eq!(older.to_string().parse::<CustomerId>(), Ok(older));
        assert!(older < newer && older.to_string() < newer.to_string());
        assert_eq!(older.shard(), Shard::new(200));
    }

    #[test]
    fn a_send_key_leads_back_to_its_piece() {
        let id = MessageId::new(Shard::new(9), "t", "r");
        let key = id.send_key(3);
        assert!(key.len() == 26 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(MessageId::from_send_key(&key.to_uppercase()), Some((id, 3)));
        assert_eq!(MessageId::from_send_key("order-17"), None);
    }

    #[test]
    fn a_wrong_text_names_the_kind() {
        let error = "cus_zzz".parse::<ThreadId>().unwrap_err().to_string();
        assert_eq!(error, "\"cus_zzz\" is not a thread id (thr_…)");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash("x", &[b"ab", b"c"]), hash("x", &[b"a", b"bc"]));
    }
}
