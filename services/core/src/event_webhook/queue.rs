//! What of one log an endpoint is still to be told: events in the order of the log, one at a time of each thread.

use super::{LIFE, WAITS};
use crate::consumer_group::Position;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{EventWebhookPlace, EventWebhookWaiting};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Most events that wait; while there are so many, nothing more is read. They all stand in one cursor.
pub const MAX_WAITING: usize = 1000;
/// Most bytes of events that wait, short of one larger event.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// An event that is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Waiting {
    /// Events of one thread wait for each other.
    thread: String,
    attempts: u32,
    due: Moment,
    /// When the first attempt failed.
    failed_first: Option<Moment>,
    event: Bytes,
    is_under_way: bool,
}

/// A replay under way: what lies before `until` is told again where it is not older than `since`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Replay {
    since: Moment,
    until: Position,
}

/// How a failed attempt goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failed {
    /// The next attempt is due then.
    Again(Moment),
    /// That was the last one.
    GivenUp,
}

/// The state of one endpoint in one log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// Events before this are not for the endpoint.
    begins: Moment,
    /// Everything before this was read; `None` while nothing was.
    read: Option<Position>,
    waiting: BTreeMap<Position, Waiting>,
    bytes: usize,
    /// Number of the last replay that was begun.
    replayed: u64,
    replay: Option<Replay>,
}

impl Queue {
    /// Of an endpoint that is told events from now on, and nothing of replays that were asked for before.
    #[must_use]
    pub const fn new(begins: Moment, replayed: u64) -> Self {
        Self {
            begins,
            read: None,
            waiting: BTreeMap::new(),
            bytes: 0,
            replayed,
            replay: None,
        }
    }

    /// As it was stored, without the events that waited: each is brought by [`Queue::restore`].
    #[must_use]
    pub fn load(place: &EventWebhookPlace) -> Self {
        let position = |offset, index| Position { offset, index };
        let until = place.replay_until_offset;
        Self {
            begins: Moment(place.begins_ms),
            read: place.offset.map(|offset| position(offset, place.index)),
            waiting: BTreeMap::new(),
            bytes: 0,
            replayed: place.replay,
            replay: until.map(|offset| Replay {
                since: Moment(place.replay_since_ms),
                until: position(offset, place.replay_until_index),
            }),
        }
    }

    /// As it is to be stored.
    #[must_use]
    pub fn store(&self) -> EventWebhookPlace {
        let waiting = self.waiting.iter().map(|(position, waiting)| EventWebhookWaiting {
            offset: position.offset,
            index: position.index,
            attempts: waiting.attempts,
            due_ms: waiting.due.0,
            failed_first_ms: waiting.failed_first.map_or(0, |first| first.0),
        });
        EventWebhookPlace {
            offset: self.read.map(|read| read.offset),
            index: self.read.map_or(0, |read| read.index),
            begins_ms: self.begins.0,
            waiting: waiting.collect(),
            replay: self.replayed,
            replay_since_ms: self.replay.map_or(0, |replay| replay.since.0),
            replay_until_offset: self.replay.map(|replay| replay.until.offset),
            replay_until_index: self.replay.map_or(0, |replay| replay.until.index),
        }
    }

    /// Brings back an event that waited.
    pub fn restore(&mut self, stored: &EventWebhookWaiting, thread: String, event: Bytes) {
        let position = Position {
            offset: stored.offset,
            index: stored.index,
        };
        let failed_first = (stored.failed_first_ms != 0).then_some(Moment(stored.failed_first_ms));
        self.insert(
            position,
            Waiting {
                thread,
                attempts: stored.attempts,
                due: Moment(stored.due_ms),
                failed_first,
                event,
                is_under_way: false,
            },
        );
    }

    /// Where to go on reading; `None` while nothing was read.
    #[must_use]
    pub const fn read(&self) -> Option<Position> {
        self.read
    }

    /// True while more may be read.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING && self.bytes < MAX_BYTES
    }

    /// True for an event at this place and of this time that is to be told.
    #[must_use]
    pub fn wants(&self, position: Position, at: Moment) -> bool {
        if self.read.is_some_and(|read| position < read) {
            return false;
        }
        match self.replay.filter(|replay| position < replay.until) {
            Some(replay) => at >= replay.since,
            None => at >= self.begins,
        }
    }

    /// Takes an event that was read.
    pub fn push(&mut self, position: Position, thread: String, event: Bytes, now: Moment) {
        self.insert(
            position,
            Waiting {
                thread,
                attempts: 0,
                due: now,
                failed_first: None,
                event,
                is_under_way: false,
            },
        );
    }

    fn insert(&mut self, position: Position, waiting: Waiting) {
        // A replay meets events that wait already.
        self.waiting.entry(position).or_insert_with(|| {
            self.bytes += waiting.event.len();
            waiting
        });
    }

    /// Everything before this place was read.
    pub fn passed(&mut self, position: Position) {
        self.read = self.read.max(Some(position));
        self.replay = self.replay.filter(|replay| position < replay.until);
    }

    /// Begins a replay, unless it was begun already; then everything has to be read from the oldest entry on. Without a
    /// place yet there is nothing behind it that could have been told before: the endpoint begins earlier then.
    pub fn replay(&mut self, number: u64, since: Moment) -> bool {
        if number <= self.replayed {
            return false;
        }
        self.replayed = number;
        let until = self.replay.map(|replay| replay.until).max(self.read);
        match until {
            Some(until) => self.replay = Some(Replay { since, until }),
            None => self.begins = self.begins.min(since),
        }
        self.read = None;
        true
    }

    /// Events whose turn it is, in the order of the log: the first of each thread, when it is due and not under way.
    #[must_use]
    pub fn ready(&self, now: Moment, most: usize) -> Vec<Position> {
        let mut threads = HashSet::new();
        let first = self
            .waiting
            .iter()
            .filter(|(_, waiting)| threads.insert(&waiting.thread));
        let ready = first.filter(|(_, waiting)| !waiting.is_under_way && waiting.due <= now);
        ready.map(|(position, _)| *position).take(most).collect()
    }

    /// The first event that is not under way, due or not: to find out whether an endpoint is back.
    #[must_use]
    pub fn first(&self) -> Option<Position> {
        let (position, waiting) = self.waiting.first_key_value()?;
        (!waiting.is_under_way).then_some(*position)
    }

    /// When the next event is due whose turn it is.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        let mut threads = HashSet::new();
        let first = self.waiting.values().filter(|waiting| threads.insert(&waiting.thread));
        first
            .filter(|waiting| !waiting.is_under_way)
            .map(|waiting| waiting.due)
            .min()
    }

    /// Begins an attempt at an event.
    pub fn begin(&mut self, position: Position) -> Option<Bytes> {
        let waiting = self.waiting.get_mut(&position)?;
        waiting.is_under_way = true;
        Some(waiting.event.clone())
    }

    /// The endpoint has it.
    pub fn delivered(&mut self, position: Position) {
        if let Some(waiting) = self.waiting.remove(&position) {
            self.bytes = self.bytes.saturating_sub(waiting.event.len());
        }
    }

    /// An attempt failed; the endpoint may have asked for a longer pause than we would make. An event is given up after a
    /// day, but only if the endpoint took another one meanwhile: `failing_since` is since when it takes none.
    pub fn failed(
        &mut self,
        position: Position,
        (pause, failing_since): (Duration, Option<Moment>),
        now: Moment,
    ) -> Failed {
        let Some(waiting) = self.waiting.get_mut(&position) else {
            return Failed::GivenUp;
        };
        waiting.is_under_way = false;
        let first = *waiting.failed_first.get_or_insert(now);
        if now >= first + LIFE && failing_since.is_none_or(|since| since > first) {
            self.delivered(position);
            return Failed::GivenUp;
        }
        let before = usize::try_from(waiting.attempts).unwrap_or(usize::MAX);
        waiting.attempts = waiting.attempts.saturating_add(1);
        let wait = WAITS[before.min(WAITS.len() - 1)].max(pause);
        let last = (now < first + LIFE).then_some(first + LIFE);
        waiting.due = last.map_or(now + wait, |last| last.min(now + wait));
        Failed::Again(waiting.due)
    }

    /// What did not happen counts as no attempt.
    pub fn put_back(&mut self, position: Position) {
        if let Some(waiting) = self.waiting.get_mut(&position) {
            waiting.is_under_way = false;
        }
    }

    /// The endpoint answers again: nothing waits for its time any more.
    pub fn hasten(&mut self, now: Moment) {
        for waiting in self.waiting.values_mut() {
            waiting.due = waiting.due.min(now);
        }
    }

    /// Events that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_800_000_000_000);

    fn at(offset: u64, index: u32) -> Position {
        Position { offset, index }
    }

    fn queue(events: &[(Position, &str)]) -> Queue {
        let mut queue = Queue::new(NOW, 0);
        for (position, thread) in events {
            queue.push(*position, (*thread).to_owned(), Bytes::from_static(b"event"), NOW);
            queue.passed(at(position.offset, position.index + 1));
        }
        queue
    }

    fn fails(queue: &mut Queue, position: Position, now: Moment) -> Failed {
        queue.failed(position, (Duration::ZERO, None), now)
    }

    #[test]
    fn one_event_of_each_thread_at_a_time_and_in_order() {
        let mut queue = queue(&[(at(0, 0), "a"), (at(0, 1), "b"), (at(1, 0), "a"), (at(2, 0), "c")]);
        assert_eq!(queue.ready(NOW, 9), [at(0, 0), at(0, 1), at(2, 0)]);
        assert_eq!(queue.ready(NOW, 2), [at(0, 0), at(0, 1)]);
        queue.begin(at(0, 0)).unwrap();
        assert_eq!(queue.ready(NOW, 9), [at(0, 1), at(2, 0)], "its thread waits");
        // A failing event holds up its own thread.
        assert_eq!(fails(&mut queue, at(0, 0), NOW), Failed::Again(NOW + WAITS[0]));
        assert_eq!(queue.ready(NOW, 9), [at(0, 1), at(2, 0)]);
        queue.begin(at(0, 1)).unwrap();
        queue.delivered(at(0, 1));
        assert_eq!(queue.ready(NOW + WAITS[0], 9), [at(0, 0), at(2, 0)]);
        queue.begin(at(0, 0)).unwrap();
        queue.delivered(at(0, 0));
        assert_eq!(queue.ready(NOW, 9), [at(1, 0), at(2, 0)]);
    }

    #[test]
    fn an_event_is_given_up_after_a_day_and_its_thread_goes_on() {
        let mut queue = queue(&[(at(0, 0), "a"), (at(0, 1), "a")]);
        let (mut now, mut attempts) = (NOW, 0);
        loop {
            assert_eq!(queue.ready(now, 9), [at(0, 0)]);
            queue.begin(at(0, 0)).unwrap();
            attempts += 1;
            let Failed::Again(due) = fails(&mut queue, at(0, 0), now) else {
                break;
            };
            assert_eq!(queue.next_due(), Some(due));
            now = due;
        }
        assert_eq!((now, attempts), (NOW + LIFE, WAITS.len() + 1));
        assert_eq!(queue.ready(now, 9), [at(0, 1)]);
    }

    #[test]
    fn no_event_is_given_up_while_the_endpoint_takes_none() {
        let mut queue = queue(&[(at(0, 0), "a"), (at(0, 1), "b")]);
        let day = NOW + LIFE;
        for now in [NOW, day, day + LIFE] {
            queue.begin(at(0, 0)).unwrap();
            let failed = queue.failed(at(0, 0), (Duration::ZERO, Some(NOW)), now);
            assert!(matches!(failed, Failed::Again(due) if due > now), "{failed:?}");
        }
        // It took something since, and fails again.
        let failing_since = Some(NOW + Duration::from_secs(1));
        let failed = queue.failed(at(0, 0), (Duration::ZERO, failing_since), day);
        assert_eq!(failed, Failed::GivenUp);
    }

    #[test]
    fn an_endpoint_may_ask_for_more_time_and_gets_what_waits_at_once_when_it_is_back() {
        let mut queue = queue(&[(at(0, 0), "a")]);
        queue.begin(at(0, 0)).unwrap();
        let asked = Duration::from_mins(3);
        assert_eq!(queue.failed(at(0, 0), (asked, None), NOW), Failed::Again(NOW + asked));
        assert_eq!(queue.ready(NOW, 9), []);
        queue.hasten(NOW);
        assert_eq!(queue.ready(NOW, 9), [at(0, 0)]);
    }

    #[test]
    fn it_comes_back_from_the_store_as_it_was() {
        let mut queue = queue(&[(at(3, 0), "a"), (at(3, 1), "b"), (at(5, 0), "a")]);
        queue.begin(at(3, 0)).unwrap();
        fails(&mut queue, at(3, 0), NOW);
        queue.delivered(at(3, 1));
        queue.replay(2, Moment(7));
        queue.passed(at(1, 0));
        let place = queue.store();
        let mut back = Queue::load(&place);
        for (stored, thread) in place.waiting.iter().zip(["a", "a"]) {
            back.restore(stored, thread.to_owned(), Bytes::from_static(b"event"));
        }
        assert_eq!(back, queue);
    }

    #[test]
    fn a_full_queue_fits_a_cursor() {
        let mut queue = Queue::new(NOW, 0);
        // An entry that is read when there is room for one more event.
        for number in 0..MAX_WAITING + 511 {
            assert_eq!(queue.has_room(), number < MAX_WAITING);
            let position = at(u64::MAX - 5000 + u64::try_from(number).unwrap(), 511);
            queue.push(position, number.to_string(), Bytes::new(), NOW);
            queue.begin(position).unwrap();
            fails(&mut queue, position, NOW);
        }
        assert!(!queue.has_room());
        let cursor = prost::Message::encode_to_vec(&queue.store());
        assert!(cursor.len() <= crate::lease::MAX_CURSOR, "{}", cursor.len());
        let mut queue = Queue::new(NOW, 0);
        queue.push(at(0, 0), "a".to_owned(), Bytes::from(vec![0; MAX_BYTES]), NOW);
        assert!(!queue.has_room());
        queue.delivered(at(0, 0));
        assert!(queue.has_room());
    }

    #[test]
    fn a_replay_tells_again_what_is_recent_and_loses_nothing_that_was_not_told() {
        let begins = NOW + Duration::from_secs(10);
        let mut queue = Queue::new(begins, 0);
        assert!(!queue.wants(at(0, 0), NOW), "before its time");
        queue.passed(at(4, 0));
        let since = NOW + Duration::from_secs(20);
        assert!(queue.replay(1, since) && !queue.replay(1, since));
        assert_eq!(queue.read(), None, "all has to be read");
        let (before, after) = (begins, since);
        assert_eq!(
            (queue.wants(at(2, 0), before), queue.wants(at(2, 0), after)),
            (false, true)
        );
        assert!(queue.wants(at(4, 0), before), "it was not told yet");
        queue.passed(at(2, 1));
        assert!(
            !queue.wants(at(2, 0), after),
            "an entry that is read again begins where it was left"
        );
        // Asked for again half-way, it ends where it would have ended.
        assert!(queue.replay(2, NOW));
        assert!(queue.wants(at(3, 0), NOW) && !queue.wants(at(4, 0), NOW));
        queue.passed(at(4, 0));
        assert_eq!(queue.store().replay_until_offset, None);
    }

    #[test]
    fn a_replay_of_an_endpoint_that_read_nothing_yet_begins_earlier() {
        let mut queue = Queue::new(NOW + Duration::from_secs(10), 0);
        assert!(queue.replay(1, NOW));
        assert!(queue.wants(at(0, 0), NOW) && !queue.wants(at(0, 0), Moment(0)));
    }
}
