//! The contract's HTML as plain text: an SMS has no mark-up.

/// Longest tag or character reference looked for, in bytes.
const MAX_TAG: usize = 4096;

/// The words of a marked-up text. Line breaks stay, the address of a link follows its words, and what is no mark-up of the
/// contract is taken as it stands.
pub(super) fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    // Where the words of the open link begin, and its address.
    let mut link: Option<(usize, String)> = None;
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((tag, after)) = tag(rest) {
            let name = tag
                .split(|c: char| c.is_whitespace() || c == '/')
                .find(|part| !part.is_empty());
            match (
                name.unwrap_or_default().to_ascii_lowercase().as_str(),
                tag.starts_with('/'),
            ) {
                ("br", _) => text.push('\n'),
                ("a", false) => link = href(tag).map(|address| (text.len(), address)),
                ("a", true) => close(&mut text, link.take()),
                _ => {}
            }
            rest = after;
        } else if let Some((character, after)) = reference(rest) {
            text.push(character);
            rest = after;
        } else {
            // Both are of one byte.
            text.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    close(&mut text, link);
    text
}

fn close(text: &mut String, link: Option<(usize, String)>) {
    let Some((from, address)) = link else { return };
    let words = text.get(from..).unwrap_or_default().trim();
    if words.is_empty() {
        text.push_str(&address);
    } else if words != address {
        text.push_str(" (");
        text.push_str(&address);
        text.push(')');
    }
}

/// What stands between `<` and `>`, if it is one of the contract's elements, and what follows.
fn tag(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('<')?;
    let end = inside.bytes().take(MAX_TAG).position(|byte| byte == b'>')?;
    let tag = &inside[..end];
    let name = tag
        .trim_start_matches('/')
        .split(|c: char| c.is_whitespace() || c == '/')
        .next();
    let known = ["b", "i", "u", "s", "a", "code", "pre", "br"];
    let is_known = name.is_some_and(|name| known.iter().any(|known| known.eq_ignore_ascii_case(name)));
    is_known.then(|| (tag, &inside[end + 1..]))
}

fn href(tag: &str) -> Option<String> {
    let at = tag.to_ascii_lowercase().find("href")?;
    let value = tag[at + 4..].trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let address = match quote {
        Some(quote) => value[1..].split(quote).next(),
        None => value.split_whitespace().next(),
    };
    let address = plain(address?);
    (!address.is_empty()).then_some(address)
}

/// The character of a reference such as `&amp;`, and what follows.
fn reference(text: &str) -> Option<(char, &str)> {
    let inside = text.strip_prefix('&')?;
    let end = inside.bytes().take(10).position(|byte| byte == b';')?;
    let name = &inside[..end];
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((character, &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_addresses_stay() {
        for (html, text) in [
            ("<b>Giảm</b> 50%<br/>hôm nay", "Giảm 50%\nhôm nay"),
            (
                "xem <a href=\"https://x.example/?a=1&amp;b=2\">tại đây</a>!",
                "xem tại đây (https://x.example/?a=1&b=2)!",
            ),
            ("<a href='https://x.example'>https://x.example</a>", "https://x.example"),
            ("<a href=https://x.example></a>", "https://x.example"),
            ("<a href=\"https://x.example\">mở", "mở (https://x.example)"),
            ("<a>không</a>", "không"),
            (
                "1 < 2 & 3 > 2 <x> &copy; &#65;&#x42;&#0;",
                "1 < 2 & 3 > 2 <x> &copy; AB\u{0}",
            ),
            ("<PRE>a</PRE>&lt;b&gt;", "a<b>"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(html in "[<>&;#a-c/\"'= ạ😀]{0,80}") {
            plain(&html);
        }
    }
}
