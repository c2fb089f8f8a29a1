//! Confirmed publications and settled deliveries per second through the port, beside a bare lapin loop that does the same.
//!
//! `cargo run --release -p omnigate-broker --example publish_rate -- [embedded | amqp://…] [seconds]`
//!
//! Sixteen ordered queues with a journal, bodies of 500 bytes, a window of unconfirmed publications of 100 and of 1000.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measuring program"
)]

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
            println!("window {window:>4}: bare lapin {rate:>8.0} confirmed/s");
        }
        let rate = publish(&broker, &prefix, window, 1, time).await;
        println!("window {window:>4}: port       {rate:>8.0} confirmed/s, one message a call");
        let rate = publish(&broker, &prefix, window, 10, time).await;
        println!("window {window:>4}: port       {rate:>8.0} confirmed/s, ten messages a call");
    }
    for _ in 0..2 {
        let rate = consume(&broker, &prefix, time / 2).await;
        println!("port       {rate:>8.0} consumed and acknowledged/s");
        if url != "embedded" {
            let rate = bare::consume(&url, &prefix, time / 2).await;
            println!("bare lapin {rate:>8.0} consumed and acknowledged/s");
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
async fn publish(broker: &Arc<dyn Broker>, prefix: &str, window: usize, batch: usize, time: Duration) -> f64 {
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
    let begun = Instant::now();
    let mut sending: FuturesUnordered<_> = (0..window.div_ceil(batch)).map(send).collect();
    let mut confirmed = 0;
    let mut next = window;
    while sending.next().await.is_some() {
        confirmed += batch;
        if begun.elapsed() < time {
            sending.push(send(next));
            next += 1;
        }
    }
    per_second(confirmed, begun)
}

/// Takes and acknowledges on all queues for a while.
async fn consume(broker: &Arc<dyn Broker>, prefix: &str, time: Duration) -> f64 {
    let settled = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..QUEUES {
        let mut subscription = broker
            .subscribe(&QueueName(queue(prefix, index)), PREFETCH)
            .await
            .expect("subscribed");
        let settled = Arc::clone(&settled);
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
    per_second(usize::try_from(settled.load(Ordering::Relaxed)).unwrap_or(0), begun)
}

pub(crate) fn per_second(count: usize, begun: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    let count = count as f64;
    count / begun.elapsed().as_secs_f64()
}
