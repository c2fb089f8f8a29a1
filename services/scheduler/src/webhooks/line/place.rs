//! How far the endpoint was told the log: found, moved on by what is read, and kept.

use super::Line;
use futures_util::StreamExt as _;
use omnigate_core::{
    consumer_group::Position,
    customer_event::{self, InEntry},
    event_webhook::Queue,
    port::broker::{From, LogEntry},
    protocol::{
        self, Stop,
        lease::{self, COMMON, LeaseError, Wish},
    },
    time::Moment,
    topology,
};
use omnigate_proto::state::v1::{EventWebhookPlace, EventWebhookWaiting};
use omnigate_runtime::log::{Entries, follow};
use prost::Message as _;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a stored entry may take to be read.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// The line cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error("an entry of the log was not read in time")]
    Log,
}

impl Line {
    /// Finds the place, or begins one that lasts.
    pub(super) async fn open(&mut self) -> Result<(), Broken> {
        let shared = Arc::clone(&self.shared);
        let context = shared.context();
        let stopped = |error| LeaseError::Stop(Stop::Store(error));
        self.record = protocol::event_webhook::get(&context, &self.endpoint.id)
            .await
            .map_err(stopped)?;
        let logs = std::iter::once(self.log);
        let places = protocol::event_webhook::places(&context, &self.endpoint, logs).await;
        let from = match places.map_err(stopped)?.into_iter().next().flatten() {
            Some(place) => {
                self.queue = Queue::load(&place);
                self.recall(&place).await?;
                self.queue.read().map_or(From::Oldest, |read| From::Offset(read.offset))
            }
            None => {
                self.queue = Queue::new(context.now(), self.record.replay);
                self.is_moved = true;
                self.keep().await?;
                From::Next
            }
        };
        self.entries = follow(Arc::clone(&self.shared.broker), topology::events(self.log), from);
        Ok(())
    }

    /// Reads again what waited when the place was kept. What the log has no more is given up.
    async fn recall(&mut self, place: &EventWebhookPlace) -> Result<(), Broken> {
        let mut present: Option<(LogEntry, Entries)> = None;
        let mut gone: usize = 0;
        for stored in &place.waiting {
            let read_on = match present.take() {
                Some((entry, entries)) if entry.offset == stored.offset => (entry, entries),
                Some((entry, mut entries)) if entry.offset + 1 == stored.offset => (next(&mut entries).await?, entries),
                _ => {
                    let from = From::Offset(stored.offset);
                    let mut entries = follow(Arc::clone(&self.shared.broker), topology::events(self.log), from);
                    (next(&mut entries).await?, entries)
                }
            };
            if read_on.0.offset == stored.offset {
                self.restore(&read_on.0, stored);
            } else {
                gone += 1;
            }
            present = Some(read_on);
        }
        for _ in 0..gone {
            tracing::warn!(
                endpoint = self.endpoint.id,
                "an event is kept no more and was not delivered"
            );
            self.is_moved = true;
            self.give_up().await;
        }
        Ok(())
    }

    fn restore(&mut self, entry: &LogEntry, stored: &EventWebhookWaiting) {
        let mut events = customer_event::of_tenant(entry, &self.endpoint.tenant_id).into_iter();
        if let Some(found) = events.find(|found| found.index == stored.index) {
            let thread = customer_event::thread(&found.event).to_owned();
            self.queue.restore(stored, thread, found.bytes);
        }
    }

    /// Takes an entry that was read.
    pub(super) fn took(&mut self, entry: &LogEntry) {
        let now = self.shared.ports.clock.now();
        for found in customer_event::of_tenant(entry, &self.endpoint.tenant_id) {
            self.took_event(entry.offset, found, now);
        }
        self.queue.passed(Position::after(entry.offset));
        self.is_moved = true;
    }

    fn took_event(&mut self, offset: u64, InEntry { index, bytes, event }: InEntry, now: Moment) {
        let position = Position { offset, index };
        let at = event.at.as_ref().map_or(now, Moment::from_timestamp);
        let is_wanted = self.endpoint.wants(customer_event::kind_name(&bytes));
        if is_wanted && self.queue.wants(position, at) {
            let thread = customer_event::thread(&event).to_owned();
            self.queue.push(position, thread, bytes, now);
        }
    }

    /// Keeps the place durably, if it is not kept.
    pub(super) async fn keep(&mut self) -> Result<(), LeaseError> {
        if !self.is_moved {
            return Ok(());
        }
        let wish = Wish {
            shard: COMMON,
            name: &self.lease,
            owner: &self.ours.owner,
            address: "",
        };
        let cursor = self.queue.store().encode_to_vec().into();
        let (context, ttl) = (self.shared.context(), self.shared.settings.lease);
        lease::checkpoint(&context, wish, self.ours.epoch, cursor, ttl).await?;
        self.is_moved = false;
        Ok(())
    }
}

async fn next(entries: &mut Entries) -> Result<LogEntry, Broken> {
    match timeout(READ_WITHIN, entries.next()).await {
        Ok(Some(entry)) => Ok(entry),
        _ => Err(Broken::Log),
    }
}
