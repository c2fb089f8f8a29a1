//! What the fakes of SMS providers over HTTP share: calls, callbacks, faults, a record, and the side of whoever runs them.
//!
//! Each provider is a *face*: it answers calls and writes callbacks as the provider does. Everything else is here: a
//! call meets a fault, is answered and journalled; callbacks wait for their time, go out, and are tried again as the
//! provider tries; whoever runs the fake writes as a person does, decides what becomes of a number's messages, and sees
//! what was sent twice. That side is [`SmsHandle`], and the same over HTTP under `/control`.

mod callback;
mod control;
mod desk;
mod face;
mod fault;
mod handle;
mod journal;
mod server;
#[cfg(test)]
pub(crate) mod testing;
mod text;

pub use callback::{Forgery, SentCallback};
pub use desk::{Fate, Incoming};
pub use fault::{Fault, FaultRule};
pub use handle::{ControlError, DeadlinePassed, SmsHandle};
pub use journal::{Counters, JournalEntry, SentMessage};

pub(crate) use callback::{Callback, Retry};
pub(crate) use desk::Desk;
pub(crate) use face::{Call, Face, Reply, basic, is_address};
pub(crate) use server::start;
pub(crate) use text::{digits, percent, query, segments};

use crate::telegram::Clock;
use std::time::Duration;

/// How a fake behaves and how much it remembers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Divides every delay of a callback and of its repetition. Rates are not touched, since the client waits in its own
    /// time.
    pub speed: u32,
    /// Where dates come from.
    pub clock: Clock,
    /// Whether to refuse what is above the provider's rate.
    pub rate_limits: bool,
    /// Where messages from people are told to; for SpeedSMS reports too. Plain HTTP only.
    pub webhook: Option<String>,
    /// How long a callback may take to be answered. Not divided by `speed`.
    pub callback_timeout: Duration,
    /// How long a call that is to meet silence is held before its connection is closed.
    pub silence: Duration,
    /// Calls, sent messages and callbacks that are remembered, each in a ring of this size; 0 remembers none.
    pub journal: usize,
    /// Distinct contents, ids and request keys remembered, to show what was sent twice and to refuse repeated keys.
    pub contents: usize,
    /// Callbacks that wait; the oldest is dropped above it.
    pub pending_callbacks: usize,
    /// Whether `/control` is served.
    pub control: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: 1,
            clock: Clock::system(),
            rate_limits: true,
            webhook: None,
            callback_timeout: Duration::from_secs(15),
            silence: Duration::from_secs(600),
            journal: 10_000,
            contents: 100_000,
            pending_callbacks: 200_000,
            control: true,
        }
    }
}
