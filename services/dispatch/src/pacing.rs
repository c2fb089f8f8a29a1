//! The pace of one account: tokens come from the store in small lots and are spent within their life or lost.

use crate::shared::Shared;
use omnigate_core::{
    pace::GRANT_LIFE,
    protocol::{Stop, pace},
    time::Moment,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Mutex, time::Instant};

/// Rate when neither the provider nor the operator names one; a bound, not a promise.
const UNLIMITED: f64 = 20_000.0;
/// Part of a second's tokens in one lot: few enough to share, many enough to pay for the way to the store.
const LOT_SECONDS: f64 = 0.2;
const LARGEST_LOT: u32 = 256;

pub(crate) struct Pacing {
    limit: String,
    lot: Mutex<Arc<Lot>>,
}

#[derive(Debug)]
struct Lot {
    left: AtomicU32,
    ends: Instant,
}

/// Permission to begin one submission; given back unless spent.
#[derive(Debug)]
pub(crate) struct Token {
    lot: Option<Arc<Lot>>,
    ends: Instant,
}

/// What there is.
#[derive(Debug)]
pub(crate) enum Offer {
    Token(Token),
    /// Nothing before this long.
    After(Duration),
}

impl Pacing {
    pub(crate) fn new(account_id: &str) -> Self {
        Self {
            limit: account_id.to_owned(),
            lot: Mutex::new(Arc::new(Lot {
                left: AtomicU32::new(0),
                ends: Instant::now(),
            })),
        }
    }

    /// A token, if one is there.
    pub(crate) async fn token(&self, shared: &Shared, per_second: Option<f64>) -> Result<Offer, Stop> {
        let mut lot = self.lot.lock().await;
        if let Some(token) = take(&lot) {
            return Ok(Offer::Token(token));
        }
        let per_second = per_second.unwrap_or(UNLIMITED);
        let asked = Instant::now();
        match pace::take(&shared.context(), &self.limit, per_second, lot_size(per_second)).await? {
            Err(at) => Ok(Offer::After(
                at.since(shared.ports.clock.now()).max(Duration::from_millis(1)),
            )),
            Ok(granted) => {
                *lot = Arc::new(Lot {
                    left: AtomicU32::new(granted),
                    ends: asked + GRANT_LIFE,
                });
                // An answer that took longer than a grant lives brings nothing.
                Ok(take(&lot).map_or(Offer::After(Duration::from_millis(1)), Offer::Token))
            }
        }
    }

    /// Further tokens, as many as are at hand and at most so many.
    pub(crate) async fn at_hand(&self, most: usize) -> Vec<Token> {
        let lot = self.lot.lock().await;
        std::iter::from_fn(|| take(&lot)).take(most).collect()
    }

    /// Closes the account for all dispatchers.
    pub(crate) async fn close(&self, shared: &Shared, until: Moment) -> Result<(), Stop> {
        self.lot.lock().await.left.store(0, Ordering::Relaxed);
        pace::close(&shared.context(), &self.limit, until).await
    }
}

impl Token {
    /// True while it may be spent.
    pub(crate) fn lives(&self) -> bool {
        Instant::now() < self.ends
    }

    /// Spends it.
    pub(crate) fn spend(mut self) {
        self.lot = None;
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(lot) = self.lot.take() {
            lot.left.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn take(lot: &Arc<Lot>) -> Option<Token> {
    let less = |left: u32| left.checked_sub(1);
    let alive = Instant::now() < lot.ends;
    let taken = alive
        && lot
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok();
    taken.then(|| Token {
        lot: Some(Arc::clone(lot)),
        ends: lot.ends,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, then is clamped"
)]
fn lot_size(per_second: f64) -> u32 {
    ((per_second * LOT_SECONDS) as u32).clamp(1, LARGEST_LOT)
}
