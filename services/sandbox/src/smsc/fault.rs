//! Faults on demand.

use super::status;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What a fault rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Any of the three binds.
    Bind,
    /// `submit_sm` and `data_sm`.
    Submit,
    /// `enquire_link`.
    EnquireLink,
    /// `unbind`.
    Unbind,
}

/// What happens to a request in place of, or beside, the usual answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// Refused with this `command_status`.
    Status {
        /// Such as 0x14, queue full, or 0x58, throttled.
        status: u32,
        /// Whether the response has a body all the same; as the account's options say when absent.
        #[serde(default)]
        body: Option<bool>,
    },
    /// Refused by a `generic_nack` in place of the response.
    Nack {
        /// Such as 0x03.
        status: u32,
    },
    /// No answer ever comes; no effect.
    SilenceBefore,
    /// No answer ever comes, though the request **took** effect: what the gateway calls UNKNOWN.
    SilenceAfter,
    /// The connection is reset; no effect.
    CutBefore,
    /// The connection is reset in place of the answer, though the request **took** effect.
    CutAfter,
    /// The answer comes so much later; other answers overtake it.
    Late {
        /// Milliseconds, divided by the sandbox's speed.
        ms: u64,
    },
    /// The answer comes twice.
    Twice,
    /// The answer has no `message_id`, not even an empty one.
    NoBody,
    /// The `message_id` of the answer has no NUL.
    Unterminated,
    /// The answer carries another sequence number, one that nobody waits for.
    Stray,
}

impl Fault {
    /// Whether the request takes effect.
    #[must_use]
    pub fn takes_effect(&self) -> bool {
        match self {
            Self::Status { .. } | Self::Nack { .. } | Self::SilenceBefore | Self::CutBefore => false,
            Self::SilenceAfter
            | Self::CutAfter
            | Self::Late { .. }
            | Self::Twice
            | Self::NoBody
            | Self::Unterminated
            | Self::Stray => true,
        }
    }

    /// Too much at once.
    #[must_use]
    pub fn throttled() -> Self {
        Self::refused(status::RTHROTTLED)
    }

    /// Refused with `status`.
    #[must_use]
    pub fn refused(status: u32) -> Self {
        Self::Status { status, body: None }
    }
}

/// Which requests meet a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// What they ask for.
    #[serde(default = "submit")]
    pub operation: Operation,
    /// Of this `system_id`; of every one when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// To destinations that begin so, without a `+`; only for submissions.
    #[serde(default)]
    pub destination: Option<String>,
    /// What happens.
    pub fault: Fault,
    /// To how many requests; as good as always at 4294967295.
    #[serde(default = "once")]
    pub times: u32,
    /// How many requests that fit pass before.
    #[serde(default)]
    pub after: u32,
    /// Of those that fit, every so-manieth; 0 and 1 are each.
    #[serde(default)]
    pub every: u32,
    /// Of those that fit, so many of a hundred, drawn at random.
    #[serde(default = "all")]
    pub percent: u8,
}

fn submit() -> Operation {
    Operation::Submit
}

fn once() -> u32 {
    1
}

fn all() -> u8 {
    100
}

impl FaultRule {
    /// The next request of `operation` meets `fault`.
    #[must_use]
    pub fn once(operation: Operation, fault: Fault) -> Self {
        Self {
            operation,
            account: None,
            destination: None,
            fault,
            times: 1,
            after: 0,
            every: 0,
            percent: 100,
        }
    }

    /// Every request of `operation` meets `fault` from now on.
    #[must_use]
    pub fn always(operation: Operation, fault: Fault) -> Self {
        Self {
            times: u32::MAX,
            ..Self::once(operation, fault)
        }
    }

    fn fits(&self, request: &Request<'_>) -> bool {
        let account = self.account.as_deref().is_none_or(|account| account == request.account);
        self.operation == request.operation && account && begins(self.destination.as_deref(), request.destination)
    }
}

/// Whether `destination` begins with `prefix`, `+` or not.
pub(super) fn begins(prefix: Option<&str>, destination: &str) -> bool {
    prefix.is_none_or(|prefix| {
        destination
            .trim_start_matches('+')
            .starts_with(prefix.trim_start_matches('+'))
    })
}

/// A request, as rules see it.
pub(super) struct Request<'a> {
    pub(super) operation: Operation,
    pub(super) account: &'a str,
    pub(super) destination: &'a str,
}

#[derive(Debug)]
struct InForce {
    rule: FaultRule,
    seen: u32,
}

/// The rules in force, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Faults {
    rules: VecDeque<InForce>,
    seed: u64,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rules: VecDeque::new(),
            seed,
        }
    }

    pub(super) fn add(&mut self, rule: FaultRule) {
        self.rules.push_back(InForce { rule, seen: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What `request` meets. Every rule that fits counts the request until one strikes.
    pub(super) fn strike(&mut self, request: &Request<'_>) -> Option<Fault> {
        let mut struck = None;
        for in_force in self.rules.iter_mut().filter(|one| one.rule.fits(request)) {
            let InForce { rule, seen } = in_force;
            *seen = seen.wrapping_add(1);
            if rule.after > 0 {
                rule.after -= 1;
                *seen = 0;
                continue;
            }
            let turn = rule.every < 2 || seen.is_multiple_of(rule.every);
            if turn && rule.times > 0 && (rule.percent >= 100 || draw(&mut self.seed) % 100 < u64::from(rule.percent)) {
                rule.times -= 1;
                struck = Some(rule.fault.clone());
                break;
            }
        }
        self.rules.retain(|one| one.rule.times > 0);
        struck
    }
}

/// The next number of a splitmix64 sequence.
pub(super) fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(faults: &mut Faults, destination: &str, count: usize) -> Vec<bool> {
        let request = Request {
            operation: Operation::Submit,
            account: "a",
            destination,
        };
        (0..count).map(|_| faults.strike(&request).is_some()).collect()
    }

    fn rule() -> FaultRule {
        FaultRule::once(Operation::Submit, Fault::throttled())
    }

    #[test]
    fn rules_strike_whom_they_name_and_no_longer() {
        let mut faults = Faults::new(1);
        faults.add(FaultRule {
            destination: Some("+8491".to_owned()),
            times: 2,
            after: 1,
            ..rule()
        });
        assert_eq!(struck(&mut faults, "84981", 2), [false, false]);
        assert_eq!(struck(&mut faults, "84911", 4), [false, true, true, false]);
        faults.add(FaultRule {
            account: Some("other".to_owned()),
            ..rule()
        });
        faults.add(FaultRule::once(Operation::Bind, Fault::throttled()));
        assert_eq!(struck(&mut faults, "84911", 1), [false]);
    }

    #[test]
    fn every_third_and_a_share() {
        let mut faults = Faults::new(1);
        faults.add(FaultRule {
            every: 3,
            times: u32::MAX,
            ..rule()
        });
        assert_eq!(struck(&mut faults, "1", 6), [false, false, true, false, false, true]);
        faults.clear();
        faults.add(FaultRule {
            percent: 25,
            times: u32::MAX,
            ..rule()
        });
        let share = struck(&mut faults, "1", 4000)
            .into_iter()
            .filter(|struck| *struck)
            .count();
        assert!((900..1100).contains(&share), "{share}");
    }
}
