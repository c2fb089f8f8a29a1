//! Faults on demand.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What happens to a call in place of the usual answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// 429 with this `retry_after`; not processed.
    TooManyRequests {
        /// Seconds.
        retry_after: u32,
    },
    /// 500 in the API's envelope; not processed.
    InternalError,
    /// 502 as HTML, from a front server; not processed.
    BadGateway,
    /// Any error in the API's envelope; not processed.
    Refused {
        /// HTTP status and `error_code`.
        code: u16,
        /// Whole, such as `Forbidden: user is deactivated`.
        description: String,
    },
    /// No answer ever comes; not processed.
    SilenceBefore,
    /// No answer ever comes, though the call **was** processed: what the gateway calls UNKNOWN.
    SilenceAfter,
    /// The connection is reset; not processed.
    ResetBefore,
    /// The connection is reset in place of the answer, though the call **was** processed.
    ResetAfter,
    /// 200 with half a JSON document; the call **was** processed.
    Garbled,
}

impl Fault {
    /// Whether the call takes effect.
    #[must_use]
    pub fn is_processed(&self) -> bool {
        matches!(self, Self::SilenceAfter | Self::ResetAfter | Self::Garbled)
    }
}

/// The next `times` calls of `method` meet `fault`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// Any case; every method but `getUpdates` when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// What happens.
    pub fault: Fault,
    /// To how many calls.
    #[serde(default = "once")]
    pub times: u32,
    /// How many calls of the method pass before.
    #[serde(default)]
    pub after: u32,
}

fn once() -> u32 {
    1
}

impl FaultRule {
    fn applies_to(&self, method: &str) -> bool {
        match &self.method {
            Some(named) => named.eq_ignore_ascii_case(method),
            None => method != "getupdates",
        }
    }
}

/// The rules in force, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<FaultRule>);

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.0.push_back(rule);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What the call of `method` (in lower case) meets. Every rule that applies counts the call as passed until one strikes.
    pub(super) fn strike(&mut self, method: &str) -> Option<Fault> {
        let mut struck = None;
        for rule in self.0.iter_mut().filter(|rule| rule.applies_to(method)) {
            if rule.after > 0 {
                rule.after -= 1;
            } else if rule.times > 0 {
                rule.times -= 1;
                struck = Some(rule.fault.clone());
                break;
            }
        }
        self.0.retain(|rule| rule.times > 0);
        struck
    }
}
