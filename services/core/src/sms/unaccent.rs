//! Vietnamese without accents, and everything else that GSM-7 lacks replaced by something that it has: how brandname
//! messages are sent.

use super::alphabet::{self, National};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation as _;

/// A text without accents, and what that cost.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Unaccented {
    /// The text; every character is in the GSM 7-bit default alphabet.
    pub text: String,
    /// Letters that lost their accents.
    pub letters: usize,
    /// Typographic characters replaced by plain ones, or dropped where they are invisible.
    pub replaced: usize,
    /// Characters, as a reader sees them, that became a question mark.
    pub lost: usize,
}

/// Removes accents, also of the few letters that GSM-7 has with them, so that one text is written in one way; then replaces
/// what is left outside GSM-7.
#[must_use]
pub fn unaccent(text: &str) -> Unaccented {
    let mut plain = Unaccented {
        text: String::with_capacity(text.len()),
        ..Unaccented::default()
    };
    for grapheme in text.graphemes(true) {
        plain.add(grapheme);
    }
    plain
}

/// A text as it is compared: without accents, in capitals. "Hủy", "HỦY" and "huy" are one.
#[must_use]
pub fn fold(text: &str) -> String {
    bare(text).flat_map(char::to_uppercase).collect()
}

/// A text without the accents of its letters; everything else stays as it is.
#[must_use]
pub fn without_accents(text: &str) -> String {
    bare(text).collect()
}

fn bare(text: &str) -> impl Iterator<Item = char> {
    text.nfd().filter(|c| !is_combining_mark(*c)).map(without_stroke)
}

impl Unaccented {
    /// Adds what a reader sees as one character.
    fn add(&mut self, grapheme: &str) {
        let before = self.text.len();
        let (mut accents, mut replaced, mut lost) = (false, false, false);
        for c in grapheme.nfd() {
            if is_combining_mark(c) {
                accents = true;
            } else if is_plain(c) {
                self.text.push(c);
            } else if let (letter, true) = (without_stroke(c), matches!(c, 'đ' | 'Đ')) {
                accents = true;
                self.text.push(letter);
            } else if let Some(instead) = replacement(c) {
                replaced = true;
                self.text.push_str(instead);
            } else if self.decompose(c) {
                replaced = true;
            } else {
                lost = true;
            }
        }
        let is_empty = self.text.len() == before;
        if lost && is_empty {
            self.text.push('?');
            self.lost += 1;
        } else if replaced || lost || (accents && is_empty) {
            self.replaced += 1;
        } else if accents {
            self.letters += 1;
        }
    }

    /// Adds the compatibility form of a character, such as `TM` for `™`, if GSM-7 can write all of it.
    fn decompose(&mut self, c: char) -> bool {
        let before = self.text.len();
        let mut parts = 0;
        for part in [c].into_iter().nfkd().filter(|part| !is_combining_mark(*part)) {
            parts += 1;
            match replacement(part) {
                _ if is_plain(part) => self.text.push(part),
                Some(instead) => self.text.push_str(instead),
                None => {
                    self.text.truncate(before);
                    return false;
                }
            }
        }
        parts > 0
    }
}

fn is_plain(c: char) -> bool {
    alphabet::written(c, National::default()).is_some()
}

/// The one letter of Vietnamese whose mark is part of it.
const fn without_stroke(c: char) -> char {
    match c {
        'đ' => 'd',
        'Đ' => 'D',
        other => other,
    }
}

/// What is written instead of a character that has no decomposition, or a worse one.
fn replacement(c: char) -> Option<&'static str> {
    Some(match c {
        '‘' | '’' | '‚' | '‛' | '′' | '‵' | '`' | '´' | 'ʹ' | 'ʻ' | 'ʼ' | 'ˈ' | '‹' | '›' => "'",
        '“' | '”' | '„' | '‟' | '″' | '‶' | '«' | '»' | '〃' => "\"",
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '⁃' | '─' | '﹣' => "-",
        '…' => "...",
        '•' | '‣' | '∙' | '●' | '○' | '◦' | '▪' | '■' | '◆' | '★' | '☆' | '·' => "*",
        '\t' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{b}' | '\u{85}' | '\u{2028}' | '\u{2029}' => "\n",
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => "",
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => "",
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => "",
        '₫' => "d",
        '¢' => "c",
        '°' | '˚' => "o",
        '×' | '✕' | '✖' => "x",
        '÷' | '⁄' | '∕' => "/",
        '±' => "+/-",
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "!=",
        '≈' => "~",
        '←' | '⇐' => "<-",
        '→' | '⇒' | '➔' | '➜' => "->",
        '©' => "(c)",
        '®' => "(r)",
        '¦' => "|",
        'µ' | 'μ' => "u",
        // U+00D0 is what old Vietnamese code pages made of Đ.
        'Ð' => "D",
        'ð' => "d",
        'ł' => "l",
        'Ł' => "L",
        'ı' => "i",
        'ħ' => "h",
        'Ħ' => "H",
        'œ' => "oe",
        'Œ' => "OE",
        'þ' => "th",
        'Þ' => "Th",
        'ẞ' => "SS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vietnamese_loses_its_accents() {
        let plain = unaccent("Đơn hàng của quý khách đã được gửi, tổng 1.250.000₫");
        assert_eq!(plain.text, "Don hang cua quy khach da duoc gui, tong 1.250.000d");
        assert_eq!((plain.letters, plain.replaced, plain.lost), (13, 1, 0));
        assert_eq!(unaccent("ƯỚC nguyện ĐẶNG Ðà").text, "UOC nguyen DANG Da");
        assert_eq!(unaccent("Hòa Hoà é").text, "Hoa Hoa e", "also what GSM-7 could write");
    }

    #[test]
    fn composed_and_decomposed_are_one() {
        let composed = "Tiếng Việt, đặc sản";
        let decomposed: String = composed.nfd().collect();
        assert_eq!(unaccent(composed), unaccent(&decomposed));
    }

    #[test]
    fn typography_becomes_plain() {
        let plain = unaccent("“Giá”\u{a0}–\u{a0}50…\u{200b} ‘A’ ½ ™ № ﬁ １２ 5×3 25°C\t`");
        assert_eq!(plain.text, "\"Gia\" - 50... 'A' 1/2 TM No fi 12 5x3 25oC '");
        assert_eq!(plain.lost, 0);
        assert_eq!(
            unaccent("[QC] {a} ~ | \\ ^ € @ £ ß Ω").text,
            "[QC] {a} ~ | \\ ^ € @ £ ß Ω"
        );
    }

    #[test]
    fn what_cannot_be_written_is_one_question_mark() {
        for lost in ["😀", "👨\u{200d}👩\u{200d}👧", "🇻🇳", "漢", "한", "👍🏽"] {
            let plain = unaccent(lost);
            assert_eq!((plain.text.as_str(), plain.lost), ("?", 1), "{lost}");
        }
        let keycap = unaccent("1\u{fe0f}\u{20e3}");
        assert_eq!((keycap.text.as_str(), keycap.lost), ("1", 0));
        let signed = unaccent("\u{600}1");
        assert_eq!((signed.text.as_str(), signed.replaced, signed.lost), ("1", 1, 0));
    }

    #[test]
    fn words_are_compared_without_accents_and_case() {
        assert_eq!(fold("Hủy đăng ký"), "HUY DANG KY");
        assert_eq!(fold("TỪ CHỐI"), fold("từ chối"));
    }

    proptest! {
        #[test]
        fn all_of_it_is_gsm_7_and_stays_as_it_is(text in "[\\PC\\s]{0,60}") {
            let plain = unaccent(&text);
            prop_assert!(alphabet::encode(&plain.text, National::default()).is_ok(), "{:?}", plain.text);
            let again = unaccent(&plain.text);
            prop_assert_eq!(&again.text, &plain.text);
            prop_assert_eq!((again.letters, again.replaced, again.lost), (0, 0, 0));
        }
    }
}
