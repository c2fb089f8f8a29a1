//! Faults on demand.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What happens to a call in place of the usual answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// 200 with an error body; not processed.
    Refused {
        /// `error`.
        code: i32,
        /// `message`; Zalo's own words for the code when absent.
        #[serde(default)]
        message: Option<String>,
    },
    /// Any HTTP status and body; not processed.
    Status {
        /// HTTP status.
        code: u16,
        /// The body, sent as `text/html`.
        #[serde(default)]
        body: String,
    },
    /// 502 as HTML, from a front server; not processed.
    BadGateway,
    /// The usual answer, later.
    Slow {
        /// Not divided by `speed`.
        milliseconds: u64,
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
        matches!(
            self,
            Self::SilenceAfter | Self::ResetAfter | Self::Garbled | Self::Slow { .. }
        )
    }
}

/// The next `times` calls of `endpoint` meet `fault`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// A path such as `/v3.0/oa/message/cs`; every one when absent.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Calls with this OA's token; of every OA when absent.
    #[serde(default)]
    pub oa: Option<String>,
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

impl FaultRule {
    /// `fault` for the next call of `endpoint`.
    #[must_use]
    pub fn once(endpoint: &str, fault: Fault) -> Self {
        Self {
            endpoint: Some(endpoint.to_owned()),
            oa: None,
            fault,
            times: 1,
            after: 0,
        }
    }

    fn applies_to(&self, endpoint: &str, oa: Option<&str>) -> bool {
        self.endpoint.as_deref().is_none_or(|named| named == endpoint)
            && self.oa.as_deref().is_none_or(|named| oa == Some(named))
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

    /// What a call meets. Every rule that applies counts the call as passed until one strikes.
    pub(super) fn strike(&mut self, endpoint: &str, oa: Option<&str>) -> Option<Fault> {
        let mut struck = None;
        for rule in self.0.iter_mut().filter(|rule| rule.applies_to(endpoint, oa)) {
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
