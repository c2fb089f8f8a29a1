//! Cuts long texts where a reader would.

use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation as _;

/// What a provider counts the length of a text in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// UTF-16 units.
    Utf16,
    /// Characters, that is code points.
    Characters,
}

impl Unit {
    const fn of(self, character: char) -> usize {
        match self {
            Self::Utf16 => character.len_utf16(),
            Self::Characters => 1,
        }
    }
}

/// Length in UTF-16 units.
pub(crate) fn utf16_len(text: &str) -> usize {
    // One unit a character below U+10000, which UTF-8 writes in up to three bytes, and two for those of four bytes.
    text.bytes()
        .map(|byte| usize::from(byte & 0xC0 != 0x80) + usize::from(byte >= 0xF0))
        .sum()
}

/// Byte ranges of the pieces, each at most `limit` units long, not empty and without white space at its ends. Cuts fall
/// at the end of a paragraph, a line, a sentence or a word, in this order of preference, as long as the piece stays at
/// least half full; else between two characters as a reader sees them.
pub(crate) fn split(text: &str, limit: usize, unit: Unit) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = skip_space(text, 0);
    while start < text.len() {
        let rest = &text[start..];
        let length = match prefix(rest, limit, unit) {
            whole if whole == rest.len() => whole,
            most => cut(rest, most),
        };
        let end = start + rest[..length].trim_end().len();
        pieces.push(start..end);
        start = skip_space(text, start + length);
    }
    pieces
}

fn skip_space(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_start().len()
}

/// Bytes of the longest prefix of at most `limit` units; at least one character.
fn prefix(text: &str, limit: usize, unit: Unit) -> usize {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += unit.of(character);
        if units > limit && at > 0 {
            return at;
        }
    }
    text.len()
}

/// Where to cut within the first `most` bytes, which begin with no white space; at least one character in.
fn cut(text: &str, most: usize) -> usize {
    let window = &text[..most];
    let followed_by_space = text[most..].starts_with(char::is_whitespace);
    let enough = most / 2;
    let late = |at: &usize| *at >= enough;
    let paragraph = || window.rfind("\n\n").filter(late);
    let line = || window.rfind('\n').filter(late);
    let sentence = || sentence_end(window).filter(late);
    let word = || {
        if followed_by_space {
            Some(most)
        } else {
            window.rfind(char::is_whitespace)
        }
    };
    let good = paragraph()
        .or_else(line)
        .or_else(sentence)
        .or_else(word)
        .filter(|&at| at > 0);
    good.unwrap_or_else(|| character_end(text, most))
}

/// Behind the last mark that ends a sentence and is followed by space.
fn sentence_end(window: &str) -> Option<usize> {
    let mut ends = window.char_indices().rev().filter(|(_, c)| c.is_whitespace());
    ends.find(|(at, _)| window[..*at].ends_with(['.', '!', '?', '…', '。', '！', '？', ';', ':']))
        .map(|(at, _)| at)
}

/// The last boundary between two characters as a reader sees them; one that fills the whole window is cut after all.
fn character_end(text: &str, most: usize) -> usize {
    // A cluster may reach across the cut, so it is looked at whole; the bound keeps endless ones cheap.
    let mut beyond = (most + 256).min(text.len());
    while !text.is_char_boundary(beyond) {
        beyond -= 1;
    }
    let clusters = text[..beyond].grapheme_indices(true).map(|(at, _)| at);
    let last = clusters.take_while(|&at| at <= most).last().unwrap_or(0);
    if last == 0 { most } else { last }
}

#[cfg(test)]
mod tests;
