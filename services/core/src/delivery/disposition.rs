//! What happens after a failed attempt: the one place that decides it. Adapters only classify.

use omnigate_proto::v1::{DeliveryState, ErrorClass, SendError, WaitReason};
use std::time::Duration;

/// Most failures of one piece at its recipient; waits grow no more after so many of any kind.
const MAX_FAILURES: u32 = 5;
/// First wait after a failure; each further one is three times as long, up to almost seven minutes.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Least wait when throttled without being told how long.
const THROTTLED_WAIT: Duration = Duration::from_secs(1);
/// Wait while the account itself cannot send.
const ACCOUNT_WAIT: Duration = Duration::from_secs(60);
/// Least wait for an hour or a quota, which no provider grants sooner.
const RULE_WAIT: Duration = Duration::from_secs(60);
/// Least rest of an account whose provider throttles without saying for how long.
const THROTTLED_REST: Duration = Duration::from_secs(1);
/// Least rest of an account that cannot send at all.
const ACCOUNT_REST: Duration = Duration::from_secs(15);
/// Longest wait a provider may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Failed attempts in a row at the present piece.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Failures {
    /// That failed at their recipient: so many of them end the message.
    pub at_recipient: u32,
    /// That provably did not leave since the last one that did: they only make the waits longer.
    pub unsent: u32,
}

impl Failures {
    /// One more of those that end the message.
    #[must_use]
    fn one_more(self) -> Self {
        Self {
            at_recipient: self.at_recipient.saturating_add(1),
            unsent: 0,
        }
    }

    /// One more that did not leave.
    #[must_use]
    fn one_more_unsent(self) -> Self {
        Self {
            unsent: self.unsent.saturating_add(1),
            ..self
        }
    }
}

/// What happens next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Try again.
    Again {
        /// After this long.
        after: Duration,
        /// Failures from now on.
        failures: Failures,
        /// True when the first attempt may have arrived.
        possible_duplicate: bool,
    },
    /// It ends in this state.
    End(DeliveryState),
}

/// Decides what follows from an error after these failures. `may_repeat` allows one duplicate; `random` spreads the waits.
#[must_use]
pub fn disposition(error: &SendError, failures: Failures, may_repeat: bool, random: u8) -> Disposition {
    let asked = Duration::from_millis(error.retry_after_ms).min(LONGEST_WAIT);
    let again = |after: Duration, failures| Disposition::Again {
        after: spread(after, random).max(asked),
        failures,
        possible_duplicate: false,
    };
    // Nothing failed: however often it has to wait, it has its whole life for it.
    if is_rule(error) {
        return again(RULE_WAIT, failures);
    }
    match error.class() {
        ErrorClass::Throttled => again(THROTTLED_WAIT, failures),
        ErrorClass::Account => again(ACCOUNT_WAIT, failures),
        // A provider may be away for hours, and nothing left meanwhile: the message has its whole life for it.
        ErrorClass::NotSent => again(growing(failures.unsent), failures.one_more_unsent()),
        ErrorClass::RecipientTemporary if failures.at_recipient + 1 < MAX_FAILURES => {
            again(growing(failures.at_recipient), failures.one_more())
        }
        ErrorClass::Ambiguous | ErrorClass::Unspecified if may_repeat => Disposition::Again {
            after: spread(FIRST_WAIT, random).max(asked),
            failures: failures.one_more(),
            possible_duplicate: true,
        },
        ErrorClass::Ambiguous | ErrorClass::Unspecified => Disposition::End(DeliveryState::Unknown),
        ErrorClass::RecipientTemporary | ErrorClass::RecipientPermanent | ErrorClass::Refused | ErrorClass::Content => {
            Disposition::End(DeliveryState::Failed)
        }
        ErrorClass::Policy => Disposition::End(DeliveryState::Skipped),
        ErrorClass::Expired => Disposition::End(DeliveryState::Expired),
    }
}

/// How long the whole account rests after an error; `None` when the error concerns one message, one recipient or one kind
/// of message, and the others go on.
#[must_use]
pub fn account_rests(error: &SendError) -> Option<Duration> {
    let asked = Duration::from_millis(error.retry_after_ms).min(LONGEST_WAIT);
    match error.class() {
        _ if is_rule(error) => None,
        ErrorClass::Throttled => Some(asked.max(THROTTLED_REST)),
        ErrorClass::Account => Some(asked.max(ACCOUNT_REST)),
        _ => None,
    }
}

/// True when a rule or a quota makes the message wait. Only classes that mean "not now" can.
fn is_rule(error: &SendError) -> bool {
    matches!(error.class(), ErrorClass::Throttled | ErrorClass::RecipientTemporary)
        && error.wait_reason() != WaitReason::Unspecified
}

fn growing(failures: u32) -> Duration {
    FIRST_WAIT * 3_u32.pow(failures.min(MAX_FAILURES - 1))
}

/// A wait between 80 % and 120 % of `wait`, so that what failed together is not tried together.
fn spread(wait: Duration, random: u8) -> Duration {
    wait * (800 + u32::from(random) * 400 / 255) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many of both kinds.
    fn after(failures: u32) -> Failures {
        Failures {
            at_recipient: failures,
            unsent: failures,
        }
    }

    fn of(class: ErrorClass, failures: Failures, may_repeat: bool) -> Disposition {
        let error = SendError {
            class: class.into(),
            ..SendError::default()
        };
        disposition(&error, failures, may_repeat, 128)
    }

    #[test]
    fn every_class_has_its_consequence() {
        use DeliveryState::{Expired, Failed, Skipped, Unknown};
        for (class, state) in [
            (ErrorClass::Ambiguous, Unknown),
            (ErrorClass::Unspecified, Unknown),
            (ErrorClass::RecipientPermanent, Failed),
            (ErrorClass::Refused, Failed),
            (ErrorClass::Content, Failed),
            (ErrorClass::Policy, Skipped),
            (ErrorClass::Expired, Expired),
        ] {
            assert_eq!(of(class, after(0), false), Disposition::End(state), "{class:?}");
        }
        let so_many = |at_recipient, unsent| Failures { at_recipient, unsent };
        for (class, counted) in [
            (ErrorClass::Throttled, so_many(2, 2)),
            (ErrorClass::Account, so_many(2, 2)),
            (ErrorClass::NotSent, so_many(2, 3)),
            (ErrorClass::RecipientTemporary, so_many(3, 0)),
        ] {
            assert!(
                matches!(of(class, after(2), false), Disposition::Again { failures, .. } if failures == counted),
                "{class:?}"
            );
        }
    }

    #[test]
    fn an_outage_uses_up_none_of_the_attempts_at_the_recipient() {
        let mut failures = Failures::default();
        for _ in 0..100 {
            let Disposition::Again { failures: more, .. } = of(ErrorClass::NotSent, failures, false) else {
                panic!("nothing left: it must be tried again");
            };
            failures = more;
        }
        for attempt in 1..MAX_FAILURES {
            let Disposition::Again {
                failures: more, after, ..
            } = of(ErrorClass::RecipientTemporary, failures, false)
            else {
                panic!("attempt {attempt} of {MAX_FAILURES} must not be the last");
            };
            assert_eq!(
                after.as_secs(),
                FIRST_WAIT.as_secs() * 3_u64.pow(attempt - 1),
                "as without an outage"
            );
            failures = more;
        }
        assert_eq!(
            of(ErrorClass::RecipientTemporary, failures, false),
            Disposition::End(DeliveryState::Failed)
        );
    }

    #[test]
    fn what_a_rule_makes_wait_is_not_counted_and_the_account_goes_on() {
        use ErrorClass::{Account, Ambiguous, Content, NotSent, Policy, RecipientTemporary, Throttled};
        use WaitReason::{AccountQuota, Hours, RecipientQuota, Unspecified};
        let rests = |seconds| Some(Duration::from_secs(seconds));
        // Class, reason, seconds asked; after so many failures: the wait that is not counted, and the account's rest.
        for (class, reason, asked, waits, account) in [
            (RecipientTemporary, Hours, 28_800, Some(28_800), None),
            (RecipientTemporary, RecipientQuota, 3_600, Some(3_600), None),
            (RecipientTemporary, RecipientQuota, 0, Some(60), None),
            (Throttled, AccountQuota, 3_600, Some(3_600), None),
            (Throttled, AccountQuota, 0, Some(60), None),
            (Throttled, Unspecified, 20, Some(20), rests(20)),
            (Throttled, Unspecified, 0, Some(1), rests(1)),
            (Account, Unspecified, 0, Some(60), rests(15)),
            // A reason beside a class that knows none of it changes nothing.
            (Account, AccountQuota, 90, Some(90), rests(90)),
            (RecipientTemporary, Unspecified, 30, None, None),
            (NotSent, Hours, 30, None, None),
            (Ambiguous, Hours, 30, None, None),
            (Content, Hours, 30, None, None),
            (Policy, Hours, 30, None, None),
        ] {
            let error = SendError {
                class: class.into(),
                retry_after_ms: asked * 1000,
                wait_reason: reason.into(),
                ..SendError::default()
            };
            for failures in [0, MAX_FAILURES - 1, MAX_FAILURES * 10] {
                let failures = after(failures);
                let uncounted = match disposition(&error, failures, false, 128) {
                    Disposition::Again {
                        after, failures: same, ..
                    } if same == failures => Some(after.as_secs()),
                    _ => None,
                };
                assert_eq!(uncounted, waits, "{class:?} {reason:?} after {failures:?}");
            }
            assert_eq!(account_rests(&error), account, "{class:?} {reason:?}");
        }
    }

    #[test]
    fn what_may_have_arrived_is_repeated_only_when_allowed() {
        let repeated = of(ErrorClass::Ambiguous, after(0), true);
        assert!(matches!(
            repeated,
            Disposition::Again {
                possible_duplicate: true,
                ..
            }
        ));
    }

    #[test]
    fn what_did_not_leave_is_tried_as_long_as_it_lives() {
        let wait = |failures| match of(ErrorClass::NotSent, after(failures), false) {
            Disposition::Again { after, .. } => after.as_secs(),
            Disposition::End(_) => panic!("nothing left: it must be tried again"),
        };
        let waits: Vec<u64> = [0, 1, 2, 3, 4, 5, 1_000].map(wait).to_vec();
        assert_eq!(waits, [5, 15, 45, 135, 405, 405, 405]);
    }

    #[test]
    fn failures_are_bounded_and_waits_grow() {
        assert_eq!(
            of(ErrorClass::RecipientTemporary, after(4), false),
            Disposition::End(DeliveryState::Failed)
        );
        let wait = |failures| match of(ErrorClass::RecipientTemporary, after(failures), false) {
            Disposition::Again { after, .. } => after,
            Disposition::End(_) => panic!("must be tried again"),
        };
        assert!(wait(1) > wait(0) * 2 && wait(3) > wait(2) * 2);
    }

    #[test]
    fn a_provider_that_asks_to_wait_is_obeyed_within_a_day() {
        let error = SendError {
            class: ErrorClass::Throttled.into(),
            retry_after_ms: 35_000,
            ..SendError::default()
        };
        assert!(
            matches!(disposition(&error, after(0), false, 0), Disposition::Again { after, .. } if after.as_secs() == 35)
        );
    }
}
