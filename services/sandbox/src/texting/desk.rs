//! State that all faces share.

use super::{
    Options,
    callback::{Callback, Waiting},
    fault::Faults,
    journal::{Journal, SentMessage},
    text::digits,
};
use crate::clock::Now;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// What becomes of messages to a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fate {
    /// They arrive.
    #[default]
    Delivered,
    /// They are accepted, and then fail with a code of the provider's.
    Failed {
        /// The code.
        code: String,
    },
    /// They are refused at once with a code of the provider's.
    Refused {
        /// The code.
        code: String,
    },
    /// They are accepted, and nothing is ever told.
    Silent,
}

/// A message that a person writes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Incoming {
    /// Who writes: a number in any form, a short code, a name.
    pub from: String,
    /// To which number or short code.
    pub to: String,
    /// What.
    pub text: String,
    /// Addresses and MIME types of media, where the provider carries them.
    pub media: Vec<(String, String)>,
}

/// State that all faces share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) options: Options,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
    pub(super) waiting: Waiting,
    pub(super) deliver_twice: bool,
    fates: HashMap<String, Fate>,
    window: VecDeque<Instant>,
    keys: HashSet<String>,
    order: VecDeque<String>,
    ids: u64,
}

impl Desk {
    pub(super) fn new(options: Options) -> Self {
        Self {
            journal: Journal::new(options.journal, options.contents),
            options,
            faults: Faults::default(),
            waiting: Waiting::default(),
            deliver_twice: false,
            fates: HashMap::new(),
            window: VecDeque::new(),
            keys: HashSet::new(),
            order: VecDeque::new(),
            ids: 0,
        }
    }

    /// The next id's number, from 1.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// What becomes of messages to a number.
    pub(crate) fn fate(&self, to: &str) -> Fate {
        self.fates.get(&number(to)).cloned().unwrap_or_default()
    }

    pub(super) fn set_fate(&mut self, to: &str, fate: Fate) {
        self.fates.insert(number(to), fate);
    }

    /// False when more than `limit` calls came within `span`.
    pub(crate) fn is_within_rate(&mut self, limit: usize, span: Duration, now: Now) -> bool {
        if !self.options.rate_limits {
            return true;
        }
        while self
            .window
            .front()
            .is_some_and(|at| now.at.saturating_duration_since(*at) >= span)
        {
            self.window.pop_front();
        }
        let is_within = self.window.len() < limit;
        if is_within {
            self.window.push_back(now.at);
        } else {
            self.journal.counters.throttled += 1;
        }
        is_within
    }

    /// How long until the oldest call leaves the window.
    pub(crate) fn window_ends_in(&self, span: Duration, now: Now) -> Duration {
        let first = self.window.front().map(|at| now.at.saturating_duration_since(*at));
        first.map_or(Duration::ZERO, |age| span.saturating_sub(age))
    }

    /// False when a key was used before.
    pub(crate) fn is_new(&mut self, key: &str) -> bool {
        if key.is_empty() {
            return true;
        }
        if !self.keys.insert(key.to_owned()) {
            self.journal.counters.deduplicated += 1;
            return false;
        }
        self.order.push_back(key.to_owned());
        if self.order.len() > self.options.contents
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }

    /// Records a message that was accepted.
    pub(crate) fn sent(&mut self, message: SentMessage) {
        self.journal.message(message);
    }

    /// A callback after a delay, which is divided by the speed.
    pub(crate) fn call_back(&mut self, after: Duration, callback: Callback, now: Now) {
        let at = now.at + after / self.options.speed.max(1);
        if self.waiting.len() >= self.options.pending_callbacks && self.waiting.drop_first() {
            self.journal.counters.dropped += 1;
        }
        if self.deliver_twice {
            self.waiting.add(at, callback.clone());
        }
        self.waiting.add(at, callback);
    }
}

/// A number in its one form; what is none as it stands.
fn number(written: &str) -> String {
    digits(written).unwrap_or_else(|| written.to_owned())
}
