//! `omnigate consent suppress|unsuppress|suppressions`

use super::{short, timestamp};
use crate::cli::{Remote, Suppress, Unsuppress};
use crate::commands::{print, remote};
use omnigate_proto::v1::{
    GetSuppressionRequest, ListSuppressionsRequest, SuppressRequest, Suppression, SuppressionReason, UnsuppressRequest,
    get_suppression_request, unsuppress_request,
};

/// What a suppression's own hash begins with.
const HASH: &str = "sup_";

pub(super) async fn suppress(arguments: &Suppress) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let asked = SuppressRequest {
        identifier: Some(remote::identifier(&arguments.identifier)?),
        channel: arguments.channel.clone(),
        reason: SuppressionReason::from(arguments.reason).into(),
        marketing_only: arguments.marketing_only,
        until: timestamp("--until", arguments.until.as_deref())?,
        source: arguments.source.clone(),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.consents().suppress(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    rows(&arguments.remote, &answer.suppression.into_iter().collect::<Vec<_>>())
}

pub(super) async fn unsuppress(arguments: &Unsuppress) -> anyhow::Result<()> {
    use unsuppress_request::Of;
    let connection = remote::open(&arguments.remote).await?;
    let of = match arguments.identifier.starts_with(HASH) {
        true => Of::SuppressionId(arguments.identifier.clone()),
        false => Of::Identifier(remote::identifier(&arguments.identifier)?),
    };
    let asked = UnsuppressRequest {
        of: Some(of),
        channel: arguments.channel.clone(),
        reason: SuppressionReason::from(arguments.reason).into(),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.consents().unsuppress(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    rows(&arguments.remote, &answer.suppressions)
}

pub(super) async fn show(remote: &Remote, identifier: Option<&str>, limit: usize) -> anyhow::Result<()> {
    use get_suppression_request::Of;
    let connection = remote::open(remote).await?;
    if let Some(identifier) = identifier {
        let of = match identifier.starts_with(HASH) {
            true => Of::SuppressionId(identifier.to_owned()),
            false => Of::Identifier(remote::identifier(identifier)?),
        };
        let answer = connection
            .consents()
            .get_suppression(GetSuppressionRequest { of: Some(of) })
            .await;
        return rows(remote, &answer.map_err(remote::refused)?.into_inner().suppressions);
    }
    let mut found: Vec<Suppression> = Vec::new();
    let (mut page_token, mut identifiers) = (String::new(), 0);
    while identifiers < limit {
        let size = (limit - identifiers).min(1000);
        let asked = ListSuppressionsRequest {
            page_size: i32::try_from(size).unwrap_or(1000),
            page_token,
        };
        let answer = connection.consents().list_suppressions(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.suppressions);
        identifiers += size;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    rows(remote, &found)
}

fn rows(remote: &Remote, suppressions: &[Suppression]) -> anyhow::Result<()> {
    let header = [
        "HASH",
        "CHANNEL",
        "REASON",
        "ABOUT",
        "HOLDS",
        "SINCE (UTC)",
        "UNTIL (UTC)",
        "LIFTED (UTC)",
        "SOURCE",
    ];
    print::all(remote.output, suppressions, &header, |one| {
        vec![
            one.suppression_id.clone(),
            if one.channel.is_empty() { "all" } else { &one.channel }.to_owned(),
            short(one.reason().as_str_name(), "SUPPRESSION_REASON_"),
            if one.marketing_only {
                "advertising"
            } else {
                "everything"
            }
            .to_owned(),
            if one.holds { "yes" } else { "no" }.to_owned(),
            print::time(one.at.as_ref()),
            print::time(one.until.as_ref()),
            print::time(one.lifted_at.as_ref()),
            one.source.clone(),
        ]
    })
}
