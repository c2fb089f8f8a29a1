//! Faults on demand.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What happens to a call in place of the usual answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// Too many requests, as the provider says it; not processed.
    TooManyRequests,
    /// 500; not processed.
    InternalError,
    /// 502 as HTML, from a front server; not processed.
    BadGateway,
    /// Any error in the provider's own envelope; not processed.
    Refused {
        /// The provider's code.
        code: String,
        /// Its words.
        #[serde(default)]
        text: String,
    },
    /// No answer ever comes; not processed.
    SilenceBefore,
    /// No answer ever comes, though the call **was** processed: what a gateway calls UNKNOWN.
    SilenceAfter,
    /// The connection is reset; not processed.
    ResetBefore,
    /// The connection is reset in place of the answer, though the call **was** processed.
    ResetAfter,
    /// Half a JSON document with a success; the call **was** processed.
    Garbled,
}

impl Fault {
    /// Whether the call takes effect.
    #[must_use]
    pub fn is_processed(&self) -> bool {
        matches!(self, Self::SilenceAfter | Self::ResetAfter | Self::Garbled)
    }
}

/// The next `times` calls that send meet `fault`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// What happens.
    pub fault: Fault,
    /// To how many calls.
    #[serde(default = "once")]
    pub times: u32,
    /// How many calls pass before.
    #[serde(default)]
    pub after: u32,
}

fn once() -> u32 {
    1
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

    /// What a call meets. Every rule counts the call as passed until one strikes.
    pub(super) fn strike(&mut self) -> Option<Fault> {
        let mut struck = None;
        for rule in &mut self.0 {
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
