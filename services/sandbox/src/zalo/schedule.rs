//! When which event goes to the webhook, free of I/O.
//!
//! - First attempts of one person's events are made one after the other; a failed one does not hold up the next. Zalo
//!   promises no order, and after a failure there is none.
//! - After a failure: the retry ladder's delays. After its last one the subscription is cancelled.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Which of Zalo's two senders an event comes from, in `X-ZEvent-Server`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EventServer {
    /// OA events.
    #[default]
    #[serde(rename = "OA OpenAPI")]
    OaOpenApi,
    /// ZNS (ZBS) events.
    #[serde(rename = "ZNS")]
    Zns,
}

impl EventServer {
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::OaOpenApi => "OA OpenAPI",
            Self::Zns => "ZNS",
        }
    }
}

/// An event, ready to be signed and sent.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) oa_id: String,
    pub(super) server: EventServer,
    pub(super) timestamp: String,
    pub(super) body: Arc<str>,
}

#[derive(Debug)]
struct Waiting {
    event: Arc<Event>,
    /// Whose first attempts do not overlap.
    subject: Option<Arc<str>>,
    /// Attempts that failed.
    failures: usize,
}

/// What becomes of an event whose attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It comes again.
    Retried,
    /// Retries are switched off; it is lost.
    Dropped,
    /// The ladder is at its end.
    Exhausted,
}

#[derive(Debug)]
pub(super) struct Schedule {
    connections: usize,
    limit: usize,
    waiting: HashMap<u64, Waiting>,
    due: BTreeSet<(Instant, u64)>,
    queues: HashMap<Arc<str>, VecDeque<u64>>,
    in_flight: usize,
}

impl Schedule {
    pub(super) fn new(connections: usize, limit: usize) -> Self {
        Self {
            connections: connections.max(1),
            limit: limit.max(1),
            waiting: HashMap::new(),
            due: BTreeSet::new(),
            queues: HashMap::new(),
            in_flight: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Adds an event due at `at`; answers false where there is no room for it.
    pub(super) fn add(&mut self, event: Event, subject: Option<&str>, at: Instant) -> bool {
        if self.waiting.len() >= self.limit {
            return false;
        }
        let number = event.number;
        let subject: Option<Arc<str>> = subject.map(Arc::from);
        let is_next = match &subject {
            None => true,
            Some(subject) => {
                let queue = self.queues.entry(Arc::clone(subject)).or_default();
                queue.push_back(number);
                queue.len() == 1
            }
        };
        if is_next {
            self.due.insert((at, number));
        }
        let waiting = Waiting {
            event: Arc::new(event),
            subject,
            failures: 0,
        };
        self.waiting.insert(number, waiting);
        true
    }

    /// The next event to be sent now, taking it in flight, and how often it failed before.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Arc<Event>, usize)> {
        if self.in_flight >= self.connections {
            return None;
        }
        let &(at, number) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        let waiting = self.waiting.get(&number)?;
        self.in_flight += 1;
        Some((Arc::clone(&waiting.event), waiting.failures))
    }

    /// When something is due that is not yet.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        if self.in_flight >= self.connections {
            return None;
        }
        self.due.first().map(|(at, _)| *at)
    }

    /// The event in flight was answered 200.
    pub(super) fn succeeded(&mut self, number: u64, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.attempted(number, now);
        self.waiting.remove(&number);
    }

    /// The event in flight failed. `ladder` is empty where retries are switched off.
    pub(super) fn failed(&mut self, number: u64, ladder: &[Duration], speed: u32, now: Instant) -> Failed {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.attempted(number, now);
        let Some(waiting) = self.waiting.get_mut(&number) else {
            return Failed::Dropped;
        };
        let Some(delay) = ladder.get(waiting.failures) else {
            self.waiting.remove(&number);
            return if ladder.is_empty() {
                Failed::Dropped
            } else {
                Failed::Exhausted
            };
        };
        waiting.failures += 1;
        self.due.insert((now + *delay / speed.max(1), number));
        Failed::Retried
    }

    /// The first attempt is over: the next event of the same person is due.
    fn attempted(&mut self, number: u64, now: Instant) {
        let Some(subject) = self.waiting.get_mut(&number).and_then(|waiting| waiting.subject.take()) else {
            return;
        };
        let Some(queue) = self.queues.get_mut(&subject) else {
            return;
        };
        queue.pop_front();
        match queue.front() {
            Some(next) => {
                self.due.insert((now, *next));
            }
            None => {
                self.queues.remove(&subject);
            }
        }
    }

    /// Forgets everything, also what is in flight; answers how much.
    pub(super) fn clear(&mut self) -> u64 {
        let dropped = self.waiting.len() as u64;
        *self = Self::new(self.connections, self.limit);
        dropped
    }
}

#[cfg(test)]
mod tests;
