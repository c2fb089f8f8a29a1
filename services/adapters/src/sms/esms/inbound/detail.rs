//! `error_info`: the answer of the network behind eSMS, written in several ways.
//!
//! It is JSON that was percent-encoded twice and has `____<date>` behind it, or JSON inside a JSON text, or neither.

use crate::texting::redacted;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// How often a text is unwrapped: the encodings and the text inside the text.
const LAYERS: usize = 4;
/// Longest text looked at, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// What it says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Detail {
    /// The network's code.
    pub(super) code: String,
    /// Its words.
    pub(super) words: String,
}

impl Detail {
    /// Reads the parameter, which was decoded once already.
    pub(super) fn of(written: &str) -> Self {
        if written.len() > MAX_TEXT {
            return Self::default();
        }
        let mut text = written.to_owned();
        for _ in 0..LAYERS {
            match serde_json::from_str::<Value>(without_date(&text)) {
                Ok(Value::String(inside)) => text = inside,
                Ok(Value::Object(map)) => {
                    let field = |names: &[&str]| {
                        names
                            .iter()
                            .find_map(|name| map.get(*name))
                            .map(plain)
                            .unwrap_or_default()
                    };
                    return Self {
                        code: field(&["error", "error_code", "code", "Code"])
                            .chars()
                            .take(32)
                            .collect(),
                        words: redacted(&field(&["message", "error_message", "Message"]), &[]),
                    };
                }
                Ok(Value::Number(number)) => {
                    return Self {
                        code: number.to_string(),
                        words: String::new(),
                    };
                }
                _ => {
                    let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
                    if decoded == text {
                        break;
                    }
                    text = decoded;
                }
            }
        }
        Self {
            code: String::new(),
            words: redacted(without_date(&text), &[]),
        }
    }
}

fn without_date(text: &str) -> &str {
    text.rfind("____").map_or(text, |at| &text[..at]).trim()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_of_writing_is_read() {
        let expected = Detail {
            code: "-118".into(),
            words: "Zalo account not existed".into(),
        };
        for written in [
            r#"{"error":-118,"message":"Zalo account not existed"}"#,
            r#"{"error":"-118","message":"Zalo account not existed"}____2026-01-02 10:04:05"#,
            "%7B%22error%22%3A-118%2C%22message%22%3A%22Zalo%20account%20not%20existed%22%7D____2026-01-02",
            "%257B%2522error%2522%253A-118%252C%2522message%2522%253A%2522Zalo%2520account%2520not%2520existed%2522%257D____2026",
            r#""{\"error\":-118,\"message\":\"Zalo account not existed\"}""#,
        ] {
            assert_eq!(Detail::of(written), expected, "{written}");
        }
        assert_eq!(Detail::of("khong du dieu kien").words, "khong du dieu kien");
        assert_eq!(Detail::of("-118").code, "-118");
        assert_eq!(Detail::of(""), Detail::default());
        assert_eq!(Detail::of(&"%25".repeat(10_000)), Detail::default());
    }

    proptest! {
        #[test]
        fn nothing_panics(written in "[%0-9A-F{}\":_\\\\a ạ]{0,60}") {
            Detail::of(&written);
        }
    }
}
