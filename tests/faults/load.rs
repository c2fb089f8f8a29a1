//! Steady load: people who write, as the provider brings it, and callers who send.

use crate::SHOP;
use crate::oracle::{Known, Sending};
use crate::world::World;
use anyhow::{Context as _, bail, ensure};
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{Delivery, DeliveryState, Identifier, Message, Part, SendMessageRequest, Text, UnknownPolicy};
use omnigate_rpc::client::Connection;
use omnigate_tests::bot::SECRET;
use omnigate_tests::reading::{delivery, entries_of, words_of};
use omnigate_tests::wait;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;

/// People who write all the time.
const PEOPLE: usize = 12;
/// Of them, those who are written to as well, each by one caller.
const ANSWERED: usize = 10;
/// Pause of a person after an acknowledged message.
const WRITES_EVERY: Duration = Duration::from_millis(150);
/// Pause of a caller after an accepted message. The provider takes one a second to one thread.
const SENDS_EVERY: Duration = Duration::from_millis(1500);
/// Messages to somebody new, until one is sent: the first ones may meet connections that are dead and not known to be.
const PROBES: u64 = 5;
/// How far ahead a message is planned.
const LATER: Duration = Duration::from_secs(1);
/// Pause before the same is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Numbers of the people's messages begin here: below are those of the bot.
const FIRST_MESSAGE: u64 = 1_000_000;

/// The provider's side of the webhook. Clones are the same.
#[derive(Clone)]
pub(crate) struct Provider {
    http: reqwest::Client,
    url: String,
    updates: Arc<AtomicU64>,
}

impl Provider {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            http: world.http.clone(),
            url: world.gateway.webhook(SHOP),
            updates: Arc::new(AtomicU64::new(1)),
        }
    }

    /// An update with a message of a person.
    pub(crate) fn update(&self, chat: i64, number: u64, text: &str) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let who = json!({ "id": chat, "is_bot": false, "first_name": "Person" });
        json!({
            "update_id": self.updates.fetch_add(1, Ordering::Relaxed),
            "message": {
                "message_id": FIRST_MESSAGE + number,
                "date": now.map_or(0, |now| now.as_secs()),
                "chat": { "id": chat, "type": "private", "first_name": "Person" },
                "from": who,
                "text": text,
            },
        })
    }

    /// Calls the webhook once.
    pub(crate) async fn post(&self, update: &Value) -> reqwest::Result<reqwest::Response> {
        let request = self.http.post(&self.url).json(update);
        request.header("x-telegram-bot-api-secret-token", SECRET).send().await
    }

    /// Calls the webhook with the same update until it is acknowledged, as the provider does.
    pub(crate) async fn bring(&self, update: &Value) -> anyhow::Result<()> {
        loop {
            if let Ok(answer) = self.post(update).await {
                let status = answer.status();
                if status.is_success() {
                    return Ok(());
                }
                ensure!(status.is_server_error(), "the webhook answered {status}");
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// The load, and what it knows.
pub(crate) struct Load {
    known: Arc<Mutex<Known>>,
    provider: Provider,
    stop: watch::Sender<bool>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// Starts writing and sending.
    pub(crate) async fn start(world: &World) -> anyhow::Result<Self> {
        let mut load = Self {
            known: Arc::default(),
            provider: Provider::new(world),
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        for number in 0..PEOPLE {
            let chat = world.sandbox.user(&format!("person {number}")).id();
            let (known, provider, stop) = (load.known.clone(), load.provider.clone(), load.stop.subscribe());
            load.tasks
                .spawn(async move { write(&known, &provider, chat, &stop).await });
            if number < ANSWERED {
                let (known, connection, stop) = (load.known.clone(), world.connection.clone(), load.stop.subscribe());
                load.tasks
                    .spawn(async move { answer(&known, &connection, chat, &stop).await });
            }
        }
        load.moves_again(world, usize::MAX).await?;
        Ok(load)
    }

    /// Waits until somebody new can write, is found on a timeline, and is answered, also at a planned time.
    pub(crate) async fn moves_again(&self, world: &World, number: usize) -> anyhow::Result<()> {
        let chat = world.sandbox.user(&format!("probe {number}")).id();
        let said = one_message(&self.known, &self.provider, chat, 0);
        tokio::time::timeout(wait::PATIENCE, said)
            .await
            .context("nobody acknowledged a message")??;
        entries_of(&world.connection, SHOP, chat, 1).await?;
        self.is_answered(world, chat, 0, None).await.context("an answer")?;
        // Only a timer brings these on their way.
        let answered = self.is_answered(world, chat, PROBES, Some(LATER)).await;
        answered.context("an answer at its time")
    }

    /// Waits until one of some messages to a chat is sent.
    async fn is_answered(&self, world: &World, chat: i64, first: u64, later: Option<Duration>) -> anyhow::Result<()> {
        for number in first..first + PROBES {
            let send_at = later.map(|later| timestamp(SystemTime::now() + later)).transpose()?;
            let request = SendMessageRequest {
                send_at,
                ..request(chat, number)
            };
            let sent = one_answer(&self.known, &world.connection, request);
            let sent = tokio::time::timeout(wait::PATIENCE, sent)
                .await
                .context("nobody accepted a message")??;
            let state = wait::until("the end of a delivery", async || {
                let delivery = delivery(&world.connection, &sent).await?;
                let state = delivery.state();
                Ok(if is_over(&delivery) { Ok(state) } else { Err(state) })
            });
            if state.await? == DeliveryState::Sent {
                return Ok(());
            }
        }
        bail!("none of {PROBES} messages was sent")
    }

    /// Stops when everybody has an answer; what is known then.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Known> {
        self.stop.send_replace(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended??;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(wait::PATIENCE, ended)
            .await
            .context("the load does not end")??;
        let known = lock(&self.known).clone();
        Ok(known)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True when nothing more will happen to a delivery by itself.
pub(crate) fn is_over(delivery: &Delivery) -> bool {
    use DeliveryState::{Claimed, Deferred, Planned, Submitting, Unspecified};
    !matches!(
        delivery.state(),
        Unspecified | Planned | Claimed | Submitting | Deferred
    )
}

async fn write(
    known: &Mutex<Known>,
    provider: &Provider,
    chat: i64,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut number = 0;
    while !*stop.borrow() {
        one_message(known, provider, chat, number).await?;
        number += 1;
        tokio::time::sleep(WRITES_EVERY).await;
    }
    Ok(())
}

async fn one_message(known: &Mutex<Known>, provider: &Provider, chat: i64, number: u64) -> anyhow::Result<()> {
    let text = format!("{chat} writes {number}");
    provider.bring(&provider.update(chat, number, &text)).await?;
    lock(known).acknowledged.entry(chat).or_default().push(text);
    Ok(())
}

async fn answer(
    known: &Mutex<Known>,
    connection: &Connection,
    chat: i64,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut number = 1;
    while !*stop.borrow() {
        one_answer(known, connection, request(chat, number)).await?;
        number += 1;
        tokio::time::sleep(SENDS_EVERY).await;
    }
    Ok(())
}

/// Asks with the same id until it is accepted.
async fn one_answer(
    known: &Mutex<Known>,
    connection: &Connection,
    request: SendMessageRequest,
) -> anyhow::Result<String> {
    loop {
        match connection.messages().send_message(request.clone()).await {
            Ok(answer) => {
                let accepted = answer.into_inner().delivery.context("no delivery")?;
                let chat = accepted.peer.context("no peer")?.value.parse()?;
                lock(known).sendings.push(Sending {
                    message_id: accepted.message_id.clone(),
                    chat,
                    text: request.message.as_ref().map(words_of).unwrap_or_default(),
                    may_repeat: request.on_unknown() == UnknownPolicy::ResendOnce,
                });
                return Ok(accepted.message_id);
            }
            Err(status) => match status.code() {
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted => {}
                // The transport broke while the call was open.
                Code::Unknown | Code::Internal if omnigate_rpc::error::reason(&status).is_none() => {}
                _ => bail!("SendMessage: {status:?}"),
            },
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Every third may be repeated when nobody knows whether it left.
fn request(chat: i64, number: u64) -> SendMessageRequest {
    let text = format!("answer {number} to {chat}");
    let policy = if number % 3 == 2 {
        UnknownPolicy::ResendOnce
    } else {
        UnknownPolicy::Report
    };
    SendMessageRequest {
        request_id: text.replace(' ', "-"),
        target: Some(Target::Identifier(peer(chat))),
        account_id: SHOP.to_owned(),
        message: Some(message(&text)),
        on_unknown: policy.into(),
        ..SendMessageRequest::default()
    }
}

fn timestamp(at: SystemTime) -> anyhow::Result<pbjson_types::Timestamp> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(pbjson_types::Timestamp {
        seconds: since.as_secs().try_into()?,
        nanos: since.subsec_nanos().try_into()?,
    })
}

/// A message of one text.
pub(crate) fn message(text: &str) -> Message {
    let content = Content::Text(Text {
        text: text.to_owned(),
        ..Text::default()
    });
    Message {
        parts: vec![Part { content: Some(content) }],
        ..Message::default()
    }
}

/// A chat as an identifier.
pub(crate) fn peer(chat: i64) -> Identifier {
    Identifier {
        r#type: "tg_chat".to_owned(),
        scope: SHOP.to_owned(),
        value: chat.to_string(),
    }
}
