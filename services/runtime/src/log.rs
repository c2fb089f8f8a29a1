//! Reads a log of the broker for as long as somebody listens.

use futures_util::stream::{self, BoxStream, StreamExt as _};
use omnigate_core::port::broker::{Broker, From, LogEntry, LogName, LogReader};
use std::sync::Arc;
use std::time::Duration;

/// First wait before reading a log again whose reader ended; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait before reading a log again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Entries of a log.
pub type Entries = BoxStream<'static, LogEntry>;

/// A log's entries, without end; a reader that ends is replaced where it ended. What comes before somebody asks for the first
/// entry is not among those that are next.
#[must_use]
pub fn follow(broker: Arc<dyn Broker>, log: LogName, from: From) -> Entries {
    read(broker, log, None, from)
}

/// The same from this moment on: what comes after the answer is among those that are next.
pub async fn attach(broker: Arc<dyn Broker>, log: LogName, from: From) -> Entries {
    let reader = broker.read(&log, from).await.ok();
    // Where nobody answers, what comes meanwhile must not be missed; what is too old is dropped by its time.
    let from = if reader.is_none() && from == From::Next {
        From::Oldest
    } else {
        from
    };
    read(broker, log, reader, from)
}

fn read(broker: Arc<dyn Broker>, log: LogName, reader: Option<Box<dyn LogReader>>, from: From) -> Entries {
    let state = (broker, log, reader, from, FIRST_WAIT);
    stream::unfold(state, move |(broker, log, mut reader, mut from, mut wait)| async move {
        loop {
            if reader.is_none() {
                reader = broker.read(&log, from).await.ok();
            }
            if let Some(open) = &mut reader
                && let Some(entry) = open.next().await
            {
                from = From::Offset(entry.offset + 1);
                return Some((entry, (broker, log, reader, from, FIRST_WAIT)));
            }
            reader = None;
            // What came while nobody listened must not be missed; what is too old is dropped by its time.
            if from == From::Next {
                from = From::Oldest;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    })
    .boxed()
}
