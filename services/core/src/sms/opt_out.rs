//! Words by which people opt out, opt in or ask for help by SMS.
//!
//! A message counts only when all of it is such a word, after normalisation: case, accents, space and the punctuation
//! around it do not matter ("Hủy!" is `HUY`). Nothing inside a sentence counts, and no sentence can: a phrase has at most
//! [`MAX_WORDS`] words.
//!
//! Three words that others use are not in the default lists, because they are answers to questions: `YES` and its
//! Vietnamese form "đồng ý" would make people opt in who only confirmed an appointment, and "dừng" (stop) is, without its
//! accents, also "đúng" (right). An account that never asks questions may add them. `HUY` is in, being the custom in
//! Vietnam, although Huy is a given name too: an account that asks for names should take it out.

use super::unaccent::fold;
use std::collections::BTreeMap;

/// Most words of a phrase.
pub const MAX_WORDS: usize = 4;
/// Longest phrase or message that is looked at, in bytes; generous to decomposed accents and to space.
const MAX_BYTES: usize = 256;

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Asked {
    /// Information, and how to opt out.
    Help,
    /// To get messages again.
    OptIn,
    /// To get no more messages.
    OptOut,
}

/// A message that is a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// What it asks.
    pub asked: Asked,
    /// The word, in its normal form.
    pub word: String,
}

/// Why a phrase cannot be a word of a list.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAWord {
    /// Nothing is left after normalisation.
    #[error("a word must have letters or digits")]
    Empty,
    /// It would be a sentence.
    #[error("a phrase must have at most {MAX_WORDS} words of together 256 bytes")]
    TooLong,
}

/// Defaults of a language.
struct Language {
    code: &'static str,
    opt_out: &'static [&'static str],
    opt_in: &'static [&'static str],
    help: &'static [&'static str],
}

const LANGUAGES: &[Language] = &[
    Language {
        code: "en",
        opt_out: &[
            "STOP",
            "STOPALL",
            "STOP ALL",
            "UNSUBSCRIBE",
            "CANCEL",
            "END",
            "QUIT",
            "REVOKE",
            "OPTOUT",
            "OPT OUT",
        ],
        opt_in: &["START", "UNSTOP"],
        help: &["HELP", "INFO"],
    },
    // `TC` is the operators' custom ("soạn TC gửi …"), not the decree's: the lists are configuration.
    Language {
        code: "vi",
        opt_out: &[
            "TC",
            "TC QC",
            "HUY",
            "HUY QC",
            "HUY DK",
            "HUY DANG KY",
            "TU CHOI",
            "TU CHOI QC",
            "STOP",
        ],
        opt_in: &["DK QC", "DANG KY QC", "START"],
        help: &["TRO GIUP", "HUONG DAN", "HELP"], // trợ giúp, hướng dẫn
    },
];

/// Lists of words.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Words {
    asked: BTreeMap<String, Asked>,
}

impl Words {
    /// No words at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The default words of locales such as `vi` or `en-US`, together. A language without defaults adds nothing.
    #[must_use]
    pub fn of_locales<'a>(locales: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = Self::none();
        for locale in locales {
            let code = locale.split(['-', '_']).next().unwrap_or_default();
            for language in LANGUAGES
                .iter()
                .filter(|language| language.code.eq_ignore_ascii_case(code))
            {
                let lists = [
                    (Asked::OptOut, language.opt_out),
                    (Asked::OptIn, language.opt_in),
                    (Asked::Help, language.help),
                ];
                for (asked, phrases) in lists {
                    for phrase in phrases {
                        words.put(asked, (*phrase).to_owned());
                    }
                }
            }
        }
        words
    }

    /// Adds a phrase. One that asks two things asks the stricter: opting out before opting in before help.
    pub fn add(&mut self, asked: Asked, phrase: &str) -> Result<(), NotAWord> {
        let phrase = normal(phrase)?;
        self.put(asked, phrase);
        Ok(())
    }

    /// Takes a phrase out, whatever it asks. True if it was there.
    pub fn remove(&mut self, phrase: &str) -> bool {
        normal(phrase).is_ok_and(|phrase| self.asked.remove(&phrase).is_some())
    }

    /// What a message asks, if all of it is one of the words.
    #[must_use]
    pub fn asked(&self, message: &str) -> Option<Match> {
        let word = normal(message).ok()?;
        let asked = *self.asked.get(&word)?;
        Some(Match { asked, word })
    }

    /// All phrases that ask this, in their normal form.
    pub fn of(&self, asked: Asked) -> impl Iterator<Item = &str> {
        let wanted = move |(_, what): &(&String, &Asked)| **what == asked;
        self.asked.iter().filter(wanted).map(|(phrase, _)| phrase.as_str())
    }

    fn put(&mut self, asked: Asked, phrase: String) {
        let known = self.asked.entry(phrase).or_insert(asked);
        *known = asked.max(*known);
    }
}

/// Words without accents, in capitals, one space between them, no punctuation around them.
fn normal(text: &str) -> Result<String, NotAWord> {
    let text = text.trim();
    if text.len() > MAX_BYTES {
        return Err(NotAWord::TooLong);
    }
    let folded = fold(text);
    let bare = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = bare.split_whitespace().collect();
    match words.len() {
        0 => Err(NotAWord::Empty),
        1..=MAX_WORDS => Ok(words.join(" ")),
        _ => Err(NotAWord::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(message: &str) -> Option<Asked> {
        Words::of_locales(["vi", "en"]).asked(message).map(|found| found.asked)
    }

    #[test]
    fn case_accents_space_and_punctuation_do_not_matter() {
        for message in [
            "STOP",
            "stop",
            " Stop. ",
            "\"STOP\"",
            "STOP!!!",
            "stop\n",
            "Hủy",
            "HUỶ",
            "huy",
            "hu\u{309}y",
            "(HUY)",
            "TC",
            "tc  qc",
            "TC\u{a0}QC",
            "Từ chối",
            "TỪ  CHỐI\tQC.",
            "hủy đăng ký",
            "unsubscribe",
            "Opt out",
            "STOP 🙏",
        ] {
            assert_eq!(asked(message), Some(Asked::OptOut), "{message:?}");
        }
        assert_eq!(asked("start"), Some(Asked::OptIn));
        assert_eq!(asked("Đăng ký QC"), Some(Asked::OptIn));
        assert_eq!(asked("Trợ giúp?"), Some(Asked::Help));
        let found = Words::of_locales(["vi-VN"]).asked(" từ chối ").unwrap();
        assert_eq!(found.word, "TU CHOI");
    }

    #[test]
    fn nothing_inside_a_sentence_counts() {
        for message in [
            "",
            " ",
            "...",
            "please stop",
            "stop it",
            "Tôi muốn hủy đơn hàng",
            "Hủy đơn 123",
            "STOP-loss",
            "S T O P",
            "TC, QC",
            "stops",
            "Don't stop",
            "HUYEN",
            "QC",
            "gửi TC tới 199",
            "[QC] TC",
            "đúng",
            "dừng",
            "YES",
            "Đồng ý",
            "STOP 2",
        ] {
            assert_eq!(asked(message), None, "{message:?}");
        }
    }

    #[test]
    fn lists_are_of_the_locale_and_can_be_changed() {
        let mut words = Words::of_locales(["en-US"]);
        assert_eq!(words.asked("HUY"), None);
        assert_eq!(words.asked("cancel").unwrap().asked, Asked::OptOut);
        assert_eq!(Words::of_locales(["xx", ""]), Words::none());
        words.add(Asked::OptOut, "arrêt").unwrap();
        assert_eq!(words.asked("ARRET").unwrap().asked, Asked::OptOut);
        assert!(words.remove("Cancel") && !words.remove("cancel"));
        assert_eq!(words.asked("cancel"), None);
        words.add(Asked::OptIn, "stop").unwrap();
        assert_eq!(words.asked("stop").unwrap().asked, Asked::OptOut, "the stricter");
        words.add(Asked::OptOut, "start").unwrap();
        assert_eq!(
            words.asked("start").unwrap().asked,
            Asked::OptOut,
            "the stricter, added later"
        );
        assert_eq!(words.of(Asked::Help).collect::<Vec<_>>(), ["HELP", "INFO"]);
    }

    #[test]
    fn a_sentence_is_no_word_of_a_list() {
        let mut words = Words::none();
        assert_eq!(words.add(Asked::OptOut, "!?"), Err(NotAWord::Empty));
        assert_eq!(
            words.add(Asked::OptOut, "please do not write again"),
            Err(NotAWord::TooLong)
        );
        assert_eq!(words.add(Asked::OptOut, &"A".repeat(257)), Err(NotAWord::TooLong));
    }

    #[test]
    fn default_words_are_in_normal_form() {
        for language in LANGUAGES {
            for phrase in [language.opt_out, language.opt_in, language.help].concat() {
                assert_eq!(normal(phrase).as_deref(), Ok(phrase));
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_of_many_words_never_counts(words in prop::collection::vec("[a-zA-Z]{1,6}|STOP|HUY|TC", MAX_WORDS + 1..20), gap in "[ \n\t]{1,3}") {
            prop_assert_eq!(asked(&words.join(&gap)), None);
        }

        #[test]
        fn any_text_is_looked_at(message in "[\\PC\\s]{0,80}") {
            if let Some(found) = Words::of_locales(["vi", "en"]).asked(&message) {
                prop_assert!(found.word.split(' ').count() <= MAX_WORDS);
                prop_assert_eq!(asked(&found.word), Some(found.asked));
            }
        }
    }
}
