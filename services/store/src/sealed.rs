//! A store in front of another that encrypts what is secret before it is written, so that whoever reads the database, a
//! backup of it or its replication sees no tokens.
//!
//! Each value is sealed for its own place, see [`Keyring`]. What was written before there was a key is read as it is.
//!
//! It hides values, not that they exist or how long they are; and it does not notice when somebody puts an older sealed
//! value back.

use bytes::Bytes;
use omnigate_core::keyring::{Keyring, nonce};
use omnigate_core::port::Entropy;
use omnigate_core::port::store::{
    Answer, Commit, Expect, Found, Key, Outcome, Query, Store, StoreError, Versioned, Write,
};
use omnigate_core::shard::Shard;
use std::sync::Arc;

/// A store that keeps some records sealed.
pub struct SealedStore {
    inner: Arc<dyn Store>,
    keys: Keyring,
    entropy: Arc<dyn Entropy>,
    is_secret: fn(&Key) -> bool,
}

impl SealedStore {
    /// Seals the records for whose keys `is_secret` holds.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, keys: Keyring, entropy: Arc<dyn Entropy>, is_secret: fn(&Key) -> bool) -> Self {
        Self {
            inner,
            keys,
            entropy,
            is_secret,
        }
    }

    fn seal(&self, shard: Shard, key: &Key, value: &[u8]) -> Result<Bytes, StoreError> {
        let sealed = self.keys.seal(&place(shard, key), nonce(self.entropy.as_ref()), value);
        sealed.ok_or_else(|| StoreError::Corrupt("a secret cannot be sealed".to_owned()))
    }

    fn open(&self, shard: Shard, key: &Key, value: &Bytes) -> Result<Bytes, StoreError> {
        let opened = self.keys.open(&place(shard, key), value);
        opened.map_err(|closed| StoreError::Corrupt(closed.to_string()))
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
fn place(shard: Shard, key: &Key) -> Vec<u8> {
    [&[shard.number()], key.as_ref()].concat()
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

    async fn incarnation(&self, shard: Shard) -> Result<Bytes, StoreError> {
        self.inner.incarnation(shard).await
    }
}

#[cfg(test)]
mod tests;
