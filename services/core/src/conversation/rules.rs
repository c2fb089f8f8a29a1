//! What happens to conversations by themselves, as accounts say.

use crate::time::Moment;
use omnigate_proto::state::v1::ConversationRecord;
use omnigate_proto::v1::ConversationStatus;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the customer's next message does to a conversation that is resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reopen {
    /// It opens another one.
    Never,
    /// It reopens it within this time; afterwards it opens another one.
    Within(Duration),
    /// It reopens it, however much later: one conversation for the whole life of a thread.
    Always,
}

/// Rules of one account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// What a message does to a resolved one.
    pub reopen: Reopen,
    /// After so much silence an open one in which nobody waits for us is resolved; `None` for never.
    pub resolve_after: Option<Duration>,
}

impl Rules {
    /// Those of accounts that say nothing.
    pub const DEFAULT: Self = Self {
        reopen: Reopen::Within(Duration::from_secs(72 * 3600)),
        resolve_after: None,
    };
}

/// Rules by account; the others have [`Rules::DEFAULT`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountRules(pub BTreeMap<String, Rules>);

/// No account says anything.
pub static DEFAULT_RULES: AccountRules = AccountRules(BTreeMap::new());

impl AccountRules {
    /// The rules of an account.
    #[must_use]
    pub fn of(&self, account_id: &str) -> Rules {
        self.0.get(account_id).copied().unwrap_or(Rules::DEFAULT)
    }
}

impl Rules {
    /// True when a word of the customer reopens what was resolved then.
    pub(super) fn reopens(self, resolved: Moment, word: Moment) -> bool {
        match self.reopen {
            Reopen::Never => false,
            Reopen::Within(time) => word <= resolved + time,
            Reopen::Always => true,
        }
    }

    /// When something happens to a conversation by itself; `None` for never.
    pub(super) fn due(self, record: &ConversationRecord) -> Option<Moment> {
        let cycle = record.cycle.unwrap_or_default();
        match record.status() {
            ConversationStatus::Snoozed => Some(Moment(record.snoozed_until_ms)),
            ConversationStatus::Resolved => match self.reopen {
                Reopen::Never => Some(Moment(cycle.resolved_ms)),
                // What is received within the window may still be on its way to us when it ends.
                Reopen::Within(time) => Some(Moment(cycle.resolved_ms) + time + LATE),
                Reopen::Always => None,
            },
            ConversationStatus::Open if cycle.waiting_since_ms == 0 => {
                Some(Moment(record.active_ms) + self.resolve_after?)
            }
            _ => None,
        }
    }
}

/// How much longer than the reopen window a resolved conversation is kept for words that waited in a queue.
const LATE: Duration = Duration::from_secs(60);
