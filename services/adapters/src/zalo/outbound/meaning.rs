//! What Zalo's error codes mean; the same number means different things on its two servers.
//!
//! A body with an error code says that the message was not taken, so no code is AMBIGUOUS. THROTTLED and ACCOUNT make the
//! whole account rest; what only concerns one kind of message, one template or one person must not, because free answers
//! go on while a quota is used up and at night. It waits alone, for the reason and the time that are told beside its class.

use super::super::api::Server;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{ErrorClass, WaitReason};
use std::time::Duration;

/// Viet Nam has no summer time.
const VIET_NAM: Duration = Duration::from_hours(7);
const DAY_MS: i64 = 24 * 3600 * 1000;
/// When the night ends: templates are refused from 22:00 to 06:00.
const MORNING_MS: i64 = 6 * 3600 * 1000;
/// How far apart Zalo's clock and ours may be.
const SKEW_MS: i64 = 10 * 60 * 1000;
/// Least wait for a morning or a midnight.
const LEAST: Duration = Duration::from_mins(1);
/// Limits of calls are counted by the minute.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// A balance is topped up by a person at any time.
const BALANCE: Duration = Duration::from_hours(1);

/// What a code means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Meaning {
    pub(super) class: ErrorClass,
    pub(super) wait: Wait,
    /// The rule or quota that it waits for.
    pub(super) reason: WaitReason,
    /// Whether it says that the reply window is closed.
    pub(super) outside_window: bool,
}

/// How long nothing is to be gained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// Not known.
    Unknown,
    /// So long.
    For(Duration),
    /// Until 06:00 in Viet Nam.
    Morning,
    /// Until the day ends in Viet Nam, when daily quotas begin anew.
    Midnight,
}

impl Wait {
    /// The time from now on; zero when it is not known.
    pub(super) fn from(self, now: Moment) -> Duration {
        let next = |of_day: i64| {
            let local = (now + VIET_NAM).0;
            let today = local.div_euclid(DAY_MS) * DAY_MS + of_day;
            // Just after the hour, Zalo's clock has not come to it.
            let next = if local >= today + SKEW_MS {
                today + DAY_MS
            } else {
                today
            };
            Moment(next).since(Moment(local)) + LEAST
        };
        match self {
            Self::Unknown => Duration::ZERO,
            Self::For(time) => time,
            Self::Morning => next(MORNING_MS),
            Self::Midnight => next(0),
        }
    }
}

const fn of(class: ErrorClass) -> Meaning {
    Meaning {
        class,
        wait: Wait::Unknown,
        reason: WaitReason::Unspecified,
        outside_window: false,
    }
}

/// Nothing is wrong with the message; it has to wait.
const fn later(reason: WaitReason, wait: Wait) -> Meaning {
    let class = match reason {
        WaitReason::AccountQuota => ErrorClass::Throttled,
        _ => ErrorClass::RecipientTemporary,
    };
    Meaning {
        wait,
        reason,
        ..of(class)
    }
}

/// What a code means on a server. `words` tell whom or what an invalid parameter was.
pub(super) fn meaning(server: Server, code: i64, words: &str, fallback_on_refusal: bool) -> Meaning {
    let meaning = match server {
        Server::OpenApi => open_api(code, words),
        Server::Zns => zns(code),
    };
    let meaning = meaning.unwrap_or_else(|| everywhere(code));
    if server == Server::Zns && meaning.class == ErrorClass::Refused && fallback_on_refusal {
        return of(ErrorClass::RecipientPermanent);
    }
    meaning
}

/// Codes that mean the same on both servers.
fn everywhere(code: i64) -> Meaning {
    match code {
        // Calls of the app or of the OA, told apart by words only.
        -32 => Meaning {
            wait: Wait::For(CALL_LIMIT),
            ..of(ErrorClass::Throttled)
        },
        // Refused tokens, disabled or unconnected apps and accounts, no permission, no money.
        -124 | -216 | -220 | -204 | -205 | -209 | -212 | -219 | -221 | -223 | -224 | -242 | -320 | -321 => {
            of(ErrorClass::Account)
        }
        // Nothing was taken, but nothing says that it never will be: a few tries.
        _ => of(ErrorClass::RecipientTemporary),
    }
}

/// Open API, error codes.
fn open_api(code: i64, words: &str) -> Option<Meaning> {
    let words = words.to_lowercase();
    let about_recipient = words.contains("user_id") || words.contains("recipient") || words.contains("group_id");
    Some(match code {
        -201 if about_recipient => of(ErrorClass::RecipientPermanent),
        // Expired attachments, wrong or too long parameters, kinds of message or template that are not possible.
        -100 | -201 | -202 | -207 | -208 | -210 | -233 | -235 | -248 | -249 => of(ErrorClass::Content),
        // The message itself failed, or an article is still being made.
        -200 | -214 => of(ErrorClass::RecipientTemporary),
        // The paid messages of the package are used up.
        -211 => later(WaitReason::AccountQuota, Wait::Midnight),
        -218 => later(WaitReason::RecipientQuota, Wait::Midnight),
        -213 | -217 | -244 => of(ErrorClass::Refused),
        // Banned or offline for more than 45 days; a group that is disabled or that the OA is not in.
        -227 | -237 | -403 => of(ErrorClass::RecipientPermanent),
        -230 | -232 => Meaning {
            outside_window: true,
            ..of(ErrorClass::Policy)
        },
        -234 => later(WaitReason::Hours, Wait::Morning),
        // Assets that are used up, and an interface that was shut down.
        -238 | -241 | -240 => of(ErrorClass::Account),
        // Old codes of the quotas of answers.
        -305 | -311 => of(ErrorClass::Policy),
        _ => return None,
    })
}

/// ZBS template message, error codes.
fn zns(code: i64) -> Option<Meaning> {
    Some(match code {
        // Zalo's own trouble.
        -100 => of(ErrorClass::RecipientTemporary),
        // App, secret, link of app and OA, permission, Zalo Cloud Account, `sending_mode`.
        -105..=-101 | -120 | -1201 | -1202 | -1241 | -125 | -138..=-135 | -1351 | -1381 | -145 | -161 => {
            of(ErrorClass::Account)
        }
        // No valid number, no such account, an account that receives nothing.
        -108 | -114 | -118 | -119 => of(ErrorClass::RecipientPermanent),
        // The person's Zalo is too old for it, until they renew it.
        -110 => of(ErrorClass::RecipientTemporary),
        // Quota or balance.
        -115 => later(WaitReason::AccountQuota, Wait::For(BALANCE)),
        // Of development, of the OA, of the template: each a day's.
        -126 | -144 | -147 => later(WaitReason::AccountQuota, Wait::Midnight),
        // Promotion of the OA, a month's: it begins anew at some midnight, within the life of the message or not.
        -1441 => later(WaitReason::AccountQuota, Wait::Midnight),
        // Promotion to one person, a day's.
        -1472 => later(WaitReason::RecipientQuota, Wait::Midnight),
        // Only to administrators; no consent; not this kind to this person; no more to this person this month.
        -127 | -134 | -140 | -1471 => of(ErrorClass::Policy),
        -133 => later(WaitReason::Hours, Wait::Morning),
        -139 | -141 => of(ErrorClass::Refused),
        // Templates, their parameters, keys and journeys.
        -106
        | -107
        | -109
        | -1091
        | -113..=-111
        | -1124..=-1121
        | -1131
        | -116
        | -117
        | -123..=-121
        | -132..=-128
        | -142
        | -143
        | -146
        | -153..=-148
        | -1491
        | -160..=-158
        | -162 => of(ErrorClass::Content),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
