//! A store in front of another that encrypts what is secret before it is written, so that whoever reads the database, a
//! backup of it or its replication sees no tokens.
//!
//! Each value is sealed for its own place: moved to another key it opens no more. A value names the key it was sealed with,
//! so a new key can be brought in while values under the former one are still there; whatever is written next has the new
//! one. What was written before there was a key is read as it is.
//!
//! It hides values, not that they exist or how long they are; and it does not notice when somebody puts an older sealed
//! value back.

use bytes::Bytes;
use omnigate_core::port::Entropy;
use omnigate_core::port::store::{
    Answer, Commit, Expect, Found, Key, Outcome, Query, Store, StoreError, Versioned, Write,
};
use omnigate_core::shard::Shard;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use std::fmt;
use std::sync::Arc;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// No message of the protocol begins with it: there is no field 0.
const MARK: u8 = 0;
/// How what follows is laid out: id of the key, nonce, sealed value with its tag.
const LAYOUT: u8 = 1;
/// Bytes of a key's id.
const ID: usize = 8;
const HEAD: usize = 2 + ID + NONCE_LEN;

/// A key and its name.
struct SealKey {
    id: [u8; ID],
    key: LessSafeKey,
}

/// Keys that values are sealed with. Printing shows none.
pub struct SealKeys {
    present: SealKey,
    former: Vec<SealKey>,
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealKeys(***)")
    }
}

impl SealKeys {
    /// Seals with `present`, opens with all. `None` when the cipher does not take a key, which no key of this length is.
    #[must_use]
    pub fn new(present: &[u8; KEY_BYTES], former: &[[u8; KEY_BYTES]]) -> Option<Self> {
        Some(Self {
            present: seal_key(present)?,
            former: former.iter().map(seal_key).collect::<Option<_>>()?,
        })
    }

    fn named(&self, id: &[u8]) -> Option<&SealKey> {
        std::iter::once(&self.present)
            .chain(&self.former)
            .find(|key| key.id == id)
    }
}

fn seal_key(bytes: &[u8; KEY_BYTES]) -> Option<SealKey> {
    let named = digest(&SHA256, &[b"omnigate seal key".as_slice(), bytes].concat());
    let mut id = [0; ID];
    id.copy_from_slice(&named.as_ref()[..ID]);
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).ok()?);
    Some(SealKey { id, key })
}

/// A store that keeps some records sealed.
pub struct SealedStore {
    inner: Arc<dyn Store>,
    keys: SealKeys,
    entropy: Arc<dyn Entropy>,
    is_secret: fn(&Key) -> bool,
}

impl SealedStore {
    /// Seals the records for whose keys `is_secret` holds.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, keys: SealKeys, entropy: Arc<dyn Entropy>, is_secret: fn(&Key) -> bool) -> Self {
        Self {
            inner,
            keys,
            entropy,
            is_secret,
        }
    }

    fn seal(&self, shard: Shard, key: &Key, value: &[u8]) -> Result<Bytes, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&self.entropy.bytes()[..NONCE_LEN]);
        let mut sealed = value.to_vec();
        self.keys
            .present
            .key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place(shard, key), &mut sealed)
            .map_err(|_| StoreError::Corrupt("a secret cannot be sealed".to_owned()))?;
        let mut value = Vec::with_capacity(HEAD + sealed.len());
        value.extend([MARK, LAYOUT]);
        value.extend(self.keys.present.id);
        value.extend(nonce);
        value.extend(sealed);
        Ok(value.into())
    }

    fn open(&self, shard: Shard, key: &Key, value: &Bytes) -> Result<Bytes, StoreError> {
        if value.first() != Some(&MARK) {
            return Ok(value.clone());
        }
        let corrupt = |problem: &str| StoreError::Corrupt(problem.to_owned());
        let (head, sealed) = value
            .split_at_checked(HEAD)
            .filter(|(head, _)| head[1] == LAYOUT)
            .ok_or_else(|| corrupt("a sealed value of a layout that this release does not know"))?;
        let (id, nonce) = head[2..].split_at(ID);
        let key_of_value = self.keys.named(id).ok_or_else(|| {
            corrupt("a value is sealed with a key that is not configured: set store.former_seal_key to it")
        })?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt("a sealed value without its nonce"))?;
        let mut opened = sealed.to_vec();
        let length = key_of_value
            .key
            .open_in_place(nonce, place(shard, key), &mut opened)
            .map_err(|_| corrupt("a sealed value was changed, or belongs somewhere else"))?
            .len();
        opened.truncate(length);
        Ok(opened.into())
    }

    /// Opens a record that is secret, where there is one.
    fn opened(&self, shard: Shard, key: &Key, record: &mut Option<Versioned>) -> Result<(), StoreError> {
        if let Some(record) = record {
            record.value = self.open(shard, key, &record.value)?;
        }
        Ok(())
    }

    /// Positions and keys of the records that are secret: none, and so no memory, for almost every call.
    fn secret<'a>(&self, records: impl Iterator<Item = Option<&'a Key>>) -> Vec<(usize, Key)> {
        let numbered = records.enumerate();
        let secret = numbered.filter_map(|(position, key)| Some((position, key.filter(|key| (self.is_secret)(key))?)));
        secret.map(|(position, key)| (position, key.clone())).collect()
    }
}

/// What a value is sealed for.
fn place(shard: Shard, key: &Key) -> Aad<Vec<u8>> {
    Aad::from([&[shard.number()], key.as_ref()].concat())
}

#[async_trait::async_trait]
impl Store for SealedStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        let secret = self.secret(queries.iter().map(|query| match query {
            Query::Record(key) => Some(key),
            _ => None,
        }));
        let mut answers = self.inner.read(shard, queries).await?;
        for (position, key) in &secret {
            if let Some(Answer::Record(record)) = answers.get_mut(*position) {
                self.opened(shard, key, record)?;
            }
        }
        Ok(answers)
    }

    async fn commit(&self, shard: Shard, mut commit: Commit) -> Result<Outcome, StoreError> {
        for write in &mut commit.write {
            if let Write::Put { key, value } = write
                && (self.is_secret)(key)
            {
                *value = self.seal(shard, key, value)?;
            }
        }
        let secret = self.secret(commit.expect.iter().map(|expect| match expect {
            Expect::Record { key, .. } => Some(key),
            _ => None,
        }));
        let mut outcome = self.inner.commit(shard, commit).await?;
        if let Outcome::Conflict(conflicts) = &mut outcome {
            for (position, found) in conflicts {
                let key = secret.iter().find(|(expected, _)| expected == position);
                if let (Some((_, key)), Found::Record(record)) = (key, found) {
                    self.opened(shard, key, record)?;
                }
            }
        }
        Ok(outcome)
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.inner.probe().await
    }
}

#[cfg(test)]
mod tests;
