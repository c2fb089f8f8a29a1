use super::*;
use proptest::prelude::*;

fn pieces(text: &str, limit: usize) -> Vec<&str> {
    split(text, limit, Unit::Utf16)
        .into_iter()
        .map(|range| &text[range])
        .collect()
}

fn without_space(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn cuts_fall_at_paragraph_line_sentence_and_word_in_this_order() {
    assert_eq!(pieces("aaaa bb\n\ncc dd", 12), ["aaaa bb", "cc dd"]);
    assert_eq!(pieces("aaaa bb\ncc dd ee", 12), ["aaaa bb", "cc dd ee"]);
    assert_eq!(pieces("aaaa bb. cc dd ee", 12), ["aaaa bb.", "cc dd ee"]);
    assert_eq!(pieces("aaaa bb cc dd ee", 12), ["aaaa bb cc", "dd ee"]);
    assert_eq!(pieces("aaaaaaaaaaaaa", 12), ["aaaaaaaaaaaa", "a"]);
}

#[test]
fn an_early_paragraph_does_not_make_a_tiny_piece() {
    assert_eq!(pieces("a\n\nbbbb bbbb bbbb", 10), ["a\n\nbbbb", "bbbb bbbb"]);
}

#[test]
fn emoji_count_two_units_and_are_never_cut() {
    assert_eq!(utf16_len("😀a"), 3);
    assert_eq!(pieces("😀😀😀", 3), ["😀", "😀", "😀"]);
    // A family is one character to a reader: 8 units.
    assert_eq!(pieces("aaaa👨‍👩‍👧aaaa", 9), ["aaaa", "👨‍👩‍👧a", "aaa"]);
}

#[test]
fn characters_count_one_each() {
    let shown = |range: std::ops::Range<usize>| &"😀😀😀"[range];
    let pieces: Vec<_> = split("😀😀😀", 2, Unit::Characters).into_iter().map(shown).collect();
    assert_eq!(pieces, ["😀😀", "😀"]);
}

#[test]
fn nothing_comes_of_nothing() {
    assert!(split("", 10, Unit::Utf16).is_empty());
    assert!(split(" \n\t ", 10, Unit::Utf16).is_empty());
}

fn texts() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z]{1,12}",
        "[ \n.!?]{1,4}",
        Just("giá rẻ ".to_owned()),
        Just("😀".to_owned()),
        Just("👨‍👩‍👧".to_owned()),
        Just("e\u{301}".to_owned()),
        "\\PC{1,3}",
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn pieces_are_the_text_within_the_limit(
        text in texts(),
        limit in 2_usize..40,
        unit in prop::sample::select(vec![Unit::Utf16, Unit::Characters]),
    ) {
        let ranges = split(&text, limit, unit);
        prop_assert_eq!(&ranges, &split(&text, limit, unit));
        let mut end = 0;
        for range in &ranges {
            prop_assert!(range.start >= end && range.start < range.end);
            prop_assert!(text[end..range.start].chars().all(char::is_whitespace));
            let piece = &text[range.clone()];
            let length = match unit {
                Unit::Utf16 => piece.encode_utf16().count(),
                Unit::Characters => piece.chars().count(),
            };
            prop_assert!(length <= limit);
            prop_assert_eq!(piece.trim(), piece);
            end = range.end;
        }
        prop_assert!(text[end..].chars().all(char::is_whitespace));
        let joined: String = ranges.into_iter().map(|range| &text[range]).collect();
        prop_assert_eq!(without_space(&joined), without_space(&text));
    }

    #[test]
    fn utf16_len_is_right(text in "\\PC{0,40}") {
        prop_assert_eq!(utf16_len(&text), text.encode_utf16().count());
    }
}
