//! When which update goes to the webhook: the Bot API server's own rules, free of I/O.
//!
//! - One update at a time per queue (chat or person, and kind); queues run side by side, up to `max_connections`.
//! - After a failure: at once, then after 2, 4, 8… s up to a cap drawn between 60 and 120 s; `Retry-After` replaces the
//!   delay, at most an hour.
//! - An update whose next attempt would come after its expiry is dropped.
//! - At most twice `max_connections` updates are looked at, so enough failing queues hold up all others.

use super::backlog::{Backlog, Queue};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

const LONGEST_RETRY_AFTER: u32 = 3600;
const CAP_FROM: u32 = 60;

#[derive(Debug)]
struct Attempt {
    queue: Queue,
    expires_at: Instant,
    delay: u32,
    failures: u32,
}

#[derive(Debug)]
pub(super) struct Schedule {
    max_connections: usize,
    speed: u32,
    seed: u64,
    next_load: u32,
    loaded: HashMap<u32, Attempt>,
    queues: HashMap<Queue, VecDeque<u32>>,
    /// Queues with nothing in flight, by the time their first update is due.
    due: BTreeSet<(Instant, u32)>,
    in_flight: usize,
}

impl Schedule {
    pub(super) fn new(max_connections: usize, speed: u32, seed: u64) -> Self {
        Self {
            max_connections,
            speed: speed.max(1),
            seed,
            next_load: 0,
            loaded: HashMap::new(),
            queues: HashMap::new(),
            due: BTreeSet::new(),
            in_flight: 0,
        }
    }

    /// The next update to be sent now, taking it in flight.
    pub(super) fn next(&mut self, backlog: &Backlog, now: Instant) -> Option<u32> {
        self.load(backlog, now);
        if self.in_flight >= self.max_connections {
            return None;
        }
        let &(at, id) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.in_flight += 1;
        Some(id)
    }

    /// When something is due that is not yet.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        if self.in_flight >= self.max_connections {
            return None;
        }
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn load(&mut self, backlog: &Backlog, now: Instant) {
        let room = (self.max_connections * 2).saturating_sub(self.loaded.len());
        for (id, update) in backlog.from(self.next_load).take(room) {
            self.next_load = id + 1;
            self.loaded.insert(
                id,
                Attempt {
                    queue: update.queue,
                    expires_at: update.expires_at,
                    delay: 1,
                    failures: 0,
                },
            );
            let queue = self.queues.entry(update.queue).or_default();
            queue.push_back(id);
            if queue.len() == 1 {
                self.due.insert((now, id));
            }
        }
    }

    /// The update in flight arrived; the next of its queue is due.
    pub(super) fn succeeded(&mut self, id: u32, now: Instant) {
        self.in_flight -= 1;
        self.leave(id, now);
    }

    /// The update in flight failed; answers whether it is to be dropped.
    #[must_use]
    pub(super) fn failed(&mut self, id: u32, retry_after: u32, now: Instant) -> bool {
        self.in_flight -= 1;
        let cap = CAP_FROM + self.draw(id) % (CAP_FROM + 1);
        let Some(attempt) = self.loaded.get_mut(&id) else {
            return true;
        };
        let retry_after = retry_after.min(LONGEST_RETRY_AFTER);
        let mut wait = retry_after;
        if retry_after == 0 && attempt.failures > 0 {
            attempt.delay = (attempt.delay * 2).min(cap);
            wait = attempt.delay;
        }
        let at = now + Duration::from_secs(wait.into()) / self.speed;
        if at > attempt.expires_at {
            self.leave(id, now);
            return true;
        }
        attempt.failures += 1;
        self.due.insert((at, id));
        false
    }

    fn leave(&mut self, id: u32, now: Instant) {
        let Some(attempt) = self.loaded.remove(&id) else { return };
        let Some(queue) = self.queues.get_mut(&attempt.queue) else {
            return;
        };
        queue.pop_front();
        match queue.front() {
            Some(&next) => {
                self.due.insert((now, next));
            }
            None => {
                self.queues.remove(&attempt.queue);
            }
        }
    }

    /// The next number of a splitmix64 sequence; `id` only stirs it.
    fn draw(&mut self, id: u32) -> u32 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_add(id.into());
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }
}

#[cfg(test)]
mod tests;
