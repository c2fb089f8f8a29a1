//! Pairs of tokens of providers that rotate them: when a new pair is fetched, by whom, and what follows from the answer.
//!
//! A refresh token can be used once. So that two processes never use the same one, whoever fetches first writes down that
//! it does; so that no pair is lost, the new one is durable before either of its tokens is used. What remains is the moment
//! between the provider's answer and our commit: who dies there leaves a token that may be used up. It is tried again, and
//! when the provider refuses it the account says that somebody has to authorise it.

use crate::port::adapter::{Grant, NoTokens, TokenPair};
use crate::time::Moment;
use omnigate_proto::state::v1::CredentialRecord;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Longest time a fetch may take; after twice this long another process may try.
pub const FETCH_TIME: Duration = Duration::from_secs(20);
/// A pair is fetched anew when this share of its life is left: 25 hours become 5, which leaves an evening to mend things.
const AHEAD: u32 = 5;
/// A token whose life is unknown is fetched anew after this long.
const UNKNOWN_LIFE: Duration = Duration::from_secs(6 * 3600);
/// First wait after a failed fetch; doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Longest wait between fetches that fail.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A refused token is not fetched anew sooner than this after it was fetched: a provider that refuses every token must
/// not use up our refresh tokens.
const LEAST_AGE: Duration = Duration::from_secs(30);

/// What an account needs.
#[derive(Clone, PartialEq, Debug)]
pub enum Need {
    /// Nothing before this moment.
    Nothing(Moment),
    /// A pair, fetched with this, as soon as this record is durable.
    Fetch(Box<CredentialRecord>, Grant),
    /// Somebody else is fetching, until this moment at the latest.
    Held(Moment),
    /// A person.
    Person,
}

/// What has to be done now. `seed` is the configured first refresh token; `owner` who would do it.
#[must_use]
pub fn need(record: Option<&CredentialRecord>, seed: Option<&str>, owner: &str, now: Moment) -> Need {
    let mut next = record.cloned().unwrap_or_default();
    adopt(&mut next, seed);
    if next.refreshing_since_ms != 0 {
        let until = Moment(next.refreshing_since_ms) + FETCH_TIME * 2;
        if until > now {
            return Need::Held(until);
        }
    }
    let grant = if !next.authorization_code.is_empty() {
        Grant::AuthorizationCode {
            code: next.authorization_code.clone(),
            verifier: next.code_verifier.clone(),
        }
    } else if !next.dead.is_empty() || next.refresh_token.is_empty() {
        return Need::Person;
    } else {
        let due = due(&next);
        if due > now {
            return Need::Nothing(due);
        }
        Grant::RefreshToken(next.refresh_token.clone())
    };
    if Moment(next.retry_at_ms) > now {
        return Need::Nothing(Moment(next.retry_at_ms));
    }
    next.refreshing_since_ms = now.0;
    owner.clone_into(&mut next.refreshing_by);
    Need::Fetch(Box::new(next), grant)
}

/// A configured refresh token that is not the one the present pair descends from takes its place.
fn adopt(record: &mut CredentialRecord, seed: Option<&str>) {
    let Some(seed) = seed.filter(|seed| !seed.is_empty()) else {
        return;
    };
    let digest = Sha256::digest(seed.as_bytes());
    if record.seed_sha256.as_ref() == digest.as_slice() {
        return;
    }
    *record = CredentialRecord {
        refresh_token: seed.to_owned(),
        seed_sha256: digest.to_vec().into(),
        authorization_code: std::mem::take(&mut record.authorization_code),
        code_verifier: std::mem::take(&mut record.code_verifier),
        ..CredentialRecord::default()
    };
}

/// When the present pair has to be replaced.
fn due(record: &CredentialRecord) -> Moment {
    let fetched = Moment(record.fetched_at_ms);
    if record.access_token.is_empty() {
        return Moment(record.retry_at_ms);
    }
    if is_refused(record) {
        return fetched + LEAST_AGE;
    }
    if record.access_until_ms == 0 {
        return fetched + UNKNOWN_LIFE;
    }
    let until = Moment(record.access_until_ms);
    until - until.since(fetched) / AHEAD
}

/// How a token is named where it must not be told.
#[must_use]
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn is_refused(record: &CredentialRecord) -> bool {
    !record.refused_sha256.is_empty()
        && record.refused_sha256.as_ref() == Sha256::digest(record.access_token.as_bytes()).as_slice()
}

/// The token that may be given out now.
#[must_use]
pub fn usable(record: &CredentialRecord, now: Moment) -> Option<&str> {
    let lives = record.access_until_ms == 0 || Moment(record.access_until_ms) > now;
    (lives && !record.access_token.is_empty() && !is_refused(record)).then_some(record.access_token.as_str())
}

/// The provider refused this token: another one is fetched. `None` when it is not the present one, or is known already.
#[must_use]
pub fn refuse(record: &CredentialRecord, token_sha256: &[u8]) -> Option<CredentialRecord> {
    let present = Sha256::digest(record.access_token.as_bytes());
    if record.access_token.is_empty() || present.as_slice() != token_sha256 || is_refused(record) {
        return None;
    }
    Some(CredentialRecord {
        refused_sha256: token_sha256.to_vec().into(),
        ..record.clone()
    })
}

/// Takes what a person handed in.
#[must_use]
pub fn hand_in(record: Option<&CredentialRecord>, grant: &Grant) -> CredentialRecord {
    let mut next = record.cloned().unwrap_or_default();
    next.dead.clear();
    next.failures = 0;
    next.retry_at_ms = 0;
    match grant {
        Grant::RefreshToken(token) => {
            next.refresh_token.clone_from(token);
            next.access_token.clear();
            next.authorization_code.clear();
        }
        Grant::AuthorizationCode { code, verifier } => {
            next.authorization_code.clone_from(code);
            next.code_verifier.clone_from(verifier);
        }
    }
    next
}

/// Takes the provider's answer to a fetch. `None` when the record has moved on since it was begun.
#[must_use]
pub fn fetched(
    begun: &CredentialRecord,
    present: &CredentialRecord,
    grant: &Grant,
    answer: &Result<TokenPair, NoTokens>,
    now: Moment,
) -> Option<CredentialRecord> {
    let same = present.refreshing_since_ms == begun.refreshing_since_ms && present.refreshing_by == begun.refreshing_by;
    let mut next = present.clone();
    next.refreshing_since_ms = 0;
    next.refreshing_by.clear();
    match answer {
        // A pair is never thrown away: its refresh token may be the only living one.
        Ok(pair) => {
            let until = |life: Option<Duration>| life.map_or(0, |life| (now + life).0);
            next.access_token.clone_from(&pair.access_token);
            next.access_until_ms = until(pair.access_for);
            next.refresh_token.clone_from(&pair.refresh_token);
            next.refresh_until_ms = until(pair.refresh_for);
            next.fetched_at_ms = now.0;
            next.failures = 0;
            next.retry_at_ms = 0;
            next.dead.clear();
            next.refused_sha256.clear();
            if let Grant::AuthorizationCode { code, .. } = grant
                && next.authorization_code == *code
            {
                next.authorization_code.clear();
                next.code_verifier.clear();
            }
            Some(next)
        }
        Err(_) if !same => None,
        Err(NoTokens::Dead(why)) => {
            match grant {
                // The pair before the code may still live.
                Grant::AuthorizationCode { .. } => {
                    next.authorization_code.clear();
                    next.code_verifier.clear();
                    if next.refresh_token.is_empty() {
                        next.dead.clone_from(why);
                    }
                }
                Grant::RefreshToken(_) => next.dead.clone_from(why),
            }
            Some(next)
        }
        Err(NoTokens::Unavailable(_)) => {
            next.retry_at_ms = (now + FIRST_WAIT.saturating_mul(1 << next.failures.min(16)).min(LONGEST_WAIT)).0;
            next.failures = next.failures.saturating_add(1);
            Some(next)
        }
    }
}

#[cfg(test)]
mod tests;
