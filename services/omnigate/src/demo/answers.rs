//! What the company answers in the demo.

use crate::commands::{customers, remote, send};
use anyhow::Context as _;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{Choice, Customer, Delivery, Media, MediaKind, Message, Part, SendMessageRequest, Text};
use omnigate_rpc::client::Connection;

/// Who blocked us before we answer.
const BLOCKED: &str = "Dũng Phạm";

/// Answers everybody who wrote, and waits until each answer has left or failed.
pub(super) async fn send(connection: &Connection, first_message: i64) -> anyhow::Result<Vec<Delivery>> {
    let known = customers::list(connection, 1000, "").await?;
    let mut accepted = Vec::new();
    for (name, number, message) in [
        ("An Nguyễn", 1, with_buttons(first_message)),
        ("An Nguyễn", 2, picture()),
        ("Bình Trần", 3, words("Dạ em gửi anh địa chỉ cửa hàng gần nhất ạ.")),
        ("Chi Lê", 4, words(&long_text())),
        ("Em Vũ", 5, words("Đơn 1234 đang giao, dự kiến chiều nay tới ạ.")),
        (BLOCKED, 6, words("Tin này không tới được.")),
    ] {
        let customer = named(&known, name)?;
        accepted.push(accept(connection, format!("demo-{number}"), target(customer), message).await?);
    }
    let mut ended = Vec::new();
    for delivery in accepted {
        ended.push(send::wait(connection, delivery).await?);
    }
    Ok(ended)
}

/// Answers in a thread.
pub(super) async fn in_thread(
    connection: &Connection,
    request_id: String,
    thread_id: String,
    message: Message,
) -> anyhow::Result<Delivery> {
    accept(connection, request_id, Target::ThreadId(thread_id), message).await
}

async fn accept(
    connection: &Connection,
    request_id: String,
    target: Target,
    message: Message,
) -> anyhow::Result<Delivery> {
    let request = SendMessageRequest {
        request_id,
        target: Some(target),
        message: Some(message),
        ..SendMessageRequest::default()
    };
    let answer = connection
        .messages()
        .send_message(request)
        .await
        .map_err(remote::refused)?;
    answer.into_inner().delivery.context("no delivery")
}

/// The customer, or the thread of somebody who blocked us: Omnigate chooses no such thread by itself, and may not yet know
/// that it is one.
fn target(customer: &Customer) -> Target {
    let blocked = customer
        .threads
        .first()
        .filter(|_| customers::name(customer) == BLOCKED);
    match blocked {
        Some(thread) => Target::ThreadId(thread.thread_id.clone()),
        None => Target::CustomerId(customer.customer_id.clone()),
    }
}

fn named<'a>(known: &'a [Customer], name: &str) -> anyhow::Result<&'a Customer> {
    let found = known.iter().find(|customer| customers::name(customer) == name);
    found.with_context(|| format!("{name} is no customer"))
}

/// A message of words.
pub(super) fn words(text: &str) -> Message {
    Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: text.to_owned(),
                ..Text::default()
            })),
        }],
        ..Message::default()
    }
}

fn with_buttons(answers: i64) -> Message {
    let choice = |label: &str, payload: &str| Choice {
        label: label.to_owned(),
        payload: payload.to_owned(),
        ..Choice::default()
    };
    Message {
        reply_to_provider_message_id: answers.to_string(),
        choices: vec![choice("Size M", "size-m"), choice("Size L", "size-l")],
        ..words("Chào chị An, còn size M và L ạ. Chị lấy size nào?")
    }
}

fn picture() -> Message {
    Message {
        parts: vec![Part {
            content: Some(Content::Media(Media {
                kind: MediaKind::Image.into(),
                url: "https://example.com/ao-dai.jpg".to_owned(),
                caption: "Ảnh thật bên em chụp ạ".to_owned(),
                ..Media::default()
            })),
        }],
        ..Message::default()
    }
}

/// Longer than one Telegram message, so that it leaves in pieces.
fn long_text() -> String {
    let paragraph =
        "Thank you for your messages. We answer each of them in order, and this answer is long on purpose. ";
    (1..=60).map(|number| format!("{number}. {paragraph}\n\n")).collect()
}
