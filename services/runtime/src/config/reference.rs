//! The configuration reference, made from the same declarations that read the configuration.

use super::{
    Config,
    setting::{Row, Setting as _},
};
use std::fmt::Write as _;

/// All keys and sections, in the order of their declaration.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let root = Row {
        key: String::new(),
        kind: "",
        default: String::new(),
        meaning: String::new(),
    };
    Config::describe(&mut rows, root);
    rows
}

/// The configuration reference as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\nDefaults need no file. A key can be set by an environment variable too: \
         `broker.url` by `OMNIGATE__BROKER__URL`, `accounts.support.channel` by `OMNIGATE__ACCOUNTS__SUPPORT__CHANNEL`, \
         the first of `tokens` by `OMNIGATE__TOKENS__0__NAME`; `-` is written `_` there and lists of texts are separated \
         by commas. Secrets are written as text, as `{ env = \"NAME\" }` or as `{ file = \"path\" }`; the path is \
         relative to the configuration file. Unknown keys are errors.\n",
    );
    let mut columns = false;
    for row in rows() {
        let done = if row.kind.is_empty() {
            columns = false;
            heading(&mut text, &row)
        } else {
            let done = if columns { Ok(()) } else { head(&mut text) };
            columns = true;
            done.and_then(|()| line(&mut text, &row))
        };
        debug_assert!(done.is_ok(), "writing to a string does not fail");
    }
    text
}

fn heading(text: &mut String, row: &Row) -> std::fmt::Result {
    let Row { key, meaning, .. } = row;
    match key.strip_suffix(".0") {
        None if key.is_empty() => writeln!(text, "\n## Top level\n\n{meaning}"),
        None => writeln!(text, "\n## `[{key}]`\n\n{meaning}"),
        Some(list) => writeln!(text, "\n## `[[{list}]]`\n\n{meaning}"),
    }
}

fn head(text: &mut String) -> std::fmt::Result {
    writeln!(text, "\n| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |")
}

fn line(text: &mut String, row: &Row) -> std::fmt::Result {
    let Row {
        key,
        kind,
        default,
        meaning,
    } = row;
    let default = match default.as_str() {
        "" => "–".to_owned(),
        "required" => "required".to_owned(),
        default => format!("`{default}`"),
    };
    writeln!(text, "| `{key}` | {kind} | {default} | {meaning} |")
}
