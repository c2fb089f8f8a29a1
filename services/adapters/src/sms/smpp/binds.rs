//! The binds of an account, and which of them takes a submit.

use super::line::{Answer, Claim, Line};
use super::settings::{BindMode, BindSettings};
use bytes::BytesMut;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

/// How long a tick is.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Submits that may wait for a place beyond those that have one, whatever the window.
const LEAST_WAITING: usize = 64;

/// All binds of one account.
#[derive(Debug)]
pub(super) struct Binds {
    /// Each of them.
    pub(super) lines: Vec<Line>,
    /// A place became free, or a bind came or went.
    room: Notify,
    waiting: AtomicUsize,
    most_waiting: usize,
    /// Which bind is asked first.
    turn: AtomicUsize,
    places: usize,
}

/// Why a submit found no place; nothing left us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoPlace {
    /// No bind is up that sends.
    Down,
    /// All that are up were told to be slower.
    Resting(Duration),
    /// No place became free in time.
    Full,
}

/// Where the answer to a submit comes, and which bind it went through.
type Claimed = (oneshot::Receiver<Answer>, usize);

/// A place among those who wait; given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Binds {
    /// The binds that settings ask for, none of them up.
    pub(super) fn new(settings: &BindSettings, window: usize) -> Self {
        let numbers = 1..=settings.binds;
        let lines = match settings.mode {
            BindMode::Transceiver => numbers
                .map(|number| Line::new(format!("bind-{number}"), true, true))
                .collect(),
            BindMode::TransmitterReceiver => numbers
                .flat_map(|number| {
                    [
                        Line::new(format!("tx-{number}"), true, false),
                        Line::new(format!("rx-{number}"), false, true),
                    ]
                })
                .collect(),
        };
        let places = window.saturating_mul(settings.binds);
        Self {
            lines,
            room: Notify::new(),
            waiting: AtomicUsize::new(0),
            most_waiting: places.max(LEAST_WAITING),
            turn: AtomicUsize::new(0),
            places,
        }
    }

    /// How many submits may be under way, waiting ones included.
    pub(super) fn at_once(&self) -> usize {
        self.places + self.most_waiting
    }

    /// Those that send.
    pub(super) fn transmitters(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.transmits)
    }

    /// One place became free.
    pub(super) fn freed(&self) {
        self.room.notify_one();
    }

    /// A bind came or went, or time passed: everybody looks again.
    pub(super) fn changed(&self) {
        self.room.notify_waiters();
    }

    /// Submits through whichever bind has a place, and which one that was; waits for a place until `is_late`, which is
    /// asked whenever something changes and at every second of a session.
    pub(super) async fn submit(&self, pdu: BytesMut, is_late: impl Fn() -> bool) -> Result<(Answer, usize), NoPlace> {
        let (answered, line) = self.place(pdu, is_late).await?;
        Ok((answered.await.unwrap_or(Answer::Unknown), line))
    }

    /// Apart from waiting for the answer, because who still listened for places then would take the news from others.
    async fn place(&self, mut pdu: BytesMut, is_late: impl Fn() -> bool) -> Result<Claimed, NoPlace> {
        let mut waiting = None;
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            match self.claim(&mut pdu) {
                Err(NoPlace::Full) if !is_late() => {}
                outcome => return outcome,
            }
            if waiting.is_none() {
                let before = self.waiting.fetch_add(1, Ordering::Relaxed);
                let place = Waiting(&self.waiting);
                if before >= self.most_waiting {
                    return Err(NoPlace::Full);
                }
                waiting = Some(place);
            }
            room.await;
        }
    }

    fn claim(&self, pdu: &mut BytesMut) -> Result<Claimed, NoPlace> {
        let count = self.lines.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut found = NoPlace::Down;
        for step in 0..count {
            let index = first.wrapping_add(step) % count;
            let Some(line) = self.lines.get(index).filter(|line| line.transmits) else {
                continue;
            };
            match (line.submit(pdu), found) {
                (Claim::Taken(answered), _) => return Ok((answered, index)),
                (Claim::Full, _) => found = NoPlace::Full,
                (Claim::Resting(ticks), NoPlace::Down) => found = NoPlace::Resting(ticks_to_time(ticks)),
                (Claim::Resting(ticks), NoPlace::Resting(least)) => {
                    found = NoPlace::Resting(least.min(ticks_to_time(ticks)));
                }
                (Claim::Resting(_) | Claim::Down, _) => {}
            }
        }
        Err(found)
    }
}

/// How many ticks a time has, at least one.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

fn ticks_to_time(ticks: u64) -> Duration {
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
