//! Reads the queue of a partition whose lease is ours.

use crate::engine::Engine;
use crate::intake;
use crate::lines::{Done, Lines};
use crate::publisher::Publisher;
use crate::work::{Ended, Worker};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use omnigate_core::port::broker::{Delivery, QueueName, Settle, Settled, Subscription};
use omnigate_core::shard::Partition;
use omnigate_core::topology;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What is done waits this long for more, so that the broker gets one acknowledgement for all.
const GATHERED: Duration = Duration::from_millis(10);
/// Wait before subscribing again after the broker or the store failed.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// Works on a partition until `stop`, then finishes what is in hand. Dropping it gives everything back at once.
pub(crate) async fn consume(engine: Arc<Engine>, publisher: Publisher, partition: Partition, stop: CancellationToken) {
    let queue = topology::inbound(partition);
    let worker = Worker {
        engine: engine.clone(),
        publisher,
        origin: queue.0.as_str().into(),
    };
    while !stop.is_cancelled() {
        let there = async {
            engine.away.back().await;
            engine.broker.subscribe(&queue, engine.settings.prefetch).await
        };
        let subscribed = tokio::select! {
            subscribed = there => subscribed,
            () = stop.cancelled() => return,
        };
        match subscribed {
            Ok(subscription) => Reading::new(worker.clone(), &queue, subscription).run(&stop).await,
            Err(error) => tracing::warn!(%queue, %error, "the queue cannot be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(engine.around(AGAIN_AFTER)), if !stop.is_cancelled() => {}
            () = stop.cancelled() => {}
        }
    }
}

/// One subscription and what is in hand of it.
struct Reading<'a> {
    worker: Worker,
    queue: &'a QueueName,
    deliveries: mpsc::Receiver<Delivery>,
    lines: Lines<Box<dyn Settle>>,
    running: JoinSet<(Done, Ended)>,
    /// What is done and not acknowledged yet, with when that is due.
    done: Vec<Box<dyn Settle>>,
    due: Option<Instant>,
    /// Acknowledgements on their way. Each takes the broker a round trip or a write, and nothing waits for that. Bounded by
    /// the prefetch.
    settling: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// Owns the subscription; ends with this.
    _reader: JoinSet<()>,
}

impl<'a> Reading<'a> {
    /// A task of its own reads, because nothing says that reading may be given up half-way.
    fn new(worker: Worker, queue: &'a QueueName, mut subscription: Box<dyn Subscription>) -> Self {
        let (sender, deliveries) = mpsc::channel(1);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Some(delivery) = subscription.next().await {
                if sender.send(delivery).await.is_err() {
                    return;
                }
            }
            // The subscription has ended: what is in hand is lost to us.
        });
        Self {
            worker,
            queue,
            deliveries,
            lines: Lines::default(),
            running: JoinSet::new(),
            done: Vec::new(),
            due: None,
            settling: FuturesUnordered::new(),
            _reader: reader,
        }
    }

    /// Reads until the subscription ends, the store is away, or, after `stop`, nothing is in hand.
    async fn run(mut self, stop: &CancellationToken) {
        let engine = self.worker.engine.clone();
        let settings = &engine.settings;
        let mut deadline: Option<Instant> = None;
        loop {
            self.start(settings.concurrency);
            if deadline.is_some() {
                self.acknowledge();
                if self.lines.is_empty() && self.settling.is_empty() {
                    return;
                }
            }
            let room = self.lines.events() < settings.events_in_hand && self.lines.bytes() < settings.bytes_in_hand;
            let reads = deadline.is_none() && room;
            tokio::select! {
                () = stop.cancelled(), if deadline.is_none() => deadline = Some(Instant::now() + settings.drain_within),
                Some(ended) = self.running.join_next() => match ended {
                    Ok((done, Ended::Done)) => self.end(done),
                    Ok((_, Ended::Away)) => return,
                    Err(error) => {
                        tracing::error!(queue = %self.queue, %error, "a worker ended early, its events come again");
                        return;
                    }
                },
                Some(settled) = self.settling.next() => if settled == Settled::Stale {
                    // It comes again and will be found done.
                    tracing::debug!(queue = %self.queue, "a message was given back before it was acknowledged");
                },
                delivery = self.deliveries.recv(), if reads => match delivery {
                    Some(delivery) => self.add(delivery).await,
                    None => return,
                },
                () = until(self.due), if self.due.is_some() => self.acknowledge(),
                () = engine.away.gone() => return,
                () = until(deadline), if deadline.is_some() => {
                    tracing::warn!(queue = %self.queue, events = self.lines.events(), "gave back what was not done in time");
                    return;
                }
            }
        }
    }

    fn start(&mut self, concurrency: usize) {
        while self.running.len() < concurrency
            && let Some(run) = self.lines.start()
        {
            let worker = self.worker.clone();
            self.running
                .spawn(async move { (run.done, worker.run(run.items).await) });
        }
    }

    async fn add(&mut self, delivery: Delivery) {
        let suspicious = delivery.attempt >= self.worker.engine.settings.suspicious_delivery;
        match intake::items(delivery.body, suspicious) {
            Ok(items) => {
                self.in_hand(items.len(), 1);
                let done = self.lines.add(delivery.settle, items);
                self.gather(done);
            }
            Err(error) => {
                tracing::error!(queue = %self.queue, %error, "a message is no batch of events and is parked");
                self.worker.engine.metrics.undecodable();
                if delivery.settle.park("undecodable").await == Settled::Stale {
                    tracing::debug!(queue = %self.queue, "it was given back before and comes again");
                }
            }
        }
    }

    fn end(&mut self, done: Done) {
        let before = self.lines.events();
        let done = self.lines.end(done);
        self.in_hand(before - self.lines.events(), -1);
        self.gather(done);
    }

    fn gather(&mut self, done: Vec<Box<dyn Settle>>) {
        if !done.is_empty() {
            self.done.extend(done);
            self.due.get_or_insert_with(|| Instant::now() + GATHERED);
        }
    }

    fn acknowledge(&mut self) {
        self.due = None;
        self.settling.extend(self.done.drain(..).map(Settle::ack));
    }

    fn in_hand(&self, events: usize, sign: i64) {
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.worker.engine.metrics.in_hand(sign * events);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.in_hand(self.lines.events(), -1);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
