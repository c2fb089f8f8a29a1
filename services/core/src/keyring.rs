//! The operator's keys: what is secret is sealed with them before it is stored.
//!
//! Each value is sealed for its own place: moved to another it opens no more. A value names the key it was sealed with, so a
//! new key can be brought in while values under the former one are still there; whatever is written next has the new one.

use crate::port::Entropy;
use bytes::{BufMut as _, Bytes, BytesMut};
use data_encoding::HEXLOWER;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use std::fmt;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Fresh random bytes that sealing a value takes.
pub type NonceBytes = [u8; NONCE_LEN];
/// No protocol message begins with it: there is no field 0.
const MARK: u8 = 0;
/// How what follows is laid out: id of the key, nonce, sealed value with its tag.
const LAYOUT: u8 = 1;
/// Bytes of a key's id.
const ID: usize = 8;
const HEAD: usize = 2 + ID + NONCE_LEN;

/// Why a value does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Closed {
    /// A newer release sealed it.
    #[error("a sealed value of a layout that this release does not know")]
    Layout,
    /// No key that is configured sealed it.
    #[error(
        "a value is sealed with a key that is not configured: set store.seal_key to it, or put it among store.former_seal_keys"
    )]
    Key,
    /// It is not what was sealed for this place.
    #[error("a sealed value was changed, or belongs somewhere else")]
    Changed,
}

/// A key and its name.
struct NamedKey {
    id: [u8; ID],
    key: LessSafeKey,
}

/// Keys that values are sealed with; with none, values stay as they are. Printing shows no key.
pub struct Keyring {
    present: Option<NamedKey>,
    former: Vec<NamedKey>,
    seals_content: bool,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keyring(***)")
    }
}

impl Keyring {
    /// No keys.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            present: None,
            former: Vec::new(),
            seals_content: false,
        }
    }

    /// Seals with `present`, opens with all. `None` when the cipher does not take a key, which no key of this length is.
    #[must_use]
    pub fn new(present: &[u8; KEY_BYTES], former: &[[u8; KEY_BYTES]]) -> Option<Self> {
        Some(Self {
            present: Some(named(present)?),
            former: former.iter().map(named).collect::<Option<_>>()?,
            seals_content: false,
        })
    }

    /// The same, sealing messages of ours and what is parked as well: where no process of an older release is about, which
    /// would lose what it cannot open.
    #[must_use]
    pub fn with_content(self, seals_content: bool) -> Self {
        Self { seals_content, ..self }
    }

    /// True when messages of ours and what is parked are to be sealed.
    #[must_use]
    pub const fn seals_content(&self) -> bool {
        self.seals_content && self.seals()
    }

    /// True when values are sealed at all.
    #[must_use]
    pub const fn seals(&self) -> bool {
        self.present.is_some()
    }

    /// What the present key is called; it tells nothing of the key.
    #[must_use]
    pub fn present_name(&self) -> Option<String> {
        self.present.as_ref().map(|present| HEXLOWER.encode(&present.id))
    }

    /// True for a value that is stored as it would be now: sealed with the present key, or with none where there is none.
    #[must_use]
    pub fn is_present(&self, stored: &[u8]) -> bool {
        match &self.present {
            Some(present) => stored
                .strip_prefix(&[MARK, LAYOUT])
                .is_some_and(|rest| rest.starts_with(&present.id)),
            None => stored.first() != Some(&MARK),
        }
    }

    /// The value as it is stored at a place. `nonce` must be fresh.
    #[must_use]
    pub fn seal(&self, place: &[u8], nonce: NonceBytes, value: &[u8]) -> Option<Bytes> {
        let Some(present) = &self.present else {
            return Some(Bytes::copy_from_slice(value));
        };
        let mut out = BytesMut::with_capacity(HEAD + value.len() + CHACHA20_POLY1305.tag_len());
        out.put_slice(&[MARK, LAYOUT]);
        out.put_slice(&present.id);
        seal_with(&present.key, place, nonce, value, &mut out)?;
        Some(out.freeze())
    }

    /// Back from [`Keyring::seal`]; what was stored without a key is read as it is.
    pub fn open(&self, place: &[u8], stored: &Bytes) -> Result<Bytes, Closed> {
        let Some((&MARK, rest)) = stored.split_first() else {
            return Ok(stored.clone());
        };
        let (id, sealed) = match rest.split_first() {
            Some((&LAYOUT, rest)) => rest.split_at_checked(ID).ok_or(Closed::Layout)?,
            _ => return Err(Closed::Layout),
        };
        let key = self.present.iter().chain(&self.former).find(|key| key.id == id);
        open_with(&key.ok_or(Closed::Key)?.key, place, sealed)
    }
}

fn named(bytes: &[u8; KEY_BYTES]) -> Option<NamedKey> {
    let name = digest(&SHA256, &[b"omnigate seal key".as_slice(), bytes].concat());
    let mut id = [0; ID];
    id.copy_from_slice(&name.as_ref()[..ID]);
    let key = cipher(bytes)?;
    Some(NamedKey { id, key })
}

/// Fresh random bytes for one seal.
#[must_use]
pub fn nonce(entropy: &dyn Entropy) -> NonceBytes {
    let mut nonce = NonceBytes::default();
    nonce.copy_from_slice(&entropy.bytes()[..size_of::<NonceBytes>()]);
    nonce
}

/// The cipher under a key of [`KEY_BYTES`]; `None` for another length.
pub(crate) fn cipher(key: &[u8]) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?))
}

/// Appends nonce and sealed value.
pub(crate) fn seal_with(
    key: &LessSafeKey,
    place: &[u8],
    nonce: NonceBytes,
    value: &[u8],
    out: &mut BytesMut,
) -> Option<()> {
    out.put_slice(&nonce);
    let from = out.len();
    out.put_slice(value);
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut out[from..])
        .ok()?;
    out.put_slice(tag.as_ref());
    Some(())
}

/// Opens what [`seal_with`] appended.
pub(crate) fn open_with(key: &LessSafeKey, place: &[u8], sealed: &[u8]) -> Result<Bytes, Closed> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(Closed::Changed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Closed::Changed)?;
    let mut opened = sealed.to_vec();
    let length = key
        .open_in_place(nonce, Aad::from(place), &mut opened)
        .map_err(|_| Closed::Changed)?
        .len();
    opened.truncate(length);
    Ok(opened.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(present: u8, former: &[u8]) -> Keyring {
        let former: Vec<_> = former.iter().map(|byte| [*byte; KEY_BYTES]).collect();
        Keyring::new(&[present; KEY_BYTES], &former).unwrap()
    }

    #[test]
    fn a_value_opens_at_its_place_with_the_key_that_sealed_it() {
        let sealed = ring(1, &[]).seal(b"here", [7; NONCE_LEN], b"secret").unwrap();
        assert_eq!(ring(1, &[]).open(b"here", &sealed).unwrap(), "secret");
        assert_eq!(ring(2, &[1]).open(b"here", &sealed).unwrap(), "secret");
        assert_eq!(ring(1, &[]).open(b"there", &sealed), Err(Closed::Changed));
        assert_eq!(ring(2, &[]).open(b"here", &sealed), Err(Closed::Key));
        assert_eq!(Keyring::none().open(b"here", &sealed), Err(Closed::Key));
    }

    #[test]
    fn without_a_key_values_stay_as_they_are_and_open_under_a_later_one() {
        let plain = Keyring::none().seal(b"here", [7; NONCE_LEN], b"secret").unwrap();
        assert_eq!(plain, "secret");
        assert_eq!(ring(1, &[]).open(b"here", &plain).unwrap(), "secret");
    }

    #[test]
    fn a_value_that_was_cut_or_is_of_a_later_layout_is_told_apart() {
        let sealed = ring(1, &[]).seal(b"here", [7; NONCE_LEN], b"secret").unwrap();
        for length in 1..HEAD {
            assert!(ring(1, &[]).open(b"here", &sealed.slice(..length)).is_err());
        }
        let mut later = sealed.to_vec();
        later[1] = 2;
        assert_eq!(ring(1, &[]).open(b"here", &later.into()), Err(Closed::Layout));
    }
}
