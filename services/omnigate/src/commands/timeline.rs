//! `omnigate customers timeline`: what there is, and what comes.

use super::customers::newest;
use super::{entry, print, remote, send};
use crate::cli::{EntryFilter, Output, Remote};
use anyhow::Context as _;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Entry, EntryKind, ListEntriesRequest, WatchRequest, WatchResponse};
use omnigate_rpc::client::Connection;
use std::collections::BTreeSet;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

/// Pause before looking whether a gateway that went away is back.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Prints the newest entries of a customer, oldest of them first; with `follow` also those that come, until interrupted.
pub(super) async fn show(
    connection: &Connection,
    remote: &Remote,
    customer_id: String,
    (wanted, limit): (ListEntriesRequest, usize),
    follow: bool,
) -> anyhow::Result<()> {
    let timeline = Timeline {
        connection,
        output: remote.output,
        customer_id,
    };
    // Opened first, so that nothing falls between what is listed and what is watched; repeats are dropped by id.
    let watching = match follow {
        true => Some(timeline.watch("").await.map_err(remote::refused)?),
        false => None,
    };
    let entries = newest(connection, timeline.customer_id.clone(), &wanted, limit).await?;
    for entry in entries.iter().rev() {
        timeline.print(entry).await?;
    }
    let Some(watching) = watching else { return Ok(()) };
    let shown = entries.into_iter().map(|entry| entry.entry_id).collect();
    timeline.follow(watching, shown).await
}

/// The request of a filter.
pub(super) fn wanted(filter: &EntryFilter) -> anyhow::Result<ListEntriesRequest> {
    let kind = |name: &String| {
        let kind = format!("ENTRY_KIND_{}", name.to_uppercase().replace('-', "_"));
        let kind = EntryKind::from_str_name(&kind).filter(|kind| *kind != EntryKind::Unspecified);
        kind.map(i32::from)
            .with_context(|| format!("--kind {name:?} is no kind of entry"))
    };
    let moment = |flag, text: &Option<String>| -> anyhow::Result<_> {
        let moment = text.as_ref().map(|text| remote::moment(flag, text)).transpose()?;
        Ok(moment.map(Moment::to_timestamp))
    };
    Ok(ListEntriesRequest {
        channels: filter.channels.clone(),
        account_ids: filter.accounts.clone(),
        kinds: filter.kinds.iter().map(kind).collect::<Result<_, _>>()?,
        from: moment("--from", &filter.from)?,
        to: moment("--to", &filter.to)?,
        ..ListEntriesRequest::default()
    })
}

struct Timeline<'a> {
    connection: &'a Connection,
    output: Output,
    customer_id: String,
}

impl Timeline<'_> {
    async fn watch(&self, resume_token: &str) -> Result<Streaming<WatchResponse>, Status> {
        let asked = WatchRequest {
            customer_id: self.customer_id.clone(),
            resume_token: resume_token.to_owned(),
        };
        Ok(self.connection.timelines().watch(asked).await?.into_inner())
    }

    async fn follow(&self, mut watching: Streaming<WatchResponse>, mut shown: BTreeSet<String>) -> anyhow::Result<()> {
        let mut resume_token = String::new();
        loop {
            match watching.message().await {
                Ok(Some(next)) => {
                    resume_token = next.resume_token;
                    let new = next.entry.filter(|entry| !shown.contains(&entry.entry_id));
                    if let Some(entry) = new {
                        self.print(&entry).await?;
                        shown.insert(entry.entry_id);
                    }
                }
                Ok(None) => return Ok(()),
                Err(status) if is_away(&status) => watching = self.again(&resume_token).await?,
                Err(status) => return Err(remote::refused(status)),
            }
        }
    }

    /// Goes on once the gateway is back.
    async fn again(&self, resume_token: &str) -> anyhow::Result<Streaming<WatchResponse>> {
        print::aside("the gateway went away; going on once it is back");
        loop {
            tokio::time::sleep(AGAIN_AFTER).await;
            match self.watch(resume_token).await {
                Ok(watching) => return Ok(watching),
                Err(status) if is_away(&status) => {}
                Err(status) => return Err(remote::refused(status)),
            }
        }
    }

    async fn print(&self, entry: &Entry) -> anyhow::Result<()> {
        if self.output == Output::Json {
            return print::json(entry);
        }
        let mut line = entry::one_line(entry);
        if !entry.message_id.is_empty() {
            let delivery = send::get(self.connection, &entry.message_id).await?;
            line += &format!("  [{}]", send::told(&delivery));
        }
        print::line(&print::printable(&line));
        Ok(())
    }
}

/// Whether it was the connection that failed, as when the gateway stopped or was killed.
fn is_away(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal)
}
