//! One endpoint and one log in the hands of this process: reads, tells, tries again, and keeps the place.

mod place;

use super::attempt::{Outcome, attempt};
use crate::{shared::Shared, shares::Ours};
use futures_util::{
    StreamExt as _,
    future::{BoxFuture, FutureExt as _},
    stream::FuturesUnordered,
};
use omnigate_core::{
    consumer_group::Position,
    event_webhook::{self, Endpoint, Failed, Queue, is_disabled},
    port::{adapter::Transport, broker::From},
    protocol::{self, lease::LeaseError},
    shard::Partition,
    time::Moment,
    topology,
};
use omnigate_proto::state::v1::EventWebhookRecord;
use omnigate_runtime::{
    log::{Entries, follow},
    task::at,
};
use place::Broken;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// Events told at once, each of another thread.
const AT_ONCE: usize = 8;
/// How the endpoint stands is looked at with every so manieth tick.
const LOOK: u32 = 2;
/// First pause after a failure; it doubles with each further one up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause of a receiver that fails and asks for none; one that is away is asked so often whether it is back.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Pause after store or broker did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// A stop waits this long for receivers under way; they are told again otherwise.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

pub(super) struct Line {
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    endpoint: Arc<Endpoint>,
    log: Partition,
    lease: String,
    ours: Ours,
    /// When the lease ends; nothing is begun afterwards.
    ends: watch::Receiver<Instant>,
    queue: Queue,
    entries: Entries,
    /// How the endpoint stood a moment ago.
    record: EventWebhookRecord,
    calls: FuturesUnordered<BoxFuture<'static, (Position, Outcome)>>,
    /// True when the place is not the stored one.
    is_moved: bool,
    /// Pauses in a row after which it still failed.
    pauses: u32,
    /// Event that failed last, with nothing delivered since.
    failed_last: Option<Position>,
    /// True when one event after the other fails: it is not the event's fault.
    is_away: bool,
    /// Nothing is told before.
    closed_until: Option<Instant>,
}

impl Line {
    /// Tells the endpoint until stopped, or until the lease is another's.
    pub(super) async fn run(
        shared: Arc<Shared>,
        transport: Arc<dyn Transport>,
        (endpoint, log, lease): (Arc<Endpoint>, Partition, String),
        (ours, ends): (Ours, watch::Receiver<Instant>),
        stop: &CancellationToken,
    ) {
        let entries = follow(Arc::clone(&shared.broker), topology::events(log), From::Next);
        let queue = Queue::new(shared.ports.clock.now(), 0);
        let mut line = Self {
            shared,
            transport,
            endpoint,
            log,
            lease,
            ours,
            ends,
            queue,
            entries,
            record: EventWebhookRecord::default(),
            calls: FuturesUnordered::new(),
            is_moved: false,
            pauses: 0,
            failed_last: None,
            is_away: false,
            closed_until: None,
        };
        loop {
            let opened = match stop.run_until_cancelled(line.open()).await {
                None => return,
                Some(opened) => opened,
            };
            match opened {
                Ok(()) => break,
                Err(Broken::Lease(LeaseError::Lost(_))) => return,
                Err(error) => {
                    tracing::warn!(endpoint = line.endpoint.id, log = %line.log, %error, "webhooks wait");
                    stop.run_until_cancelled(tokio::time::sleep(RETRY)).await;
                }
            }
        }
        match line.tell(stop).await {
            Ok(()) => line.finish().await,
            Err(error) => tracing::warn!(endpoint = line.endpoint.id, log = %line.log, %error, "webhooks end here"),
        }
    }

    async fn tell(&mut self, stop: &CancellationToken) -> Result<(), LeaseError> {
        let mut ticks = interval(self.shared.settings.webhook_tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticked: u32 = 0;
        loop {
            self.begin_calls();
            let due = self.next_due();
            let reads = self.queue.has_room() && !is_disabled(&self.record);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {
                    ticked = ticked.wrapping_add(1);
                    self.tick(ticked.is_multiple_of(LOOK)).await?;
                }
                Some((position, outcome)) = self.calls.next() => self.ended(position, outcome).await,
                Some(entry) = self.entries.next(), if reads => self.took(&entry),
                () = at(due) => {}
                Ok(()) = self.ends.changed() => {}
            }
        }
    }

    /// Begins as many calls as may be under way; one only while the receiver fails.
    fn begin_calls(&mut self) {
        let now = Instant::now();
        let is_closed = *self.ends.borrow() <= now || self.closed_until.is_some_and(|until| until > now);
        let most = if self.pauses > 0 { 1 } else { AT_ONCE };
        let free = most.saturating_sub(self.calls.len());
        if free == 0 || is_closed || is_disabled(&self.record) {
            return;
        }
        let now = self.shared.ports.clock.now();
        let mut ready = self.queue.ready(now, free);
        if ready.is_empty() && self.is_away {
            ready.extend(self.queue.first());
        }
        for position in ready {
            let Some(event) = self.queue.begin(position) else {
                continue;
            };
            let (transport, endpoint) = (Arc::clone(&self.transport), Arc::clone(&self.endpoint));
            let time_limit = self.shared.settings.webhook_time;
            let call = async move {
                let outcome = attempt(transport.as_ref(), &endpoint, event, now, time_limit).await;
                (position, outcome)
            };
            self.calls.push(call.boxed());
        }
    }

    /// When the next call may begin, unless calls under way have to end first.
    fn next_due(&self) -> Option<Instant> {
        let due = self.queue.next_due().filter(|_| !is_disabled(&self.record))?;
        let now = Instant::now();
        let at = now + due.since(self.shared.ports.clock.now());
        let at = match self.closed_until {
            Some(until) if self.is_away => until,
            until => until.map_or(at, |until| until.max(at)),
        };
        (at > now).then_some(at)
    }

    async fn ended(&mut self, position: Position, outcome: Outcome) {
        let now = self.shared.ports.clock.now();
        self.is_moved = true;
        match outcome {
            Outcome::Delivered => {
                self.shared.metrics.delivered();
                self.queue.delivered(position);
                if self.is_away {
                    self.queue.hasten(now);
                }
                self.is_back();
                self.note(event_webhook::succeeded).await;
            }
            Outcome::Gone => {
                self.shared.metrics.undelivered();
                self.queue.put_back(position);
                let gone = |record: &_, now| event_webhook::disabled(record, "the receiver answered 410 Gone", now);
                self.note(gone).await;
            }
            Outcome::Failed { what, pause } => {
                self.shared.metrics.undelivered();
                self.pause(pause);
                self.is_away |= self.failed_last.is_some_and(|last| last != position);
                self.failed_last = Some(position);
                let since = self.record.failing_since_ms;
                let failing_since = (since != 0).then_some(Moment(since));
                let failed = self.queue.failed(position, (pause, failing_since), now);
                self.note(|record, now| event_webhook::failed(record, &what, now)).await;
                if failed == Failed::GivenUp {
                    tracing::warn!(endpoint = self.endpoint.id, what, "an event was given up after a day");
                    self.give_up().await;
                }
            }
            Outcome::Unsendable(what) => {
                tracing::error!(endpoint = self.endpoint.id, what, "an event cannot be sent");
                self.queue.delivered(position);
                self.give_up().await;
            }
        }
    }

    /// Leaves a receiver that fails alone for a while. Calls that began together count once.
    fn pause(&mut self, asked: Duration) {
        let now = Instant::now();
        if self.closed_until.is_none_or(|until| until <= now) {
            let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(self.pauses).unwrap_or(u32::MAX));
            self.pauses = self.pauses.saturating_add(1);
            self.closed_until = Some(now + doubled.min(LONGEST_PAUSE));
        }
        self.closed_until = self.closed_until.max(Some(now + asked));
    }

    fn is_back(&mut self) {
        (self.pauses, self.closed_until) = (0, None);
        (self.failed_last, self.is_away) = (None, false);
    }

    async fn give_up(&mut self) {
        self.shared.metrics.gave_up();
        self.note(|record, _| Some(event_webhook::gave_up(record))).await;
    }

    /// Writes down how the endpoint stands, where that is news.
    async fn note(&mut self, decide: impl Fn(&EventWebhookRecord, Moment) -> Option<EventWebhookRecord>) {
        if decide(&self.record, self.shared.ports.clock.now()).is_none() {
            return;
        }
        let context = self.shared.context();
        match protocol::event_webhook::change(&context, &self.endpoint.id, decide).await {
            Ok(record) => self.stands(record),
            Err(error) => {
                tracing::warn!(endpoint = self.endpoint.id, %error, "how the endpoint stands was not noted");
            }
        }
    }

    fn stands(&mut self, record: EventWebhookRecord) {
        let (was, is) = (is_disabled(&self.record), is_disabled(&record));
        if is && !was {
            tracing::warn!(
                endpoint = self.endpoint.id,
                reason = record.disabled_reason,
                "endpoint is disabled"
            );
        }
        if was && !is {
            self.is_back();
            self.queue.hasten(self.shared.ports.clock.now());
        }
        self.record = record;
    }

    /// Keeps the place, and looks how the endpoint stands.
    async fn tick(&mut self, looks: bool) -> Result<(), LeaseError> {
        if looks {
            match protocol::event_webhook::get(&self.shared.context(), &self.endpoint.id).await {
                Ok(record) => self.stands(record),
                Err(error) => tracing::debug!(%error, "how the endpoint stands is not known"),
            }
            let after = self.shared.settings.webhook_disable_after;
            self.note(|record, now| event_webhook::lapsed(record, after, now)).await;
            let since = Moment(self.record.replay_since_ms);
            if self.queue.replay(self.record.replay, since) {
                tracing::info!(endpoint = self.endpoint.id, log = %self.log, "replay begins");
                let log = topology::events(self.log);
                self.entries = follow(Arc::clone(&self.shared.broker), log, From::Oldest);
                self.is_moved = true;
            }
        }
        match self.keep().await {
            Err(LeaseError::Lost(lost)) => Err(lost.into()),
            Err(error) => {
                tracing::warn!(endpoint = self.endpoint.id, %error, "place was not kept");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Takes the last answers, and keeps the place.
    async fn finish(&mut self) {
        let answers = timeout(LAST_ANSWERS, async {
            while let Some((position, outcome)) = self.calls.next().await {
                self.ended(position, outcome).await;
            }
        });
        if answers.await.is_err() {
            tracing::debug!(endpoint = self.endpoint.id, "told again by the next owner");
        }
        if let Err(error) = self.keep().await {
            tracing::warn!(endpoint = self.endpoint.id, %error, "place was not kept, some is told again");
        }
    }
}
