//! A log in the hands of a member: what was read of it, sent and acknowledged.

use super::places::Listening;
use omnigate_core::consumer_group::Position;
use omnigate_core::customer_event;
use omnigate_core::port::broker::{Broker, From, LogEntry};
use omnigate_core::protocol::consumer_group::Group;
use omnigate_core::topology;
use omnigate_proto::v1::CustomerEvent;
use omnigate_runtime::log::{Entries, follow};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// A log that is ours.
pub(super) struct Log {
    pub(super) listening: Listening,
    /// When the lease ends; counted from before it was asked for, so never later than the store's.
    pub(super) ends: Instant,
    /// Since when it is to be given up.
    pub(super) leaving: Option<Instant>,
    /// How often in a row what was sent came to nothing.
    pub(super) lapses: u32,
    pub(super) entries: Entries,
    /// Read and not sent yet, each with the place behind it.
    pending: VecDeque<(CustomerEvent, Position)>,
    /// Sent and not acknowledged, with the time of sending.
    sent: VecDeque<(Position, Instant)>,
    /// Everything before this was read.
    read: Option<Position>,
    /// Everything before this is done with.
    place: Option<Position>,
}

/// Where to begin reading.
fn start(place: Option<Position>, group: &Group, is_new: bool) -> From {
    match place {
        Some(place) => From::Offset(place.offset),
        None if is_new && !group.from_oldest => From::Next,
        // Without a place all is read again, and what is older than the group is dropped.
        None => From::Oldest,
    }
}

impl Log {
    /// A log from its place on. `is_new` when the group began with this subscription.
    pub(super) fn open(
        broker: &Arc<dyn Broker>,
        group: &Group,
        listening: Listening,
        (place, ends, is_new): (Option<Position>, Instant, bool),
    ) -> Self {
        let number = listening.sent().log;
        Self {
            listening,
            ends,
            leaving: None,
            lapses: 0,
            entries: follow(
                Arc::clone(broker),
                topology::events(number),
                start(place, group, is_new),
            ),
            pending: VecDeque::new(),
            sent: VecDeque::new(),
            read: None,
            place,
        }
    }

    /// Begins again behind what was acknowledged.
    pub(super) fn rewind(&mut self, broker: &Arc<dyn Broker>, group: &Group) {
        let number = self.listening.sent().log;
        self.entries = follow(
            Arc::clone(broker),
            topology::events(number),
            start(self.place, group, false),
        );
        self.pending.clear();
        self.sent.clear();
        self.read = None;
        self.lapses += 1;
    }

    /// Takes an entry that was read.
    pub(super) fn took(&mut self, entry: &LogEntry, group: &Group) {
        let done = self.place.filter(|place| place.offset == entry.offset);
        self.pending
            .extend(wanted(entry, done.map_or(0, |place| place.index), group));
        self.read = Some(Position::after(entry.offset));
    }

    /// True when there is nothing to send, so that more may be read.
    pub(super) fn is_hungry(&self) -> bool {
        self.pending.is_empty() && self.leaving.is_none()
    }

    /// True when an event may be sent: there is one, and the log is ours.
    pub(super) fn has_more(&self, now: Instant) -> bool {
        !self.pending.is_empty() && self.leaving.is_none() && self.ends > now
    }

    /// The next event to send, which counts as sent from now on.
    pub(super) fn next(&mut self, now: Instant) -> Option<(CustomerEvent, Position)> {
        let (event, position) = self.pending.pop_front()?;
        self.sent.push_back((position, now));
        Some((event, position))
    }

    /// Events that were sent and not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.sent.len()
    }

    /// When the oldest of them was sent.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.sent.front().map(|(_, at)| *at)
    }

    /// Takes note of how far it was acknowledged.
    pub(super) fn acknowledged(&mut self, position: Option<Position>) {
        let Some(position) = position.filter(|position| self.place < Some(*position)) else {
            return;
        };
        self.place = Some(position);
        self.lapses = 0;
        while self.sent.front().is_some_and(|(sent, _)| *sent <= position) {
            self.sent.pop_front();
        }
        // Said of an earlier sending.
        while self.pending.front().is_some_and(|(_, pending)| *pending <= position) {
            self.pending.pop_front();
        }
    }

    /// A place that may be kept although nobody acknowledged it: what was read up to it is not for the group.
    pub(super) fn passed(&self) -> Option<Position> {
        let nothing_waits = self.pending.is_empty() && self.sent.is_empty();
        self.read.filter(|read| nothing_waits && self.place < Some(*read))
    }
}

/// Events of an entry that are for the group, without so many at its beginning, each with the place behind it.
fn wanted(entry: &LogEntry, done: u32, group: &Group) -> Vec<(CustomerEvent, Position)> {
    let events = customer_event::of_tenant(entry, &group.tenant_id).into_iter();
    let wanted = events.filter(|found| found.index >= done && customer_event::is_since(&found.event, group.begins()));
    let offset = entry.offset;
    let placed = wanted.map(|found| {
        let index = found.index.saturating_add(1);
        (found.event, Position { offset, index })
    });
    placed.collect()
}
