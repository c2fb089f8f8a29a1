//! A queue in memory: who gets what next, what is out, what comes back when.
//!
//! Memory holds what is out, what came back and a window of what waits; the rest is on disk and read when it is its turn.
//! Only the writer makes messages appear and disappear, after it committed that.

use super::tables::{Marks, Message, Wanted};
use omnigate_core::{port::broker::QueueName, time::Moment};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Waiting messages held in memory at most, beside those that came back.
const WINDOW_COUNT: usize = 256;
/// Bytes of waiting messages beyond which new ones stay on disk.
const WINDOW_BYTES: usize = 1 << 20;

/// One subscription, while it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Subscriber(u64);

/// One hand-out of a message. A later hand-out of the same message has another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket {
    pub(super) sequence: u64,
    number: u64,
}

/// A message handed out.
pub(super) struct Taken {
    pub(super) ticket: Ticket,
    pub(super) attempt: u32,
    pub(super) message: Message,
}

/// What a subscription does next.
pub(super) enum Take {
    /// Deliver this.
    This(Box<Taken>),
    /// Read this from disk, tell the queue, ask again.
    Read(Wanted),
    /// Ask again when woken, or at this moment.
    Wait(Option<Moment>),
    /// The broker was closed.
    Closed,
}

/// Deliveries that disk does not know yet.
#[derive(Default)]
pub(super) struct Notes {
    /// Messages below this have been delivered.
    pub(super) delivered: u64,
    /// Sequence numbers and how often they have been delivered, where more than once.
    pub(super) again: Vec<(u64, u32)>,
}

struct Waiting {
    deliveries: u32,
    /// `None` while it is only on disk.
    message: Option<Message>,
}

struct Out {
    ticket: u64,
    holder: Subscriber,
    attempt: u32,
    message: Message,
    /// True while the writer is settling it.
    settling: bool,
}

#[derive(Default)]
struct State {
    ready: BTreeMap<u64, Waiting>,
    ready_bytes: usize,
    delayed: BTreeMap<(Moment, u64), u32>,
    out: HashMap<u64, Out>,
    /// Everything below is in memory or gone.
    loaded: u64,
    /// Everything below is durable.
    stored: u64,
    reading: bool,
    /// From before the last start, not loaded yet: deliveries and due time.
    returns: BTreeMap<u64, (u32, Moment)>,
    /// Subscriptions in order of arrival with what they hold and may hold.
    subscribers: VecDeque<(Subscriber, usize, usize)>,
    last_subscriber: u64,
    last_ticket: u64,
    delivered: u64,
    again: Vec<(u64, u32)>,
    noted: bool,
    closed: bool,
}

/// A declared queue.
pub(super) struct Queue {
    pub(super) name: QueueName,
    pub(super) number: u32,
    pub(super) ordered: bool,
    state: Mutex<State>,
    pub(super) wake: Notify,
}

impl Queue {
    /// A queue as disk knows it.
    pub(super) fn new(
        name: QueueName,
        number: u32,
        ordered: bool,
        marks: Marks,
        returns: Vec<(u64, u32, Moment)>,
    ) -> Self {
        let state = State {
            stored: marks.next,
            delivered: marks.delivered,
            returns: returns
                .into_iter()
                .map(|(sequence, deliveries, due)| (sequence, (deliveries, due)))
                .collect(),
            ..State::default()
        };
        Self {
            name,
            number,
            ordered,
            state: Mutex::new(state),
            wake: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new subscription, behind those there are.
    pub(super) fn join(&self, prefetch: u16) -> Subscriber {
        let mut state = self.state();
        state.last_subscriber += 1;
        let subscriber = Subscriber(state.last_subscriber);
        state
            .subscribers
            .push_back((subscriber, 0, usize::from(prefetch.max(1))));
        subscriber
    }

    /// Ends a subscription; what it holds comes again.
    pub(super) fn leave(&self, subscriber: Subscriber) {
        let mut state = self.state();
        state.subscribers.retain(|(other, _, _)| *other != subscriber);
        let held: Vec<u64> = state
            .out
            .iter()
            .filter(|(_, out)| out.holder == subscriber && !out.settling)
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in held {
            state.put_back(sequence);
        }
        drop(state);
        self.wake.notify_waiters();
    }

    /// What a subscription does next.
    pub(super) fn take(&self, subscriber: Subscriber, now: Moment) -> Take {
        let mut state = self.state();
        if state.closed {
            return Take::Closed;
        }
        let Some(place) = state.subscribers.iter().position(|(other, _, _)| *other == subscriber) else {
            return Take::Closed;
        };
        let (_, held, limit) = state.subscribers[place];
        if held >= limit || (self.ordered && place > 0) {
            return Take::Wait(None);
        }
        state.wake_due(now);
        match state.ready.first_key_value() {
            Some((_, Waiting { message: Some(_), .. })) => state.hand_out(place).map_or(Take::Wait(None), Take::This),
            Some(_) => state.read_bodies(),
            None => state.read_on(),
        }
    }

    /// Takes in what was read from disk; an empty answer to a range means that there is nothing in it.
    pub(super) fn fill(&self, wanted: &Wanted, rows: Vec<(u64, Message)>, now: Moment) {
        let mut state = self.state();
        match wanted {
            Wanted::Range(_, to) => {
                state.loaded = rows.last().map_or(*to, |(sequence, _)| sequence + 1);
                for (sequence, message) in rows {
                    state.load(sequence, message, now);
                }
            }
            Wanted::These(_) => {
                for (sequence, message) in rows {
                    let bytes = message.body.len();
                    if let Some(waiting @ Waiting { message: None, .. }) = state.ready.get_mut(&sequence) {
                        waiting.message = Some(message);
                        state.ready_bytes += bytes;
                    }
                }
            }
        }
    }

    /// Ends a read, whether or not it brought anything.
    pub(super) fn read_ended(&self) {
        self.state().reading = false;
        self.wake.notify_waiters();
    }

    /// Gives a hand-out back.
    pub(super) fn give_back(&self, ticket: Ticket) {
        let mut state = self.state();
        if state.is_out(ticket) {
            state.put_back(ticket.sequence);
            drop(state);
            self.wake.notify_waiters();
        }
    }

    /// Marks a hand-out as being settled; `None` when it was given back before, else its attempt.
    pub(super) fn settle(&self, ticket: Ticket) -> Option<u32> {
        let mut state = self.state();
        if !state.is_out(ticket) {
            return None;
        }
        let out = state.out.get_mut(&ticket.sequence)?;
        out.settling = true;
        Some(out.attempt)
    }

    /// A settlement was committed: it is gone, or comes again at this moment.
    pub(super) fn settled(&self, sequence: u64, due: Option<Moment>) {
        let mut state = self.state();
        if let Some(out) = state.out.remove(&sequence) {
            state.release(out.holder);
            if let Some(due) = due {
                state.delayed.insert((due, sequence), out.attempt);
            }
        }
        drop(state);
        self.wake.notify_waiters();
    }

    /// A settlement failed: the message comes again.
    pub(super) fn unsettled(&self, sequence: u64) {
        self.state().put_back(sequence);
        self.wake.notify_waiters();
    }

    /// These messages, with consecutive sequence numbers from `first`, are durable now.
    pub(super) fn stored(&self, first: u64, messages: Vec<Message>) {
        let mut state = self.state();
        for (sequence, message) in (first..).zip(messages) {
            state.stored = sequence + 1;
            let room = state.ready.len() < WINDOW_COUNT && state.ready_bytes < WINDOW_BYTES;
            if state.loaded == sequence && room && !state.reading {
                state.loaded = sequence + 1;
                state.wait(sequence, 0, message);
            }
        }
        drop(state);
        self.wake.notify_waiters();
    }

    /// What disk does not know yet about deliveries; `None` when it knows all.
    pub(super) fn notes(&self) -> Option<Notes> {
        let mut state = self.state();
        std::mem::take(&mut state.noted).then(|| Notes {
            delivered: state.delivered,
            again: std::mem::take(&mut state.again),
        })
    }

    /// Ends every subscription.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_waiters();
    }
}

impl State {
    fn is_out(&self, ticket: Ticket) -> bool {
        self.out
            .get(&ticket.sequence)
            .is_some_and(|out| out.ticket == ticket.number && !out.settling)
    }

    fn wait(&mut self, sequence: u64, deliveries: u32, message: Message) {
        self.ready_bytes += message.body.len();
        self.ready.insert(
            sequence,
            Waiting {
                deliveries,
                message: Some(message),
            },
        );
    }

    fn put_back(&mut self, sequence: u64) {
        if let Some(out) = self.out.remove(&sequence) {
            self.release(out.holder);
            self.wait(sequence, out.attempt, out.message);
        }
    }

    fn release(&mut self, holder: Subscriber) {
        if let Some((_, held, _)) = self.subscribers.iter_mut().find(|(other, _, _)| *other == holder) {
            *held = held.saturating_sub(1);
        }
    }

    fn load(&mut self, sequence: u64, message: Message, now: Moment) {
        match self.returns.remove(&sequence) {
            Some((deliveries, due)) if due > now => {
                self.delayed.insert((due, sequence), deliveries);
            }
            Some((deliveries, _)) => self.wait(sequence, deliveries, message),
            None => self.wait(sequence, u32::from(sequence < self.delivered), message),
        }
    }

    fn wake_due(&mut self, now: Moment) {
        while let Some(((due, sequence), deliveries)) = self.delayed.pop_first() {
            if due > now {
                self.delayed.insert((due, sequence), deliveries);
                break;
            }
            self.ready.insert(
                sequence,
                Waiting {
                    deliveries,
                    message: None,
                },
            );
        }
    }

    fn hand_out(&mut self, place: usize) -> Option<Box<Taken>> {
        let (sequence, waiting) = self.ready.pop_first()?;
        let message = waiting.message?;
        self.ready_bytes = self.ready_bytes.saturating_sub(message.body.len());
        self.last_ticket += 1;
        let attempt = waiting.deliveries.saturating_add(1);
        let (holder, held, _) = &mut self.subscribers[place];
        *held += 1;
        let out = Out {
            ticket: self.last_ticket,
            holder: *holder,
            attempt,
            message: message.clone(),
            settling: false,
        };
        self.out.insert(sequence, out);
        if attempt > 1 {
            self.again.push((sequence, attempt));
        }
        self.delivered = self.delivered.max(sequence + 1);
        self.noted = true;
        let ticket = Ticket {
            sequence,
            number: self.last_ticket,
        };
        Some(Box::new(Taken {
            ticket,
            attempt,
            message,
        }))
    }

    fn read_bodies(&mut self) -> Take {
        if std::mem::replace(&mut self.reading, true) {
            return Take::Wait(None);
        }
        let missing = self.ready.iter().filter(|(_, waiting)| waiting.message.is_none());
        Take::Read(Wanted::These(
            missing.map(|(sequence, _)| *sequence).take(WINDOW_COUNT).collect(),
        ))
    }

    fn read_on(&mut self) -> Take {
        if self.loaded < self.stored {
            if std::mem::replace(&mut self.reading, true) {
                return Take::Wait(None);
            }
            return Take::Read(Wanted::Range(self.loaded, self.stored));
        }
        Take::Wait(self.delayed.first_key_value().map(|((due, _), _)| *due))
    }
}
