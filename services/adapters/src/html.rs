//! The contract's HTML, as plain text with its mark-up beside it.

use std::ops::Range;

/// Open elements at once; further ones are read as if they were not there. Keeps hostile nesting cheap.
const MAX_DEPTH: usize = 32;
/// Longest tag looked for, in bytes.
const MAX_TAG: usize = 4096;

/// A text with its mark-up beside it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Html {
    /// What a reader sees.
    pub(crate) text: String,
    /// Mark-up, by where it begins; outer before inner.
    pub(crate) spans: Vec<Span>,
}

/// Mark-up of a stretch of text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Span {
    /// Name of the element: `a`, `b`, `i`, `u`, `s`, `code`, `pre`.
    pub(crate) element: &'static str,
    /// Address of an `a`: http, https, tg, mailto or tel; elements without one are only words and have no span.
    pub(crate) url: Option<String>,
    /// Bytes of the text; not empty.
    pub(crate) range: Range<usize>,
}

/// Reads the contract's subset; other tags are left out, their content stays.
pub(crate) fn read(source: &str) -> Html {
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
    Html {
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
        let element = match name.to_ascii_lowercase().as_str() {
            "br" => {
                self.text.push('\n');
                return Some(end + 1);
            }
            "b" => "b",
            "i" => "i",
            "u" => "u",
            "s" => "s",
            "code" => "code",
            "pre" => "pre",
            "a" => "a",
            _ => return Some(end + 1),
        };
        if closing {
            self.close_last(element);
        } else if self.open.len() < MAX_DEPTH {
            let start = self.text.len();
            self.open.push(Span {
                element,
                url: (element == "a").then(|| address(attributes)).flatten(),
                range: start..start,
            });
        }
        Some(end + 1)
    }

    fn close_last(&mut self, element: &str) {
        if let Some(index) = self.open.iter().rposition(|span| span.element == element) {
            let span = self.open.remove(index);
            let end = self.text.len();
            self.close(span, end);
        }
    }

    fn close(&mut self, mut span: Span, end: usize) {
        span.range.end = end;
        // A link without a usable address is only words.
        let useless = span.element == "a" && span.url.is_none();
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

/// The `href` among attributes, when a messenger would open it.
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

    #[test]
    fn what_is_no_markup_stands_for_itself() {
        assert_eq!(read("1 < 2 && 3 > 2").text, "1 < 2 && 3 > 2");
        assert_eq!(
            read("a &lt;b&gt; &#233; &#x1F600; &unknown;").text,
            "a <b> é 😀 &unknown;"
        );
        let others = read("<p>one</p><script>two</script>");
        assert_eq!((others.text.as_str(), others.spans), ("onetwo", Vec::new()));
        let script = read("<a href='javascript:x'>y</a>");
        assert_eq!((script.text.as_str(), script.spans), ("y", Vec::new()));
    }

    #[test]
    fn spans_say_where_an_element_lies() {
        let html = read("x <b>một <a href=https://x.example>hai</a></b>");
        let shown: Vec<_> = html
            .spans
            .iter()
            .map(|span| (span.element, &html.text[span.range.clone()]))
            .collect();
        assert_eq!(shown, [("b", "một hai"), ("a", "hai")]);
    }

    proptest! {
        #[test]
        fn no_html_panics(source in "[<>&;#xabi/= \"'é😀]{0,60}") {
            read(&source);
        }
    }
}
