//! `parse_mode=HTML`: the tags Telegram knows, turned into entities.

use super::answer::ApiError;
use serde_json::{Value, json};

/// Text and entities, with offsets in UTF-16 code units.
#[derive(Debug, Default)]
pub(super) struct Formatted {
    pub(super) text: String,
    pub(super) entities: Vec<Value>,
}

struct Open {
    tag: String,
    entity: Value,
    start: usize,
}

/// Length as Telegram counts it.
pub(super) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Parses `source`; the error is the one of the real parser, with the byte offset at which it stopped.
pub(super) fn parse(source: &str) -> Result<Formatted, ApiError> {
    let mut parsed = Formatted::default();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(next) = source[at..].chars().next() {
        match next {
            '<' => at = tag(source, at, &mut parsed, &mut open)?,
            '&' => at = character(source, at, &mut parsed.text),
            _ => {
                parsed.text.push(next);
                at += next.len_utf8();
            }
        }
    }
    match open.pop() {
        Some(unclosed) => Err(cannot(format!(
            "Can't find end tag corresponding to start tag \"{}\"",
            unclosed.tag
        ))),
        None => Ok(parsed),
    }
}

fn cannot(why: impl AsRef<str>) -> ApiError {
    ApiError::bad_request(format!("can't parse entities: {}", why.as_ref()))
}

/// One tag, from its `<`; answers where the text goes on.
fn tag(source: &str, at: usize, parsed: &mut Formatted, open: &mut Vec<Open>) -> Result<usize, ApiError> {
    let Some(length) = source[at..].find('>') else {
        return Err(cannot(format!("Unclosed start tag at byte offset {at}")));
    };
    let inner = &source[at + 1..at + length];
    let end = at + length + 1;
    if let Some(name) = inner.strip_prefix('/') {
        close(name.trim(), at, parsed, open)?;
        return Ok(end);
    }
    let name = inner
        .split([' ', '\n', '\t'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let attributes = inner[name.len()..].trim();
    let Some(entity) = entity(&name, attributes, open.last()) else {
        return Err(cannot(format!("Unsupported start tag \"{name}\" at byte offset {at}")));
    };
    open.push(Open {
        tag: name,
        entity,
        start: utf16_len(&parsed.text),
    });
    Ok(end)
}

fn close(name: &str, at: usize, parsed: &mut Formatted, open: &mut Vec<Open>) -> Result<(), ApiError> {
    let Some(last) = open.pop() else {
        return Err(cannot(format!("Unexpected end tag at byte offset {at}")));
    };
    if !name.is_empty() && !name.eq_ignore_ascii_case(&last.tag) {
        let expected = last.tag;
        return Err(cannot(format!(
            "Unmatched end tag at byte offset {at}, expected \"</{expected}>\", found \"</{name}>\""
        )));
    }
    let length = utf16_len(&parsed.text) - last.start;
    // Tags around nothing, and a link without an address, leave no entity.
    if length > 0 && !last.entity.is_null() {
        let mut entity = last.entity;
        entity["offset"] = json!(last.start);
        entity["length"] = json!(length);
        parsed.entities.push(entity);
    }
    Ok(())
}

/// The entity that `<name attributes>` begins; none for a tag that Telegram does not know.
fn entity(name: &str, attributes: &str, outer: Option<&Open>) -> Option<Value> {
    let simple = |kind: &str| Some(json!({"type": kind}));
    match name {
        "b" | "strong" => simple("bold"),
        "i" | "em" => simple("italic"),
        "u" | "ins" => simple("underline"),
        "s" | "strike" | "del" => simple("strikethrough"),
        "tg-spoiler" => simple("spoiler"),
        "span" if attribute(attributes, "class") == Some("tg-spoiler") => simple("spoiler"),
        "pre" => simple("pre"),
        "code" => match (
            outer,
            attribute(attributes, "class").and_then(|class| class.strip_prefix("language-")),
        ) {
            // Inside <pre>, <code class="language-x"> only names the language.
            (Some(outer), Some(_)) if outer.tag == "pre" => Some(Value::Null),
            _ => simple("code"),
        },
        "blockquote" if attributes == "expandable" => simple("expandable_blockquote"),
        "blockquote" => simple("blockquote"),
        "tg-emoji" => Some(json!({"type": "custom_emoji", "custom_emoji_id": attribute(attributes, "emoji-id")?})),
        "a" => Some(match attribute(attributes, "href") {
            Some(address) => json!({"type": "text_link", "url": address}),
            None => Value::Null,
        }),
        _ => None,
    }
}

/// The value of `name="value"`.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let rest = attributes
        .split_once(name)?
        .1
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    match rest.chars().next()? {
        quote @ ('"' | '\'') => rest[1..].split(quote).next(),
        _ => rest.split_whitespace().next(),
    }
}

/// `&lt;` and its like; anything else is a plain `&`.
fn character(source: &str, at: usize, text: &mut String) -> usize {
    let rest = &source[at..];
    for (name, value) in [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')] {
        if rest.starts_with(name) {
            text.push(value);
            return at + name.len();
        }
    }
    if let Some((number, _)) = rest.strip_prefix("&#").and_then(|rest| rest.split_once(';')) {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        };
        if let Some(value) = code.and_then(char::from_u32) {
            text.push(value);
            return at + number.len() + "&#;".len();
        }
    }
    text.push('&');
    at + 1
}
