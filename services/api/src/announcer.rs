//! Tells others what the api accepted: CustomerEvents and hints, gathered while the ones before are under way.
//!
//! No caller waits for it: what was accepted is durable. What is not told is made up for: events stand in the outbox,
//! messages have timers.

use futures_util::future::join;
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::outbox::{self, Outgoing};
use omnigate_core::protocol::{Ports, publish};
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_runtime::beat::Beat;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// News that waits to be told; callers wait for room.
const WAITING: usize = 4096;
/// News told together.
const TOGETHER: usize = 512;
/// Under load news is told once in this time: what the broker does is for each message, however much is in it.
const BEAT: Duration = Duration::from_millis(10);
/// How often published CustomerEvents are taken out of the store where no commit comes by: the scheduler would publish
/// them again.
const TAKE_OUT_EVERY: Duration = Duration::from_secs(1);

struct News {
    outgoing: Vec<Outgoing>,
    /// A message that may leave.
    ready: Option<Arc<DeliveryRecord>>,
}

/// Where news is told.
pub(crate) struct Announcer {
    queue: mpsc::Sender<News>,
    line: Mutex<mpsc::Receiver<News>>,
    ports: Arc<Ports>,
    broker: Arc<dyn Broker>,
    partitions: u16,
}

impl Announcer {
    pub(crate) fn new(ports: Arc<Ports>, broker: Arc<dyn Broker>, partitions: u16) -> Self {
        let (queue, line) = mpsc::channel(WAITING);
        Self {
            queue,
            line: Mutex::new(line),
            ports,
            broker,
            partitions,
        }
    }

    /// Tells CustomerEvents, and of a message that may leave.
    pub(crate) async fn tell(&self, outgoing: Vec<Outgoing>, ready: Option<Arc<DeliveryRecord>>) {
        // The line lives as long as this does.
        self.queue.send(News { outgoing, ready }).await.ok();
    }

    /// Carries news to the broker until stopped; then what still waits.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut line = self.line.lock().await;
        let mut gathered = Vec::new();
        let beat = Beat::new(BEAT);
        let mut taken_out = Instant::now();
        loop {
            let next = timeout(TAKE_OUT_EVERY, line.recv_many(&mut gathered, TOGETHER));
            match stop.run_until_cancelled(next).await {
                None | Some(Ok(0)) => break,
                Some(Ok(_)) => {
                    beat.gather(&mut line, &mut gathered, TOGETHER).await;
                    self.carry(std::mem::take(&mut gathered)).await;
                }
                Some(Err(_quiet)) => {}
            }
            if taken_out.elapsed() >= TAKE_OUT_EVERY {
                outbox::flush_all(&self.ports.context()).await;
                taken_out = Instant::now();
            }
        }
        while let Ok(news) = line.try_recv() {
            gathered.push(news);
        }
        self.carry(gathered).await;
        outbox::flush_all(&self.ports.context()).await;
    }

    async fn carry(&self, news: Vec<News>) {
        let (mut outgoing, mut ready) = (Vec::new(), Vec::new());
        for one in news {
            outgoing.extend(one.outgoing);
            ready.extend(one.ready);
        }
        let broker = self.broker.as_ref();
        let hints = async {
            if let Err(error) = publish::hints(broker, ready.iter().map(AsRef::as_ref)).await {
                tracing::warn!(%error, "hints were not confirmed; timers will look at their messages");
            }
        };
        join(
            hints,
            publish::publish(broker, &self.ports.outbox, self.partitions, outgoing),
        )
        .await;
    }
}
