//! What the company writes.

use crate::{SHOP, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{
    CancelMessageRequest, Delivery, DeliveryState, ErrorClass, ExplainMessageRequest, Message, Part,
    SendMessageRequest, Text,
};
use omnigate_sandbox::telegram::{Fault, FaultRule};
use omnigate_tests::reading::{customer, delivery, entries_of};
use omnigate_tests::wait;
use std::time::{Duration, SystemTime};
use tonic::Code;

/// A message of one text.
pub(crate) fn message(text: &str) -> Message {
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

/// A request to write to a customer.
pub(crate) fn to_customer(request_id: &str, customer_id: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest {
        request_id: request_id.to_owned(),
        target: Some(Target::CustomerId(customer_id.to_owned())),
        message: Some(message(text)),
        ..SendMessageRequest::default()
    }
}

pub(crate) async fn send(world: &World, request: SendMessageRequest) -> anyhow::Result<Delivery> {
    let answer = world.connection.messages().send_message(request).await?;
    answer.into_inner().delivery.context("no delivery")
}

/// Waits until a delivery stands in one of these states.
pub(crate) async fn reaches(world: &World, message_id: &str, states: &[DeliveryState]) -> anyhow::Result<Delivery> {
    wait::until("a delivery", async || {
        let delivery = delivery(&world.connection, message_id).await?;
        Ok(if states.contains(&delivery.state()) {
            Ok(delivery)
        } else {
            Err((delivery.state(), delivery.error))
        })
    })
    .await
}

async fn known(world: &World, name: &str) -> anyhow::Result<(i64, String)> {
    let person = world.sandbox.user(name);
    person.writes("chào")?;
    entries_of(&world.connection, SHOP, person.id(), 1).await?;
    let customer = customer(&world.connection, SHOP, person.id())
        .await?
        .context("no customer")?;
    Ok((person.id(), customer.customer_id))
}

pub(crate) async fn answers_leave_in_order_and_once(world: &World) -> anyhow::Result<()> {
    const COUNT: usize = 12;
    let (chat, customer_id) = known(world, "Answered").await?;
    let mut ids = Vec::new();
    for number in 0..COUNT {
        let delivery = send(
            world,
            to_customer(&format!("order-{number}"), &customer_id, &format!("answer {number}")),
        )
        .await?;
        ids.push(delivery.message_id);
    }
    for id in &ids {
        let delivery = reaches(world, id, &[DeliveryState::Sent]).await?;
        ensure!(delivery.attempts == 1, "{} attempts", delivery.attempts);
    }
    let sent = world.sandbox.sent();
    let texts: Vec<&str> = sent
        .iter()
        .filter(|sent| sent.chat_id == chat)
        .filter_map(|sent| sent.text.as_deref())
        .collect();
    let expected: Vec<String> = (0..COUNT).map(|number| format!("answer {number}")).collect();
    ensure!(texts == expected, "sent: {texts:?}");
    let entries = entries_of(&world.connection, SHOP, chat, COUNT + 1).await?;
    ensure!(entries.len() == COUNT + 1, "{} entries", entries.len());
    let asked = ExplainMessageRequest {
        message_id: ids[0].clone(),
    };
    let story = world.connection.messages().explain_message(asked).await?.into_inner();
    let steps: Vec<&str> = story.steps.iter().map(|step| step.what.as_str()).collect();
    ensure!(steps == ["received", "attempted", "answered"], "{steps:?}");
    ensure!(story.trace_id.len() == 32, "trace id {:?}", story.trace_id);
    Ok(())
}

pub(crate) async fn a_request_is_answered_the_same_twice(world: &World) -> anyhow::Result<()> {
    let (chat, customer_id) = known(world, "Same").await?;
    let first = send(world, to_customer("same", &customer_id, "một lần")).await?;
    reaches(world, &first.message_id, &[DeliveryState::Sent]).await?;
    let second = send(world, to_customer("same", &customer_id, "một lần")).await?;
    ensure!(first.message_id == second.message_id, "two deliveries for one request");
    let refused = world
        .connection
        .messages()
        .send_message(to_customer("same", &customer_id, "khác"))
        .await;
    let code = refused.err().map(|status| status.code());
    ensure!(code == Some(Code::AlreadyExists), "another body was answered {code:?}");
    let copies = world.sandbox.sent().iter().filter(|sent| sent.chat_id == chat).count();
    ensure!(copies == 1, "sent {copies} times");
    Ok(())
}

pub(crate) async fn failures_say_why(world: &World) -> anyhow::Result<()> {
    let (chat, customer_id) = known(world, "Unlucky").await?;
    // Throttled: tried again, and only then sent.
    world.sandbox.fault(FaultRule {
        method: Some("sendMessage".to_owned()),
        fault: Fault::TooManyRequests { retry_after: 1 },
        times: 1,
        after: 0,
    });
    let throttled = send(world, to_customer("throttled", &customer_id, "chậm lại")).await?;
    let throttled = reaches(world, &throttled.message_id, &[DeliveryState::Sent]).await?;
    ensure!(throttled.attempts == 2, "{} attempts", throttled.attempts);
    // The answer is lost although the message was taken: nobody knows, and nothing is sent twice.
    world.sandbox.fault(FaultRule {
        method: Some("sendMessage".to_owned()),
        fault: Fault::ResetAfter,
        times: 1,
        after: 0,
    });
    let lost = send(world, to_customer("lost", &customer_id, "mất trả lời")).await?;
    let lost = reaches(world, &lost.message_id, &[DeliveryState::Unknown]).await?;
    let class = lost.error.map(|error| error.class());
    ensure!(class == Some(ErrorClass::Ambiguous), "{class:?}");
    let copies = world
        .sandbox
        .sent()
        .iter()
        .filter(|sent| sent.text.as_deref() == Some("mất trả lời"))
        .count();
    ensure!(copies == 1, "the provider has it {copies} times");
    // Refused by the person.
    let user = world.sandbox.act(&omnigate_sandbox::telegram::Act {
        user: chat,
        chat: None,
        reply_to: None,
        action: omnigate_sandbox::telegram::Action::Block,
    });
    user?;
    let entries = entries_of(&world.connection, SHOP, chat, 4).await?;
    let thread = entries[0].event.as_ref().context("no event")?.thread_id.clone();
    let blocked = SendMessageRequest {
        target: Some(Target::ThreadId(thread)),
        ..to_customer("blocked", "", "không tới")
    };
    let blocked = send(world, blocked).await?;
    let blocked = reaches(world, &blocked.message_id, &[DeliveryState::Failed]).await?;
    let class = blocked.error.map(|error| error.class());
    ensure!(class == Some(ErrorClass::Refused), "{class:?}");
    Ok(())
}

pub(crate) async fn a_scheduled_message_waits_and_can_be_taken_back(world: &World) -> anyhow::Result<()> {
    let (chat, customer_id) = known(world, "Later").await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let later = |seconds: u64| {
        let at = now + Duration::from_secs(seconds);
        Some(pbjson_types::Timestamp {
            seconds: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(at.subsec_nanos()).unwrap_or(0),
        })
    };
    let far = SendMessageRequest {
        send_at: later(3600),
        ..to_customer("far", &customer_id, "mai gặp")
    };
    let far = send(world, far).await?;
    let soon = SendMessageRequest {
        send_at: later(2),
        ..to_customer("soon", &customer_id, "lát nữa")
    };
    let soon = send(world, soon).await?;
    let now = send(world, to_customer("now", &customer_id, "bây giờ")).await?;
    reaches(world, &now.message_id, &[DeliveryState::Sent]).await?;
    reaches(world, &soon.message_id, &[DeliveryState::Sent]).await?;
    let asked = CancelMessageRequest {
        message_id: far.message_id.clone(),
        request_id: "cancel-far".to_owned(),
    };
    world.connection.messages().cancel_message(asked).await?;
    reaches(world, &far.message_id, &[DeliveryState::Cancelled]).await?;
    let asked = CancelMessageRequest {
        message_id: now.message_id,
        request_id: "cancel-now".to_owned(),
    };
    let refused = world.connection.messages().cancel_message(asked).await;
    ensure!(
        refused.is_err_and(|status| status.code() == Code::FailedPrecondition),
        "a sent message was taken back"
    );
    let sent = world.sandbox.sent();
    let texts: Vec<&str> = sent
        .iter()
        .filter(|sent| sent.chat_id == chat)
        .filter_map(|sent| sent.text.as_deref())
        .collect();
    ensure!(texts == ["bây giờ", "lát nữa"], "sent: {texts:?}");
    Ok(())
}
