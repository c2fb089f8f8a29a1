//! Subscriptions and settlements.

use super::{
    blocking,
    queue::{Queue, Subscriber, Take, Taken, Ticket},
    tables::{Storage, Wanted},
    writer::{Effect, Intake, Settlement},
};
use crate::parked;
use bytes::Bytes;
use omnigate_core::{
    port::{
        Clock,
        broker::{Delivery, Settle, Settled, Subscription},
    },
    time::Moment,
    topology,
};
use std::{pin::pin, sync::Arc, time::Duration};

/// Pause after something could not be parked.
const PARK_AGAIN: Duration = Duration::from_secs(1);

/// What subscriptions and settlements need of the broker.
pub(super) struct Shared {
    pub(super) storage: Arc<Storage>,
    pub(super) intake: Intake,
    pub(super) clock: Arc<dyn Clock>,
}

/// A subscription.
pub(super) struct Subscribed {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    subscriber: Subscriber,
}

impl Subscribed {
    /// Joins a queue.
    pub(super) fn new(queue: Arc<Queue>, shared: Arc<Shared>, prefetch: u16) -> Self {
        let subscriber = queue.join(prefetch);
        Self {
            queue,
            shared,
            subscriber,
        }
    }

    async fn read(&self, wanted: Wanted) -> Option<()> {
        let _guard = Reading(&self.queue);
        let (storage, number) = (Arc::clone(&self.shared.storage), self.queue.number);
        let (rows, wanted) = blocking(move || storage.messages(number, &wanted).map(|rows| (rows, wanted))).await?;
        self.queue.fill(&wanted, rows, self.shared.clock.now());
        Some(())
    }

    /// Until something happened on the queue, or a moment came.
    async fn wait(&self, woken: impl Future<Output = ()>, until: Option<Moment>) {
        let Some(until) = until else { return woken.await };
        let left = until.since(self.shared.clock.now());
        tokio::select! {
            () = woken => {}
            // At least a millisecond, so that a clock that stands still does not make a busy loop.
            () = tokio::time::sleep(left.max(Duration::from_millis(1))) => {}
        }
    }

    fn settlement(&self, taken: &Taken) -> Box<Settling> {
        Box::new(Settling {
            queue: Arc::clone(&self.queue),
            shared: Arc::clone(&self.shared),
            ticket: taken.ticket,
            attempt: taken.attempt,
            body: taken.message.body.clone(),
            traceparent: taken.message.traceparent.clone(),
            open: true,
        })
    }
}

#[async_trait::async_trait]
impl Subscription for Subscribed {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let mut woken = pin!(self.queue.wake.notified());
            // Registered before looking, so that nothing happens in between unnoticed.
            woken.as_mut().enable();
            match self.queue.take(self.subscriber, self.shared.clock.now()) {
                Take::Closed => return None,
                Take::Wait(until) => self.wait(woken, until).await,
                Take::Read(wanted) => self.read(wanted).await?,
                Take::This(taken) => {
                    let settle = self.settlement(&taken);
                    if settle.is_spent() {
                        if settle.park(parked::DELIVERY_LIMIT).await == Settled::Stale {
                            tokio::time::sleep(PARK_AGAIN).await;
                        }
                        continue;
                    }
                    self.shared.intake.note();
                    let Taken { message, attempt, .. } = *taken;
                    return Some(Delivery {
                        body: message.body,
                        traceparent: message.traceparent,
                        attempt,
                        settle,
                    });
                }
            }
        }
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.queue.leave(self.subscriber);
    }
}

/// Ends a read also when it is given up half-way.
struct Reading<'a>(&'a Queue);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.read_ended();
    }
}

struct Settling {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    ticket: Ticket,
    attempt: u32,
    body: Bytes,
    traceparent: String,
    /// True until the writer has it.
    open: bool,
}

impl Settling {
    /// True when it was delivered too often. What is parked already stays for good.
    fn is_spent(&self) -> bool {
        self.attempt > parked::MAX_ATTEMPTS && !self.is_parked()
    }

    fn is_parked(&self) -> bool {
        self.queue.name == topology::parked()
    }

    async fn settle(&mut self, effect: Effect) -> Settled {
        // Until there is room at the writer the delivery can still be given back, when this future is dropped.
        let Some(slot) = self.shared.intake.slot(effect.bytes()).await else {
            return Settled::Stale;
        };
        if self.queue.settle(self.ticket).is_none() {
            return Settled::Stale;
        }
        self.open = false;
        let settlement = Settlement {
            queue: Arc::clone(&self.queue),
            sequence: self.ticket.sequence,
            effect,
        };
        slot.settle(settlement).await
    }
}

#[async_trait::async_trait]
impl Settle for Settling {
    async fn ack(mut self: Box<Self>) -> Settled {
        let returned = self.attempt > 1;
        self.settle(Effect::Remove { returned }).await
    }

    async fn retry(mut self: Box<Self>, after: Duration) -> Settled {
        if self.queue.ordered {
            tracing::debug!(queue = %self.queue.name, "an ordered queue cannot delay; given back");
            return Settled::Stale;
        }
        let due = self.shared.clock.now() + after;
        let deliveries = self.attempt;
        self.settle(Effect::Delay { due, deliveries }).await
    }

    async fn park(mut self: Box<Self>, reason: &str) -> Settled {
        if self.is_parked() {
            return Settled::Stale;
        }
        let origin = parked::Origin {
            queue: &self.queue.name.0,
            attempts: self.attempt.min(parked::MAX_ATTEMPTS),
            traceparent: &self.traceparent,
        };
        let item = parked::encode(&self.body, reason, origin, self.shared.clock.now());
        let traceparent = self.traceparent.clone();
        self.settle(Effect::Park { item, traceparent }).await
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if self.open {
            self.queue.give_back(self.ticket);
        }
    }
}
