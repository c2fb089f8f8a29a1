//! `omnigate parked …`

use super::{print, remote};
use crate::cli::{Output, Parked};
use omnigate_proto::v1::{DiscardParkedRequest, GetParkedRequest, ListParkedRequest, ParkedItem, ReplayParkedRequest};
use omnigate_rpc::client::Connection;

const HEADER: &[&str] = &[
    "ITEM",
    "PARKED (UTC)",
    "REASON",
    "ACCOUNT",
    "ATTEMPTS",
    "ORIGIN",
    "DETAIL",
];

/// Runs it.
pub async fn run(arguments: &Parked) -> anyhow::Result<u8> {
    match arguments {
        Parked::List { remote, limit } => {
            let connection = remote::open(remote).await?;
            let items = list(&connection, limit.unwrap_or(usize::MAX)).await?;
            print::all(remote.output, &items, HEADER, row)?;
        }
        Parked::Show { remote, id } => {
            let connection = remote::open(remote).await?;
            let asked = GetParkedRequest { parked_id: id.clone() };
            let answer = connection.parked().get_parked(asked).await.map_err(remote::refused)?;
            let item = answer.into_inner().item.unwrap_or_default();
            match remote.output {
                Output::Json => print::json(&item)?,
                Output::Table => {
                    print::all(Output::Table, std::slice::from_ref(&item), HEADER, row)?;
                    print::line(&serde_json::to_string_pretty(&item.event)?);
                }
            }
        }
        Parked::Replay { remote, ids } => {
            let connection = remote::open(remote).await?;
            for id in ids {
                let asked = ReplayParkedRequest {
                    parked_id: id.clone(),
                    request_id: id.clone(),
                };
                let answer = connection
                    .parked()
                    .replay_parked(asked)
                    .await
                    .map_err(remote::refused)?;
                match remote.output {
                    Output::Json => print::json(&answer.into_inner())?,
                    Output::Table => print::line(&format!("{id} is on its way")),
                }
            }
        }
        Parked::Discard { remote, ids } => {
            let connection = remote::open(remote).await?;
            for id in ids {
                let asked = DiscardParkedRequest {
                    parked_id: id.clone(),
                    request_id: id.clone(),
                };
                let answer = connection
                    .parked()
                    .discard_parked(asked)
                    .await
                    .map_err(remote::refused)?;
                match remote.output {
                    Output::Json => print::json(&answer.into_inner())?,
                    Output::Table => print::line(&format!("{id} is gone")),
                }
            }
        }
    }
    Ok(0)
}

async fn list(connection: &Connection, limit: usize) -> anyhow::Result<Vec<ParkedItem>> {
    let mut items = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListParkedRequest {
            page_size: 1000,
            page_token,
        };
        let page = connection
            .parked()
            .list_parked(asked)
            .await
            .map_err(remote::refused)?
            .into_inner();
        items.extend(page.items);
        page_token = page.next_page_token;
        if page_token.is_empty() || items.len() >= limit {
            items.truncate(limit);
            return Ok(items);
        }
    }
}

fn row(item: &ParkedItem) -> Vec<String> {
    vec![
        item.parked_id.clone(),
        print::time(item.parked_at.as_ref()),
        item.reason.clone(),
        item.account_id.clone(),
        item.attempts.to_string(),
        item.origin.clone(),
        item.detail.clone(),
    ]
}
