//! When a campaign is stopped because its submissions fail: by what providers said to the last of them through one account with
//! one template.

use omnigate_proto::state::v1::BreakerRecord;
use omnigate_proto::v1::{ErrorClass, PauseReason, SendError};

/// Answers that are looked back at.
pub const WINDOW: u64 = 200;
/// Fewest answers that a share is taken of: a handful says nothing.
const FEWEST: u64 = 50;
/// Share of failures beyond which a campaign is paused where nobody says otherwise, in a hundred.
pub const FAILED_PERCENT: u8 = 50;
/// Share of the window beyond which answers that refuse the content pause it, in a hundred: so few are enough to tell.
const CONTENT_PERCENT: u64 = 2;

/// What an answer says of the campaign, not of its recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// Nothing bad.
    Fine,
    /// The content is not accepted.
    Content,
    /// The provider knows no such template, or has not approved it: it will not accept the next one either.
    Template,
    /// The account cannot send.
    Account,
    /// It failed for another reason.
    Failed,
}

/// Reads an answer. What a recipient's own wish or limit, the hour or our own deadline forbids says nothing of the campaign, nor
/// does a provider that only asks to go slower.
#[must_use]
pub fn said(answer: Result<(), &SendError>, is_template: bool) -> Said {
    let Err(error) = answer else { return Said::Fine };
    match error.class() {
        ErrorClass::Content if is_template => Said::Template,
        ErrorClass::Content => Said::Content,
        ErrorClass::Account => Said::Account,
        ErrorClass::Throttled | ErrorClass::Refused | ErrorClass::Expired => Said::Fine,
        _ => Said::Failed,
    }
}

/// The record after some answers, in their order, and why the campaign is to be paused, with a word for people; `None` when it
/// goes on. A campaign that was paused begins with a clean record, so that it is not stopped again by what is past.
#[must_use]
pub fn heard(
    record: &BreakerRecord,
    answers: impl IntoIterator<Item = Said>,
    failed_percent: u8,
) -> (BreakerRecord, Option<(PauseReason, String)>) {
    let mut window = Window {
        counted: record.counted,
        answers: record.answers.to_vec(),
    };
    window.answers.resize(BYTES, 0);
    for said in answers {
        window.note(said);
        if let Some(why) = window.judged(said, failed_percent) {
            return (BreakerRecord::default(), Some(why));
        }
    }
    let next = BreakerRecord {
        counted: window.counted,
        answers: window.answers.into(),
    };
    (next, None)
}

/// Bytes of the window: two bits an answer.
const BYTES: usize = 50;

/// Two bits of an answer.
const fn code(said: Said) -> u8 {
    match said {
        Said::Fine => 0,
        Said::Failed => 1,
        Said::Content | Said::Template => 2,
        Said::Account => 3,
    }
}

/// The record while it is written.
struct Window {
    counted: u64,
    answers: Vec<u8>,
}

impl Window {
    fn note(&mut self, said: Said) {
        let slot = usize::try_from(self.counted % WINDOW).unwrap_or(0);
        let (byte, shift) = (slot / 4, slot % 4 * 2);
        if let Some(kept) = self.answers.get_mut(byte) {
            *kept = *kept & !(3 << shift) | code(said) << shift;
        }
        self.counted += 1;
    }

    /// How many answers have a code.
    fn count(&self, wanted: u8) -> u64 {
        let each = self.answers.iter();
        let codes = each.flat_map(|byte| (0..4).map(move |slot| byte >> (slot * 2) & 3));
        codes.map(|code| u64::from(code == wanted)).sum()
    }

    fn judged(&self, said: Said, failed_percent: u8) -> Option<(PauseReason, String)> {
        let seen = self.counted.min(WINDOW);
        match said {
            Said::Fine => None,
            Said::Template => Some((
                PauseReason::Content,
                "the provider does not accept the template".to_owned(),
            )),
            Said::Account => Some((PauseReason::Account, "the account cannot send".to_owned())),
            Said::Content => {
                let refused = self.count(code(Said::Content));
                let too_many = refused * 100 > CONTENT_PERCENT * WINDOW;
                let why = format!("the content of {refused} of {seen} was not accepted");
                too_many.then_some((PauseReason::Content, why))
            }
            Said::Failed => {
                // Slots that were never written say that all is well: they are none of those seen.
                let failed = [Said::Failed, Said::Content, Said::Account].map(|said| self.count(code(said)));
                let failed: u64 = failed.iter().sum();
                let too_many = seen >= FEWEST && failed * 100 > u64::from(failed_percent) * seen;
                too_many.then(|| (PauseReason::Errors, format!("{failed} of {seen} failed")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answers: &[(Said, usize)]) -> (BreakerRecord, Option<(PauseReason, String)>) {
        let each = answers
            .iter()
            .flat_map(|(said, times)| std::iter::repeat_n(*said, *times));
        heard(&BreakerRecord::default(), each, FAILED_PERCENT)
    }

    fn why(answers: &[(Said, usize)]) -> Option<PauseReason> {
        after(answers).1.map(|(reason, _)| reason)
    }

    #[test]
    fn a_share_of_the_last_answers_stops_and_a_handful_does_not() {
        assert_eq!(why(&[(Said::Failed, 49)]), None, "too few to say");
        assert_eq!(why(&[(Said::Failed, 50)]), Some(PauseReason::Errors));
        assert_eq!(
            why(&[(Said::Fine, 100), (Said::Failed, 100)]),
            None,
            "half is not more than half"
        );
        assert_eq!(
            why(&[(Said::Fine, 100), (Said::Failed, 101)]),
            Some(PauseReason::Errors)
        );
        assert_eq!(
            why(&[(Said::Failed, 49), (Said::Fine, 200), (Said::Failed, 60)]),
            None,
            "long past"
        );
        let (_, said) = after(&[(Said::Fine, 150), (Said::Failed, 150)]);
        assert_eq!(said.unwrap().1, "101 of 200 failed");
    }

    #[test]
    fn content_stops_early_and_a_template_or_an_account_at_once() {
        assert_eq!(why(&[(Said::Fine, 196), (Said::Content, 4)]), None);
        assert_eq!(why(&[(Said::Content, 5)]), Some(PauseReason::Content));
        assert_eq!(
            why(&[(Said::Fine, 196), (Said::Content, 5)]),
            Some(PauseReason::Content)
        );
        assert_eq!(why(&[(Said::Template, 1)]), Some(PauseReason::Content));
        assert_eq!(why(&[(Said::Account, 1)]), Some(PauseReason::Account));
    }

    #[test]
    fn whoever_was_paused_begins_with_a_clean_record() {
        let (record, paused) = after(&[(Said::Failed, 50)]);
        assert!(paused.is_some());
        assert_eq!(record, BreakerRecord::default());
        assert_eq!(heard(&record, [Said::Failed; 49], FAILED_PERCENT).1, None);
        let own = heard(&record, [Said::Fine, Said::Failed].repeat(25), 40).1;
        assert_eq!(
            own.map(|(reason, _)| reason),
            Some(PauseReason::Errors),
            "a share of one's own"
        );
    }

    #[test]
    fn what_concerns_a_recipient_alone_says_nothing_of_the_campaign() {
        let of = |class: ErrorClass, is_template| {
            let error = SendError {
                class: class.into(),
                ..SendError::default()
            };
            said(Err(&error), is_template)
        };
        assert_eq!(said(Ok(()), true), Said::Fine);
        assert_eq!(of(ErrorClass::Refused, true), Said::Fine);
        assert_eq!(of(ErrorClass::Throttled, true), Said::Fine);
        assert_eq!(of(ErrorClass::Content, true), Said::Template);
        assert_eq!(of(ErrorClass::Content, false), Said::Content);
        assert_eq!(of(ErrorClass::Account, false), Said::Account);
        assert_eq!(of(ErrorClass::Ambiguous, false), Said::Failed);
    }
}
