//! Stand-ins for what a role reaches through ports.

#![allow(dead_code, reason = "shared with the tests of role scheduler")]

#[path = "fakes/broker.rs"]
mod broker;
#[path = "fakes/store.rs"]
mod store;

pub(crate) use broker::FakeBroker;
pub(crate) use store::FakeStore;

use omnigate_core::port::{Clock, Entropy};
use omnigate_core::time::Moment;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// A clock that goes with the time of the test's runtime.
pub(crate) struct TestClock(Instant);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment(1_800_000_000_000) + self.0.elapsed()
    }
}

/// Different bytes at every call, the same in every run.
#[derive(Default)]
pub(crate) struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn bytes(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let digest = omnigate_core::id::hash("test", &[&count.to_be_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes
    }
}
