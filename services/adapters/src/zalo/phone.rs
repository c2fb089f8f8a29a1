//! Phone numbers as Zalo and its users write them.

use omnigate_core::identifier;
use omnigate_proto::v1::Identifier;

/// Viet Nam's country code.
const COUNTRY: &str = "84";
/// Digits of a Vietnamese number behind the country code or the trunk prefix: nine of a mobile, nine or ten of a landline.
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 9..=10;

/// The number as an identifier. What is neither international nor plainly Vietnamese is left alone: guessing would join
/// strangers.
pub(super) fn identifier(written: &str) -> Option<Identifier> {
    let bare: String = written
        .trim()
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
        .collect();
    if !bare.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let national = |rest: &&str| NATIONAL_DIGITS.contains(&rest.len()) && !rest.starts_with('0');
    let value = if bare.starts_with('+') {
        bare
    } else if let Some(rest) = bare.strip_prefix('0').filter(national) {
        format!("+{COUNTRY}{rest}")
    } else {
        let rest = bare.strip_prefix(COUNTRY).filter(national)?;
        format!("+{COUNTRY}{rest}")
    };
    let phone = Identifier {
        r#type: "phone".to_owned(),
        scope: String::new(),
        value,
    };
    identifier::canonical(&phone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plainly_vietnamese_and_international_numbers_are_understood() {
        let value = |written| identifier(written).map(|phone| phone.value);
        for written in [
            "0912000111",
            "84912000111",
            "+84912000111",
            " 0912.000.111 ",
            "(091) 200-0111",
        ] {
            assert_eq!(value(written).as_deref(), Some("+84912000111"), "{written}");
        }
        assert_eq!(value("02438000111").as_deref(), Some("+842438000111"));
        assert_eq!(value("+66812345678").as_deref(), Some("+66812345678"));
    }

    #[test]
    fn nothing_is_guessed() {
        for written in [
            "",
            "912000111",
            "0084912000111",
            "00912000111",
            "091200011",
            "091200011122",
            "8491200011",
            "66812345678",
            "++84912000111",
            "call me",
            "0912000111 hoặc 0913000222",
            "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
        ] {
            assert_eq!(identifier(written), None, "{written}");
        }
    }
}
