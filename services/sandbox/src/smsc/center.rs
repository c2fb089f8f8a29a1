//! The state of the SMSC: accounts, sessions and what is remembered, under one lock and free of I/O.

use super::{
    deliveries::Queue,
    fault::Faults,
    flood::Flowing,
    journal::Journal,
    options::{AccountOptions, Options},
    pdu::Frame,
    receipt::ReceiptRule,
    session::{Ending, Mode, Session, Timers},
};
use crate::telegram::Now;
use bytes::BytesMut;
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
};
use tokio::{sync::Notify, time::Instant};

/// An ESME and what waits for it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) options: AccountOptions,
    pub(super) queue: Queue,
    pub(super) flowing: Option<Flowing>,
    bucket: Bucket,
}

/// Submissions a second.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(throughput: u32, at: Instant) -> Self {
        let tokens = throughput.into();
        Self { tokens, at }
    }
}

impl Account {
    /// Sets the limits from now on.
    pub(super) fn limit(&mut self, window: usize, throughput: u32, now: Instant) {
        self.options.window = window;
        self.options.throughput = throughput;
        self.bucket = Bucket::full(throughput, now);
    }

    /// Takes one of the submissions that this second allows.
    pub(super) fn within_throughput(&mut self, now: Instant) -> bool {
        let rate = f64::from(self.options.throughput);
        if rate == 0.0 {
            return true;
        }
        let since = now.saturating_duration_since(self.bucket.at).as_secs_f64();
        self.bucket = Bucket {
            tokens: (self.bucket.tokens + since * rate).min(rate),
            at: now,
        };
        let allowed = self.bucket.tokens >= 1.0;
        if allowed {
            self.bucket.tokens -= 1.0;
        }
        allowed
    }
}

/// What a connection is to do next.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) out: BytesMut,
    pub(super) wakes_at: Option<Instant>,
    pub(super) ending: Option<Ending>,
    pub(super) mode: Mode,
}

#[derive(Debug)]
pub(super) struct Center {
    pub(super) options: Arc<Options>,
    pub(super) accounts: Vec<Account>,
    pub(super) sessions: BTreeMap<u64, Session>,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
    pub(super) receipt_rules: VecDeque<ReceiptRule>,
    pub(super) next_message_id: u64,
    pub(super) next_delivery: u64,
    pub(super) next_reference: u16,
    pub(super) seed: u64,
    /// Whether new connections are reset at once.
    pub(super) away: bool,
    sessions_seen: u64,
    timers: Timers,
}

impl Center {
    pub(super) fn new(options: Arc<Options>, now: Instant) -> Self {
        let accounts = options.accounts.iter().map(|account| Account {
            options: account.clone(),
            queue: Queue::default(),
            flowing: None,
            bucket: Bucket::full(account.throughput, now),
        });
        Self {
            accounts: accounts.collect(),
            sessions: BTreeMap::new(),
            journal: Journal::new(options.journal, options.incomplete, options.contents),
            faults: Faults::new(options.seed),
            receipt_rules: VecDeque::new(),
            next_message_id: options.first_message_id,
            next_delivery: 0,
            next_reference: 0,
            seed: options.seed,
            away: false,
            sessions_seen: 0,
            timers: Timers {
                session_init: options.session_init,
                enquire_link: options.enquire_link,
                response: options.response_timeout,
                inactivity: options.inactivity,
            },
            options,
        }
    }

    /// A connection came; None where it is to be reset.
    pub(super) fn connected(&mut self, now: Now) -> Option<(u64, Arc<Notify>)> {
        if self.away {
            return None;
        }
        self.sessions_seen += 1;
        self.journal.counters.connections += 1;
        let session = Session::new(now.at);
        let wake = Arc::clone(&session.wake);
        self.sessions.insert(self.sessions_seen, session);
        Some((self.sessions_seen, wake))
    }

    /// A connection went: what its ESME did not acknowledge waits for the next bind.
    pub(super) fn disconnected(&mut self, id: u64, now: Now) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.journal.counters.disconnections += 1;
        let Some(index) = session.account else { return };
        for (_, one) in session.unanswered {
            self.send_again(index, one.delivery, now.at, None);
        }
        if let Some(account) = self.accounts.get_mut(index) {
            account.flow_again(session.flooding.into_values());
        }
        self.wake_receivers(index);
    }

    /// Takes in what the session's ESME sent.
    pub(super) fn heard(&mut self, id: u64, frames: impl IntoIterator<Item = Frame>, now: Now) {
        for frame in frames {
            if let Some(session) = self.sessions.get_mut(&id) {
                // What comes after the end is nobody's.
                if session.ending.is_some() {
                    return;
                }
                session.heard_at = now.at;
            }
            self.receive(id, &frame, now);
        }
    }

    /// Does what is due for the session.
    pub(super) fn turn(&mut self, id: u64, now: Now) -> Turn {
        self.take_back_overdue(id, now);
        let timers = self.timers;
        if let Some(session) = self.sessions.get_mut(&id) {
            let enquired = session.keep_time(&timers, now.at);
            self.journal.counters.enquiries_sent += u64::from(enquired);
            // A receipt that is due with its answer comes after it.
            session.write_due(now.at);
        }
        self.send_deliveries(id, now);
        let Some(session) = self.sessions.get_mut(&id) else {
            return Turn {
                out: BytesMut::new(),
                wakes_at: None,
                ending: Some(Ending::Reset),
                mode: Mode::Open,
            };
        };
        // And this is for the answers that waited for a receipt.
        session.write_due(now.at);
        let mut wakes_at = session.wakes_at(&timers);
        if let Some(account) = session.account.and_then(|index| self.accounts.get_mut(index)) {
            if account.flow(session, &mut self.journal.counters) {
                wakes_at = Some(now.at);
            }
            let room = session.unanswered.len() < account.options.deliver_window;
            if session.takes_deliveries() && room {
                wakes_at = wakes_at.into_iter().chain(account.queue.next_due()).min();
            }
        }
        Turn {
            out: mem::take(&mut session.out),
            wakes_at,
            ending: session.ending,
            mode: session.mode,
        }
    }

    /// Index of the account with this `system_id`; of the first one where none is named.
    pub(super) fn account(&self, system_id: Option<&str>) -> Option<usize> {
        match system_id {
            Some(system_id) => self.accounts.iter().position(|one| one.options.system_id == system_id),
            None => (!self.accounts.is_empty()).then_some(0),
        }
    }

    /// The sessions bound to `account`.
    pub(super) fn bound(&mut self, account: usize) -> impl Iterator<Item = &mut Session> {
        self.sessions
            .values_mut()
            .filter(move |session| session.account == Some(account) && session.mode != Mode::Open)
    }

    pub(super) fn wake_receivers(&mut self, account: usize) {
        for session in self.bound(account).filter(|session| session.mode.receives()) {
            session.wake.notify_one();
        }
    }

    /// What waits for `account` or was sent and not acknowledged.
    pub(super) fn pending(&self, account: usize) -> usize {
        let waiting = self.accounts.get(account).map_or(0, |account| account.queue.len());
        let sessions = self
            .sessions
            .values()
            .filter(|session| session.account == Some(account));
        waiting
            + sessions
                .map(|session| session.unanswered.len() + session.flooding.len())
                .sum::<usize>()
    }
}
