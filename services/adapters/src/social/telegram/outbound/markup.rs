//! The contract's HTML as plain text and entities.
//!
//! Telegram takes marked-up text as HTML or as plain text with entities (`MessageEntity`). Entities are used: they cannot
//! fail to parse, a cut never falls inside a tag, and the limit of a text counts what is left after its mark-up was read.

use super::split::{split, utf16_len};
use omnigate_proto::v1::{Text, TextFormat};
use serde_json::{Value, json};
use std::ops::Range;

/// Open elements at once; further ones are read as if they were not there. Keeps hostile nesting cheap.
const MAX_DEPTH: usize = 32;
/// Longest tag looked for, in bytes.
const MAX_TAG: usize = 4096;
/// Server source: entities of one message beyond this are dropped there.
const MAX_ENTITIES: usize = 100;

/// A text with its mark-up beside it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Styled {
    pub(super) text: String,
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Debug)]
struct Span {
    kind: &'static str,
    url: Option<String>,
    /// Bytes of the text.
    range: Range<usize>,
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
            TextFormat::Html => html(&text.text),
            TextFormat::Plain | TextFormat::Unspecified => Self::plain(&text.text),
        }
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
        let pieces = split(&self.text, limit);
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
                "type": span.kind,
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

/// Reads the contract's subset; other tags are left out, their content stays.
fn html(source: &str) -> Styled {
    let mut reader = Reader::default();
    let mut rest = source;
    while let Some(at) = rest.find(['<', '&']) {
        reader.text.push_str(&rest[..at]);
        rest = &rest[at..];
        let read = if rest.starts_with('<') {
            reader.tag(rest)
        } else {
            reader.reference(rest)
        };
        // What is neither tag nor reference stands for itself.
        let read = read.unwrap_or_else(|| {
            reader.text.push_str(&rest[..1]);
            1
        });
        rest = &rest[read..];
    }
    reader.text.push_str(rest);
    let end = reader.text.len();
    while let Some(span) = reader.open.pop() {
        reader.close(span, end);
    }
    reader
        .spans
        .sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    Styled {
        text: reader.text,
        spans: reader.spans,
    }
}

#[derive(Default)]
struct Reader {
    text: String,
    open: Vec<Span>,
    spans: Vec<Span>,
}

impl Reader {
    /// Reads a tag; how many bytes it has, or `None` when this is none.
    fn tag(&mut self, source: &str) -> Option<usize> {
        // A second `<` ends the search, so that a text full of them is read once.
        let inner_end = source
            .bytes()
            .skip(1)
            .take(MAX_TAG)
            .position(|byte| matches!(byte, b'<' | b'>'))?;
        let end = inner_end + 1;
        let inner = source.get(1..end).filter(|_| source.as_bytes()[end] == b'>')?;
        let (closing, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
        let name_end = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(name_end);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let kind = match name.to_ascii_lowercase().as_str() {
            "br" => {
                self.text.push('\n');
                return Some(end + 1);
            }
            "b" => "bold",
            "i" => "italic",
            "u" => "underline",
            "s" => "strikethrough",
            "code" => "code",
            "pre" => "pre",
            "a" => "text_link",
            _ => return Some(end + 1),
        };
        if closing {
            self.close_last(kind);
        } else if self.open.len() < MAX_DEPTH {
            let start = self.text.len();
            self.open.push(Span {
                kind,
                url: (kind == "text_link").then(|| address(attributes)).flatten(),
                range: start..start,
            });
        }
        Some(end + 1)
    }

    fn close_last(&mut self, kind: &str) {
        if let Some(index) = self.open.iter().rposition(|span| span.kind == kind) {
            let span = self.open.remove(index);
            let end = self.text.len();
            self.close(span, end);
        }
    }

    fn close(&mut self, mut span: Span, end: usize) {
        span.range.end = end;
        // A link without a usable address is only words.
        let useless = span.kind == "text_link" && span.url.is_none();
        if span.range.start < end && !useless {
            self.spans.push(span);
        }
    }

    /// Reads a character reference.
    fn reference(&mut self, source: &str) -> Option<usize> {
        let (character, length) = reference(source)?;
        self.text.push(character);
        Some(length)
    }
}

/// A character reference at the beginning of a text, with its length in bytes.
fn reference(source: &str) -> Option<(char, usize)> {
    let end = source.bytes().take(12).position(|byte| byte == b';')?;
    let name = source.get(1..end)?;
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|c| *c != '\0')?
        }
    };
    Some((character, end + 1))
}

/// The `href` among attributes, when Telegram would open it.
fn address(attributes: &str) -> Option<String> {
    let at = attributes.to_ascii_lowercase().find("href")?;
    let value = attributes.get(at + 4..)?.trim_start().strip_prefix('=')?.trim_start();
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split(char::is_whitespace).next()?,
    };
    let mut url = String::new();
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        url.push_str(&rest[..at]);
        rest = &rest[at..];
        let (character, length) = reference(rest).unwrap_or(('&', 1));
        url.push(character);
        rest = &rest[length..];
    }
    url.push_str(rest);
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let opens = scheme.is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https" | "tg" | "mailto" | "tel"));
    opens.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(source: &str) -> (String, Value) {
        let styled = html(source);
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
    fn what_is_no_markup_stands_for_itself() {
        assert_eq!(read("1 < 2 && 3 > 2").0, "1 < 2 && 3 > 2");
        assert_eq!(read("a &lt;b&gt; &#233; &#x1F600; &unknown;").0, "a <b> é 😀 &unknown;");
        assert_eq!(read("<p>one</p><script>two</script>"), ("onetwo".into(), json!([])));
        assert_eq!(read("<a href='javascript:x'>y</a>"), ("y".into(), json!([])));
    }

    #[test]
    fn a_cut_divides_the_markup() {
        let styled = html("<b>aaaa bbbb</b> cc");
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
            let styled = html(&source.concat());
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
            html(&source).split(7);
        }
    }
}
