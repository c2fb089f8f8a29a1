//! Pacing: how many submissions an account may begin, shared by all dispatchers.
//!
//! Tokens are granted in small lots that the dispatcher spends within a second or loses; they are never given back, so a
//! dispatcher that dies costs at most a second of the account's rate.

use crate::time::Moment;
use omnigate_proto::state::v1::PaceRecord;
use std::time::Duration;

/// How long a grant may be spent.
pub const GRANT_LIFE: Duration = Duration::from_secs(1);
/// Tokens gather up to this many seconds of the rate.
const BURST_SECONDS: f64 = 1.0;

/// What was granted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Granted {
    /// This many submissions may begin within [`GRANT_LIFE`]; the record to write.
    Tokens(u32, PaceRecord),
    /// None before this moment.
    NotBefore(Moment),
}

/// Grants up to `wanted` tokens at `per_second`.
#[must_use]
pub fn grant(record: Option<&PaceRecord>, per_second: f64, wanted: u32, now: Moment) -> Granted {
    let most = milli(per_second * BURST_SECONDS).max(1000);
    let (left, counted_at) = record.map_or((most, now), |record| {
        (record.milli_tokens, Moment(record.counted_at_ms))
    });
    let closed_until = Moment(record.map_or(0, |record| record.closed_until_ms));
    if closed_until > now {
        return Granted::NotBefore(closed_until);
    }
    let gathered = milli(now.since(counted_at).as_secs_f64() * per_second);
    let tokens = left.saturating_add(gathered).min(most);
    let whole = u32::try_from((tokens / 1000).max(0)).unwrap_or(u32::MAX).min(wanted);
    if whole == 0 {
        let missing =
            Duration::from_secs_f64((milli_to_f64(1000 - tokens) / 1000.0 / per_second.max(0.001)).max(0.001));
        return Granted::NotBefore(now + missing + Duration::from_millis(1));
    }
    let next = PaceRecord {
        milli_tokens: tokens - i64::from(whole) * 1000,
        counted_at_ms: now.0,
        closed_until_ms: closed_until.0,
    };
    Granted::Tokens(whole, next)
}

/// Closes a limit until the provider lets us go on; `None` when it is closed for longer already.
#[must_use]
pub fn close(record: Option<&PaceRecord>, until: Moment, now: Moment) -> Option<PaceRecord> {
    let mut next = record.cloned().unwrap_or_default();
    (next.closed_until_ms < until.0).then(|| {
        next.milli_tokens = 0;
        next.counted_at_ms = now.0.max(next.counted_at_ms);
        next.closed_until_ms = until.0;
        next
    })
}

/// Opens a limit that is closed; `None` when it is open. Nothing has gathered meanwhile.
#[must_use]
pub fn open(record: &PaceRecord, now: Moment) -> Option<PaceRecord> {
    (record.closed_until_ms > now.0).then_some(PaceRecord {
        closed_until_ms: 0,
        ..*record
    })
}

#[expect(clippy::cast_possible_truncation, reason = "saturates; rates are far below 2^53")]
fn milli(tokens: f64) -> i64 {
    (tokens * 1000.0) as i64
}

#[expect(clippy::cast_precision_loss, reason = "at most a second of the rate")]
fn milli_to_f64(milli: i64) -> f64 {
    milli as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_the_rate_and_its_burst() {
        let mut record = None;
        let mut begun = 0;
        for ms in 0..10_000 {
            if let Granted::Tokens(granted, next) = grant(record.as_ref(), 30.0, 7, Moment(ms)) {
                begun += granted;
                record = Some(next);
            }
        }
        assert!((300..=330).contains(&begun), "{begun} in ten seconds at 30 a second");
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let Granted::Tokens(1, record) = grant(None, 0.5, 5, Moment(0)) else {
            panic!("the first token is there");
        };
        let Granted::NotBefore(at) = grant(Some(&record), 0.5, 1, Moment(0)) else {
            panic!("the second is not");
        };
        assert!(
            matches!(grant(Some(&record), 0.5, 1, at), Granted::Tokens(1, _)),
            "{at}"
        );
    }

    #[test]
    fn a_closed_limit_grants_nothing() {
        let closed = close(None, Moment(5000), Moment(0)).unwrap();
        assert_eq!(
            grant(Some(&closed), 30.0, 1, Moment(4999)),
            Granted::NotBefore(Moment(5000))
        );
        assert_eq!(close(Some(&closed), Moment(4000), Moment(1)), None);
        let opened = open(&closed, Moment(1000)).unwrap();
        assert!(matches!(
            grant(Some(&opened), 30.0, 1, Moment(1100)),
            Granted::Tokens(1, _)
        ));
        assert_eq!(open(&opened, Moment(1000)), None);
    }
}
