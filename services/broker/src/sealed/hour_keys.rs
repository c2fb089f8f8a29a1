//! Keys that this process has at hand, and where it gets further ones.

use bytes::Bytes;
use omnigate_core::hourly::{self, Hour, HourKey, MARGIN};
use omnigate_core::port::store::StoreError;
use omnigate_core::protocol::{Ports, Stop, hourly as stored};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::SealedPart;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tenants and hours whose keys are at hand; each takes about 300 bytes. Those of the oldest hours go first.
const MOST: usize = 16 * 1024;
/// A store that takes longer is away: the newest known key seals meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// A store that was away is not asked for keys to seal with for so long: publications wait meanwhile.
const AWAY: Duration = Duration::from_secs(30);
/// A key that was gone is not asked about again for so long.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Pauses between questions about a key without which nothing can be read.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The keys of a tenant and hour, the one that seals first.
type Found = Arc<Vec<HourKey>>;

/// Keys at hand.
pub(super) struct HourKeys {
    ports: Arc<Ports>,
    life: Duration,
    known: Mutex<Known>,
    /// One asks the store at a time; who waited finds the answer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: BTreeMap<(Hour, String), Found>,
    /// When a key was not found, by tenant, hour and id.
    gone: BTreeMap<(Hour, String, Bytes), Moment>,
    /// When the store did not answer.
    away: Option<Moment>,
}

impl HourKeys {
    pub(super) fn new(ports: Arc<Ports>, life: Duration) -> Self {
        Self {
            ports,
            life,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Keys to seal with now, and their hour: this one, or while the store is away the newest that is known and whose life
    /// is still long enough. `None` when there is none.
    pub(super) async fn to_seal(&self, tenant_id: &str, hour: Hour) -> Option<(Hour, Found)> {
        if let Some(keys) = self.at_hand(tenant_id, hour) {
            return Some((hour, keys));
        }
        if !self.is_away() {
            let _one = self.asking.lock().await;
            if let Some(keys) = self.at_hand(tenant_id, hour) {
                return Some((hour, keys));
            }
            // Whoever was before us may have waited in vain.
            if !self.is_away() {
                match self.obtain(tenant_id, hour).await {
                    Ok(keys) => return Some((hour, keys)),
                    Err(error) => {
                        tracing::warn!(%error, "no key for this hour from the store; the newest known one seals");
                        self.known().away = Some(self.ports.clock.now());
                    }
                }
            }
        }
        self.newest(tenant_id, hour)
    }

    /// Opens a part, waiting for a store that is away; `None` when its key is gone or it is not what was sealed.
    pub(super) async fn to_open(&self, place: &str, part: &SealedPart) -> Option<Bytes> {
        let hour = Hour(part.hour);
        let keys = match self.at_hand(&part.tenant_id, hour).filter(|keys| names(keys, part)) {
            Some(keys) => keys,
            None => self.look_up(part, hour).await?,
        };
        let opened = hourly::open(place, part, &keys);
        if opened.is_none() {
            tracing::error!(
                place,
                hour = part.hour,
                "a sealed part was changed or moved, and does not open"
            );
        }
        opened
    }

    async fn look_up(&self, part: &SealedPart, hour: Hour) -> Option<Found> {
        let wanted = (hour, part.tenant_id.clone(), part.key_id.clone());
        let mut pause = FIRST_PAUSE;
        loop {
            let now = self.ports.clock.now();
            let asked = self.known().gone.get(&wanted).copied();
            if asked.is_some_and(|asked| now.since(asked) < ASK_AGAIN) {
                return None;
            }
            match stored::find(&self.ports.context(), &part.tenant_id, hour).await {
                Ok(keys) if names(&keys, part) => return Some(self.keep(&part.tenant_id, hour, keys)),
                Ok(_) => tracing::error!(hour = part.hour, "the key of a sealed part is gone"),
                // Sealed with a key of the operator that is not configured, for one.
                Err(StoreError::Corrupt(error)) => {
                    tracing::error!(hour = part.hour, error, "the key of a sealed part cannot be read");
                }
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(error, "a sealed part waits for the store");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            }
            let mut known = self.known();
            if known.gone.len() >= MOST {
                known.gone.clear();
            }
            known.gone.insert(wanted, now);
            return None;
        }
    }

    /// This hour's keys and the next one's, for these tenants.
    pub(super) async fn look_ahead(&self, tenants: &[String]) {
        let hour = Hour::of(self.ports.clock.now());
        for hour in [hour.before(), hour, hour.next()] {
            for tenant_id in tenants {
                // What is over is given back where it was forgotten, and not made.
                if hour < Hour::of(self.ports.clock.now()) && self.at_hand(tenant_id, hour).is_none() {
                    continue;
                }
                if let Err(error) = self.obtain(tenant_id, hour).await {
                    tracing::warn!(%error, "keys of the coming hour are not at hand yet");
                    return;
                }
            }
        }
    }

    async fn obtain(&self, tenant_id: &str, hour: Hour) -> Result<Found, Stop> {
        let ours = self.at_hand(tenant_id, hour);
        let ours = ours.as_ref().and_then(|keys| keys.first());
        let context = self.ports.context();
        let obtained = stored::obtain(&context, tenant_id, hour, ours, self.life);
        let obtained = tokio::time::timeout(PATIENCE, obtained).await;
        let keys = obtained.map_err(|_| StoreError::Unavailable("it takes too long".to_owned()))??;
        self.known().away = None;
        Ok(self.keep(tenant_id, hour, keys))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_away(&self) -> bool {
        let now = self.ports.clock.now();
        self.known().away.is_some_and(|since| now.since(since) < AWAY)
    }

    fn at_hand(&self, tenant_id: &str, hour: Hour) -> Option<Found> {
        let found = self.known().keys.get(&(hour, tenant_id.to_owned())).cloned();
        found.filter(|keys| !keys.is_empty())
    }

    fn newest(&self, tenant_id: &str, hour: Hour) -> Option<(Hour, Found)> {
        let oldest = u64::from(hour.0).saturating_sub(MARGIN.as_secs() / 3600);
        let known = self.known();
        let mut newest = known.keys.range(..=(hour, tenant_id.to_owned())).rev();
        let newest = newest.find(|((_, tenant), keys)| tenant == tenant_id && !keys.is_empty());
        let (at, keys) = newest.map(|((at, _), keys)| (*at, Arc::clone(keys)))?;
        (u64::from(at.0) >= oldest).then_some((at, keys))
    }

    fn keep(&self, tenant_id: &str, hour: Hour, keys: Vec<HourKey>) -> Found {
        let keys = Arc::new(keys);
        let mut known = self.known();
        if known.keys.len() >= MOST {
            known.keys.pop_first();
        }
        known.keys.insert((hour, tenant_id.to_owned()), Arc::clone(&keys));
        keys
    }
}

fn names(keys: &[HourKey], part: &SealedPart) -> bool {
    keys.iter().any(|key| part.key_id == key.id().as_slice())
}
