//! Subscriptions and their deliveries.

use super::{
    failure::{failure, own, short},
    ladder,
    message::{self, Later, Received},
    publisher::{Outcome, Publisher},
    settler::{self, Command, Unsettled},
};
use crate::parked::{self, Origin};
use bytes::Bytes;
use futures_util::StreamExt as _;
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use omnigate_core::{
    port::{
        Clock,
        broker::{BrokerError, Delivery, QueueName, Settle, Settled, Subscription},
    },
    time::Moment,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Pause after something could not be moved on.
const MOVE_AGAIN: Duration = Duration::from_secs(1);
/// A message that is early by no more than this waits here instead of going up the ladder again.
const NEARLY_DUE: Duration = Duration::from_millis(20);

/// What a subscription needs of the broker.
pub(super) struct Surroundings {
    pub(super) publisher: Publisher,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) namespace: String,
    pub(super) parked: QueueName,
}

/// A queue as a subscription sees it.
struct Source {
    name: QueueName,
    ordered: bool,
    around: Arc<Surroundings>,
    commands: mpsc::Sender<Command>,
    /// Of an ordered queue: what was given back, by its place in the order. The broker would put it behind others that it
    /// has sent already, so it is delivered again from here.
    given_back: Mutex<BTreeMap<u64, Received>>,
    woken: Notify,
}

impl Source {
    fn given_back(&self) -> MutexGuard<'_, BTreeMap<u64, Received>> {
        self.given_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_parked(&self) -> bool {
        self.name == self.around.parked
    }
}

/// A subscription.
pub(super) struct Subscribed {
    source: Arc<Source>,
    consumer: Consumer,
    unsettled: Arc<Unsettled>,
    _stop: DropGuard,
}

impl Subscribed {
    /// Subscribes on a channel of its own.
    pub(super) async fn new(
        channel: Channel,
        name: QueueName,
        ordered: bool,
        prefetch: u16,
        around: Arc<Surroundings>,
    ) -> Result<Self, BrokerError> {
        let prefetch = prefetch.max(1);
        let doing = format!("subscribing to {name}");
        let failed = |error: lapin::Error| failure(&doing, &error);
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await
            .map_err(failed)?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(short(&name.0)?, ShortString::default(), options, arguments);
        let consumer = consuming.await.map_err(failed)?;
        // Each unsettled delivery is settled once, so there are never more commands than deliveries may be unsettled.
        let (commands, receiver) = mpsc::channel(2 * usize::from(prefetch).max(1));
        let (unsettled, stop) = (Arc::<Unsettled>::default(), CancellationToken::new());
        let (tags, stopped, held) = (Arc::clone(&unsettled), stop.clone(), consumer.clone());
        tokio::spawn(async move {
            settler::run(channel, prefetch, &tags, receiver, stopped).await;
            // Dropping the last handle cancels the consumer. Before its channel is closed that would let the next consumer
            // of an ordered queue begin with later messages, while this one's are still out.
            drop(held);
        });
        let (given_back, woken) = (Mutex::default(), Notify::new());
        let source = Arc::new(Source {
            name,
            ordered,
            around,
            commands,
            given_back,
            woken,
        });
        Ok(Self {
            source,
            consumer,
            unsettled,
            _stop: stop.drop_guard(),
        })
    }

    /// The next message, given back or new.
    async fn receive(&mut self) -> Option<Received> {
        loop {
            let woken = self.source.woken.notified();
            if let Some((_, received)) = self.source.given_back().pop_first() {
                return Some(received);
            }
            let delivery = tokio::select! {
                () = woken => continue,
                delivery = self.consumer.next() => delivery?,
            };
            let delivery = match delivery {
                Ok(delivery) => delivery,
                Err(error) => {
                    tracing::debug!(queue = %self.source.name, error = &error as &dyn std::error::Error, "subscription ended");
                    self.source.around.publisher.link.doubt();
                    return None;
                }
            };
            self.unsettled.add(delivery.delivery_tag);
            return Some(if self.source.is_parked() {
                Received::parked(delivery, self.source.around.clock.now())
            } else {
                Received::new(delivery)
            });
        }
    }
}

#[async_trait::async_trait]
impl Subscription for Subscribed {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let received = self.receive().await?;
            let early = received
                .due
                .map(|due| due.since(self.source.around.clock.now()))
                .unwrap_or_default();
            let settling = Box::new(Settling {
                source: Arc::clone(&self.source),
                received: Some(received),
            });
            if early > NEARLY_DUE {
                if settling.climb().await == Settled::Stale {
                    tokio::time::sleep(MOVE_AGAIN).await;
                }
                continue;
            }
            if !early.is_zero() {
                tokio::time::sleep(early).await;
            }
            if settling.is_spent() {
                if settling.park(parked::DELIVERY_LIMIT).await == Settled::Stale {
                    tokio::time::sleep(MOVE_AGAIN).await;
                }
                continue;
            }
            let Some(received) = &settling.received else { continue };
            let (body, traceparent) = (received.body.clone(), received.traceparent.clone());
            let attempt = received.attempt;
            return Some(Delivery {
                body,
                traceparent,
                attempt,
                settle: settling,
            });
        }
    }
}

struct Settling {
    source: Arc<Source>,
    /// `None` once it is being acknowledged.
    received: Option<Received>,
}

impl Settling {
    /// True when it was delivered too often. What is parked already stays for good.
    fn is_spent(&self) -> bool {
        let spent = |received: &Received| received.attempt > parked::MAX_ATTEMPTS;
        self.received.as_ref().is_some_and(spent) && !self.source.is_parked()
    }

    async fn acknowledge(&mut self) -> Settled {
        let Some(received) = self.received.take() else {
            return Settled::Stale;
        };
        let (answer, answered) = oneshot::channel();
        if self
            .source
            .commands
            .try_send(Command::Ack(received.tag, answer))
            .is_err()
        {
            return Settled::Stale;
        }
        answered.await.unwrap_or(Settled::Stale)
    }

    /// Publishes it elsewhere and then acknowledges it here; should we die in between, it is there twice.
    async fn move_on(&mut self, to: super::publisher::Outgoing) -> Settled {
        match self.source.around.publisher.publish_one(to).await {
            Outcome::Stored => self.acknowledge().await,
            outcome => {
                tracing::warn!(queue = %self.source.name, ?outcome, "delivery could not be moved; it comes again");
                Settled::Stale
            }
        }
    }

    async fn delay(&mut self, due: Moment, attempts: u32) -> Settled {
        let Some(received) = &self.received else {
            return Settled::Stale;
        };
        let left = due.since(self.source.around.clock.now());
        let rung = ladder::name(&self.source.around.namespace, ladder::rung(left));
        let Received { body, traceparent, .. } = received;
        let later = Later {
            body,
            traceparent,
            attempts,
            due,
        };
        let outgoing = later.outgoing(own(&rung), own(&self.source.name.0));
        self.move_on(outgoing).await
    }

    /// Another rung for a message that came down too early; that was no delivery.
    async fn climb(mut self: Box<Self>) -> Settled {
        let Some((Some(due), attempt)) = self.received.as_ref().map(|received| (received.due, received.attempt)) else {
            return Settled::Stale;
        };
        self.delay(due, attempt.saturating_sub(1)).await
    }
}

#[async_trait::async_trait]
impl Settle for Settling {
    async fn ack(mut self: Box<Self>) -> Settled {
        self.acknowledge().await
    }

    async fn retry(mut self: Box<Self>, after: Duration) -> Settled {
        if self.source.ordered {
            tracing::debug!(queue = %self.source.name, "an ordered queue cannot delay; given back");
            return Settled::Stale;
        }
        let Some(attempt) = self.received.as_ref().map(|received| received.attempt) else {
            return Settled::Stale;
        };
        let due = self.source.around.clock.now() + after;
        self.delay(due, attempt).await
    }

    async fn park(mut self: Box<Self>, reason: &str) -> Settled {
        let around = Arc::clone(&self.source.around);
        let Some(received) = self.received.as_ref().filter(|_| !self.source.is_parked()) else {
            return Settled::Stale;
        };
        let origin = Origin {
            queue: &self.source.name.0,
            attempts: received.attempt.min(parked::MAX_ATTEMPTS),
            traceparent: &received.traceparent,
        };
        let item: Bytes = parked::encode(&received.body, reason, origin, around.clock.now());
        let outgoing = message::parked(own(&around.parked.0), item, &received.traceparent);
        self.move_on(outgoing).await
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        let Some(mut received) = self.received.take() else {
            return;
        };
        if self.source.ordered {
            received.attempt = received.attempt.saturating_add(1);
            self.source.given_back().insert(received.tag, received);
            self.source.woken.notify_one();
        } else if self.source.commands.try_send(Command::Return(received.tag)).is_err() {
            tracing::debug!(queue = %self.source.name, "given back already: its subscription has ended");
        }
    }
}
