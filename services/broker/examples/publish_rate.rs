//! Confirmed publications and settled deliveries per second through the port, beside a bare lapin loop that does the same.
//!
//! `cargo run --release -p omnigate-broker --example publish_rate -- [embedded | amqp://…] [seconds]`
//!
//! Sixteen ordered queues with a journal, bodies of 500 bytes, a window of unconfirmed publications of 100 and of 1000.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measuring program")]

#[path = "publish_rate/bare.rs"]
mod bare;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use omnigate_broker::{
    embedded::EmbeddedBroker,
    rabbitmq::{Options, RabbitBroker},
};
use omnigate_core::{
    port::{
        Clock,
        broker::{Broker, LogName, LogSpec, Publication, QueueName, QueueSpec, Settled, Topology},
    },
    time::Moment,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

pub(crate) const QUEUES: usize = 16;
pub(crate) const BODY: usize = 500;
const PREFETCH: u16 = 200;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(i64::try_from(since.as_millis()).unwrap_or(0))
    }
}

pub(crate) fn queue(prefix: &str, index: usize) -> String {
    format!("{prefix}.queue.{:02}", index % QUEUES)
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "embedded".to_owned());
    let seconds = arguments.next().map_or(5, |seconds| seconds.parse().expect("seconds"));
    let time = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().expect("a folder");
    let prefix = format!("rate{:08x}", rand::random::<u32>());
    let clock = Arc::new(WallClock);
    let broker: Arc<dyn Broker> = if url == "embedded" {
        Arc::new(EmbeddedBroker::open(folder.path(), clock).expect("embedded broker"))
    } else {
        let options = Options {
            namespace: prefix.clone(),
            ..Options::new(clock)
        };
        Arc::new(RabbitBroker::connect(&url, options).await.expect("rabbitmq"))
    };
    declare(&*broker, &prefix).await;
    for window in [100, 1000] {
        if url != "embedded" {
            let rate = bare::publish(&url, &prefix, window, time).await;
            println!("window {window:>4}: bare lapin {rate} confirmed");
        }
        let rate = publish(&broker, &prefix, window, 1, time).await;
        println!("window {window:>4}: port       {rate} confirmed, one message a call");
        let rate = publish(&broker, &prefix, window, 10, time).await;
        println!("window {window:>4}: port       {rate} confirmed, ten messages a call");
    }
    for _ in 0..2 {
        let rate = consume(&broker, &prefix, time / 2).await;
        println!("port       {rate} consumed and acknowledged");
        if url != "embedded" {
            let rate = bare::consume(&url, &prefix, time / 2).await;
            println!("bare lapin {rate} consumed and acknowledged");
        }
    }
    if url != "embedded" {
        bare::delete(&url, &prefix).await;
    }
}

async fn declare(broker: &dyn Broker, prefix: &str) {
    let journal = LogName(format!("{prefix}.journal"));
    let queue = |index| QueueSpec {
        name: QueueName(queue(prefix, index)),
        ordered: true,
        journal: Some(journal.clone()),
        max_length: 100_000_000,
    };
    let retention = Duration::from_hours(1);
    let topology = Topology {
        queues: (0..QUEUES).map(queue).collect(),
        logs: vec![LogSpec {
            name: journal.clone(),
            retention,
        }],
    };
    broker.declare(topology).await.expect("topology");
}

/// Keeps `window` messages unconfirmed, `batch` a call, for a while.
async fn publish(broker: &Arc<dyn Broker>, prefix: &str, window: usize, batch: usize, time: Duration) -> String {
    let body = Bytes::from(vec![b'x'; BODY]);
    let send = |index: usize| {
        let message = Publication {
            queue: QueueName(queue(prefix, index)),
            body: body.clone(),
            traceparent: String::new(),
        };
        let broker = Arc::clone(broker);
        async move {
            for confirmed in broker.publish(vec![message; batch]).await {
                confirmed.expect("confirmed");
            }
        }
    };
    let begun = Begun::now();
    let mut sending: FuturesUnordered<_> = (0..window.div_ceil(batch)).map(send).collect();
    let mut confirmed = 0u64;
    let mut next = window;
    while sending.next().await.is_some() {
        confirmed += u64::try_from(batch).unwrap_or(0);
        if begun.elapsed() < time {
            sending.push(send(next));
            next += 1;
        }
    }
    begun.rate(confirmed)
}

/// Takes and acknowledges on all queues for a while.
async fn consume(broker: &Arc<dyn Broker>, prefix: &str, time: Duration) -> String {
    let settled = Arc::new(AtomicU64::new(0));
    let begun = Arc::new(Begun::now());
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..QUEUES {
        let mut subscription = broker
            .subscribe(&QueueName(queue(prefix, index)), PREFETCH)
            .await
            .expect("subscribed");
        let (settled, begun) = (Arc::clone(&settled), Arc::clone(&begun));
        tasks.spawn(async move {
            let mut settling = FuturesUnordered::new();
            while begun.elapsed() < time {
                tokio::select! {
                    delivery = subscription.next() => settling.push(delivery.expect("delivery").settle.ack()),
                    Some(done) = settling.next() => {
                        assert_eq!(done, Settled::Done);
                        settled.fetch_add(1, Ordering::Relaxed);
                    }
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            }
        });
    }
    tasks.join_all().await;
    begun.rate(settled.load(Ordering::Relaxed))
}

/// Processor time of this process so far; ticks of 10 ms on Linux.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum::<u64>();
    Duration::from_millis(ticks * 10)
}

/// When something began, on the clock and in processor time.
pub(crate) struct Begun(Instant, Duration);

impl Begun {
    pub(crate) fn now() -> Self {
        Self(Instant::now(), processor_time())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// What was done since, for people.
    pub(crate) fn rate(&self, count: u64) -> String {
        let per_second = u128::from(count) * 1000 / self.elapsed().as_millis().max(1);
        let nanos = (processor_time() - self.1).as_nanos() / u128::from(count.max(1));
        format!(
            "{per_second:>7}/s, {:>3}.{} µs of our processor time each",
            nanos / 1000,
            nanos / 100 % 10
        )
    }
}
