//! Pairs of tokens of providers that rotate them: when a new pair is fetched, by whom, and what follows from the answer.
//!
//! A refresh token can be used once. So that two processes never use the same one, whoever fetches first writes down that
//! it does; so that no pair is lost, the new one is durable before either of its tokens is used. What remains is the moment
//! between the provider's answer and our commit: who dies there leaves a token that may be used up. It is tried again, and
//! when the provider refuses it the account says that somebody has to authorise it.
//!
//! What a person hands in, or the configuration brings, is tried beside the pair that is there and takes its place only
//! once the provider took it: a mistyped token costs nothing that lives.

use crate::id::hash;
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
/// No pair is replaced sooner than this after it was fetched: a provider that refuses every token, or hands out such that
/// end at once, must not use up our refresh tokens.
const LEAST_AGE: Duration = Duration::from_secs(30);
/// A stored time that lies farther ahead was written by a clock that was wrong, and is not waited for.
const SKEW: Duration = Duration::from_secs(60);
/// Configured refresh tokens that are remembered.
const MAX_SEEDS: usize = 32;
/// Why a person is needed where nobody has authorised the account.
const NEVER: &str = "nobody has authorised it yet";

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

/// What has to be done now. `seed` is the configured first refresh token; `owner` who would do it, one fetch at a time.
#[must_use]
pub fn need(record: Option<&CredentialRecord>, seed: Option<&str>, owner: &str, now: Moment) -> Need {
    let mut next = record.cloned().unwrap_or_default();
    if let Some(until) = held(&next, owner, now) {
        return Need::Held(until);
    }
    adopt(&mut next, seed);
    let grant = if let Some(handed) = handed_in(&next) {
        handed
    } else if !next.dead.is_empty() || next.refresh_token.is_empty() {
        return Need::Person;
    } else {
        let due = due(&next, now);
        if due > now {
            return Need::Nothing(due);
        }
        Grant::RefreshToken(next.refresh_token.clone())
    };
    let retry_at = Moment(next.retry_at_ms);
    if retry_at > now && retry_at <= now + LONGEST_WAIT {
        return Need::Nothing(retry_at);
    }
    next.refreshing_since_ms = now.0;
    owner.clone_into(&mut next.refreshing_by);
    Need::Fetch(Box::new(next), grant)
}

/// Until when somebody else fetches. What we ourselves began and ask about again has ended.
fn held(record: &CredentialRecord, owner: &str, now: Moment) -> Option<Moment> {
    let since = Moment(record.refreshing_since_ms);
    let until = since + FETCH_TIME * 2;
    let holds = record.refreshing_since_ms != 0 && until > now && since <= now + SKEW;
    (holds && record.refreshing_by != owner).then_some(until)
}

/// What was handed in and is yet to be tried.
#[must_use]
pub fn handed_in(record: &CredentialRecord) -> Option<Grant> {
    if !record.authorization_code.is_empty() {
        return Some(Grant::AuthorizationCode {
            code: record.authorization_code.clone(),
            verifier: record.code_verifier.clone(),
        });
    }
    let token = &record.handed_refresh_token;
    (!token.is_empty()).then(|| Grant::RefreshToken(token.clone()))
}

fn clear_handed_in(record: &mut CredentialRecord) {
    record.authorization_code.clear();
    record.code_verifier.clear();
    record.handed_refresh_token.clear();
}

/// The configured refresh token, if it was never taken.
fn unused<'a>(record: &CredentialRecord, seed: Option<&'a str>) -> Option<&'a str> {
    let seed = seed.filter(|seed| !seed.is_empty())?;
    let digest = digest(seed);
    let known = record.seeds_sha256.iter().any(|known| known.as_ref() == digest);
    (!known).then_some(seed)
}

/// Takes a configured refresh token that was never taken, once nothing else waits to be tried.
fn adopt(record: &mut CredentialRecord, seed: Option<&str>) {
    let Some(seed) = unused(record, seed).filter(|_| handed_in(record).is_none()) else {
        return;
    };
    if record.seeds_sha256.len() >= MAX_SEEDS {
        record.seeds_sha256.remove(0);
    }
    record.seeds_sha256.push(digest(seed).to_vec().into());
    try_next(record, &Grant::RefreshToken(seed.to_owned()));
}

/// Has a grant tried at once.
fn try_next(record: &mut CredentialRecord, grant: &Grant) {
    clear_handed_in(record);
    match grant {
        Grant::RefreshToken(token) => record.handed_refresh_token.clone_from(token),
        Grant::AuthorizationCode { code, verifier } => {
            record.authorization_code.clone_from(code);
            record.code_verifier.clone_from(verifier);
        }
    }
    record.grant_problem.clear();
    record.problem.clear();
    record.failures = 0;
    record.retry_at_ms = 0;
}

/// When the present pair has to be replaced.
fn due(record: &CredentialRecord, now: Moment) -> Moment {
    let fetched = Moment(record.fetched_at_ms);
    if record.access_token.is_empty() || fetched > now + SKEW {
        return now;
    }
    let until = Moment(record.access_until_ms);
    let due = match record.access_until_ms {
        _ if is_refused(record) => fetched,
        0 => fetched + UNKNOWN_LIFE,
        _ => until - until.since(fetched) / AHEAD,
    };
    due.max(fetched + LEAST_AGE)
}

/// How a token is named where it must not be told.
#[must_use]
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn is_refused(record: &CredentialRecord) -> bool {
    !record.refused_sha256.is_empty() && record.refused_sha256.as_ref() == digest(&record.access_token)
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
    let present = digest(&record.access_token);
    if record.access_token.is_empty() || present != token_sha256 || is_refused(record) {
        return None;
    }
    Some(CredentialRecord {
        refused_sha256: token_sha256.to_vec().into(),
        ..record.clone()
    })
}

/// How an account stands with its tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing<'a> {
    /// Its pair lives.
    Good,
    /// It has no pair that lives; what was configured or handed in is being tried.
    Tried,
    /// A pair is being fetched anew.
    Coming,
    /// No pair can be fetched at present; why.
    Failing(&'a str),
    /// A person has to authorise it; why.
    Person(&'a str),
}

/// How an account stands. `seed` is the configured first refresh token, where the caller knows it.
#[must_use]
pub fn standing<'a>(record: Option<&'a CredentialRecord>, seed: Option<&str>, now: Moment) -> Standing<'a> {
    let Some(record) = record else {
        return match seed {
            Some(_) => Standing::Tried,
            None => Standing::Person(NEVER),
        };
    };
    let is_dead = !record.dead.is_empty() || record.refresh_token.is_empty();
    let tries = handed_in(record).is_some() || unused(record, seed).is_some();
    if is_dead && tries {
        Standing::Tried
    } else if !record.dead.is_empty() {
        Standing::Person(&record.dead)
    } else if record.refresh_token.is_empty() {
        Standing::Person(NEVER)
    } else if usable(record, now).is_some() {
        Standing::Good
    } else if record.failures > 0 {
        Standing::Failing(&record.problem)
    } else {
        Standing::Coming
    }
}

/// What handing something in comes to.
#[derive(Clone, PartialEq, Debug)]
pub enum HandedIn {
    /// It is tried, as soon as this record is durable.
    Taken(Box<CredentialRecord>),
    /// The same request handed in the same before.
    Repeated,
    /// The same request handed in something else before.
    Reused,
}

/// Takes what a person handed in. The pair that is there stays until the provider took it.
#[must_use]
pub fn hand_in(record: Option<&CredentialRecord>, grant: &Grant, request_id: &str) -> HandedIn {
    let mut next = record.cloned().unwrap_or_default();
    let body = match grant {
        Grant::RefreshToken(token) => hash("refresh token", &[token.as_bytes()]),
        Grant::AuthorizationCode { code, verifier } => {
            hash("authorization code", &[code.as_bytes(), verifier.as_bytes()])
        }
    };
    if !next.request_id.is_empty() && next.request_id == request_id {
        return if next.request_sha256.as_ref() == body {
            HandedIn::Repeated
        } else {
            HandedIn::Reused
        };
    }
    try_next(&mut next, grant);
    request_id.clone_into(&mut next.request_id);
    next.request_sha256 = body.to_vec().into();
    HandedIn::Taken(Box::new(next))
}

/// Takes the provider's answer to a fetch. `None` when there is nothing to write: the answer was written before, or a newer
/// pair is there.
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
    let handed = handed_in(begun).as_ref() == Some(grant);
    if handed && !matches!(answer, Err(NoTokens::Unavailable(_))) && handed_in(present).as_ref() == Some(grant) {
        clear_handed_in(&mut next);
    }
    match answer {
        // Whoever else fetches meanwhile: this may be the only pair that lives. A store that forgot its newest writes has a
        // smaller number.
        Ok(_) if present.generation > begun.generation => None,
        Ok(pair) => {
            take_pair(&mut next, pair, now);
            next.generation = begun.generation.saturating_add(1);
            if handed {
                next.grant_problem.clear();
            }
            Some(next)
        }
        Err(_) if !same => None,
        Err(NoTokens::Dead(why)) => {
            let has_none = next.refresh_token.is_empty() || !next.dead.is_empty();
            if handed && handed_in(&next).is_none() {
                next.grant_problem.clone_from(why);
            }
            if !handed || has_none {
                next.dead.clone_from(why);
            }
            next.problem.clear();
            Some(next)
        }
        Err(NoTokens::Unavailable(why)) => {
            next.retry_at_ms = (now + FIRST_WAIT.saturating_mul(1 << next.failures.min(16)).min(LONGEST_WAIT)).0;
            next.failures = next.failures.saturating_add(1);
            next.problem.clone_from(why);
            Some(next)
        }
    }
}

fn take_pair(next: &mut CredentialRecord, pair: &TokenPair, now: Moment) {
    let until = |life: Option<Duration>| life.map_or(0, |life| (now + life).0);
    next.access_token.clone_from(&pair.access_token);
    next.access_until_ms = until(pair.access_for);
    next.refresh_token.clone_from(&pair.refresh_token);
    next.refresh_until_ms = until(pair.refresh_for);
    next.fetched_at_ms = now.0;
    next.failures = 0;
    next.retry_at_ms = 0;
    next.dead.clear();
    next.problem.clear();
    next.refused_sha256.clear();
}

#[cfg(test)]
mod tests;
