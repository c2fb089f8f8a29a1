//! Conditions to wait for.

use super::{
    journal::{Counters, EventRecord, JournalEntry, SentMessage},
    world::World,
};
use std::time::Duration;

/// A condition did not come to hold.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the condition did not hold within {after:?}; counters: {counters:?}")]
pub struct DeadlinePassed {
    pub(super) after: Duration,
    pub(super) counters: Box<Counters>,
}

/// What a condition may look at.
pub struct View<'a> {
    pub(super) world: &'a World,
    pub(super) app: usize,
}

impl View<'_> {
    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.world.journal.counters
    }

    /// The messages that were sent, oldest first.
    pub fn sent(&self) -> impl DoubleEndedIterator<Item = &SentMessage> {
        self.world.journal.sent.iter()
    }

    /// The calls that were made, oldest first.
    pub fn journal(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.world.journal.calls.iter()
    }

    /// The events that were made, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &EventRecord> {
        self.world.journal.events.iter()
    }

    /// How often `text` was sent to `to`, as far as messages are remembered.
    #[must_use]
    pub fn copies(&self, to: &str, text: &str) -> usize {
        self.sent()
            .filter(|sent| sent.to == to && sent.text.as_deref() == Some(text))
            .count()
    }

    /// Events of the handle's app that were not yet answered 200.
    #[must_use]
    pub fn pending_events(&self) -> usize {
        self.world.apps[self.app].webhook.schedule.len()
    }

    /// Webhook requests of the handle's app under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.world.apps[self.app].webhook.schedule.in_flight()
    }

    /// The webhook's address.
    #[must_use]
    pub fn webhook_url(&self) -> Option<&str> {
        self.world.apps[self.app].webhook.url.as_deref()
    }
}
