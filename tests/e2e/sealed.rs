//! What lies on the disks of the broker.

use crate::World;
use crate::identity::{at_kiosk, says, with_entries};
use anyhow::{Context as _, ensure};
use omnigate_broker::rabbitmq::{Options, RabbitBroker};
use omnigate_core::port::broker::{Broker as _, From, LogName};
use omnigate_core::{hourly, topology};
use omnigate_proto::state::v1::EventBatch;
use omnigate_runtime::clock::SystemClock;
use prost::Message as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Stands in no other scene.
const SAID: &str = "lời không ai khác được đọc";

pub(crate) async fn nobody_reads_the_broker_without_the_store(world: &World) -> anyhow::Result<()> {
    let peer = at_kiosk("sealed");
    says(world, &peer, &[], SAID).await?;
    with_entries(world, &peer, 1).await?;
    match &world.gateway.rabbitmq {
        None => no_file_shows_it(&world.gateway.path().join("data")),
        Some(rabbitmq) => {
            let broker = RabbitBroker::connect(rabbitmq.url(), Options::new(Arc::new(SystemClock))).await?;
            let told = topology::event_logs(topology::DEFAULT_PARTITIONS).map(topology::events);
            for log in std::iter::once(topology::journal()).chain(told) {
                no_entry_shows_it(&broker, &log).await?;
            }
            Ok(())
        }
    }
}

fn shows_it(bytes: &[u8]) -> bool {
    bytes.windows(SAID.len()).any(|window| window == SAID.as_bytes())
}

/// The embedded broker keeps everything in one file.
fn no_file_shows_it(folder: &Path) -> anyhow::Result<()> {
    let files = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let is_broker = |name: &str| name.contains("broker");
    let broker = files.iter().find(|file| is_broker(&file.file_name().to_string_lossy()));
    let bytes = std::fs::read(broker.with_context(|| format!("no broker among {files:?}"))?.path())?;
    let journal = topology::journal().0;
    ensure!(
        bytes.windows(journal.len()).any(|window| window == journal.as_bytes()),
        "this is not where it lies"
    );
    ensure!(!shows_it(&bytes), "it lies open in the broker's file");
    Ok(())
}

/// Whatever lies in a log now; the log may be empty.
async fn no_entry_shows_it(broker: &RabbitBroker, log: &LogName) -> anyhow::Result<()> {
    let mut reader = broker.read(log, From::Oldest).await?;
    while let Ok(Some(entry)) = tokio::time::timeout(Duration::from_secs(1), reader.next()).await {
        // Where a replay began there is nothing to seal.
        let is_empty = EventBatch::decode(entry.body.clone()).is_ok_and(|batch| batch.events.is_empty());
        ensure!(
            is_empty || hourly::is_sealed(&entry.body),
            "something in {log} is not sealed"
        );
        ensure!(!shows_it(&entry.body), "it lies open in {log}");
    }
    Ok(())
}
