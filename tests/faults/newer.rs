//! Processes of two versions side by side: what a newer one wrote goes through an older one unchanged.
//!
//! There is only one build, so the newer version is played: a newer ingest by batches put on the partition's queue with a
//! kind and fields that nobody here knows, a newer adapter by pushes encoded with them.

use crate::SHOP;
use crate::load::{Provider, message, peer};
use crate::observe::{everything_logged, everything_told};
use crate::world::World;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use omnigate_broker::rabbitmq::{Options, RabbitBroker};
use omnigate_core::port::broker::{Broker, Publication};
use omnigate_core::{id::ThreadId, identifier, partition, topology};
use omnigate_proto::state::v1::{EventBatch, Stamped};
use omnigate_proto::v1::customer_event::Kind as Told;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::{Direction, Entry, Event, Evidence, IdentifierEvidence, PushResponse, PushStatus, Text};
use omnigate_runtime::clock::SystemClock;
use omnigate_tests::reading::{entries_of, in_thread_order, words};
use omnigate_tests::wait;
use prost::Message as _;
use std::sync::Arc;
use std::time::SystemTime;

/// Fields of a newer `Event`: one more kind, and one more field beside it.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerFields {
    #[prost(message, optional, tag = "57")]
    poll: Option<Poll>,
    #[prost(string, tag = "901")]
    mood: String,
}

/// A message as a newer version might write it: more is said of it, and of each of its parts. Nothing else has these
/// fields, so an event that holds this holds all of it.
#[derive(Clone, PartialEq, prost::Message)]
struct Louder {
    #[prost(message, optional, tag = "20")]
    message: Option<LouderMessage>,
    #[prost(string, tag = "1000")]
    mood: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LouderMessage {
    #[prost(message, repeated, tag = "1")]
    parts: Vec<LouderPart>,
    #[prost(string, tag = "1001")]
    mood: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LouderPart {
    #[prost(message, optional, tag = "1")]
    text: Option<Text>,
    #[prost(uint32, tag = "1002")]
    decibels: u32,
}

/// A kind of the future.
#[derive(Clone, PartialEq, prost::Message)]
struct Poll {
    #[prost(string, tag = "1")]
    question: String,
    #[prost(string, repeated, tag = "2")]
    answers: Vec<String>,
}

pub(crate) async fn versions_meet(world: &World) -> anyhow::Result<()> {
    a_newer_ingest_beside_an_older_unify(world).await?;
    a_newer_adapter_beside_an_older_ingest(world).await
}

async fn a_newer_ingest_beside_an_older_unify(world: &World) -> anyhow::Result<()> {
    let chat = world.sandbox.user("Newer").id();
    let provider = Provider::new(world);
    provider.bring(&provider.update(chat, 1, "before")).await?;
    let of_unknown_kind = bytes_of(&event(chat, 2, None), &poll());
    let known = Kind::Message(message("known kind"));
    let of_known_kind = bytes_of(&event(chat, 3, Some(known)), &mood());
    let broker = RabbitBroker::connect(world.rabbitmq.url(), Options::new(Arc::new(SystemClock))).await?;
    publish(&broker, chat, [of_unknown_kind.clone(), of_known_kind.clone()]).await?;
    provider.bring(&provider.update(chat, 4, "after")).await?;

    let entries = entries_of(&world.connection, SHOP, chat, 4).await?;
    let ordered = in_thread_order(&entries);
    let numbers: Vec<u64> = ordered.iter().map(|entry| entry.thread_seq).collect();
    ensure!(numbers == [1, 2, 3, 4], "numbers of the thread: {numbers:?}");
    let said: Vec<String> = ordered.iter().map(|entry| words(entry)).collect();
    ensure!(said == ["before", "", "known kind", "after"], "out of order: {said:?}");
    is_shown_as_newer(ordered[1], &of_unknown_kind)?;
    wait::until("the events of both in the logs", async || {
        let logged = everything_logged(&broker).await?;
        let carries = |bytes: &[u8]| {
            logged
                .iter()
                .any(|event| event.windows(bytes.len()).any(|window| window == bytes))
        };
        Ok(match (carries(&of_unknown_kind), carries(&of_known_kind)) {
            (true, true) => Ok(()),
            carried => Err(carried),
        })
    })
    .await?;
    let told = everything_told(&world.connection).await?;
    let told = told.iter().filter_map(|event| match &event.kind {
        Some(Told::EntryAdded(added)) => added.entry.as_ref(),
        _ => None,
    });
    let told = told.into_iter().find(|entry| entry.entry_id == ordered[1].entry_id);
    is_shown_as_newer(told.context("nobody was told")?, &of_unknown_kind)
}

/// With its bytes, as they were put on the queue.
fn is_shown_as_newer(entry: &Entry, bytes: &[u8]) -> anyhow::Result<()> {
    ensure!(
        is_readable_by_a_newer_reader(entry)? == bytes,
        "the bytes of the event changed"
    );
    Ok(())
}

/// With its bytes, so that a reader who knows the kind can read it although nobody in between does.
fn is_readable_by_a_newer_reader(entry: &Entry) -> anyhow::Result<&Bytes> {
    match entry.event.as_ref().and_then(|event| event.kind.as_ref()) {
        Some(Kind::Unsupported(shown)) => {
            ensure!(shown.type_name == "newer", "type {:?}", shown.type_name);
            ensure!(
                NewerFields::decode(shown.raw.clone())? == poll(),
                "a newer reader misses its fields"
            );
            Ok(&shown.raw)
        }
        other => anyhow::bail!("shown as {other:?}"),
    }
}

async fn a_newer_adapter_beside_an_older_ingest(world: &World) -> anyhow::Result<()> {
    let chat = world.sandbox.user("Newer adapter").id();
    let ingest = world.gateway.connect_ingest(&world.gateway.token()?).await?;
    let of_known_kind = bytes_of(&event(chat, 1, None), &louder("with a field of tomorrow"));
    let of_unknown_kind = bytes_of(&event(chat, 2, None), &poll());
    let pushes = [of_known_kind, of_unknown_kind, b"no event".to_vec()];
    let answer = raw::push(&ingest, &pushes).await?;
    let statuses: Vec<PushStatus> = answer.results.iter().map(|result| result.status()).collect();
    ensure!(
        statuses == [PushStatus::Accepted, PushStatus::Accepted, PushStatus::Refused],
        "{:?}",
        answer.results
    );
    let again = raw::push(&ingest, &pushes).await?;
    ensure!(again == answer, "the same facts have other ids: {again:?}");

    let entries = entries_of(&world.connection, SHOP, chat, 2).await?;
    let ordered = in_thread_order(&entries);
    ensure!(ordered.len() == 2, "a repetition is shown: {entries:?}");
    ensure!(words(ordered[0]) == "with a field of tomorrow", "{entries:?}");
    is_readable_by_a_newer_reader(ordered[1])?;
    let broker = RabbitBroker::connect(world.rabbitmq.url(), Options::new(Arc::new(SystemClock))).await?;
    let louder = louder("with a field of tomorrow").encode_to_vec();
    wait::until("the event in the log with every field", async || {
        let logged = everything_logged(&broker).await?;
        let carries = |event: &Bytes| event.windows(louder.len()).any(|window| window == louder);
        Ok(logged.iter().any(carries).then_some(()).ok_or("some field is missing"))
    })
    .await
}

fn poll() -> NewerFields {
    let poll = Poll {
        question: "phở hay bún?".to_owned(),
        answers: vec!["phở".to_owned(), "bún".to_owned()],
    };
    NewerFields {
        poll: Some(poll),
        mood: "hungry".to_owned(),
    }
}

fn mood() -> NewerFields {
    NewerFields {
        poll: None,
        mood: "curious".to_owned(),
    }
}

fn louder(words: &str) -> Louder {
    let part = LouderPart {
        text: Some(Text {
            text: words.to_owned(),
            ..Text::default()
        }),
        decibels: 90,
    };
    Louder {
        message: Some(LouderMessage {
            parts: vec![part],
            mood: "angry".to_owned(),
        }),
        mood: "loud".to_owned(),
    }
}

/// Encoded one behind the other, two messages are one message with the fields of both.
fn bytes_of(event: &Event, newer: &impl prost::Message) -> Vec<u8> {
    [event.encode_to_vec(), newer.encode_to_vec()].concat()
}

/// As ingest stamps it.
fn event(chat: i64, number: u64, kind: Option<Kind>) -> Event {
    let peer = peer(chat);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let thread = ThreadId::new(identifier::key("default", &peer), SHOP);
    Event {
        event_id: format!("{chat:016x}{number:016x}"),
        tenant_id: "default".to_owned(),
        account_id: SHOP.to_owned(),
        channel: "telegram".to_owned(),
        received_at: Some(pbjson_types::Timestamp {
            seconds: now.as_secs().try_into().unwrap(),
            nanos: 0,
        }),
        direction: Direction::Inbound.into(),
        identifiers: vec![IdentifierEvidence {
            identifier: Some(peer.clone()),
            evidence: Evidence::Vouched.into(),
            provider_form: String::new(),
        }],
        peer: Some(peer),
        provider_message_id: (1_000_000 + number).to_string(),
        thread_id: thread.to_string(),
        trace_id: format!("{number:032x}"),
        kind,
        ..Event::default()
    }
}

/// Puts a batch on the queue of the chat's partition.
async fn publish(broker: &dyn Broker, chat: i64, events: [Vec<u8>; 2]) -> anyhow::Result<()> {
    let received = event(chat, 0, None).received_at.context("no time")?;
    let batch = EventBatch {
        events: events
            .into_iter()
            .map(|event| Stamped {
                event: event.into(),
                received_at_ms: received.seconds * 1000,
                traceparent: String::new(),
                ..Stamped::default()
            })
            .collect(),
    };
    let partition = partition::of(&event(chat, 0, None), topology::DEFAULT_PARTITIONS);
    let publication = Publication {
        queue: topology::inbound(partition),
        body: batch.encode_to_vec().into(),
        traceparent: String::new(),
    };
    for confirmed in broker.publish(vec![publication]).await {
        confirmed?;
    }
    Ok(())
}

/// A client of ingest whose events are bytes.
mod raw {
    use super::PushResponse;
    use omnigate_rpc::client::Connection;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Push {
        #[prost(bytes = "vec", repeated, tag = "1")]
        events: Vec<Vec<u8>>,
    }

    pub(super) async fn push(ingest: &Connection, events: &[Vec<u8>]) -> anyhow::Result<PushResponse> {
        let mut client = tonic::client::Grpc::new(ingest.channel());
        client.ready().await?;
        let path = tonic::codegen::http::uri::PathAndQuery::from_static("/omnigate.v1.IngestService/Push");
        let push = Push {
            events: events.to_vec(),
        };
        let codec = tonic_prost::ProstCodec::<Push, PushResponse>::default();
        let answer = client.unary(tonic::Request::new(push), path, codec).await?;
        Ok(answer.into_inner())
    }
}
