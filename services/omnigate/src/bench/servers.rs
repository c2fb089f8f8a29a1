//! The servers that the gateway under test works on.

use super::gateway::Gateway;
use omnigate_broker::bare;
use omnigate_core::port::store::Query;
use omnigate_core::protocol::lease::COMMON;
use omnigate_core::{keys, topology};
use omnigate_runtime::clock::SystemClock;
use std::sync::Arc;

/// Addresses of the servers; empty for the embedded ones.
#[derive(Clone, Copy)]
pub(super) struct Servers<'a> {
    pub(super) broker: &'a str,
    pub(super) store: &'a str,
}

impl<'a> Servers<'a> {
    pub(super) fn new(broker: &'a str, store: &'a str) -> anyhow::Result<Self> {
        anyhow::ensure!(
            broker.is_empty() == store.is_empty(),
            "--broker and --store go together: give both, or neither for the embedded ones"
        );
        Ok(Self { broker, store })
    }

    pub(super) fn are_embedded(&self) -> bool {
        self.broker.is_empty()
    }

    /// What they are.
    pub(super) fn told(&self) -> &'static str {
        match self.are_embedded() {
            true => "broker and store embedded",
            false => "RabbitMQ and Redis",
        }
    }

    /// Refuses servers that somebody works with: what is measured stays there, and their queues are emptied.
    pub(super) async fn nothing_is_there(&self, again: bool) -> anyhow::Result<()> {
        if self.are_embedded() || again {
            return Ok(());
        }
        let folder = tempfile::tempdir()?;
        let store = omnigate_store::open(self.store, folder.path(), Arc::new(SystemClock)).await?;
        let answers = store.read(COMMON, vec![Query::Record(keys::gateway())]).await?;
        let record = omnigate_core::protocol::context::as_record(answers.into_iter().next())?;
        anyhow::ensure!(
            record.is_none(),
            "a gateway has worked on this store: the benchmark leaves customers there and empties the broker's queues, \
             so give it servers of its own (or --again where only a benchmark was before)"
        );
        Ok(())
    }

    /// Empties the queues of what nobody read.
    pub(super) async fn purge(&self, gateway: &Gateway) -> anyhow::Result<()> {
        let queues: Vec<_> = topology::partitions(gateway.partitions)
            .map(topology::inbound)
            .collect();
        Ok(bare::purge(self.broker, &queues).await?)
    }
}
