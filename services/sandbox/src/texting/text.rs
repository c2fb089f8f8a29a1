//! Texts and numbers as a provider counts and writes them.

/// The basic characters of GSM-7, and those that take two septets.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// SMS segments of a text.
pub(crate) fn segments(text: &str) -> usize {
    let septets = |c: char| match c {
        _ if BASIC.contains(c) => Some(1),
        _ if EXTENDED.contains(c) => Some(2),
        _ => None,
    };
    let gsm: Option<usize> = text.chars().map(septets).sum();
    match gsm {
        Some(0..=160) => 1,
        Some(units) => units.div_ceil(153),
        None => match text.encode_utf16().count() {
            0..=70 => 1,
            units => units.div_ceil(67),
        },
    }
}

/// A text with everything percent-encoded that is no letter, digit or one of `-_.~`.
pub(crate) fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, UNRESERVED).to_string()
}

const UNRESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Names and values as a query string.
pub(crate) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
        .collect();
    pairs.join("&")
}

/// A number of Vietnam in any form as its digits with country code; `None` for what is none. Other countries' numbers
/// need a plus or begin with their code.
pub(crate) fn digits(written: &str) -> Option<String> {
    let bare = written.trim().trim_start_matches('+');
    if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = bare
        .strip_prefix('0')
        .map_or_else(|| bare.to_owned(), |rest| format!("84{rest}"));
    (9..=15).contains(&digits.len()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_as_networks_do() {
        for (text, count) in [
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("[".repeat(80), 1),
            ("[".repeat(81), 2),
            ("ạ".repeat(70), 1),
            ("ạ".repeat(71), 2),
            (String::new(), 1),
        ] {
            assert_eq!(segments(&text), count, "{text}");
        }
    }

    #[test]
    fn numbers_have_one_form() {
        for written in ["0912345678", "84912345678", "+84912345678"] {
            assert_eq!(digits(written).as_deref(), Some("84912345678"));
        }
        for written in ["", "abc", "12", "+84 912"] {
            assert_eq!(digits(written), None, "{written}");
        }
    }
}
