//! What a process read or wrote lately. Always possibly stale: a commit that was decided on stale values meets a conflict,
//! which brings the present ones along.

use super::context::Loaded;
use super::resolve::Owner;
use crate::consent::suppression::HashKey;
use crate::id::{CustomerId, IdentifierKey, MessageId};
use crate::identity::reassign::exactness;
use crate::time::Moment;
use omnigate_proto::state::v1::{DeliveryRecord, HomeRecord};
use prost::Message as _;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Most threads a home may have to be worth keeping; larger ones would make the cache's size unbounded.
const SMALL_HOME: usize = 16;

/// Largest delivery worth keeping, encoded.
const SMALL_DELIVERY: usize = 4096;
/// A delivery is worked on for seconds, so fewer of them are kept than homes.
const FEWER: usize = 4;

/// How long two customers that rules keep apart are not asked about again.
const APART_KEPT: Duration = Duration::from_secs(60);

/// Owners by identifier, homes and deliveries by id. Records are shared with whoever looks at them, not copied.
pub struct Cache {
    owners: Mutex<Recent<IdentifierKey, Owner>>,
    homes: Mutex<Recent<CustomerId, Loaded<Arc<HomeRecord>>>>,
    deliveries: Mutex<Recent<MessageId, Loaded<Arc<DeliveryRecord>>>>,
    apart: Mutex<Recent<(CustomerId, CustomerId), Moment>>,
    evident: Mutex<Recent<IdentifierKey, Moment>>,
    /// Never changes once it is made.
    hash_key: OnceLock<HashKey>,
}

impl Cache {
    /// A cache of at most about twice this many homes and as many owners, and a quarter as many deliveries.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            owners: Mutex::new(Recent::new(capacity)),
            homes: Mutex::new(Recent::new(capacity)),
            deliveries: Mutex::new(Recent::new(capacity.div_ceil(FEWER))),
            apart: Mutex::new(Recent::new(capacity.div_ceil(FEWER))),
            evident: Mutex::new(Recent::new(capacity.div_ceil(FEWER))),
            hash_key: OnceLock::new(),
        }
    }

    /// What the suppression list hashes identifiers with.
    pub(super) fn hash_key(&self) -> Option<HashKey> {
        self.hash_key.get().copied()
    }

    /// Keeps it.
    pub(super) fn keep_hash_key(&self, key: HashKey) {
        // Whoever was faster has kept the same.
        self.hash_key.set(key).ok();
    }

    /// The owner as it was.
    pub(super) fn owner(&self, key: IdentifierKey) -> Option<Owner> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
    }

    /// Keeps an owner.
    pub(super) fn keep_owner(&self, key: IdentifierKey, owner: Owner) {
        self.owners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(key, owner);
    }

    /// Forgets an owner that turned out to be wrong.
    pub(super) fn forget_owner(&self, key: IdentifierKey) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// True when these two were kept apart a short while ago: asking again for each event would freeze one of them each time.
    pub(super) fn is_apart(&self, pair: (CustomerId, CustomerId), now: Moment) -> bool {
        let apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner).get(&pair);
        apart.is_some_and(|since| now.since(since) < APART_KEPT)
    }

    /// Keeps in mind that these two are kept apart.
    pub(super) fn keep_apart(&self, pair: (CustomerId, CustomerId), now: Moment) {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner).put(pair, now);
    }

    /// True when this process noted evidence for a number a short while before, measured by the silence that is asked about.
    pub(super) fn is_evident(&self, key: IdentifierKey, at: Moment, after: Duration) -> bool {
        let noted = self.evident.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
        noted.is_some_and(|noted| noted + exactness(after) > at)
    }

    /// Keeps in mind that evidence for a number was noted.
    pub(super) fn keep_evident(&self, key: IdentifierKey, at: Moment) {
        self.evident.lock().unwrap_or_else(PoisonError::into_inner).put(key, at);
    }

    /// The home as it was.
    pub(super) fn home(&self, id: CustomerId) -> Option<Loaded<Arc<HomeRecord>>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).get(&id)
    }

    /// Forgets a home that turned out to be stale.
    pub(super) fn forget_home(&self, id: CustomerId) {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The delivery as it was.
    pub(super) fn delivery(&self, id: MessageId) -> Option<Loaded<Arc<DeliveryRecord>>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).get(&id)
    }

    /// Keeps a delivery.
    pub(super) fn keep_delivery(&self, id: MessageId, delivery: Loaded<Arc<DeliveryRecord>>) {
        let small = delivery
            .value
            .as_ref()
            .is_some_and(|record| record.encoded_len() <= SMALL_DELIVERY);
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        if small {
            deliveries.put(id, delivery);
        } else {
            deliveries.remove(&id);
        }
    }

    /// Forgets a delivery that turned out to be stale.
    pub(super) fn forget_delivery(&self, id: MessageId) {
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// Keeps a home.
    pub(super) fn keep_home(&self, id: CustomerId, home: Loaded<Arc<HomeRecord>>) {
        let small = home
            .value
            .as_ref()
            .is_none_or(|record| record.threads.len() <= SMALL_HOME);
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        if small {
            homes.put(id, home);
        } else {
            homes.remove(&id);
        }
    }
}

/// The newest entries, in two generations: when the younger is full it becomes the older, and the older goes.
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    fn new(capacity: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            capacity,
        }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(*key, value.clone());
        Some(value)
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_the_size_is_bounded() {
        let mut recent = Recent::new(10);
        for number in 0..1000 {
            recent.put(number, number);
            assert!(recent.young.len() + recent.old.len() <= 20);
        }
        assert_eq!(recent.get(&999), Some(999));
        assert_eq!(recent.get(&0), None);
    }
}
