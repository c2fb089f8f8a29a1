//! Phone numbers that may have been given to somebody else. Operators hand them out again after some months, so a number
//! that was silent for long and that somebody new is known by proves nothing: neither that the new one is the old one, nor
//! that the old one's consent is the new one's.

use super::Named;
use crate::id::CustomerId;
use crate::identifier;
use crate::time::Moment;
use omnigate_proto::state::v1::{HomeRecord, Membership, NumberRecord, SuppressionCause};
use omnigate_proto::v1::{Evidence, Identifier, SuppressionReason};
use std::time::Duration;

/// Name of the rule in conflicts.
pub const REASSIGNED: &str = "PHONE_REASSIGNED";
/// What is suppressed is said to come from here.
const SOURCE: &str = "a new holder is known by the number";
/// Type of the identifiers that this is about.
const PHONE: &str = "phone";
/// When evidence came last is kept to within this part of the silence that is asked about.
const KEPT_WITHIN: u32 = 10;

/// Numbers among the identifiers of an event by which it could bring somebody new to a number's holder: there are none
/// where the event came from the number itself, or names nobody on a channel.
pub fn asked_about<'a>(peer: &'a Named, candidates: &'a [Named]) -> impl Iterator<Item = &'a Named> {
    let is_somebody = candidates.iter().any(is_somebody);
    let numbers = candidates.iter().filter(|named| is_number(&named.identifier));
    numbers.filter(move |named| is_somebody && named.identifier != peer.identifier)
}

/// True for a phone number.
#[must_use]
pub fn is_number(identifier: &Identifier) -> bool {
    identifier.r#type == PHONE
}

/// True for an identifier that is somebody on a channel, and is well known.
#[must_use]
pub fn is_somebody(named: &Named) -> bool {
    identifier::is_of_channel(&named.identifier) && named.evidence >= Evidence::Verified
}

/// True for an identifier whose owner an event vouches for apart from its numbers.
#[must_use]
pub fn corroborates(named: &Named) -> bool {
    !is_number(&named.identifier)
}

/// When a number was last heard of: something came from it, or somebody who has it was known by it.
#[must_use]
pub fn last_heard(known: &NumberRecord, member: &Membership, home: &HomeRecord) -> Moment {
    let threads = home.threads.iter().filter(|thread| thread.birth == member.birth);
    let wrote = threads.map(|thread| thread.last_inbound_ms).max().unwrap_or(0);
    let all = [known.seen_ms, member.since_ms, member.from_ms, wrote];
    Moment(all.into_iter().max().unwrap_or(0))
}

/// True when that is longer ago than a number's holder is believed to be the same.
#[must_use]
pub fn is_silent(last_heard: Moment, after: Duration, now: Moment) -> bool {
    last_heard + after < now
}

/// How exact the moment of the newest evidence is kept.
#[must_use]
pub fn exactness(after: Duration) -> Duration {
    after / KEPT_WITHIN
}

/// What is known with newer evidence; `None` when what it has is new enough.
#[must_use]
pub fn seen(known: &NumberRecord, at: Moment, after: Duration) -> Option<NumberRecord> {
    (Moment(known.seen_ms) + exactness(after) <= at).then(|| NumberRecord {
        seen_ms: at.0,
        ..known.clone()
    })
}

/// What is known of a number of which it is asked whether somebody else has it now; `None` when that is asked already.
#[must_use]
pub fn questioned(known: &NumberRecord, by: CustomerId, at: Moment) -> Option<NumberRecord> {
    (known.questioned_ms == 0).then(|| NumberRecord {
        questioned_ms: at.0,
        questioned_by: by.to_bytes(),
        ..known.clone()
    })
}

/// Who is asked to have the number now; `None` when nobody asks.
#[must_use]
pub fn challenger(known: &NumberRecord) -> Option<CustomerId> {
    CustomerId::from_bytes(&known.questioned_by).filter(|_| known.questioned_ms != 0)
}

/// The same when the question is answered: as new evidence of the one who has it.
#[must_use]
pub fn answered(known: &NumberRecord, now: Moment) -> NumberRecord {
    NumberRecord {
        questioned_ms: 0,
        questioned_by: bytes::Bytes::new(),
        seen_ms: known.seen_ms.max(now.0),
    }
}

/// What keeps advertising away while the question is open.
#[must_use]
pub fn suspension(at: Moment) -> SuppressionCause {
    SuppressionCause {
        reason: SuppressionReason::Reassigned.into(),
        marketing_only: true,
        at_ms: at.0,
        source: SOURCE.to_owned(),
        ..SuppressionCause::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::state::v1::ThreadRecord;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn named(kind: &str, value: &str, evidence: Evidence) -> Named {
        Named {
            identifier: Identifier {
                r#type: kind.into(),
                scope: String::new(),
                value: value.into(),
            },
            evidence,
            provider_form: String::new(),
        }
    }

    #[test]
    fn only_a_number_beside_somebody_on_a_channel_is_asked_about() {
        let number = named("phone", "+84901234567", Evidence::Vouched);
        let zalo = named("zalo_uid", "7", Evidence::Vouched);
        let stated = named("zalo_uid", "7", Evidence::Stated);
        let crm = named("crm", "7", Evidence::Vouched);
        let asked = |peer: &Named, others: &[&Named]| {
            let all: Vec<Named> = others.iter().map(|named| (*named).clone()).collect();
            asked_about(peer, &all).count()
        };
        assert_eq!(asked(&zalo, &[&number, &zalo]), 1);
        assert_eq!(asked(&number, &[&number, &zalo]), 0);
        assert_eq!(asked(&stated, &[&number, &stated]), 0);
        assert_eq!(asked(&crm, &[&number, &crm]), 0);
    }

    #[test]
    fn everything_that_is_known_of_a_number_breaks_its_silence() {
        let birth: bytes::Bytes = vec![1; 16].into();
        let thread = |birth: &bytes::Bytes, last_inbound_ms| ThreadRecord {
            birth: birth.clone(),
            last_inbound_ms,
            ..ThreadRecord::default()
        };
        let home = HomeRecord {
            threads: vec![thread(&birth, 5), thread(&vec![2; 16].into(), 90)],
            ..HomeRecord::default()
        };
        let heard = |seen_ms, since_ms, from_ms| {
            let known = NumberRecord {
                seen_ms,
                ..NumberRecord::default()
            };
            let member = Membership {
                birth: birth.clone(),
                since_ms,
                from_ms,
                ..Membership::default()
            };
            last_heard(&known, &member, &home).0
        };
        assert_eq!(
            (heard(0, 0, 0), heard(7, 0, 0), heard(0, 8, 0), heard(0, 8, 9)),
            (5, 7, 8, 9)
        );
        assert!(is_silent(Moment(0), DAY, Moment(0) + DAY + Duration::from_millis(1)));
        assert!(!is_silent(Moment(0), DAY, Moment(0) + DAY));
    }

    #[test]
    fn evidence_is_kept_seldom_and_a_question_is_asked_once() {
        let known = NumberRecord::default();
        let at = Moment(1_800_000_000_000);
        let first = seen(&known, at, DAY * 90).unwrap();
        assert_eq!(seen(&first, at + DAY * 8, DAY * 90), None);
        assert!(seen(&first, at + DAY * 9, DAY * 90).is_some());
        let id = CustomerId([7; 16]);
        let asked = questioned(&known, id, at).unwrap();
        assert_eq!(
            (questioned(&asked, CustomerId([8; 16]), at), challenger(&asked)),
            (None, Some(id))
        );
        let answered = answered(&asked, at);
        assert_eq!((challenger(&answered), answered.seen_ms), (None, at.0));
    }
}
