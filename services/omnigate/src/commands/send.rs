//! `omnigate send`

use super::{print, remote};
use crate::cli::{Output, Send, Writer as By};
use anyhow::{Context as _, bail};
use omnigate_core::delivery::has_ended;
use omnigate_core::time::Moment;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{
    Delivery, DeliveryState, GetMessageRequest, Media, MediaKind, Message, Part, SendMessageRequest, Text, Writer,
    WriterKind,
};
use omnigate_rpc::client::Connection;
use std::time::{Duration, Instant};

/// How long `--wait` waits.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Runs it. The exit code is 1 when the message is known to have failed.
pub async fn run(arguments: &Send) -> anyhow::Result<u8> {
    let request = request(arguments)?;
    let connection = remote::open(&arguments.remote).await?;
    let answer = connection
        .messages()
        .send_message(request)
        .await
        .map_err(remote::refused)?;
    let mut delivery = answer
        .into_inner()
        .delivery
        .context("the gateway answered without a delivery")?;
    if arguments.wait {
        // Whatever becomes of the waiting, the message goes on under this id.
        print::aside(&format!("{}, waiting", told(&delivery)));
        let waited = wait(&connection, delivery.clone()).await;
        delivery = waited.with_context(|| format!("{} was accepted; see omnigate explain", delivery.message_id))?;
    }
    match arguments.remote.output {
        Output::Json => print::json(&delivery)?,
        Output::Table => print::line(&told(&delivery)),
    }
    Ok(u8::from(
        arguments.wait && matches!(delivery.state(), DeliveryState::Failed | DeliveryState::Expired),
    ))
}

fn request(arguments: &Send) -> anyhow::Result<SendMessageRequest> {
    let target = if let Some(thread) = &arguments.thread {
        Target::ThreadId(thread.clone())
    } else if let Some(customer) = &arguments.customer {
        Target::CustomerId(customer.clone())
    } else if let Some(to) = &arguments.to {
        Target::Identifier(remote::identifier(to)?)
    } else {
        bail!("say whom to reach: --thread, --customer or --to with --account");
    };
    let send_at = arguments.at.as_deref().map(|at| remote::moment("--at", at));
    let send_at = send_at.transpose()?.map(Moment::to_timestamp);
    Ok(SendMessageRequest {
        request_id: remote::request_id(arguments.request_id.as_deref())?,
        target: Some(target),
        account_id: arguments.account.clone().unwrap_or_default(),
        message: Some(message(arguments)),
        send_at,
        ..SendMessageRequest::default()
    })
}

fn message(arguments: &Send) -> Message {
    let content = match &arguments.media_url {
        Some(url) => Content::Media(Media {
            kind: MediaKind::Image.into(),
            url: url.clone(),
            caption: arguments.text.clone(),
            ..Media::default()
        }),
        None => Content::Text(Text {
            text: arguments.text.clone(),
            ..Text::default()
        }),
    };
    let kind = match arguments.by {
        By::Human => WriterKind::Human,
        By::Bot => WriterKind::Bot,
        By::System => WriterKind::System,
        By::Campaign => WriterKind::Campaign,
    };
    Message {
        parts: vec![Part { content: Some(content) }],
        reply_to_provider_message_id: arguments.reply_to.clone().unwrap_or_default(),
        writer: Some(Writer {
            kind: kind.into(),
            ..Writer::default()
        }),
        ..Message::default()
    }
}

/// Looks at the delivery until nothing more will be tried, or patience ends.
pub async fn wait(connection: &Connection, delivery: Delivery) -> anyhow::Result<Delivery> {
    let begun = Instant::now();
    let mut delivery = delivery;
    while !has_ended(delivery.state()) && begun.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        delivery = get(connection, &delivery.message_id).await?;
    }
    Ok(delivery)
}

/// The delivery of a message as it stands now.
pub(crate) async fn get(connection: &Connection, message_id: &str) -> anyhow::Result<Delivery> {
    let asked = GetMessageRequest {
        message_id: message_id.to_owned(),
    };
    let answer = connection.messages().get_message(asked).await;
    let delivery = answer.map_err(remote::refused)?.into_inner().delivery;
    delivery.context("the gateway answered without a delivery")
}

/// A delivery's id, its state, what was sent in its place, and what went wrong.
pub(super) fn told(delivery: &Delivery) -> String {
    let state = delivery.state().as_str_name().trim_start_matches("DELIVERY_STATE_");
    let mut text = format!("{} {state}", delivery.message_id);
    if delivery.alternative_used {
        text += " as its alternative";
    }
    if delivery.possible_duplicate {
        text += ", perhaps twice";
    }
    if delivery.deferred_until.is_some() {
        text += &format!(", again at {} UTC", print::time(delivery.deferred_until.as_ref()));
    }
    if let Some(error) = &delivery.error {
        let class = error.class().as_str_name().trim_start_matches("ERROR_CLASS_");
        text += &format!(" ({class}: {})", error.text);
    }
    text
}
