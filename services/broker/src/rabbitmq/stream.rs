//! Reads streams.

use super::{
    failure::{failure, short},
    message,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use lapin::{
    Channel, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use omnigate_core::port::broker::{BrokerError, From, LogEntry, LogName, LogReader};

/// Entries sent ahead of their acknowledgement. For a stream that only says how much may be on its way.
const PREFETCH: u16 = 256;
/// Entries acknowledged at once.
const ACKNOWLEDGE: u64 = 64;

/// Reads a stream on a channel of its own.
pub(super) struct Reader {
    channel: Channel,
    consumer: Consumer,
    /// Chunks are sent whole, so entries before the wanted one may come.
    from: u64,
    unacknowledged: u64,
}

impl Reader {
    /// Begins to read.
    pub(super) async fn new(channel: Channel, log: &LogName, from: From) -> Result<Self, BrokerError> {
        let failed = |error: lapin::Error| failure(&format!("reading {log}"), &error);
        channel
            .basic_qos(PREFETCH, BasicQosOptions::default())
            .await
            .map_err(failed)?;
        let mut arguments = FieldTable::default();
        let offset = match from {
            From::Oldest => AMQPValue::LongString("first".into()),
            From::Next => AMQPValue::LongString("next".into()),
            From::Offset(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
        };
        arguments.insert("x-stream-offset".into(), offset);
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(short(&log.0)?, ShortString::default(), options, arguments);
        let consumer = consuming.await.map_err(failed)?;
        let from = if let From::Offset(offset) = from { offset } else { 0 };
        Ok(Self {
            channel,
            consumer,
            from,
            unacknowledged: 0,
        })
    }

    async fn receive(&mut self) -> Option<(u64, Bytes)> {
        let delivery = self.consumer.next().await?.ok()?;
        self.unacknowledged += 1;
        if self.unacknowledged >= ACKNOWLEDGE {
            self.channel
                .basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true })
                .await
                .ok()?;
            self.unacknowledged = 0;
        }
        message::entry(delivery)
    }
}

#[async_trait::async_trait]
impl LogReader for Reader {
    async fn next(&mut self) -> Option<LogEntry> {
        loop {
            let (offset, body) = self.receive().await?;
            if offset >= self.from {
                return Some(LogEntry { offset, body });
            }
        }
    }
}
