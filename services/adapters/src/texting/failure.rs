//! Send errors in words of ours.

use omnigate_core::port::adapter::TransportError;
use omnigate_proto::v1::{ErrorClass, SendError};

/// Longest text of an error, in characters.
const MAX_WORDS: usize = 200;

/// An error of a class.
pub(crate) fn error(class: ErrorClass, text: impl Into<String>) -> SendError {
    SendError {
        class: class.into(),
        text: text.into(),
        ..SendError::default()
    }
}

/// Content that cannot be sent.
pub(crate) fn content_error(text: impl Into<String>) -> SendError {
    error(ErrorClass::Content, text)
}

/// A call without an answer.
pub(crate) fn not_answered(problem: &TransportError) -> SendError {
    let class = match problem {
        TransportError::NotSent(_) => ErrorClass::NotSent,
        TransportError::Ambiguous(_) => ErrorClass::Ambiguous,
        TransportError::Forbidden(_) => ErrorClass::Account,
    };
    error(class, problem.to_string())
}

/// A provider's words without what they may repeat: secrets, quotations and numbers long enough to be somebody's.
pub(crate) fn redacted(words: &str, secrets: &[&str]) -> String {
    let mut words = words.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "***");
    }
    without_numbers(&without_quotations(&words))
        .chars()
        .take(MAX_WORDS)
        .collect()
}

/// Providers quote what they refuse ("The 'To' number 'x' is not valid"); content must not reach logs. An apostrophe
/// inside a word opens no quotation.
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
    kept
}

/// Runs of seven digits and more, with separators between them, become `…`.
fn without_numbers(words: &str) -> String {
    let mut kept = String::new();
    let mut run = String::new();
    for character in words.chars().chain(['\n']) {
        let separates = matches!(character, '+' | '-' | ' ' | '(' | ')' | '.');
        if character.is_ascii_digit() || (separates && !run.is_empty()) || character == '+' {
            run.push(character);
            continue;
        }
        if run.chars().filter(char::is_ascii_digit).count() >= 7 {
            kept.push('…');
            kept.extend(run.chars().rev().take_while(|c| *c == ' ').take(1));
        } else {
            kept.push_str(&run);
        }
        run.clear();
        kept.push(character);
    }
    kept.pop();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_repeat_nothing_personal() {
        let words = "The 'To' number +84 912 345 678 is not a mobile number for key-1";
        assert_eq!(
            redacted(words, &["key-1"]),
            "The … number … is not a mobile number for ***"
        );
        assert_eq!(redacted("it's 30-5000 numbers", &[""]), "it's 30-5000 numbers");
        assert_eq!(redacted("an \"open quotation", &[]), "an ");
        assert_eq!(redacted(&"x".repeat(500), &[]).len(), MAX_WORDS);
        assert_eq!(redacted("code 21211.", &[]), "code 21211.");
    }
}
