//! What a failed call says about the message.

use super::super::api::{Answer, Server};
use super::super::settings::OaSettings;
use super::meaning::{Wait, meaning};
use omnigate_core::port::adapter::{HttpResponse, TransportError};
use omnigate_core::time::Moment;
use omnigate_proto::v1::{ErrorClass, SendError};
use std::time::Duration;

/// Longest text of an error, in characters.
const MAX_WORDS: usize = 200;
/// Digits that in a row may be a phone number or the id of a person.
const MAX_DIGITS: usize = 6;
/// Longest wait that a header can ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// An error of a class, with words of ours.
pub(in super::super) fn error(class: ErrorClass, text: &str) -> SendError {
    SendError {
        class: class.into(),
        text: text.to_owned(),
        ..SendError::default()
    }
}

/// Content that cannot be sent.
pub(super) fn content_error(text: impl AsRef<str>) -> SendError {
    error(ErrorClass::Content, text.as_ref())
}

/// A call without an answer.
pub(in super::super) fn not_answered(problem: TransportError) -> SendError {
    let class = match problem {
        TransportError::NotSent(_) => ErrorClass::NotSent,
        TransportError::Ambiguous(_) => ErrorClass::Ambiguous,
        TransportError::Forbidden(_) => ErrorClass::Account,
    };
    error(class, &problem.to_string())
}

/// A call that was answered with a failure. Its words are Zalo's own: see [`without_secrets`].
pub(in super::super) fn classify(
    answer: Option<&Answer<'_>>,
    response: &HttpResponse,
    server: Server,
    settings: &OaSettings,
    now: Moment,
) -> SendError {
    let failed = answer.and_then(|answer| Some((answer, answer.code().filter(|&code| code != 0)?)));
    let Some((answer, code)) = failed else {
        return unreadable(response);
    };
    let meaning = meaning(server, code, answer.words(), settings.zns_fallback_on_refusal);
    let wait = match meaning.wait {
        Wait::For(time) => retry_after(response).unwrap_or(time),
        wait => wait.from(now),
    };
    SendError {
        class: meaning.class.into(),
        provider_code: code.to_string(),
        text: answer.words().to_owned(),
        retry_after_ms: milliseconds(wait),
        outside_window: meaning.outside_window,
        wait_reason: meaning.reason.into(),
        ..SendError::default()
    }
}

/// An answer that is none of Zalo's: only what a status alone proves is believed.
fn unreadable(response: &HttpResponse) -> SendError {
    let class = match response.status {
        429 => ErrorClass::Throttled,
        401 | 403 | 404 | 300..=399 => ErrorClass::Account,
        413 => ErrorClass::Content,
        _ => ErrorClass::Ambiguous,
    };
    let wait = retry_after(response).filter(|_| class == ErrorClass::Throttled);
    SendError {
        provider_code: response.status.to_string(),
        retry_after_ms: wait.map_or(0, milliseconds),
        ..error(class, "the answer is not zalo's")
    }
}

fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let header = response.headers.iter().find(|(name, _)| name == "retry-after");
    let seconds = header.and_then(|(_, value)| value.trim().parse().ok())?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An error whose words repeat no token, should Zalo ever do so, and no number that could name a person: Zalo repeats
/// parameters at times.
pub(super) fn without_secrets(error: SendError, token: &str) -> SendError {
    SendError {
        text: without_numbers(&error.text.replace(token, "***")),
        ..error
    }
}

fn without_numbers(words: &str) -> String {
    let mut kept = String::new();
    let mut digits = String::new();
    for character in words.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        kept.push_str(if digits.len() > MAX_DIGITS { "…" } else { &digits });
        digits.clear();
        if !character.is_control() {
            kept.push(character);
        }
    }
    kept.chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_left_out_whole() {
        let told = without_secrets(
            error(ErrorClass::Account, "token ab1234567890cd is invalid"),
            "ab1234567890cd",
        );
        assert_eq!(told.text, "token *** is invalid");
    }

    #[test]
    fn numbers_of_people_are_left_out() {
        assert_eq!(without_numbers("phone 84912000111 is invalid"), "phone … is invalid");
        assert_eq!(
            without_numbers("inactive for more than 45 days"),
            "inactive for more than 45 days"
        );
        assert_eq!(without_numbers("id 7000000000000000001"), "id …");
    }
}
