//! What every protocol works with.

use super::cache::Cache;
use super::outbox::Outbox;
use super::resolve::{expect_record, put};
use crate::conversation::AccountRules;
use crate::id::{CustomerId, IdentifierKey};
use crate::identity::stored;
use crate::keyring::Keyring;
use crate::keys::{self, Timer};
use crate::port::store::{
    Answer, Commit, Expect, Found, Outcome, Query, Shape, Stamp, Store, StoreError, Versioned, Write,
};
use crate::port::{Clock, Entropy};
use crate::shard::Shard;
use crate::tenant::TenantRules;
use crate::time::Moment;
use crate::timeline::stored::Stored;
use bytes::Bytes;
use omnigate_proto::state::v1::{Claim, CustomerRecord, HomeRecord};
use std::sync::Arc;

/// Why a protocol did not finish. Nothing is lost: calling it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The store cannot be reached or has nonsense in it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others changed the same thing again and again.
    #[error("gave up after {0} conflicts")]
    Contended(u32),
}

/// How often a decision is repeated after conflicts before giving up.
pub const MAX_TRIES: u32 = 60;

/// Store, clock and randomness of one process, and the CustomerEvents it has yet to take out of the outbox.
pub struct Context<'a> {
    /// Store.
    pub store: &'a dyn Store,
    /// Clock.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
    /// Published CustomerEvents that still stand in the store.
    pub outbox: &'a Outbox,
    /// What this process read or wrote lately; may be stale.
    pub cache: &'a Cache,
    /// The operator's keys.
    pub keyring: &'a Keyring,
    /// What happens to conversations by themselves.
    pub rules: &'a AccountRules,
    /// What holds for whom of the tenants.
    pub tenants: &'a TenantRules,
}

/// How a commit ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Written; records have this version.
    Committed(Stamp),
    /// Not written; what the failed expectations met.
    Conflict(Vec<(usize, Found)>),
    /// Nobody knows: read and decide again.
    Unknown,
}

/// A record that was read, decoded.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// Its version; `None` when it does not exist.
    pub stamp: Option<Stamp>,
    /// Its value; `None` when it does not exist.
    pub value: Option<T>,
}

impl<T: prost::Message + Default> Loaded<T> {
    /// Decodes a record that is stored as it is.
    pub fn decode(record: Option<Versioned>, what: &str) -> Result<Self, StoreError> {
        Self::read(record, what, |value| T::decode(value))
    }
}

impl Loaded<CustomerRecord> {
    /// Decodes a customer's record.
    pub fn customer(record: Option<Versioned>, id: CustomerId) -> Result<Self, StoreError> {
        Self::read(record, "customer", |value| stored::decode_customer(id, value))
    }
}

impl Loaded<Claim> {
    /// Decodes a claim.
    pub fn claim(record: Option<Versioned>) -> Result<Self, StoreError> {
        Self::read(record, "claim", stored::decode_claim)
    }
}

impl<T> Loaded<T> {
    fn read(
        record: Option<Versioned>,
        what: &str,
        decode: impl FnOnce(Bytes) -> Result<T, prost::DecodeError>,
    ) -> Result<Self, StoreError> {
        let Some(versioned) = record else {
            return Ok(Self {
                stamp: None,
                value: None,
            });
        };
        let value = decode(versioned.value).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))?;
        Ok(Self {
            stamp: Some(versioned.stamp),
            value: Some(value),
        })
    }

    /// The same, to be shared without copying.
    #[must_use]
    pub fn shared(self) -> Loaded<Arc<T>> {
        Loaded {
            stamp: self.stamp,
            value: self.value.map(Arc::new),
        }
    }
}

impl Context<'_> {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Reads one record that is stored as it is.
    pub async fn record<T: prost::Message + Default>(
        &self,
        shard: Shard,
        key: Bytes,
        what: &str,
    ) -> Result<Loaded<T>, StoreError> {
        let answers = self.store.read(shard, vec![Query::Record(key)]).await?;
        Loaded::decode(as_record(answers.into_iter().next())?, what)
    }

    /// Reads the claim of an identifier.
    pub async fn claim(&self, key: IdentifierKey) -> Result<Loaded<Claim>, StoreError> {
        let answers = self
            .store
            .read(key.shard(), vec![Query::Record(keys::claim(key))])
            .await?;
        Loaded::claim(as_record(answers.into_iter().next())?)
    }

    /// Decides about one record that is stored as it is, and writes what follows, if anything does; gives the record as it stands then.
    pub(super) async fn change<T: prost::Message + Default>(
        &self,
        (shard, key): (Shard, Bytes),
        what: &str,
        mut decide: impl FnMut(Option<&T>, Moment) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        let mut loaded: Loaded<T> = self.record(shard, key.clone(), what).await?;
        for _ in 0..MAX_TRIES {
            let Some(next) = decide(loaded.value.as_ref(), self.now()) else {
                return Ok(loaded.value);
            };
            let expect = vec![expect_record(key.clone(), loaded.stamp)];
            let found = match self.commit(shard, expect, vec![put(key.clone(), &next)]).await? {
                Ended::Committed(_) => return Ok(Some(next)),
                Ended::Conflict(found) => found_record(&found, 0),
                Ended::Unknown => None,
            };
            loaded = match found {
                Some(found) => Loaded::decode(found, what)?,
                None => self.record(shard, key.clone(), what).await?,
            };
        }
        Err(Stop::Contended(MAX_TRIES))
    }

    /// Deletes a record, if there is one.
    pub(super) async fn delete(&self, shard: Shard, key: Bytes) -> Result<(), Stop> {
        for _ in 0..MAX_TRIES {
            let answers = self.store.read(shard, vec![Query::Record(key.clone())]).await?;
            let Some(standing) = as_record(answers.into_iter().next())? else {
                return Ok(());
            };
            let expect = vec![expect_record(key.clone(), Some(standing.stamp))];
            let delete = Write::Delete {
                shape: Shape::Record,
                key: key.clone(),
            };
            if let Ended::Committed(_) = self.commit(shard, expect, vec![delete]).await? {
                return Ok(());
            }
        }
        Err(Stop::Contended(MAX_TRIES))
    }

    /// Takes a timer out, if it is there.
    pub(super) async fn drop_timer(&self, shard: Shard, due: Moment, timer: Timer) -> Result<(), StoreError> {
        let (key, member) = (keys::timers(), keys::timer_member(due, timer));
        let expect = vec![Expect::Member {
            key: key.clone(),
            member: member.clone(),
            present: true,
        }];
        self.commit(shard, expect, vec![Write::Remove { key, member }]).await?;
        Ok(())
    }

    /// A home as its entries are stored in it.
    #[must_use]
    pub const fn stored<'b>(&'b self, id: CustomerId, home: &'b HomeRecord) -> Stored<'b> {
        Stored {
            id,
            home,
            keyring: self.keyring,
        }
    }

    /// Reads a home, to be shared without copying.
    pub(super) async fn home(&self, id: CustomerId) -> Result<Loaded<Arc<HomeRecord>>, StoreError> {
        let home = self.record(id.shard(), keys::home(id), "home").await?;
        Ok(home.shared())
    }

    /// Commits, and takes published CustomerEvents of the shard out of the outbox on the way. The expectations must make
    /// sending it twice harmless.
    pub async fn commit(&self, shard: Shard, expect: Vec<Expect>, write: Vec<Write>) -> Result<Ended, StoreError> {
        let stamp = Stamp::from(self.entropy.bytes());
        let mut commit = Commit { stamp, expect, write };
        debug_assert!(
            commit.falsifies_itself(),
            "a commit must falsify one of its own expectations: {commit:?}"
        );
        let settled = self.outbox.take_along(shard);
        commit.write.extend(settled.iter().map(|member| Write::Remove {
            key: keys::outbox(),
            member: member.clone(),
        }));
        let outcome = self.store.commit(shard, commit).await;
        if !matches!(outcome, Ok(Outcome::Committed)) {
            self.outbox.published(shard, settled);
        }
        Ok(match outcome? {
            Outcome::Committed => Ended::Committed(stamp),
            Outcome::Conflict(found) => Ended::Conflict(found),
            Outcome::Unknown => Ended::Unknown,
        })
    }
}

/// The record in an answer.
pub fn as_record(answer: Option<Answer>) -> Result<Option<Versioned>, StoreError> {
    match answer {
        Some(Answer::Record(record)) => Ok(record),
        other => Err(wrong_shape(&other)),
    }
}

/// The fields in an answer.
pub fn as_fields(answer: Option<Answer>) -> Result<Vec<Option<Bytes>>, StoreError> {
    match answer {
        Some(Answer::Fields(fields)) => Ok(fields),
        other => Err(wrong_shape(&other)),
    }
}

/// The members in an answer.
pub fn as_range(answer: Option<Answer>) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
    match answer {
        Some(Answer::Range(members)) => Ok(members),
        other => Err(wrong_shape(&other)),
    }
}

fn wrong_shape(answer: &Option<Answer>) -> StoreError {
    let shape = match answer {
        None => "nothing",
        Some(Answer::Record(_)) => "a record",
        Some(Answer::Fields(_)) => "fields",
        Some(Answer::Range(_)) => "members",
        Some(Answer::Counter(_)) => "a counter",
    };
    StoreError::Corrupt(format!("the store answered {shape} to another question"))
}

/// The record a conflict found at this expectation, if that is one that failed.
#[must_use]
pub fn found_record(found: &[(usize, Found)], expectation: usize) -> Option<Option<Versioned>> {
    found.iter().find_map(|(position, found)| match found {
        Found::Record(record) if *position == expectation => Some(record.clone()),
        _ => None,
    })
}

/// What all roles of a process work with, owned: makes [`Context`]s.
pub struct Ports {
    /// Store.
    pub store: Arc<dyn Store>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Published CustomerEvents that still stand in the store.
    pub outbox: Outbox,
    /// What this process read or wrote lately.
    pub cache: Cache,
    /// The operator's keys.
    pub keyring: Keyring,
    /// What happens to conversations by themselves.
    pub rules: AccountRules,
    /// What holds for whom of the tenants.
    pub tenants: TenantRules,
}

/// Homes and owners that a process keeps in memory; each takes about half a kilobyte.
const CACHED: usize = 50_000;

impl Ports {
    /// Ports with nothing cached.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            store,
            clock,
            entropy,
            outbox: Outbox::default(),
            cache: Cache::new(CACHED),
            keyring: Keyring::none(),
            rules: AccountRules::default(),
            tenants: TenantRules::default(),
        }
    }

    /// The same, with keys that entries are sealed with.
    #[must_use]
    pub fn sealed_with(self, keyring: Keyring) -> Self {
        Self { keyring, ..self }
    }

    /// The same, with rules of accounts about their conversations.
    #[must_use]
    pub fn with_rules(self, rules: AccountRules) -> Self {
        Self { rules, ..self }
    }

    /// The same, with rules of tenants.
    #[must_use]
    pub fn with_tenants(self, tenants: TenantRules) -> Self {
        Self { tenants, ..self }
    }

    /// The context of one call.
    #[must_use]
    pub fn context(&self) -> Context<'_> {
        Context {
            store: self.store.as_ref(),
            clock: self.clock.as_ref(),
            entropy: self.entropy.as_ref(),
            outbox: &self.outbox,
            cache: &self.cache,
            keyring: &self.keyring,
            rules: &self.rules,
            tenants: &self.tenants,
        }
    }
}
