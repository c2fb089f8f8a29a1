//! `omnigate replay`

use super::{print, remote};
use crate::cli::{Output, Replay};
use anyhow::bail;
use omnigate_core::port::Clock as _;
use omnigate_proto::v1::{ReplayRequest, ReplayResponse};
use omnigate_runtime::clock::SystemClock;
use std::io::{IsTerminal as _, Write as _};

/// Runs it.
pub async fn run(arguments: &Replay) -> anyhow::Result<u8> {
    let from = remote::moment("--from", &arguments.from)?;
    let to = match &arguments.to {
        Some(to) => remote::moment("--to", to)?,
        // Said once, so that a token that comes back is one of the same call.
        None => SystemClock.now(),
    };
    let asked = ReplayRequest {
        from: Some(from.to_timestamp()),
        to: Some(to.to_timestamp()),
        account_id: arguments.account.clone().unwrap_or_default(),
        dry_run: arguments.dry_run,
        resume_token: arguments.resume.clone().unwrap_or_default(),
    };
    let connection = remote::open(&arguments.remote).await?;
    let answer = connection.replays().replay(asked).await.map_err(remote::refused)?;
    let mut told = answer.into_inner();
    let mut last = ReplayResponse::default();
    loop {
        match told.message().await {
            Ok(Some(next)) => last = next,
            Ok(None) => break,
            Err(status) => bail!("{}{}", remote::refused(status), go_on(&last, to)),
        }
        progress(&last);
    }
    clear();
    if !last.done {
        bail!("the gateway stopped half-way{}", go_on(&last, to));
    }
    match arguments.remote.output {
        Output::Json => print::json(&last)?,
        Output::Table => print::all(Output::Table, std::slice::from_ref(&last), HEADER, row)?,
    }
    Ok(0)
}

const HEADER: &[&str] = &["ENTRIES", "REPLAYED", "LEFT OUT: ERASED", "UNREADABLE"];

fn row(told: &ReplayResponse) -> Vec<String> {
    [told.entries, told.replayed, told.erased, told.unreadable]
        .map(|count| count.to_string())
        .to_vec()
}

/// How an interrupted replay is gone on with.
fn go_on(last: &ReplayResponse, to: omnigate_core::time::Moment) -> String {
    if last.resume_token.is_empty() {
        return String::new();
    }
    let to = jiff::Timestamp::from_millisecond(to.0).map(|to| to.to_string());
    format!(
        "; after {} events, go on with --to {} --resume {}",
        last.replayed,
        to.unwrap_or_default(),
        last.resume_token
    )
}

/// How far it is, on a terminal.
fn progress(told: &ReplayResponse) {
    if std::io::stderr().is_terminal() {
        let line = format!("\r{} entries looked through, {} events", told.entries, told.replayed);
        // Nobody left to tell.
        drop(write!(std::io::stderr(), "{line}"));
    }
}

fn clear() {
    if std::io::stderr().is_terminal() {
        // Nobody left to tell.
        drop(write!(std::io::stderr(), "\r\u{1b}[K"));
    }
}
