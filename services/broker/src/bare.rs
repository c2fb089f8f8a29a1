//! The yardstick of `omnigate bench`: the simplest loop that gets messages stored, with nothing of the gateway in it.
//!
//! On RabbitMQ one lapin channel with confirms and `mandatory`, one message a publication, a window of them unconfirmed. In
//! a file one thread that writes a window of messages into a queue's table and into a journal's, and commits.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions},
    types::ShortString,
};
use omnigate_core::port::broker::{LogName, QueueName};
use redb::{Database, TableDefinition};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const PERSISTENT: u8 = 2;
const QUEUES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("queues");
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

/// Why the yardstick broke.
#[derive(Debug, thiserror::Error)]
pub enum BareError {
    /// RabbitMQ or the way to it.
    #[error(transparent)]
    RabbitMq(#[from] lapin::Error),
    /// The file.
    #[error(transparent)]
    File(#[from] redb::Error),
    /// There is nothing to publish.
    #[error("no messages to publish")]
    Nothing,
    /// A name is longer than any queue's can be.
    #[error("no queue can be called {0}")]
    Name(String),
    /// RabbitMQ answered something else than an ack.
    #[error("rabbitmq did not take a message: {0}")]
    NotTaken(String),
}

/// What is published: these messages, over and over.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Queue and body of each.
    pub messages: &'a [(QueueName, Bytes)],
    /// Messages unconfirmed at once.
    pub window: usize,
    /// For how long.
    pub time: Duration,
}

/// Messages confirmed per second by a RabbitMQ on which `journal` and the queues are declared.
///
/// # Errors
///
/// When RabbitMQ cannot be reached or does not take a message.
pub async fn publish_rate(url: &str, journal: &LogName, job: Job<'_>) -> Result<f64, BareError> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let exchange = short(&journal.0)?;
    let messages = job.messages.iter().map(|(queue, body)| Ok((short(&queue.0)?, body)));
    let messages = messages.collect::<Result<Vec<_>, BareError>>()?;
    let send = |index: usize| {
        let message = messages.get(index % messages.len().max(1));
        let (channel, exchange) = (&channel, exchange.clone());
        async move {
            let (queue, body) = message.ok_or(BareError::Nothing)?;
            publish(channel, exchange, queue.clone(), body).await
        }
    };
    let begun = Instant::now();
    let mut sending: FuturesUnordered<_> = (0..job.window).map(send).collect();
    let (mut confirmed, mut next) = (0, job.window);
    while let Some(sent) = sending.next().await {
        sent?;
        confirmed += 1;
        if begun.elapsed() < job.time {
            sending.push(send(next));
            next += 1;
        }
    }
    let rate = per_second(confirmed, begun);
    connection.close(200, "done".into()).await?;
    Ok(rate)
}

async fn publish(channel: &Channel, exchange: ShortString, key: ShortString, body: &[u8]) -> Result<(), BareError> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let confirm = channel.basic_publish(exchange, key, options, body, properties).await?;
    match confirm.await? {
        Confirmation::Ack(None) => Ok(()),
        other => Err(BareError::NotTaken(format!("{other:?}").chars().take(100).collect())),
    }
}

/// Throws away what waits in queues.
///
/// # Errors
///
/// When RabbitMQ cannot be reached or has no such queue.
pub async fn purge(url: &str, queues: &[QueueName]) -> Result<(), BareError> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for queue in queues {
        channel
            .queue_purge(short(&queue.0)?, QueuePurgeOptions::default())
            .await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

/// Messages committed per second in a new file of the folder, a window a commit. Blocks.
///
/// # Errors
///
/// When the file cannot be written.
pub fn append_rate(folder: &Path, job: Job<'_>) -> Result<f64, BareError> {
    let database = Database::create(folder.join("bare.redb")).map_err(redb::Error::from)?;
    let mut messages = job.messages.iter().cycle();
    let begun = Instant::now();
    let mut written = 0_u64;
    while begun.elapsed() < job.time {
        let transaction = database.begin_write().map_err(redb::Error::from)?;
        {
            let mut queues = transaction.open_table(QUEUES).map_err(redb::Error::from)?;
            let mut journal = transaction.open_table(JOURNAL).map_err(redb::Error::from)?;
            for _ in 0..job.window {
                let (queue, body) = messages.next().ok_or(BareError::Nothing)?;
                queues
                    .insert((queue.0.as_str(), written), body.as_ref())
                    .map_err(redb::Error::from)?;
                journal.insert(written, body.as_ref()).map_err(redb::Error::from)?;
                written += 1;
            }
        }
        transaction.commit().map_err(redb::Error::from)?;
    }
    Ok(per_second(written, begun))
}

fn short(name: &str) -> Result<ShortString, BareError> {
    ShortString::try_new(name).map_err(|_too_long| BareError::Name(name.chars().take(100).collect()))
}

fn per_second(count: u64, begun: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    let count = count as f64;
    count / begun.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_messages() {
        let folder = tempfile::tempdir().unwrap();
        let messages = [
            (QueueName("a".into()), Bytes::from_static(b"one")),
            (QueueName("b".into()), Bytes::new()),
        ];
        let job = Job {
            messages: &messages,
            window: 10,
            time: Duration::from_millis(20),
        };
        assert!(append_rate(folder.path(), job).unwrap() > 0.0);
        let nothing = Job { messages: &[], ..job };
        assert!(matches!(
            append_rate(tempfile::tempdir().unwrap().path(), nothing),
            Err(BareError::Nothing)
        ));
    }
}
