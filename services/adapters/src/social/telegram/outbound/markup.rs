//! The contract's HTML as plain text and entities.
//!
//! Telegram takes marked-up text as HTML or as plain text with entities (`MessageEntity`). Entities are used: they cannot
//! fail to parse, a cut never falls inside a tag, and the limit of a text counts what is left after its mark-up was read.

use crate::html::{self, Span};
use crate::split::{Unit, split, utf16_len};
use omnigate_proto::v1::{Text, TextFormat};
use serde_json::{Value, json};
use std::ops::Range;

/// Server source: entities of one message beyond this are dropped there.
const MAX_ENTITIES: usize = 100;

/// A text with its mark-up beside it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Styled {
    pub(super) text: String,
    spans: Vec<Span>,
}

impl Styled {
    /// Without mark-up.
    pub(super) fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            spans: Vec::new(),
        }
    }

    /// As the contract marks it.
    pub(super) fn of(text: &Text) -> Self {
        match text.format() {
            TextFormat::Html => Self::html(&text.text),
            TextFormat::Plain | TextFormat::Unspecified => Self::plain(&text.text),
        }
    }

    fn html(source: &str) -> Self {
        let html::Html { text, spans } = html::read(source);
        Self { text, spans }
    }

    /// Whether there is mark-up.
    pub(super) fn is_marked(&self) -> bool {
        !self.spans.is_empty()
    }

    /// Takes the mark-up away.
    pub(super) fn drop_markup(&mut self) {
        self.spans.clear();
    }

    /// Pieces within a limit in UTF-16 units, each with its share of the mark-up.
    pub(super) fn split(&self, limit: usize) -> Vec<Self> {
        let pieces = split(&self.text, limit, Unit::Utf16);
        pieces.into_iter().map(|range| self.slice(&range)).collect()
    }

    fn slice(&self, piece: &Range<usize>) -> Self {
        let shared = self.spans.iter().filter_map(|span| {
            let start = span.range.start.max(piece.start);
            let end = span.range.end.min(piece.end);
            (start < end).then(|| Span {
                range: start - piece.start..end - piece.start,
                ..span.clone()
            })
        });
        Self {
            text: self.text[piece.clone()].to_owned(),
            spans: shared.take(MAX_ENTITIES).collect(),
        }
    }

    /// `MessageEntity` objects.
    pub(super) fn entities(&self) -> Value {
        let entities = self.spans.iter().map(|span| {
            let mut entity = json!({
                "type": entity_type(span.element),
                "offset": utf16_len(&self.text[..span.range.start]),
                "length": utf16_len(&self.text[span.range.clone()]),
            });
            if let Some(url) = &span.url {
                entity["url"] = json!(url);
            }
            entity
        });
        Value::Array(entities.collect())
    }
}

/// Bot API, `MessageEntity.type`.
fn entity_type(element: &'static str) -> &'static str {
    match element {
        "b" => "bold",
        "i" => "italic",
        "u" => "underline",
        "s" => "strikethrough",
        "a" => "text_link",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(source: &str) -> (String, Value) {
        let styled = Styled::html(source);
        let entities = styled.entities();
        (styled.text, entities)
    }

    #[test]
    fn tags_become_entities_in_utf16_units() {
        let (text, entities) = read("😀 <b>giá</b> <a href=\"https://x.example/?a=1&amp;b=2\">đây</a><br>hết");
        assert_eq!(text, "😀 giá đây\nhết");
        let expected = json!([
            { "type": "bold", "offset": 3, "length": 3 },
            { "type": "text_link", "offset": 7, "length": 3, "url": "https://x.example/?a=1&b=2" },
        ]);
        assert_eq!(entities, expected);
    }

    #[test]
    fn a_cut_divides_the_markup() {
        let styled = Styled::html("<b>aaaa bbbb</b> cc");
        let pieces = styled.split(5);
        let shown: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.text.as_str(), piece.entities()))
            .collect();
        let bold = json!([{ "type": "bold", "offset": 0, "length": 4 }]);
        assert_eq!(shown, [("aaaa", bold.clone()), ("bbbb", bold), ("cc", json!([]))]);
    }

    proptest! {
        #[test]
        fn entities_lie_within_the_text(
            source in prop::collection::vec(
                prop_oneof![
                    Just("<b>"), Just("</b>"), Just("<i>"), Just("</i>"), Just("<a href=https://x>"), Just("</a>"),
                    Just("<pre>"), Just("<"), Just("&amp;"), Just("&"), Just("😀"), Just("a b "), Just("<br/>"),
                ],
                0..40,
            ),
            limit in 2_usize..20,
        ) {
            let styled = Styled::html(&source.concat());
            for piece in styled.split(limit) {
                let length = utf16_len(&piece.text);
                prop_assert!(length <= limit);
                for entity in piece.entities().as_array().unwrap() {
                    let offset = entity["offset"].as_u64().unwrap();
                    let size = entity["length"].as_u64().unwrap();
                    prop_assert!(size > 0 && offset + size <= length as u64);
                }
            }
        }

        #[test]
        fn no_html_panics(source in "[<>&;#xabi/= \"'é😀]{0,60}") {
            Styled::html(&source).split(7);
        }
    }
}
