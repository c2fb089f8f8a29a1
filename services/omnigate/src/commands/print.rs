//! What goes to the terminal; the only place that prints.

use crate::cli::Output;
use comfy_table::{ContentArrangement, Table, presets};
use omnigate_core::time::Moment;
use pbjson_types::Timestamp;
use serde::Serialize;
use std::io::{self, Write as _};

/// Writes a line to standard output. A reader that went away (`| head`) ends the process quietly.
pub fn line(text: &str) {
    if writeln!(io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Writes a line to standard error.
pub fn aside(text: &str) {
    // Nobody left to tell.
    drop(writeln!(io::stderr(), "{text}"));
}

/// Says why a command failed: the error and those of its causes that say something more.
pub fn failure(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    aside(&format!("omnigate: {text}"));
}

/// Prints messages as JSON lines or as a table.
pub fn all<T: Serialize>(
    output: Output,
    items: &[T],
    header: &[&str],
    row: impl Fn(&T) -> Vec<String>,
) -> anyhow::Result<()> {
    match output {
        Output::Json => items.iter().try_for_each(json),
        Output::Table => {
            let mut table = table(header);
            for item in items {
                table.add_row(row(item).iter().map(|cell| printable(cell)));
            }
            line(&table.to_string());
            Ok(())
        }
    }
}

/// Prints a message as one line of proto3 JSON.
pub fn json<T: Serialize>(item: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string(item)?);
    Ok(())
}

/// An empty table that fits the terminal.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

/// Text from strangers without what would control the terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    let is_control = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| if is_control(c) && c != '\n' { '\u{fffd}' } else { c })
        .collect()
}

/// A time as people read it, UTC.
#[must_use]
pub fn time(timestamp: Option<&Timestamp>) -> String {
    let Some(timestamp) = timestamp else {
        return "-".to_owned();
    };
    let moment = Moment::from_timestamp(timestamp);
    jiff::Timestamp::from_millisecond(moment.0).map_or_else(
        |_| "-".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
