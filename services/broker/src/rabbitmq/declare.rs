//! Declares everything, so that asking twice changes nothing and what is different is named.

use super::{
    failure::{failure, is_mismatch, own, short},
    ladder,
};
use crate::parked;
use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use omnigate_core::port::broker::{BrokerError, LogSpec, QueueSpec, Topology};
use std::time::Duration;

/// Streams free disk a segment at a time.
const SEGMENT_BYTES: i64 = 64 << 20;
/// What is parked is never thrown away for having been looked at often; brokers from 4.0 on would after 20 times.
const NO_DELIVERY_LIMIT: i64 = 1 << 40;

/// How long declaring a topology may take: milliseconds for what exists, much longer for what a busy cluster must create.
pub(super) fn declare_limit(topology: &Topology) -> Duration {
    let count = topology.queues.len() + topology.logs.len();
    Duration::from_secs(30) + Duration::from_millis(500) * u32::try_from(count).unwrap_or(u32::MAX)
}

/// Name of the queue of what is parked.
pub(super) fn parked_queue(namespace: &str) -> String {
    format!("{namespace}.parked")
}

/// Declares the broker's own queues and those of a topology.
pub(super) async fn declare(connection: &Connection, namespace: &str, topology: &Topology) -> Result<(), BrokerError> {
    let opened = connection.create_channel().await;
    let channel = opened.map_err(|error| failure("opening a channel", &error))?;
    declare_parked(&channel, namespace).await?;
    for rung in ladder::RUNGS {
        declare_rung(&channel, namespace, rung).await?;
    }
    for log in &topology.logs {
        declare_log(&channel, log).await?;
    }
    for queue in &topology.queues {
        // The parked queue belongs to the broker and is the same whatever the caller says of it.
        if queue.name.0 != parked_queue(namespace) {
            declare_queue(&channel, namespace, queue).await?;
        }
    }
    // It is closed with the connection anyway.
    channel.close(200, "declared".into()).await.ok();
    Ok(())
}

async fn declare_parked(channel: &Channel, namespace: &str) -> Result<(), BrokerError> {
    let mut arguments = quorum(i64::try_from(parked::MAX_PARKED).unwrap_or(i64::MAX));
    arguments.insert("x-delivery-limit".into(), NO_DELIVERY_LIMIT.into());
    queue(channel, &parked_queue(namespace), arguments).await.map(drop)
}

async fn declare_rung(channel: &Channel, namespace: &str, rung: Duration) -> Result<(), BrokerError> {
    let name = ladder::name(namespace, rung);
    let mut arguments = quorum(ladder::MAX_WAITING);
    arguments.insert(
        "x-message-ttl".into(),
        i64::try_from(rung.as_millis()).unwrap_or(i64::MAX).into(),
    );
    // To the default exchange with the key they were published with: the name of the queue they come from.
    dead_letter(&mut arguments, None);
    let queue = queue(channel, &name, arguments).await?;
    exchange(channel, &name, ExchangeKind::Fanout).await?;
    bind(channel, &queue, &name, ShortString::default()).await
}

async fn declare_log(channel: &Channel, log: &LogSpec) -> Result<(), BrokerError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    arguments.insert(
        "x-max-age".into(),
        text(&format!("{}s", log.retention.as_secs().max(1))),
    );
    arguments.insert("x-stream-max-segment-size-bytes".into(), SEGMENT_BYTES.into());
    queue(channel, &log.name.0, arguments).await.map(drop)
}

async fn declare_queue(channel: &Channel, namespace: &str, spec: &QueueSpec) -> Result<(), BrokerError> {
    let mut arguments = quorum(i64::try_from(spec.max_length).unwrap_or(i64::MAX));
    if spec.ordered {
        arguments.insert("x-single-active-consumer".into(), true.into());
    }
    arguments.insert("x-delivery-limit".into(), i64::from(parked::MAX_ATTEMPTS).into());
    dead_letter(&mut arguments, Some(&parked_queue(namespace)));
    let name = queue(channel, &spec.name.0, arguments).await?;
    if let Some(journal) = &spec.journal {
        // One publication to this exchange reaches both, with one confirm.
        exchange(channel, &journal.0, ExchangeKind::Direct).await?;
        bind(channel, &name, &journal.0, name.clone()).await?;
        bind(channel, &short(&journal.0)?, &journal.0, name).await?;
    }
    Ok(())
}

fn quorum(max_length: i64) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-max-length".into(), max_length.into());
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

/// At least once, so that nothing is lost between the two queues; needs `reject-publish`.
fn dead_letter(arguments: &mut FieldTable, key: Option<&str>) {
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    if let Some(key) = key {
        arguments.insert("x-dead-letter-routing-key".into(), text(key));
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<ShortString, BrokerError> {
    let short = short(name)?;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(short.clone(), options, arguments).await;
    declared.map_err(|error| refused("queue", name, &error))?;
    Ok(short)
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel
        .exchange_declare(short(name)?, kind, options, FieldTable::default())
        .await;
    declared.map_err(|error| refused("exchange", name, &error))
}

async fn bind(channel: &Channel, queue: &ShortString, exchange: &str, key: ShortString) -> Result<(), BrokerError> {
    let options = QueueBindOptions::default();
    let bound = channel
        .queue_bind(queue.clone(), own(exchange), key, options, FieldTable::default())
        .await;
    bound.map_err(|error| refused("binding to", exchange, &error))
}

fn refused(what: &str, name: &str, error: &lapin::Error) -> BrokerError {
    let failure = failure(&format!("declaring {what} {name}"), error);
    match failure {
        BrokerError::Unusable(text) if is_mismatch(error) => BrokerError::Unusable(format!(
            "{text}; it exists with other arguments: delete it once it is empty, or set the configuration back"
        )),
        failure => failure,
    }
}
