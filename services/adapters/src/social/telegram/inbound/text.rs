//! Texts and the entities laid over them.

use super::super::wire::Entity;
use omnigate_proto::v1::{Link, Part, Text, part::Content};
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// The contract's limit of a message's parts, less one for what carries the links.
const MAX_LINKS: usize = 31;

/// Composed form; the usual text is in it already.
pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// A text part.
pub(super) fn text_part(text: &str) -> Part {
    part(Content::Text(Text {
        text: nfc(text).into_owned(),
        ..Text::default()
    }))
}

/// A part.
pub(super) fn part(content: Content) -> Part {
    Part { content: Some(content) }
}

/// The addresses that hide behind words of the text (`text_link`), each once. Addresses written out stay in the text.
pub(super) fn hidden_links(text: &str, entities: &[Entity<'_>]) -> Vec<Part> {
    let mut links: Vec<Link> = Vec::new();
    for entity in entities.iter().filter(|entity| &*entity.r#type == "text_link") {
        let Some(url) = &entity.url else { continue };
        if links.len() < MAX_LINKS && !links.iter().any(|link| *link.url == **url) {
            links.push(Link {
                url: url.to_string(),
                title: nfc(utf16_slice(text, entity.offset, entity.length)).into_owned(),
                description: String::new(),
            });
        }
    }
    links.into_iter().map(|link| part(Content::Link(link))).collect()
}

/// The part of a text that offset and length in UTF-16 units name; cut to the text, and never inside a character.
fn utf16_slice(text: &str, offset: usize, length: usize) -> &str {
    let end = offset.saturating_add(length);
    let mut units = 0;
    let mut from = text.len();
    let mut to = text.len();
    for (at, character) in text.char_indices() {
        if units >= offset && from == text.len() {
            from = at;
        }
        if units >= end {
            to = at;
            break;
        }
        units += character.len_utf16();
    }
    text.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_utf16_units() {
        assert_eq!(utf16_slice("😀 giá rẻ", 3, 3), "giá");
        assert_eq!(utf16_slice("abc", 1, 100), "bc");
        assert_eq!(utf16_slice("abc", 7, 2), "");
        assert_eq!(utf16_slice("abc", 1, 0), "");
        assert_eq!(utf16_slice("abc", usize::MAX, usize::MAX), "");
        // An offset inside a surrogate pair begins at the next character.
        assert_eq!(utf16_slice("😀ab", 1, 2), "a");
    }

    #[test]
    fn decomposed_letters_are_composed() {
        assert_eq!(nfc("e\u{302}\u{301}"), "ế");
        assert!(matches!(nfc("chào bạn"), Cow::Borrowed(_)));
    }
}
