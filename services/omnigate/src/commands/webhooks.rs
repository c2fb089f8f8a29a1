//! `omnigate webhooks …`

use super::{print, remote};
use crate::cli::{Output, Remote, Webhooks};
use omnigate_proto::v1::{
    DisableEventWebhookRequest, EnableEventWebhookRequest, EventWebhook, ListEventWebhooksRequest,
    ReplayEventWebhookRequest,
};

const HEADER: &[&str] = &[
    "WEBHOOK",
    "URL",
    "EVENTS",
    "STATE",
    "SUCCEEDED (UTC)",
    "WAITING",
    "GIVEN UP",
    "PROBLEM",
];

/// Runs it.
pub async fn run(arguments: &Webhooks) -> anyhow::Result<u8> {
    match arguments {
        Webhooks::List { remote } => {
            let connection = remote::open(remote).await?;
            let asked = ListEventWebhooksRequest {};
            let answer = connection.event_webhooks().list_event_webhooks(asked).await;
            let listed = answer.map_err(remote::refused)?.into_inner().event_webhooks;
            print::all(remote.output, &listed, HEADER, row)?;
        }
        Webhooks::Enable { remote, webhook } => {
            let connection = remote::open(remote).await?;
            let asked = EnableEventWebhookRequest {
                event_webhook_id: webhook.clone(),
            };
            let answer = connection.event_webhooks().enable_event_webhook(asked).await;
            shown(remote, answer.map_err(remote::refused)?.into_inner().event_webhook)?;
        }
        Webhooks::Disable { remote, webhook } => {
            let connection = remote::open(remote).await?;
            let asked = DisableEventWebhookRequest {
                event_webhook_id: webhook.clone(),
            };
            let answer = connection.event_webhooks().disable_event_webhook(asked).await;
            shown(remote, answer.map_err(remote::refused)?.into_inner().event_webhook)?;
        }
        Webhooks::Replay {
            remote,
            webhook,
            since,
            request_id,
        } => {
            let since = remote::moment("--since", since)?;
            let connection = remote::open(remote).await?;
            let asked = ReplayEventWebhookRequest {
                event_webhook_id: webhook.clone(),
                since: Some(since.to_timestamp()),
                request_id: remote::request_id(request_id.as_deref())?,
            };
            let answer = connection.event_webhooks().replay_event_webhook(asked).await;
            shown(remote, answer.map_err(remote::refused)?.into_inner().event_webhook)?;
        }
    }
    Ok(0)
}

fn shown(remote: &Remote, webhook: Option<EventWebhook>) -> anyhow::Result<()> {
    let webhook = webhook.unwrap_or_default();
    match remote.output {
        Output::Json => print::json(&webhook),
        Output::Table => print::all(Output::Table, std::slice::from_ref(&webhook), HEADER, row),
    }
}

fn row(webhook: &EventWebhook) -> Vec<String> {
    let state = webhook.state().as_str_name();
    let events = match webhook.events.as_slice() {
        [] => "all".to_owned(),
        events => events.join("\n"),
    };
    vec![
        webhook.event_webhook_id.clone(),
        webhook.url.clone(),
        events,
        state.trim_start_matches("EVENT_WEBHOOK_STATE_").to_lowercase(),
        print::time(webhook.succeeded_at.as_ref()),
        webhook.waiting.to_string(),
        webhook.given_up.to_string(),
        webhook.problem.clone(),
    ]
}
