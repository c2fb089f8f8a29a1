//! What a failed call says about the message.

use super::super::api::{Answer, Api, retry_after};
use omnigate_core::port::adapter::{HttpResponse, TransportError};
use omnigate_proto::v1::{ErrorClass, RecipientFault, SendError};

/// Longest text of an error, in characters.
const MAX_WORDS: usize = 200;

/// Words of 400 and 403 answers and what they mean, first match wins (server source, `fail_query_with_error`; upper-case
/// names pass through from Telegram's own protocol).
const WORDS: &[(&str, ErrorClass)] = &[
    ("bot was blocked by the user", ErrorClass::Refused),
    ("user_is_blocked", ErrorClass::Refused),
    ("voice_messages_forbidden", ErrorClass::Refused),
    ("user_privacy_restricted", ErrorClass::Refused),
    ("not enough rights", ErrorClass::Refused),
    ("have no rights to send", ErrorClass::Refused),
    ("chat_write_forbidden", ErrorClass::Refused),
    ("chat_send_", ErrorClass::Refused),
    ("topic_closed", ErrorClass::Refused),
    ("user is deactivated", ErrorClass::RecipientPermanent),
    ("bot can't initiate conversation", ErrorClass::RecipientPermanent),
    ("bot can't send messages to", ErrorClass::RecipientPermanent),
    ("bot was kicked", ErrorClass::RecipientPermanent),
    ("bot is not a member", ErrorClass::RecipientPermanent),
    ("group chat was deleted", ErrorClass::RecipientPermanent),
    ("group chat was deactivated", ErrorClass::RecipientPermanent),
    ("group chat was upgraded", ErrorClass::RecipientPermanent),
    ("chat not found", ErrorClass::RecipientPermanent),
    ("user not found", ErrorClass::RecipientPermanent),
    ("chat_id is empty", ErrorClass::RecipientPermanent),
    ("peer_id_invalid", ErrorClass::RecipientPermanent),
    ("user_id_invalid", ErrorClass::RecipientPermanent),
    ("input_user_deactivated", ErrorClass::RecipientPermanent),
    // The owner ended the connection, or the customer has not written lately: of this chat only, not of the bot.
    ("business_peer_usage_missing", ErrorClass::Policy),
    ("business connection", ErrorClass::RecipientPermanent),
    ("business_connection", ErrorClass::RecipientPermanent),
];

/// An error of a class, with words of ours.
pub(super) fn error(class: ErrorClass, text: &str) -> SendError {
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
pub(super) fn not_answered(problem: TransportError) -> SendError {
    let class = match problem {
        TransportError::NotSent(_) => ErrorClass::NotSent,
        TransportError::Ambiguous(_) => ErrorClass::Ambiguous,
        TransportError::Forbidden(_) => ErrorClass::Account,
    };
    error(class, &problem.to_string())
}

/// A call that was answered with a failure.
pub(super) fn classify(answer: Option<&Answer<'_>>, response: &HttpResponse, api: &Api) -> SendError {
    let Some(answer) = answer.filter(|answer| !answer.ok) else {
        return unreadable(response);
    };
    let code = answer.code(response);
    let words = answer.words();
    let moved_to = answer.parameters.migrate_to_chat_id;
    let class = match code {
        429 => ErrorClass::Throttled,
        // 401 is a wrong token, 404 a malformed one, 409 a bot that another server holds.
        401 | 404 | 409 => ErrorClass::Account,
        _ if moved_to.is_some() => ErrorClass::RecipientPermanent,
        400 => by_words(words).unwrap_or(ErrorClass::Content),
        403 => by_words(words).unwrap_or(ErrorClass::RecipientPermanent),
        413 => ErrorClass::Content,
        300..=399 => ErrorClass::Account,
        402..=499 => ErrorClass::Content,
        _ => ErrorClass::Ambiguous,
    };
    let wait = retry_after(Some(answer), response).filter(|_| code == 429);
    SendError {
        class: class.into(),
        provider_code: code.to_string(),
        text: without_quotations(&api.redacted(words)),
        retry_after_ms: wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        moved_to: moved_to.map_or_else(String::new, |id| id.to_string()),
        recipient_fault: fault(words).into(),
        ..SendError::default()
    }
}

/// An answer that is none of the Bot API's: only what a status alone proves is believed.
fn unreadable(response: &HttpResponse) -> SendError {
    let class = match response.status {
        429 => ErrorClass::Throttled,
        401 | 404 | 300..=399 => ErrorClass::Account,
        413 => ErrorClass::Content,
        _ => ErrorClass::Ambiguous,
    };
    let wait = retry_after(None, response).filter(|_| class == ErrorClass::Throttled);
    SendError {
        class: class.into(),
        provider_code: response.status.to_string(),
        text: "the answer is not the Bot API's".to_owned(),
        retry_after_ms: wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        moved_to: String::new(),
        ..SendError::default()
    }
}

/// An account that was deleted never comes back under its id; everything else may.
fn fault(words: &str) -> RecipientFault {
    let words = words.to_lowercase();
    let is_deleted = ["user is deactivated", "input_user_deactivated"]
        .iter()
        .any(|text| words.contains(text));
    match is_deleted {
        true => RecipientFault::NoSuchAddress,
        false => RecipientFault::Unspecified,
    }
}

fn by_words(words: &str) -> Option<ErrorClass> {
    let words = words.to_lowercase();
    let meaning = WORDS.iter().find(|(text, _)| words.contains(text));
    meaning.map(|(_, class)| *class)
}

/// Telegram quotes what it refuses ("URL 'x' is invalid", "tag \"b\" at byte offset 3"); content must not reach logs, so
/// quotations go. An apostrophe inside a word opens none.
fn without_quotations(words: &str) -> String {
    let mut kept = String::new();
    let mut quote = None;
    let mut before = ' ';
    for character in words.chars() {
        match quote {
            Some(mark) if character == mark => {
                quote = None;
                kept.push('…');
            }
            Some(_) => {}
            None if character == '"' || (character == '\'' && !before.is_alphanumeric()) => quote = Some(character),
            None => kept.push(character),
        }
        before = character;
    }
    kept.chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_are_left_out_and_apostrophes_are_not() {
        let words = "Bad Request: can't parse entities: tag \"secret\" at byte offset 3";
        assert_eq!(
            without_quotations(words),
            "Bad Request: can't parse entities: tag … at byte offset 3"
        );
        let words = "Bad Request: button URL 'https://x.example/a' is invalid";
        assert_eq!(without_quotations(words), "Bad Request: button URL … is invalid");
        assert_eq!(without_quotations("open \"rest"), "open ");
    }
}
