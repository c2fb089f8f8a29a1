//! Message ids: the same one is written in one way when a message is submitted and in another in its receipt.

use serde::Deserialize;

/// How an id is written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// As it stands.
    #[default]
    Text,
    /// A hexadecimal number.
    Hex,
    /// A decimal number.
    Decimal,
}

/// The canonical form of an id: a number in hexadecimal digits where it is known to be a number, else the text; without
/// leading zeros and in lower case. Empty for an empty id.
pub(super) fn canonical(written: &[u8], form: Form) -> String {
    let text = String::from_utf8_lossy(written);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    if form == Form::Decimal
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = text.parse::<u128>()
    {
        return format!("{number:x}");
    }
    let text = text.to_lowercase();
    match text.trim_start_matches('0') {
        "" if !text.is_empty() => "0".to_owned(),
        significant => significant.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_come_to_the_same() {
        for (submitted, form, receipted, receipt_form) in [
            ("1d305b4c", Form::Hex, "0489708364", Form::Decimal),
            ("6aad5", Form::Hex, "0000436949", Form::Decimal),
            ("18D0E03A", Form::Hex, "0416342074", Form::Decimal),
            ("436949", Form::Decimal, "06AAD5", Form::Hex),
            ("00f3A0", Form::Text, "F3a0", Form::Text),
            ("7B1C-4E", Form::Text, "7b1c-4e", Form::Decimal),
            ("000", Form::Hex, "0", Form::Decimal),
        ] {
            assert_eq!(
                canonical(submitted.as_bytes(), form),
                canonical(receipted.as_bytes(), receipt_form),
                "{submitted} and {receipted}"
            );
        }
    }

    #[test]
    fn what_is_no_number_stays_a_text() {
        assert_eq!(canonical(b" abc\0", Form::Decimal), "abc");
        assert_eq!(canonical(b"", Form::Decimal), "");
        assert_eq!(canonical(b"  ", Form::Hex), "");
        assert_eq!(canonical("9".repeat(60).as_bytes(), Form::Decimal), "9".repeat(60));
        assert_eq!(canonical(b"\xff1", Form::Text), "\u{fffd}1");
    }
}
