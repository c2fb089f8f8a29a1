//! Conditions to wait for.

use super::{
    bot::Bot,
    journal::{Counters, JournalEntry, SentMessage},
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
    pub(super) bot: &'a Bot,
}

impl View<'_> {
    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.bot.journal.counters
    }

    /// The messages that the bot sent, oldest first.
    pub fn sent(&self) -> impl DoubleEndedIterator<Item = &SentMessage> {
        self.bot.journal.sent.iter()
    }

    /// The calls that the bot made, oldest first.
    pub fn journal(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.bot.journal.calls.iter()
    }

    /// How often the bot sent `text` to `chat`, as far as messages are remembered.
    #[must_use]
    pub fn copies(&self, chat: i64, text: &str) -> usize {
        self.sent()
            .filter(|sent| sent.chat_id == chat && sent.text.as_deref() == Some(text))
            .count()
    }

    /// Updates that were neither accepted nor confirmed.
    #[must_use]
    pub fn pending_updates(&self) -> usize {
        self.bot.backlog.len()
    }

    /// Webhook requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.bot
            .webhook
            .as_ref()
            .map_or(0, |webhook| webhook.schedule.in_flight())
    }

    /// The webhook's address.
    #[must_use]
    pub fn webhook_url(&self) -> Option<&str> {
        self.bot.webhook.as_ref().map(|webhook| webhook.url.as_str())
    }
}
