//! What other services are told: consumer groups and outgoing webhooks.

use crate::{SHOP, World};
use anyhow::{Context as _, bail, ensure};
use data_encoding::BASE64;
use omnigate_proto::v1::customer_event::Kind;
use omnigate_proto::v1::{
    AcknowledgeRequest, CustomerEvent, DeleteEventGroupRequest, EventWebhook, EventWebhookState,
    ListEventWebhooksRequest, ReplayEventWebhookRequest, SubscribeRequest, SubscribeResponse,
};
use omnigate_rpc::client::Connection;
use omnigate_sandbox::telegram::UserHandle;
use omnigate_tests::gateway::{Gateway, Keys, Shape};
use omnigate_tests::{bot, wait};
use ring::hmac;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tonic::{Code, Streaming};

const GROUP: &str = "crm";
const WEBHOOK: &str = "crm";
/// Key of the webhook's secret, in base64.
const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A member of the group.
struct Member(Streaming<SubscribeResponse>);

impl Member {
    async fn join(connection: &Connection) -> anyhow::Result<Self> {
        let asked = SubscribeRequest {
            group: GROUP.to_owned(),
            ..SubscribeRequest::default()
        };
        let mut stream = connection.events().subscribe(asked).await?.into_inner();
        let first = timeout(wait::PATIENCE, stream.message()).await??;
        ensure!(first == Some(SubscribeResponse::default()), "{first:?}");
        Ok(Self(stream))
    }

    async fn next(&mut self) -> anyhow::Result<(CustomerEvent, String)> {
        let next = timeout(wait::PATIENCE, self.0.message())
            .await
            .context("nothing came")??;
        let next = next.context("the stream ended")?;
        Ok((next.event.context("no event")?, next.ack_token))
    }
}

async fn acknowledge(connection: &Connection, token: String) -> anyhow::Result<()> {
    let asked = AcknowledgeRequest {
        group: GROUP.to_owned(),
        ack_tokens: vec![token],
    };
    let answer = connection.events().acknowledge(asked).await?.into_inner();
    ensure!(answer.handed_over.is_empty(), "{answer:?}");
    Ok(())
}

/// What a person wrote, where an event says so.
fn written(event: &CustomerEvent, by: &UserHandle) -> Option<u64> {
    let Some(Kind::EntryAdded(added)) = &event.kind else {
        return None;
    };
    let entry = added.entry.as_ref()?;
    let peer = entry.event.as_ref()?.peer.as_ref()?;
    (peer.value == by.id().to_string()).then_some(entry.thread_seq)
}

/// Entries of each person, by their numbers, in the order in which they were seen first.
#[derive(Debug, Default)]
struct Seen(BTreeMap<i64, Vec<u64>>);

impl Seen {
    fn note(&mut self, people: &[UserHandle], event: &CustomerEvent) {
        for person in people {
            if let Some(number) = written(event, person) {
                let numbers = self.0.entry(person.id()).or_default();
                if !numbers.contains(&number) {
                    numbers.push(number);
                }
            }
        }
    }

    fn has_all(&self, people: &[UserHandle], count: usize) -> bool {
        self.0.len() == people.len() && self.0.values().all(|numbers| numbers.len() >= count)
    }
}

pub(crate) async fn a_group_shares_the_work_and_loses_nothing(world: &World) -> anyhow::Result<()> {
    let connection = &world.connection;
    let (mut first, mut second) = (Member::join(connection).await?, Member::join(connection).await?);
    let people: Vec<UserHandle> = (0..6)
        .map(|number| world.sandbox.user(&format!("told {number}")))
        .collect();
    for text in ["một", "hai", "ba"] {
        for person in &people {
            person.writes(text)?;
        }
    }
    let mut seen = Seen::default();
    while !seen.has_all(&people, 3) {
        let (event, token) = tokio::select! {
            next = first.next() => next?,
            next = second.next() => next?,
        };
        seen.note(&people, &event);
        acknowledge(connection, token).await?;
    }
    drop(first);
    people.iter().try_for_each(|person| person.writes("bốn").map(drop))?;
    while !seen.has_all(&people, 4) {
        let (event, token) = second.next().await?;
        seen.note(&people, &event);
        acknowledge(connection, token).await?;
    }
    for numbers in seen.0.values() {
        ensure!(numbers == &[1, 2, 3, 4], "out of order: {seen:?}");
    }
    let delete = || DeleteEventGroupRequest {
        group: GROUP.to_owned(),
    };
    let refused = connection.events().delete_event_group(delete()).await;
    ensure!(
        refused.is_err_and(|status| status.code() == Code::FailedPrecondition),
        "deleted in use"
    );
    drop(second);
    wait::until("a group without members", async || {
        Ok(connection
            .events()
            .delete_event_group(delete())
            .await
            .map_err(|status| status.message().to_owned()))
    })
    .await?;
    Ok(())
}

/// What was acknowledged does not come again, and everything else does, although the whole gateway was killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_goes_on_where_it_was_after_a_crash() {
    let sandbox = bot::sandbox(1).await.unwrap();
    let mut keys = Keys::new();
    bot::account(&mut keys, &sandbox, SHOP, 1, false);
    let mut gateway = Gateway::start(Shape::One, &keys).await.unwrap().unwrap();
    bot::point(&sandbox, &gateway, SHOP, 1).await.unwrap();
    let person = sandbox.user("An");
    let crashed = crash(&mut gateway, &person).await;
    if let Err(error) = crashed {
        panic!("{error:?}\n{}", gateway.logs());
    }
}

async fn crash(gateway: &mut Gateway, person: &UserHandle) -> anyhow::Result<()> {
    let connection = gateway.connect().await?;
    let mut member = Member::join(&connection).await?;
    ["một", "hai", "ba", "bốn"]
        .iter()
        .try_for_each(|text| person.writes(text).map(drop))?;
    let mut number = 0;
    while number < 4 {
        let (event, token) = member.next().await?;
        number = written(&event, person).unwrap_or(number);
        if number <= 2 {
            acknowledge(&connection, token).await?;
        }
    }
    let process = gateway.processes.values_mut().next().context("no process")?;
    process.kill9()?;
    gateway.start_again().await?;
    let connection = gateway.connect().await?;
    let mut member = Member::join(&connection).await?;
    person.writes("năm")?;
    let mut numbers = Vec::new();
    while numbers.last() != Some(&5) {
        let (event, token) = member.next().await?;
        numbers.extend(written(&event, person));
        acknowledge(&connection, token).await?;
    }
    ensure!(numbers == [3, 4, 5], "{numbers:?}");
    Ok(())
}

/// A call that came, with its signature checked.
#[derive(Clone, Debug)]
struct Call {
    kind: String,
    thread: String,
    number: u64,
}

/// A receiver of outgoing webhooks.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    calls: Arc<Mutex<Vec<Call>>>,
    wrong: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
}

impl Receiver {
    /// Starts one and configures it.
    pub(crate) async fn start(keys: &mut Keys) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut set = |key: &str, value: &str| keys.insert(format!("event_webhooks.{WEBHOOK}.{key}"), value.to_owned());
        set("url", &format!("http://{}/hooks", listener.local_addr()?));
        set("secret", &format!("whsec_{KEY}"));
        set("allow_private", "true");
        let receiver = Self::default();
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = serving.clone();
                tokio::spawn(async move { receiver.serve(stream).await });
            }
        });
        Ok(receiver)
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap()
    }

    async fn serve(&self, stream: TcpStream) -> anyhow::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut headers = BTreeMap::new();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                match line.trim().split_once(": ") {
                    Some((name, value)) => drop(headers.insert(name.to_lowercase(), value.to_owned())),
                    None if line.trim().is_empty() => break,
                    None => {}
                }
            }
            let mut body = vec![0; headers.get("content-length").context("no length")?.parse()?];
            stream.read_exact(&mut body).await?;
            let refuses = self.refuses.load(Ordering::SeqCst);
            match checked(&headers, &body) {
                Ok(_) if refuses => {}
                Ok(call) => self.calls().push(call),
                Err(error) => self.wrong.lock().unwrap().push(format!("{error:#}")),
            }
            let status = if refuses {
                "500 Internal Server Error"
            } else {
                "204 No Content"
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    /// Numbers of a thread's entries, in the order in which they came.
    fn told(&self, thread: &str) -> Vec<u64> {
        let calls = self.calls();
        let of_thread = calls
            .iter()
            .filter(|call| call.kind == "entry_added" && call.thread == thread);
        of_thread.map(|call| call.number).collect()
    }
}

/// Checks a call as a receiver should, with another implementation of HMAC than the gateway's.
fn checked(headers: &BTreeMap<String, String>, body: &[u8]) -> anyhow::Result<Call> {
    let header = |name: &str| headers.get(name).with_context(|| format!("no header {name}"));
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(timestamp.parse()?);
    let age = SystemTime::now().duration_since(sent).unwrap_or_default();
    ensure!(age < Duration::from_secs(60), "old: {timestamp}");
    let signature = header("webhook-signature")?
        .strip_prefix("v1,")
        .context("no v1 signature")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(KEY.as_bytes())?);
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    if hmac::verify(&key, &signed, &BASE64.decode(signature.as_bytes())?).is_err() {
        bail!("wrong signature of {id}");
    }
    let body: Value = serde_json::from_slice(body)?;
    ensure!(body["data"]["eventId"] == id.as_str(), "{id} is not the event's id");
    let entry = &body["data"]["entryAdded"]["entry"];
    Ok(Call {
        kind: body["type"].as_str().unwrap_or_default().to_owned(),
        thread: entry["event"]["threadId"].as_str().unwrap_or_default().to_owned(),
        number: entry["threadSeq"]
            .as_str()
            .unwrap_or_default()
            .parse()
            .unwrap_or_default(),
    })
}

async fn stands(connection: &Connection) -> anyhow::Result<EventWebhook> {
    let asked = ListEventWebhooksRequest {};
    let mut listed = connection
        .event_webhooks()
        .list_event_webhooks(asked)
        .await?
        .into_inner();
    listed.event_webhooks.pop().context("no webhook is listed")
}

pub(crate) async fn a_webhook_is_told_everything_in_order_and_again_when_asked(world: &World) -> anyhow::Result<()> {
    let (connection, receiver) = (&world.connection, &world.receiver);
    receiver.refuses.store(true, Ordering::SeqCst);
    let begun = SystemTime::now();
    let person = world.sandbox.user("Hook");
    for text in ["một", "hai", "ba"] {
        person.writes(text)?;
    }
    wait::until("a webhook that fails", async || {
        let webhook = stands(connection).await?;
        Ok(if webhook.state() == EventWebhookState::Failing {
            Ok(())
        } else {
            Err(webhook)
        })
    })
    .await?;
    receiver.refuses.store(false, Ordering::SeqCst);
    let entries = omnigate_tests::reading::entries_of(connection, SHOP, person.id(), 3).await?;
    let thread = entries[0].event.as_ref().context("no event")?.thread_id.clone();
    let told = |wanted: &'static [u64]| {
        let thread = thread.clone();
        wait::until("everything told", async move || {
            let told = receiver.told(&thread);
            Ok(if told == wanted { Ok(()) } else { Err(told) })
        })
    };
    told(&[1, 2, 3]).await?;
    wait::until("a webhook that works", async || {
        let webhook = stands(connection).await?;
        let works = webhook.state() == EventWebhookState::Active && webhook.waiting == 0;
        Ok(if works { Ok(()) } else { Err(webhook) })
    })
    .await?;
    let since = begun.duration_since(SystemTime::UNIX_EPOCH)?;
    let replay = ReplayEventWebhookRequest {
        event_webhook_id: WEBHOOK.to_owned(),
        since: Some(pbjson_types::Timestamp {
            seconds: i64::try_from(since.as_secs())?,
            nanos: 0,
        }),
        request_id: "after-outage".to_owned(),
    };
    connection.event_webhooks().replay_event_webhook(replay).await?;
    told(&[1, 2, 3, 1, 2, 3]).await?;
    let wrong = receiver.wrong.lock().unwrap().clone();
    ensure!(wrong.is_empty(), "{wrong:?}");
    Ok(())
}
