//! Tells others what happened: customer events for the logs, hints for messages whose turn has come.
//!
//! Nobody waits for it, and what does not fit or does not arrive is made up for by the scheduler: events stand in the
//! outbox, messages have timers.

use crate::{metrics::Metrics, shared::Shared};
use futures_util::future::join;
use omnigate_core::{
    id::MessageId,
    protocol::{
        delivery::Changed,
        outbox::{self, Outgoing},
        publish,
    },
};
use omnigate_runtime::beat::Beat;
use std::time::Duration;
use tokio::{sync::mpsc, time::Instant};

/// Changes that wait to be told.
const WAITING: usize = 4096;
/// Changes told together.
const TOGETHER: usize = 512;
/// Under load changes are told once in this time: what the broker does is for each message, however much is in it.
const BEAT: Duration = Duration::from_millis(10);
/// After this long without news, what was published is taken out of the store.
const QUIET: Duration = Duration::from_millis(300);
/// Published events stay in the store no longer than this: the scheduler would publish them again.
const LONGEST_LEFT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Told {
    outgoing: Vec<Outgoing>,
    next: Option<MessageId>,
}

/// Where changes are told.
pub(crate) struct News {
    queue: mpsc::Sender<Told>,
    metrics: Metrics,
}

/// The other end.
pub(crate) struct Line(mpsc::Receiver<Told>);

/// Both ends.
pub(crate) fn line(metrics: Metrics) -> (News, Line) {
    let (queue, line) = mpsc::channel(WAITING);
    (News { queue, metrics }, Line(line))
}

impl News {
    /// Tells a change.
    pub(crate) fn tell(&self, changed: Changed) {
        let told = Told {
            outgoing: changed.outgoing,
            next: changed.next,
        };
        if self.queue.try_send(told).is_err() {
            self.metrics.news_left();
        }
    }
}

impl Line {
    /// Tells others until dropped.
    pub(crate) async fn run(&mut self, shared: &Shared) {
        let mut taken_out = Instant::now();
        let beat = Beat::new(BEAT);
        loop {
            let mut gathered = Vec::new();
            let waiting = self.0.recv_many(&mut gathered, TOGETHER);
            let quiet = match tokio::time::timeout(QUIET, waiting).await {
                Ok(0) => return,
                Ok(_) => {
                    beat.gather(&mut self.0, &mut gathered, TOGETHER).await;
                    tell(shared, gathered).await;
                    false
                }
                Err(_) => true,
            };
            if quiet || taken_out.elapsed() > LONGEST_LEFT {
                outbox::flush_all(&shared.context()).await;
                taken_out = Instant::now();
            }
        }
    }

    /// Tells what still waits.
    pub(crate) async fn finish(&mut self, shared: &Shared) {
        let mut gathered = Vec::new();
        while let Ok(told) = self.0.try_recv() {
            gathered.push(told);
        }
        tell(shared, gathered).await;
        outbox::flush_all(&shared.context()).await;
    }
}

async fn tell(shared: &Shared, news: Vec<Told>) {
    let broker = shared.broker.as_ref();
    let mut outgoing = Vec::new();
    let mut next = Vec::new();
    for told in news {
        outgoing.extend(told.outgoing);
        next.extend(told.next);
    }
    let hints = async {
        if let Err(error) = publish::hint_by_ids(&shared.context(), broker, next).await {
            tracing::warn!(%error, "a message was not hinted, its timer will look at it");
        }
    };
    let events = publish::publish(broker, &shared.ports.outbox, shared.settings.partitions, outgoing);
    join(hints, events).await;
}
