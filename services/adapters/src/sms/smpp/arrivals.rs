//! Which of the messages that came are one message: keys for what has no id.
//!
//! A `deliver_sm` carries no id, and an SMSC sends it again until it is acknowledged, on any bind. So every arrival is
//! given a key, and an arrival that may be another one again is given that one's. Two arrivals are the same message only
//! if everything they say is the same: addresses, `esm_class`, `data_coding`, header, text, and the optional parameters
//! that number messages and pieces. Beyond that:
//!
//! - *Promised.* What was not acknowledged, was refused, or was acknowledged on a connection that ended before the SMSC
//!   can be known to have read it, keeps its key for the duplicate window: the next arrival that says the same, on
//!   whatever bind this process holds, is that message. An acknowledgement is known to be read when the SMSC answered
//!   something that we wrote behind it.
//! - *Promised.* "ok" written twice and delivered twice over one connection is two messages, also while the first is
//!   still in hand.
//! - *After a restart* nothing is remembered. Keys of new messages count arrivals that say the same, per bind and
//!   duplicate window, so an arrival after a restart is most likely given the key that it had before, if it comes within
//!   the window; with a window of 0 it never is. The price: the same words, written by the same person once before and
//!   once after a restart within the window, are one message.
//! - *Not promised.* A window that began between the first arrival and the restart, a repetition over another bind after
//!   a restart, and a repetition after the window are new messages. In doubt a message is seen twice rather than lost.

use super::pdu::{ShortMessage, tag};
use omnigate_core::{id::hash, time::Moment};
use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long an arrival can come again to the process that saw it, at least.
const LEAST_KEPT: Duration = Duration::from_secs(60);
/// Most arrivals that are remembered in either way.
const MAX_REMEMBERED: usize = 65_536;

/// What an arrival says, as a hash.
pub(super) type Said = [u8; 16];

/// An arrival that was given a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arrival {
    said: Said,
    key: [u8; 16],
}

impl Arrival {
    /// The key as text.
    pub(super) fn key(&self) -> String {
        let mut text = String::with_capacity(32);
        for byte in self.key {
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        text
    }
}

/// What a message says.
pub(super) fn said(message: &ShortMessage<'_>) -> Said {
    let tlv = |tag| message.tlvs.get(tag).unwrap_or_default();
    shortened(&hash(
        "deliver_sm",
        &[
            message.source.digits,
            message.destination.digits,
            &[message.esm_class, message.data_coding],
            message.content,
            tlv(tag::RECEIPTED_MESSAGE_ID),
            tlv(tag::USER_MESSAGE_REFERENCE),
            tlv(tag::SOURCE_PORT),
            tlv(tag::DESTINATION_PORT),
            tlv(tag::SAR_MSG_REF_NUM),
            tlv(tag::SAR_TOTAL_SEGMENTS),
            tlv(tag::SAR_SEGMENT_SEQNUM),
        ],
    ))
}

/// What a PDU says that is no message.
pub(super) fn said_by(raw: &[u8]) -> Said {
    // The sequence number is the connection's, not the message's.
    let (header, body) = raw.split_at(raw.len().min(super::pdu::HEADER));
    shortened(&hash("pdu", &[header.get(4..8).unwrap_or_default(), body]))
}

fn shortened(hash: &[u8; 32]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    short
}

/// What is known of an arrival that may come again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Being pushed.
    InHand,
    /// Acknowledged; whether the SMSC has read that is not known.
    Acknowledged,
    /// Refused, or its connection ended: the next arrival that says the same is this one.
    MayComeAgain,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    key: [u8; 16],
    connection: u64,
    state: State,
    /// When it is forgotten; set with the state.
    until: Moment,
}

/// The arrivals of one account.
#[derive(Debug)]
pub(super) struct Arrivals {
    window: Duration,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    started: Option<Moment>,
    /// The window that is counted in, and how often the count had to be given up in it.
    counted: (i64, u32),
    counts: HashMap<Said, u32>,
    open: HashMap<Said, VecDeque<Open>>,
    /// Acknowledgements by connection: where each ends in the stream.
    acknowledged: HashMap<u64, VecDeque<(u64, Arrival)>>,
    /// When arrivals are forgotten, in order.
    fading: VecDeque<(Moment, Arrival)>,
}

impl Arrivals {
    /// Nothing came yet. `window` is for how long a message may come again after a restart.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> Duration {
        self.window.max(LEAST_KEPT)
    }

    /// The arrival that comes over a connection of a bind: one from before, or a new one.
    pub(super) fn arrive(&self, said: Said, bind: &str, connection: u64, now: Moment) -> Arrival {
        let mut memory = self.memory();
        memory.forget(now);
        let known = memory.open.get_mut(&said).and_then(|open| {
            let known = open.iter_mut().find(|open| open.state == State::MayComeAgain)?;
            known.state = State::InHand;
            known.connection = connection;
            Some(known.key)
        });
        let key = known.unwrap_or_else(|| memory.new_key(said, bind, self.window, now));
        if known.is_none() {
            memory.open.entry(said).or_default().push_back(Open {
                key,
                connection,
                state: State::InHand,
                until: now,
            });
        }
        Arrival { said, key }
    }

    /// An arrival was acknowledged; `end` is where that ends in what is written to the connection.
    pub(super) fn acknowledged(&self, arrival: Arrival, connection: u64, end: u64, now: Moment) {
        let mut memory = self.memory();
        let until = now + self.kept();
        memory.settle(arrival, State::Acknowledged, until);
        memory
            .acknowledged
            .entry(connection)
            .or_default()
            .push_back((end, arrival));
    }

    /// An arrival was refused: the SMSC will send it again.
    pub(super) fn refused(&self, arrival: Arrival, now: Moment) {
        let until = now + self.kept();
        self.memory().settle(arrival, State::MayComeAgain, until);
    }

    /// The other side answered what began at `place` in the stream, so it has read everything before.
    pub(super) fn proven(&self, connection: u64, place: u64) {
        let mut memory = self.memory();
        while let Some(acknowledged) = memory.acknowledged.get_mut(&connection)
            && let Some((_, arrival)) = acknowledged.pop_front_if(|(end, _)| *end <= place)
        {
            memory.close(arrival, |open| open.state == State::Acknowledged);
        }
    }

    /// A connection ended: what was not known to be acknowledged may come again.
    pub(super) fn ended(&self, connection: u64, now: Moment) {
        let mut memory = self.memory();
        memory.acknowledged.remove(&connection);
        let until = now + self.kept();
        let mut ended = Vec::new();
        for (said, open) in &mut memory.open {
            for open in open.iter_mut().filter(|open| open.connection == connection) {
                if open.state != State::MayComeAgain {
                    ended.push(Arrival {
                        said: *said,
                        key: open.key,
                    });
                }
            }
        }
        for arrival in ended {
            memory.settle(arrival, State::MayComeAgain, until);
        }
    }
}

impl Memory {
    fn new_key(&mut self, said: Said, bind: &str, window: Duration, now: Moment) -> [u8; 16] {
        let length = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1);
        let started = *self.started.get_or_insert(now);
        // What comes soon after the start is counted as if it came at the start.
        let at = if now.since(started) < window { started } else { now };
        let counted = at.0.div_euclid(length);
        // Clocks go back; counts never do.
        if counted > self.counted.0 {
            self.counted = (counted, 0);
            self.counts.clear();
        } else if self.counts.len() >= MAX_REMEMBERED {
            self.counted.1 += 1;
            self.counts.clear();
        }
        let count = self.counts.entry(said).or_default();
        *count += 1;
        shortened(&hash(
            "arrival",
            &[
                &said,
                bind.as_bytes(),
                &self.counted.0.to_be_bytes(),
                &self.counted.1.to_be_bytes(),
                &count.to_be_bytes(),
            ],
        ))
    }

    fn settle(&mut self, arrival: Arrival, state: State, until: Moment) {
        let open = self.open.get_mut(&arrival.said).into_iter().flatten();
        for open in open.filter(|open| open.key == arrival.key) {
            open.state = state;
            open.until = until;
        }
        self.fading.push_back((until, arrival));
    }

    fn forget(&mut self, now: Moment) {
        let many = self.fading.len() > MAX_REMEMBERED;
        while let Some((until, arrival)) = self.fading.pop_front_if(|(until, _)| many || *until <= now) {
            self.close(arrival, |open| open.state != State::InHand && open.until == until);
            if many && self.fading.len() <= MAX_REMEMBERED {
                break;
            }
        }
        for acknowledged in self.acknowledged.values_mut() {
            while acknowledged.len() > MAX_REMEMBERED {
                acknowledged.pop_front();
            }
        }
    }

    fn close(&mut self, arrival: Arrival, when: impl Fn(&Open) -> bool) {
        if let Some(open) = self.open.get_mut(&arrival.said) {
            open.retain(|open| open.key != arrival.key || !when(open));
            if open.is_empty() {
                self.open.remove(&arrival.said);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Said = [1; 16];
    const WINDOW: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Moment {
        Moment(1_767_323_040_000 + seconds * 1000)
    }

    fn arrivals() -> Arrivals {
        Arrivals::new(WINDOW)
    }

    #[test]
    fn the_same_words_twice_are_two_messages() {
        let arrivals = arrivals();
        let first = arrivals.arrive(OK, "bind-1", 1, at(0));
        let in_hand = arrivals.arrive(OK, "bind-1", 1, at(0));
        arrivals.acknowledged(first, 1, 33, at(0));
        let acknowledged = arrivals.arrive(OK, "bind-1", 1, at(1));
        arrivals.proven(1, 33);
        let proven = arrivals.arrive(OK, "bind-1", 1, at(2));
        let later = arrivals.arrive(OK, "bind-1", 1, at(600));
        let keys = [first, in_hand, acknowledged, proven, later].map(|arrival| arrival.key());
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
            assert_eq!(key.len(), 32);
        }
    }

    #[test]
    fn what_was_not_acknowledged_comes_again_over_any_bind() {
        let arrivals = arrivals();
        let first = arrivals.arrive(OK, "bind-1", 1, at(0));
        let second = arrivals.arrive(OK, "bind-1", 1, at(0));
        arrivals.ended(1, at(1));
        assert_eq!(arrivals.arrive(OK, "bind-2", 2, at(5)), first);
        assert_eq!(arrivals.arrive(OK, "bind-1", 3, at(5)), second);
        let third = arrivals.arrive(OK, "bind-1", 3, at(5));
        assert!(third != first && third != second);
    }

    #[test]
    fn what_was_refused_comes_again_over_the_same_connection() {
        let arrivals = arrivals();
        let first = arrivals.arrive(OK, "bind-1", 1, at(0));
        arrivals.refused(first, at(0));
        assert_eq!(arrivals.arrive(OK, "bind-1", 1, at(30)), first);
        assert_ne!(arrivals.arrive(OK, "bind-1", 1, at(31)), first);
    }

    #[test]
    fn an_acknowledgement_that_was_read_is_the_end() {
        let arrivals = arrivals();
        let read = arrivals.arrive(OK, "bind-1", 1, at(0));
        arrivals.acknowledged(read, 1, 100, at(0));
        let unread = arrivals.arrive([2; 16], "bind-1", 1, at(0));
        arrivals.acknowledged(unread, 1, 117, at(0));
        arrivals.proven(1, 99);
        arrivals.proven(1, 100);
        arrivals.ended(1, at(1));
        assert_ne!(arrivals.arrive(OK, "bind-1", 2, at(2)), read);
        assert_eq!(arrivals.arrive([2; 16], "bind-1", 2, at(2)), unread);
    }

    #[test]
    fn nothing_is_remembered_for_ever() {
        let arrivals = arrivals();
        let first = arrivals.arrive(OK, "bind-1", 1, at(0));
        arrivals.ended(1, at(1));
        assert_ne!(arrivals.arrive(OK, "bind-1", 2, at(62)), first);
        let many = Arrivals::new(WINDOW);
        for number in 0..70_000_u32 {
            let mut said = [0; 16];
            said[..4].copy_from_slice(&number.to_be_bytes());
            let arrival = many.arrive(said, "bind-1", 1, at(0));
            many.acknowledged(arrival, 1, 0, at(0));
        }
        let memory = many.memory();
        assert!(memory.open.len() <= MAX_REMEMBERED + 1 && memory.counts.len() <= MAX_REMEMBERED);
        assert!(memory.acknowledged[&1].len() <= MAX_REMEMBERED + 1);
    }

    #[test]
    fn after_a_restart_the_same_words_have_the_same_key_within_the_window() {
        let before = arrivals().arrive(OK, "bind-1", 1, at(0));
        let restarted = arrivals();
        assert_eq!(restarted.arrive(OK, "bind-1", 1, at(20)), before);
        let restarted = arrivals();
        restarted.arrive([9; 16], "bind-1", 1, at(59));
        assert_eq!(
            restarted.arrive(OK, "bind-1", 1, at(70)),
            before,
            "counted as at the start"
        );
        assert_ne!(
            arrivals().arrive(OK, "bind-2", 1, at(20)),
            before,
            "another bind may be another process's"
        );
        assert_ne!(arrivals().arrive(OK, "bind-1", 1, at(61)), before, "the next window");
    }

    #[test]
    fn without_a_window_a_restart_begins_anew() {
        let none = || Arrivals::new(Duration::ZERO);
        let before = none().arrive(OK, "bind-1", 1, at(0));
        assert_ne!(none().arrive(OK, "bind-1", 1, at(1)), before);
        let arrivals = none();
        let first = arrivals.arrive(OK, "bind-1", 1, at(0));
        assert_ne!(arrivals.arrive(OK, "bind-1", 1, at(0)), first);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_two_messages_one() {
        let arrivals = arrivals();
        let first = arrivals.arrive(OK, "bind-1", 1, at(0));
        let second = arrivals.arrive(OK, "bind-1", 1, at(120));
        let third = arrivals.arrive(OK, "bind-1", 1, at(1));
        assert!(first != second && second != third && first != third);
    }
}
