//! Which of the messages that came are one message: keys for what has no id.
//!
//! A `deliver_sm` carries no id, and an SMSC sends it again until it is acknowledged, on any bind. So every arrival is
//! given a key, and an arrival that may be another one again is given that one's. Two arrivals are the same message only
//! if everything they say is the same: for SMPP addresses, `esm_class`, `data_coding`, header, text, and the optional
//! parameters that number messages and pieces. Beyond that:
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
//!
//! A webhook whose calls carry no id is one bind that all edges hold. A call that was answered late or not with success
//! may come again; one that was answered in time does not, although its answer may have been lost on the way: such a
//! repetition is a new message. What holds for a restart holds for another edge: the first "ok" that comes through one edge
//! and the first that comes through another within one window are one message.

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
pub(crate) type Said = [u8; 16];

/// The hash of what an arrival of some kind says.
pub(crate) fn said(kind: &str, parts: &[&[u8]]) -> Said {
    shortened(&hash(kind, parts))
}

/// An arrival that was given a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arrival {
    said: Said,
    key: [u8; 16],
}

impl Arrival {
    /// The key as text.
    pub(crate) fn key(&self) -> String {
        hexadecimal(self.key)
    }

    /// Key and content as text, from which [`Arrival::parse`] makes the arrival again.
    pub(crate) fn whole(&self) -> String {
        hexadecimal(self.said) + &self.key()
    }

    /// The arrival of such a text.
    pub(crate) fn parse(whole: &str) -> Option<Self> {
        let number = |text: &str| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes);
        let (said, key) = whole.split_at_checked(32).filter(|(_, key)| key.len() == 32)?;
        Some(Self {
            said: number(said)?,
            key: number(key)?,
        })
    }
}

fn hexadecimal(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(32);
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
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
pub(crate) struct Arrivals {
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
    pub(crate) fn new(window: Duration) -> Self {
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
    pub(crate) fn arrive(&self, said: Said, bind: &str, connection: u64, now: Moment) -> Arrival {
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
    pub(crate) fn acknowledged(&self, arrival: Arrival, connection: u64, end: u64, now: Moment) {
        let mut memory = self.memory();
        let until = now + self.kept();
        memory.settle(arrival, State::Acknowledged, until);
        memory
            .acknowledged
            .entry(connection)
            .or_default()
            .push_back((end, arrival));
    }

    /// The other side knows that an arrival is kept, and will not send it again.
    pub(crate) fn kept_for_good(&self, arrival: Arrival) {
        self.memory().close(arrival, |_| true);
    }

    /// An arrival was refused: it will be sent again.
    pub(crate) fn refused(&self, arrival: Arrival, now: Moment) {
        let until = now + self.kept();
        self.memory().settle(arrival, State::MayComeAgain, until);
    }

    /// The other side answered what began at `place` in the stream, so it has read everything before.
    pub(crate) fn proven(&self, connection: u64, place: u64) {
        let mut memory = self.memory();
        while let Some(acknowledged) = memory.acknowledged.get_mut(&connection)
            && let Some((_, arrival)) = acknowledged.pop_front_if(|(end, _)| *end <= place)
        {
            memory.close(arrival, |open| open.state == State::Acknowledged);
        }
    }

    /// A connection ended: what was not known to be acknowledged may come again.
    pub(crate) fn ended(&self, connection: u64, now: Moment) {
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
mod tests;
