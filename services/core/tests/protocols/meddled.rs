//! A store beside which something else happens before one of its calls.

use crate::World;
use omnigate_core::port::store::{Answer, Commit, Outcome, Query, Store, StoreError};
use omnigate_core::protocol::Context;
use omnigate_core::shard::Shard;
use std::sync::atomic::{AtomicU64, Ordering};

/// Meddles once.
pub(crate) struct Meddled<'a> {
    world: &'a World,
    calls: AtomicU64,
    at: u64,
    meddle: &'a (dyn Fn() + Sync),
}

impl<'a> Meddled<'a> {
    /// Before the call of this number, from 0.
    pub(crate) fn new(world: &'a World, at: u64, meddle: &'a (dyn Fn() + Sync)) -> Self {
        Self {
            world,
            calls: AtomicU64::default(),
            at,
            meddle,
        }
    }

    /// The world's, on this store.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            store: self,
            ..self.world.context()
        }
    }

    fn call(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            (self.meddle)();
        }
    }
}

#[async_trait::async_trait]
impl Store for Meddled<'_> {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.call();
        self.world.store.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.call();
        self.world.store.commit(shard, commit).await
    }

    async fn incarnation(&self, shard: Shard) -> Result<bytes::Bytes, StoreError> {
        self.world.store.incarnation(shard).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
