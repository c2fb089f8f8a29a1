//! The implementations under test.

use omnigate_core::{
    port::{Clock, store::Store},
    time::Moment,
};
use omnigate_store::{embedded::EmbeddedStore, memory::MemoryStore};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// One implementation with what is needed to try it.
pub(crate) trait Subject: Sized + Send {
    /// Starts one; `None` where its server is not installed.
    async fn start() -> Option<Self>;

    fn store(&self) -> Arc<dyn Store>;

    /// Lets time pass.
    async fn pass(&self, time: Duration);

    /// Stops what keeps the data as rudely as may happen, and starts it again; false if it keeps nothing.
    async fn restart(&mut self) -> bool;
}

/// A clock that stands still until told.
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_790_000_000_000)))
    }

    pub(crate) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Memory {
    clock: Arc<StillClock>,
    store: Arc<MemoryStore>,
}

impl Subject for Memory {
    async fn start() -> Option<Self> {
        let clock = StillClock::new();
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Some(Self { clock, store })
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    async fn restart(&mut self) -> bool {
        false
    }
}

pub(crate) struct Embedded {
    clock: Arc<StillClock>,
    folder: TempDir,
    /// `None` only while it is being opened again.
    store: Option<Arc<EmbeddedStore>>,
}

impl Embedded {
    fn open(folder: &TempDir, clock: &Arc<StillClock>) -> Arc<EmbeddedStore> {
        let path = folder.path().join("data").join("store.redb");
        Arc::new(EmbeddedStore::open(&path, clock.clone()).unwrap())
    }
}

impl Subject for Embedded {
    async fn start() -> Option<Self> {
        let clock = StillClock::new();
        let folder = tempfile::tempdir().unwrap();
        let store = Some(Self::open(&folder, &clock));
        Some(Self { clock, folder, store })
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    async fn restart(&mut self) -> bool {
        let store = Arc::into_inner(self.store.take().unwrap());
        drop(store.expect("a test gives the store back before the restart"));
        self.store = Some(Self::open(&self.folder, &self.clock));
        true
    }
}
