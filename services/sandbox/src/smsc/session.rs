//! One connection's side of the state: what it is bound as, what it still owes and what it waits for.

use super::{
    deliveries::Delivery,
    pdu::{self, command},
};
use bytes::{Bytes, BytesMut};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Sequence numbers of floods and null receipts lie above; so a response says whose it is.
const LAST_SEQUENCE: u32 = 0x1FFF_FFFF;

/// What an ESME bound as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Open,
    Receiver,
    Transmitter,
    Transceiver,
}

impl Mode {
    pub(super) fn of(command: u32) -> Self {
        match command {
            command::BIND_RECEIVER => Self::Receiver,
            command::BIND_TRANSMITTER => Self::Transmitter,
            _ => Self::Transceiver,
        }
    }

    pub(super) fn may_submit(self) -> bool {
        matches!(self, Self::Transmitter | Self::Transceiver)
    }

    pub(super) fn receives(self) -> bool {
        matches!(self, Self::Receiver | Self::Transceiver)
    }
}

/// How a connection comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// What was said goes out first.
    Close,
    /// At once.
    Reset,
}

#[derive(Debug)]
struct Answer {
    bytes: Bytes,
    frees_window: bool,
}

#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) delivery: Delivery,
    pub(super) deadline: Instant,
}

#[derive(Debug)]
pub(super) struct Session {
    /// Index of the account, once bound.
    pub(super) account: Option<usize>,
    pub(super) mode: Mode,
    /// Goes out now.
    pub(super) out: BytesMut,
    later: BTreeMap<(Instant, u64), Answer>,
    answers: u64,
    pub(super) unanswered: BTreeMap<u32, Unanswered>,
    /// Flood messages in flight: sequence number to number.
    pub(super) flooding: HashMap<u32, u64>,
    /// Submissions that have no answer yet.
    pub(super) open_submits: usize,
    sequence: u32,
    opened_at: Instant,
    pub(super) heard_at: Instant,
    pub(super) active_at: Instant,
    enquired: Option<(u32, Instant)>,
    /// Until when the ESME may answer the `unbind`.
    unbinding: Option<Instant>,
    pub(super) ending: Option<Ending>,
    pub(super) wake: Arc<Notify>,
}

/// The session timers, all that a session needs of the options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    pub(super) session_init: Duration,
    pub(super) enquire_link: Duration,
    pub(super) response: Duration,
    pub(super) inactivity: Duration,
}

impl Session {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            account: None,
            mode: Mode::Open,
            out: BytesMut::new(),
            later: BTreeMap::new(),
            answers: 0,
            unanswered: BTreeMap::new(),
            flooding: HashMap::new(),
            open_submits: 0,
            sequence: 0,
            opened_at: now,
            heard_at: now,
            active_at: now,
            enquired: None,
            unbinding: None,
            ending: None,
            wake: Arc::new(Notify::new()),
        }
    }

    /// Whether `deliver_sm` may go out.
    pub(super) fn takes_deliveries(&self) -> bool {
        self.mode.receives() && self.ending.is_none() && self.unbinding.is_none()
    }

    pub(super) fn say(&mut self, command: u32, status: u32, sequence: u32, body: &[u8]) {
        pdu::put(&mut self.out, command, status, sequence, body);
    }

    /// Sends a request; answers its sequence number.
    pub(super) fn ask(&mut self, command: u32, body: &[u8]) -> u32 {
        let sequence = self.next_sequence();
        self.say(command, 0, sequence, body);
        sequence
    }

    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence == LAST_SEQUENCE {
            1
        } else {
            self.sequence + 1
        };
        self.sequence
    }

    /// Answers with `bytes`, at `due` or now; the number serves to [`release`](Self::release) it.
    pub(super) fn answer(&mut self, bytes: Bytes, due: Option<Instant>, frees_window: bool) -> u64 {
        self.answers += 1;
        match due {
            Some(due) => {
                self.later.insert((due, self.answers), Answer { bytes, frees_window });
            }
            None => self.write_answer(&Answer { bytes, frees_window }),
        }
        self.answers
    }

    fn write_answer(&mut self, answer: &Answer) {
        self.out.extend_from_slice(&answer.bytes);
        if answer.frees_window {
            self.open_submits = self.open_submits.saturating_sub(1);
        }
    }

    /// Lets an answer out before its time.
    pub(super) fn release(&mut self, number: u64, now: Instant) {
        let key = self.later.keys().find(|(_, answer)| *answer == number).copied();
        if let Some(answer) = key.and_then(|key| self.later.remove(&key)) {
            self.later.insert((now, number), answer);
            self.wake.notify_one();
        }
    }

    pub(super) fn write_due(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            let answer = entry.remove();
            self.write_answer(&answer);
        }
    }

    pub(super) fn unbind(&mut self, deadline: Instant) {
        if self.ending.is_none() && self.mode != Mode::Open && self.unbinding.is_none() {
            self.ask(command::UNBIND, b"");
            self.unbinding = Some(deadline);
        }
    }

    pub(super) fn link_answered(&mut self, sequence: u32) -> bool {
        self.enquired.take_if(|(asked, _)| *asked == sequence).is_some()
    }

    /// Does what is due by the timers; answers whether an `enquire_link` was sent.
    pub(super) fn keep_time(&mut self, timers: &Timers, now: Instant) -> bool {
        if self.ending.is_some() {
            return false;
        }
        let never_bound = self.mode == Mode::Open && now >= self.opened_at + timers.session_init;
        let passed = |deadline: Instant| now >= deadline;
        let silent = self.enquired.is_some_and(|(_, deadline)| passed(deadline)) || self.unbinding.is_some_and(passed);
        if never_bound || silent {
            self.ending = Some(Ending::Close);
            return false;
        }
        if self.mode == Mode::Open {
            return false;
        }
        if !timers.inactivity.is_zero() && now >= self.active_at + timers.inactivity {
            self.unbind(now + timers.response);
        }
        let quiet = !timers.enquire_link.is_zero() && now >= self.heard_at + timers.enquire_link;
        if quiet && self.enquired.is_none() {
            let sequence = self.ask(command::ENQUIRE_LINK, b"");
            self.enquired = Some((sequence, now + timers.response));
            return true;
        }
        false
    }

    /// When something is due that is not yet.
    pub(super) fn wakes_at(&self, timers: &Timers) -> Option<Instant> {
        // Nothing but the last words is left to wait for.
        if self.ending.is_some() {
            return None;
        }
        let mut times: Vec<Instant> = self.later.keys().next().map(|(due, _)| *due).into_iter().collect();
        times.extend(self.unanswered.values().map(|one| one.deadline).min());
        if self.mode == Mode::Open {
            times.push(self.opened_at + timers.session_init);
        } else if let Some((_, deadline)) = self.enquired {
            times.push(deadline);
        } else if !timers.enquire_link.is_zero() {
            times.push(self.heard_at + timers.enquire_link);
        }
        if !timers.inactivity.is_zero() && self.mode != Mode::Open && self.unbinding.is_none() {
            times.push(self.active_at + timers.inactivity);
        }
        times.extend(self.unbinding);
        times.into_iter().min()
    }
}
