//! What is asked about all recipients of a bucket, read in one go: most of it lies in the bucket's shard.

use crate::id::CustomerId;
use crate::keys;
use crate::port::store::{Answer, Commit, Expect, Key, Outcome, Query, Store, StoreError, Versioned};
use crate::protocol::context::{Context, as_record};
use crate::shard::Shard;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Records that are read together.
const TOGETHER: usize = 600;

/// A store of which some records were read already. Each is what stood there after the recipients were claimed, and is given
/// out until somebody writes it.
pub(super) struct Ahead<'a> {
    store: &'a dyn Store,
    read: Mutex<HashMap<(Shard, Key), Option<Versioned>>>,
}

impl<'a> Ahead<'a> {
    /// Reads what every recipient is asked about.
    pub(super) async fn read(
        context: &Context<'a>,
        shard: Shard,
        customers: &[CustomerId],
    ) -> Result<Self, StoreError> {
        let here = customers.iter().filter(|id| id.shard() == shard);
        let wanted: Vec<Key> = here
            .flat_map(|id| {
                let id = *id;
                [
                    keys::customer(id),
                    keys::home(id),
                    keys::details(id),
                    keys::refusal(id),
                    keys::campaign::caps(id),
                ]
            })
            .collect();
        let mut read = HashMap::with_capacity(wanted.len());
        for lot in wanted.chunks(TOGETHER) {
            let queries = lot.iter().map(|key| Query::Record(key.clone())).collect();
            let answers = context.store.read(shard, queries).await?;
            for (key, answer) in lot.iter().zip(answers) {
                read.insert((shard, key.clone()), as_record(Some(answer))?);
            }
        }
        Ok(Self {
            store: context.store,
            read: Mutex::new(read),
        })
    }

    fn known(&self, shard: Shard, queries: &[Query]) -> Option<Vec<Answer>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |query: &Query| match query {
            Query::Record(key) => Some(Answer::Record(read.get(&(shard, key.clone()))?.clone())),
            _ => None,
        };
        queries.iter().map(of).collect()
    }
}

#[async_trait::async_trait]
impl Store for Ahead<'_> {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        match self.known(shard, &queries) {
            Some(known) => Ok(known),
            None => self.store.read(shard, queries).await,
        }
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            for expected in &commit.expect {
                if let Expect::Record { key, .. } = expected {
                    read.remove(&(shard, key.clone()));
                }
            }
        }
        self.store.commit(shard, commit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.store.probe().await
    }

    async fn incarnation(&self, shard: Shard) -> Result<Bytes, StoreError> {
        self.store.incarnation(shard).await
    }
}
