//! Time and randomness of the real world, and a clock for tests.

use omnigate_core::{
    id::hash,
    port::{Clock, Entropy},
    time::Moment,
};
use std::{
    cell::RefCell,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system has no random bytes for us.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the operating system gives no random bytes: {0}")]
pub struct NoEntropy(#[source] getrandom::Error);

/// Random bytes from the operating system.
#[derive(Debug)]
pub struct SystemEntropy {
    seed: [u8; 32],
    count: AtomicU64,
}

impl SystemEntropy {
    /// Draws a seed, so that a machine without randomness is noticed at start and never later.
    pub fn new() -> Result<Self, NoEntropy> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(NoEntropy)?;
        Ok(Self {
            seed,
            count: AtomicU64::new(0),
        })
    }
}

impl Entropy for SystemEntropy {
    fn bytes(&self) -> [u8; 16] {
        let drawn = DRAWN.with_borrow_mut(Drawn::next);
        drawn.unwrap_or_else(|| {
            // Ids must stay unique and unguessable even then: a hash of the secret seed and a counter is both.
            let count = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash("entropy", &[&self.seed, &count])[..16]);
            bytes
        })
    }
}

/// Ids' worth of random bytes that a thread draws at once: a call of the system for each was a hundredth of all work.
const AT_ONCE: usize = 64;

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [[0; 16]; AT_ONCE], left: 0 }) };
}

/// Random bytes of a thread that nobody has had yet.
struct Drawn {
    bytes: [[u8; 16]; AT_ONCE],
    left: usize,
}

impl Drawn {
    /// Never the same twice; `None` when the operating system has none.
    fn next(&mut self) -> Option<[u8; 16]> {
        if self.left == 0 {
            getrandom::fill(self.bytes.as_flattened_mut()).ok()?;
            self.left = AT_ONCE;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.bytes[self.left]))
    }
}

/// A clock that stands still until told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock showing this moment.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Puts the clock to a moment, also backwards.
    pub fn set(&self, now: Moment) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(time, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Moment(5));
        assert_eq!((clock.now(), clock.now()), (Moment(5), Moment(5)));
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Moment(2005));
        clock.set(Moment(1));
        assert_eq!(clock.now(), Moment(1));
    }

    #[test]
    fn random_bytes_differ() {
        let entropy = SystemEntropy::new().unwrap();
        let drawn: std::collections::BTreeSet<[u8; 16]> = (0..AT_ONCE * 5).map(|_| entropy.bytes()).collect();
        assert_eq!(drawn.len(), AT_ONCE * 5);
        assert!(!drawn.contains(&[0; 16]));
    }

    #[test]
    fn the_system_clock_is_after_the_day_this_was_written() {
        assert!(SystemClock.now() > Moment(1_760_000_000_000));
    }
}
