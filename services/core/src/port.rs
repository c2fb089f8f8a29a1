//! The ports: what the domain needs from the outside, with the laws each implementation keeps.

pub mod adapter;
pub mod broker;
pub mod store;

use crate::time::Moment;

/// Tells the time. Injected everywhere, so that tests own it.
pub trait Clock: Send + Sync {
    /// The present moment, UTC.
    fn now(&self) -> Moment;
}

/// Source of random bytes. Injected everywhere, so that tests own it.
pub trait Entropy: Send + Sync {
    /// Sixteen fresh random bytes.
    fn bytes(&self) -> [u8; 16];
}
