//! Conditions to wait for.

use super::{
    center::Center,
    fault::begins,
    journal::{Counters, JournalEntry, Settled, Submission, WholeText},
    session::Mode,
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
    pub(super) center: &'a Center,
    pub(super) counters: Counters,
}

impl View<'_> {
    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The submissions taken, oldest first.
    pub fn submissions(&self) -> impl DoubleEndedIterator<Item = &Submission> {
        self.center.journal.submissions.iter()
    }

    /// The whole texts received, oldest first.
    pub fn texts(&self) -> impl DoubleEndedIterator<Item = &WholeText> {
        self.center.journal.texts.iter()
    }

    /// The whole texts to `number`, `+` or not, oldest first.
    pub fn texts_to(&self, number: &str) -> impl DoubleEndedIterator<Item = &WholeText> {
        let whole =
            move |text: &&WholeText| begins(Some(number), &text.destination) && begins(Some(&text.destination), number);
        self.texts().filter(whole)
    }

    /// The deliveries that came to their end, oldest first.
    pub fn settled(&self) -> impl DoubleEndedIterator<Item = &Settled> {
        self.center.journal.settled.iter()
    }

    /// What the ESME answered to a delivery at last, once it came to its end.
    #[must_use]
    pub fn settled_as(&self, delivery: u64) -> Option<&Settled> {
        self.settled().find(|settled| settled.delivery == delivery)
    }

    /// The requests, oldest first. `enquire_link` is only counted.
    pub fn journal(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.center.journal.requests.iter()
    }

    /// Binds of all accounts.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.center
            .sessions
            .values()
            .filter(|session| session.mode != Mode::Open)
            .count()
    }

    /// Connections, bound or not.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.center.sessions.len()
    }

    /// Deliveries to all accounts that wait, or were sent and not acknowledged.
    #[must_use]
    pub fn pending(&self) -> usize {
        (0..self.center.accounts.len())
            .map(|index| self.center.pending(index))
            .sum()
    }

    /// Long messages of which pieces are missing.
    #[must_use]
    pub fn incomplete(&self) -> usize {
        self.center.journal.incomplete()
    }
}
