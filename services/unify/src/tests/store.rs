//! A store in memory that can be away, hang or panic.

use bytes::Bytes;
use omnigate_core::port::Clock;
use omnigate_core::port::store::{Answer, Commit, Outcome, Query, Store, StoreError, Write};
use omnigate_core::shard::Shard;
use omnigate_store::memory::MemoryStore;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a commit that writes a place of this event.
#[derive(Clone)]
pub(super) enum Poison {
    Panics(Bytes),
    Hangs(Bytes),
}

pub(super) struct FaultyStore {
    memory: MemoryStore,
    pub(super) away: AtomicBool,
    pub(super) probes: AtomicUsize,
    pub(super) poison: Mutex<Option<Poison>>,
}

impl FaultyStore {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            memory: MemoryStore::new(clock),
            away: AtomicBool::new(false),
            probes: AtomicUsize::new(0),
            poison: Mutex::default(),
        }
    }

    /// The store itself, always there.
    pub(super) fn memory(&self) -> &MemoryStore {
        &self.memory
    }

    async fn travel(&self) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_micros(300)).await;
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Store for FaultyStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.travel().await?;
        self.memory.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.travel().await?;
        let poison = self.poison.lock().unwrap().clone();
        let writes = |event: &Bytes| {
            commit
                .write
                .iter()
                .any(|write| matches!(write, Write::SetField { field, .. } if field == event))
        };
        match poison {
            Some(Poison::Panics(event)) if writes(&event) => panic!("poison"),
            Some(Poison::Hangs(event)) if writes(&event) => std::future::pending().await,
            _ => self.memory.commit(shard, commit).await,
        }
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        self.travel().await
    }
}
