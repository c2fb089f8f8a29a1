//! One bind: its window of unanswered submits and what is to be written to it.
//!
//! Senders put whole PDUs into one buffer and the session writes whatever is there, so that PDUs gather into one write
//! under load and nothing waits without it. Time is counted in ticks of the session that holds the bind: a bind that
//! nobody holds has no time, and nothing that could expire.

use super::pdu::{self, MAX_SEQUENCE};
use bytes::{Bytes, BytesMut};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, oneshot};

/// Octets that may wait to be written before the session reads no more.
const MAX_UNWRITTEN: usize = 1024 * 1024;

/// What became of a submit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The SMSC answered.
    Response {
        /// Its outcome.
        status: u32,
        /// The message's id.
        message_id: Bytes,
    },
    /// The connection ended before any of it was handed over.
    NotSent,
    /// The connection ended, or the SMSC did not answer in time.
    Unknown,
}

/// Whether a bind takes a submit.
#[derive(Debug)]
pub(super) enum Claim {
    /// It did; the answer comes here.
    Taken(oneshot::Receiver<Answer>),
    /// Its window is full.
    Full,
    /// It was told to be slower; so many ticks are left.
    Resting(u64),
    /// It is not there, or does not send.
    Down,
}

/// One bind of an account.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What tells it from the account's others.
    pub(super) name: String,
    /// Whether it can send.
    pub(super) transmits: bool,
    /// Whether it can receive.
    pub(super) receives: bool,
    state: Mutex<Option<Link>>,
    /// Something is to be written.
    unwritten: Notify,
    /// Something was written, or answered.
    changed: Notify,
}

/// A connection that is bound.
#[derive(Debug)]
struct Link {
    window: HashMap<u32, Pending>,
    most: usize,
    takes_submits: bool,
    sequence: u32,
    out: BytesMut,
    /// Octets ever put into `out`.
    queued: u64,
    /// Octets handed to the connection.
    handed: u64,
    /// Octets that the connection has taken.
    written: u64,
    tick: u64,
    rests_until: u64,
    heard_at: u64,
    /// The `enquire_link` that is not answered: its tick, sequence number and place in the stream.
    enquired: Option<(u64, u32, u64)>,
}

#[derive(Debug)]
struct Pending {
    /// Where its PDU begins in the stream.
    start: u64,
    tick: u64,
    answer: oneshot::Sender<Answer>,
}

/// What a tick found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticked {
    /// Places that became free because no answer came.
    pub(super) expired: usize,
    /// The other side does not answer.
    pub(super) is_dead: bool,
}

/// Times of a connection, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// How long a response may take.
    pub(super) response: u64,
    /// After how much silence the other side is asked.
    pub(super) enquire: u64,
}

impl Line {
    /// A bind that is not up.
    pub(super) fn new(name: String, transmits: bool, receives: bool) -> Self {
        Self {
            name,
            transmits,
            receives,
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<Link>> {
        // Nothing panics while it is held; and if it did, a bind that is half changed is closed all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a connection that is bound.
    pub(super) fn open(&self, window: usize, sequence: u32) {
        *self.state() = Some(Link {
            window: HashMap::with_capacity(window.min(1_024)),
            most: window,
            takes_submits: self.transmits,
            sequence,
            out: BytesMut::new(),
            queued: 0,
            handed: 0,
            written: 0,
            tick: 0,
            rests_until: 0,
            heard_at: 0,
            enquired: None,
        });
    }

    /// True while submits go out through it.
    pub(super) fn is_open(&self) -> bool {
        self.state().as_ref().is_some_and(|link| link.takes_submits)
    }

    /// Ends the connection: whoever waits is told what is known.
    pub(super) fn close(&self) {
        let Some(link) = self.state().take() else { return };
        for pending in link.window.into_values() {
            let answer = if pending.start >= link.handed {
                Answer::NotSent
            } else {
                Answer::Unknown
            };
            pending.answer.send(answer).unwrap_or_default();
        }
        self.changed.notify_waiters();
    }

    /// Takes no more submits.
    pub(super) fn refuse_submits(&self) {
        if let Some(link) = self.state().as_mut() {
            link.takes_submits = false;
        }
    }

    /// Submits a PDU, which is given its sequence number here.
    pub(super) fn submit(&self, pdu: &mut BytesMut) -> Claim {
        let mut state = self.state();
        let Some(link) = state.as_mut().filter(|link| link.takes_submits) else {
            return Claim::Down;
        };
        if link.rests_until > link.tick {
            return Claim::Resting(link.rests_until - link.tick);
        }
        if link.window.len() >= link.most {
            return Claim::Full;
        }
        let sequence = link.next_sequence();
        if let Some(place) = pdu.get_mut(12..pdu::HEADER) {
            place.copy_from_slice(&sequence.to_be_bytes());
        }
        let (answer, answered) = oneshot::channel();
        let pending = Pending {
            start: link.queued,
            tick: link.tick,
            answer,
        };
        link.window.insert(sequence, pending);
        link.put(|out| out.extend_from_slice(pdu));
        drop(state);
        self.unwritten.notify_one();
        Claim::Taken(answered)
    }

    /// An answer to a submit. Where its PDU began in the stream, or `None` when nobody waits for it.
    pub(super) fn answer(&self, sequence: u32, answer: Answer) -> Option<u64> {
        let pending = self.state().as_mut()?.window.remove(&sequence)?;
        pending.answer.send(answer).unwrap_or_default();
        self.changed.notify_waiters();
        Some(pending.start)
    }

    /// The other side is there: it answered an `enquire_link`. Where that began in the stream.
    pub(super) fn alive(&self, sequence: u32) -> Option<u64> {
        let mut state = self.state();
        let link = state.as_mut()?;
        let (_, _, start) = link.enquired.filter(|(_, asked, _)| *asked == sequence)?;
        link.enquired = None;
        Some(start)
    }

    /// Something came.
    pub(super) fn heard(&self) {
        if let Some(link) = self.state().as_mut() {
            link.heard_at = link.tick;
        }
    }

    /// Puts a PDU of its own numbering into the buffer; the place in the stream where it ends.
    pub(super) fn put(&self, write: impl FnOnce(&mut BytesMut)) -> u64 {
        let mut state = self.state();
        let Some(link) = state.as_mut() else { return 0 };
        link.put(write);
        let end = link.queued;
        drop(state);
        self.unwritten.notify_one();
        end
    }

    /// Puts a request of ours without body into the buffer.
    pub(super) fn request(&self, command: u32) {
        if let Some(link) = self.state().as_mut() {
            link.request(command);
        }
        self.unwritten.notify_one();
    }

    /// The bind shall be slower.
    pub(super) fn rest(&self, ticks: u64) {
        if let Some(link) = self.state().as_mut() {
            link.rests_until = link.tick + ticks;
        }
    }

    /// One tick of the session's time.
    pub(super) fn tick(&self, times: Times) -> Ticked {
        let mut state = self.state();
        let mut ticked = Ticked {
            expired: 0,
            is_dead: false,
        };
        let Some(link) = state.as_mut() else { return ticked };
        link.tick += 1;
        let now = link.tick;
        for (_, pending) in link
            .window
            .extract_if(|_, pending| now.saturating_sub(pending.tick) > times.response)
        {
            ticked.expired += 1;
            pending.answer.send(Answer::Unknown).unwrap_or_default();
        }
        let silence = now.saturating_sub(link.heard_at);
        match link.enquired {
            // Whatever else comes, it is there; it owes the answer all the same, but not its life.
            Some((asked, _, _)) => {
                ticked.is_dead = now - asked > times.response.min(times.enquire) && link.heard_at <= asked
            }
            None if silence >= times.enquire => {
                let start = link.queued;
                let sequence = link.request(pdu::command::ENQUIRE_LINK);
                link.enquired = Some((now, sequence, start));
                self.unwritten.notify_one();
            }
            None => {}
        }
        // Asked again later, when the answer never came but other things did.
        if link
            .enquired
            .is_some_and(|(asked, _, _)| link.heard_at > asked && silence >= times.enquire)
        {
            link.enquired = None;
        }
        if ticked.expired > 0 {
            self.changed.notify_waiters();
        }
        ticked
    }

    /// What is to be written; waits until there is something. Counts as handed over.
    pub(super) async fn next_write(&self) -> BytesMut {
        loop {
            let unwritten = self.unwritten.notified();
            if let Some(link) = self.state().as_mut()
                && !link.out.is_empty()
            {
                link.handed = link.queued;
                return link.out.split();
            }
            unwritten.await;
        }
    }

    /// What was handed over last is written.
    pub(super) fn wrote(&self) {
        if let Some(link) = self.state().as_mut() {
            link.written = link.handed;
        }
        self.changed.notify_waiters();
    }

    /// Waits until everything is written.
    pub(super) async fn flushed(&self) {
        self.until(|link| link.written == link.queued).await;
    }

    /// Waits until there is room for what has to be answered.
    pub(super) async fn has_room(&self) {
        self.until(|link| link.queued - link.written < MAX_UNWRITTEN as u64)
            .await;
    }

    /// Waits until no submit is unanswered.
    pub(super) async fn answered(&self) {
        self.until(|link| link.window.is_empty()).await;
    }

    async fn until(&self, holds: impl Fn(&Link) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.state().as_ref().is_none_or(&holds) {
                return;
            }
            changed.await;
        }
    }
}

impl Link {
    fn put(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.out.len();
        write(&mut self.out);
        self.queued += (self.out.len() - before) as u64;
    }

    fn request(&mut self, command: u32) -> u32 {
        let sequence = self.next_sequence();
        self.put(|out| pdu::alone(out, command, 0, sequence));
        sequence
    }

    /// The next number that no submit waits under. A number comes again after two billion others, so a late answer meets
    /// nobody.
    fn next_sequence(&mut self) -> u32 {
        loop {
            self.sequence = if self.sequence >= MAX_SEQUENCE {
                1
            } else {
                self.sequence + 1
            };
            if !self.window.contains_key(&self.sequence) {
                return self.sequence;
            }
        }
    }
}

#[cfg(test)]
mod tests;
