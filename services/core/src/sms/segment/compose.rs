//! The text with what the law wants around it.

use crate::sms::unaccent::fold;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// NFC of a text with its label first and its opt-out line last, neither doubled.
pub(super) fn compose(text: &str, label: Option<&str>, opt_out_line: Option<&str>) -> String {
    let mut text = nfc(text);
    let wanted = |part: Option<&str>| part.map(|part| nfc(part.trim())).filter(|part| !part.is_empty());
    if let Some(label) = wanted(label)
        && !text.is_empty()
    {
        text = labelled(&text, &label);
    }
    if let Some(line) = wanted(opt_out_line)
        && !text.is_empty()
        && !ends_with(&text, &line)
    {
        text.truncate(text.trim_end().len());
        text.push('\n');
        text.push_str(&line);
    }
    // A mark after the label may compose with it.
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text;
    }
    nfc(&text)
}

fn nfc(text: &str) -> String {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        _ => text.nfc().collect(),
    }
}

/// A label that is there in other letters is put right: the law knows it in one form.
fn labelled(text: &str, label: &str) -> String {
    let body = text.trim_start();
    match after_label(body, label) {
        Some(rest) => format!("{label}{rest}"),
        None => format!("{label} {body}"),
    }
}

/// What stands behind a label that the text begins with, in whatever letters; `None` where it begins otherwise.
pub(crate) fn after_label<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let end = text
        .char_indices()
        .nth(label.chars().count())
        .map_or(text.len(), |(at, _)| at);
    let (first, rest) = text.split_at(end);
    let is_label = fold(first) == fold(label) && !continues(label.chars().next_back(), rest.chars().next());
    is_label.then_some(rest)
}

fn ends_with(text: &str, line: &str) -> bool {
    let (text, line) = (fold(text.trim_end()), fold(line));
    let before = text.strip_suffix(&line);
    before.is_some_and(|before| !continues(before.chars().next_back(), line.chars().next()))
}

/// Whether two characters side by side are inside one word: `QC` does not label "QCVN 41".
fn continues(before: Option<char>, after: Option<char>) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    is_word(before) && is_word(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_first_and_there_once() {
        let labelled = |text| compose(text, Some("[QC]"), None);
        assert_eq!(labelled("Giảm 50%"), "[QC] Giảm 50%");
        assert_eq!(labelled("[QC] Giảm 50%"), "[QC] Giảm 50%");
        assert_eq!(labelled("[QC]Giảm 50%"), "[QC]Giảm 50%");
        assert_eq!(labelled("  [qc] Giảm 50%"), "[QC] Giảm 50%");
        assert_eq!(labelled("Giảm 50% [QC]"), "[QC] Giảm 50% [QC]");
        assert_eq!(labelled("[Q"), "[QC] [Q");
        assert_eq!(compose("QCVN 41 sale", Some("QC"), None), "QC QCVN 41 sale");
        assert_eq!(compose("QC: sale", Some("QC"), None), "QC: sale");
        assert_eq!(compose("sale", Some("  "), Some("")), "sale");
        assert_eq!(labelled(""), "");
    }

    #[test]
    fn the_opt_out_line_is_last_and_there_once() {
        let line = "Từ chối soạn TC gửi 199";
        let closed = |text| compose(text, None, Some(line));
        assert_eq!(closed("Giảm 50% "), format!("Giảm 50%\n{line}"));
        assert_eq!(
            closed("Giảm 50%. Tu choi soan TC gui 199"),
            "Giảm 50%. Tu choi soan TC gui 199"
        );
        assert_eq!(closed(&format!("Giảm\n{line} \n")), format!("Giảm\n{line} \n"));
        assert_eq!(compose("NONSTOP", None, Some("STOP")), "NONSTOP\nSTOP");
        let decomposed: String = line.nfd().collect();
        assert_eq!(compose("A", None, Some(&decomposed)), format!("A\n{line}"));
    }
}
