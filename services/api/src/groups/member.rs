//! A subscriber as a member of its group: holds its share of the logs under leases, and sends what is in them.

use super::log::Log;
use super::{not_moved, token};
use crate::Api;
use futures_util::future::{join_all, pending, select_all};
use futures_util::stream::StreamExt as _;
use omnigate_core::consumer_group::Position;
use omnigate_core::lease::{is_held, share};
use omnigate_core::port::broker::LogEntry;
use omnigate_core::protocol::Context;
use omnigate_core::protocol::consumer_group::{self, Group, Sent};
use omnigate_core::protocol::lease::{self, COMMON, LeaseError, Wish};
use omnigate_core::shard::Partition;
use omnigate_core::topology;
use omnigate_proto::v1::SubscribeResponse;
use omnigate_rpc::error::Problem;
use omnigate_runtime::task::at;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tonic::Status;

/// After so many lapses in a row without an acknowledgement a member is sent away, so that others get its logs.
const MAX_LAPSES: u32 = 3;
/// How long the reason of an end is offered to a subscriber that reads nothing.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a subscriber is told.
pub(super) type Told = Result<SubscribeResponse, Status>;

/// A member.
pub(super) struct Member {
    api: Api,
    group: Group,
    /// True when the group began with this subscription.
    is_new: bool,
    owner: String,
    /// Most events that are sent and not acknowledged.
    most: usize,
    out: mpsc::Sender<Told>,
    logs: BTreeMap<u16, Log>,
    /// Log that was sent from last.
    last: u16,
    acknowledged: Arc<Notify>,
}

impl Member {
    pub(super) fn new(
        api: Api,
        (group, is_new): (Group, bool),
        owner: String,
        most: usize,
        out: mpsc::Sender<Told>,
    ) -> Self {
        Self {
            api,
            group,
            is_new,
            owner,
            most,
            out,
            logs: BTreeMap::new(),
            last: 0,
            acknowledged: Arc::default(),
        }
    }

    /// Serves the subscriber until it goes away, the gateway stops or something is wrong; then gives its logs back.
    pub(super) async fn run(mut self) {
        let ended = self.serve().await;
        self.leave().await;
        if let Err(problem) = ended
            && let Ok(Err(_)) | Err(_) = timeout(LAST_WORD, self.out.send(Err(problem.into()))).await
        {
            tracing::debug!(group = self.group.name, "a subscriber was not told why it ended");
        }
    }

    async fn serve(&mut self) -> Result<(), Problem> {
        self.balance().await.map_err(|error| not_moved(&error))?;
        let (out, stop) = (self.out.clone(), self.api.stop.clone());
        if out.send(Ok(SubscribeResponse::default())).await.is_err() {
            return Ok(());
        }
        let mut ticks = interval(self.api.settings.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.settle();
            let next = self.next_log();
            let lapses = self.next_lapse();
            tokio::select! {
                _ = ticks.tick() => self.tick().await?,
                () = self.acknowledged.notified() => {}
                () = out.closed() => return Ok(()),
                () = stop.requested() => {
                    return Err(Problem::unavailable("STOPPING", "the gateway is stopping; subscribe again"));
                }
                () = at(lapses) => self.rewind()?,
                place = out.reserve(), if next.is_some() => match (place, next) {
                    (Ok(place), Some(log)) => self.send(place, log),
                    _ => return Ok(()),
                },
                (log, entry) = read(&mut self.logs) => if let Some(log) = self.logs.get_mut(&log) {
                    log.took(&entry, &self.group);
                },
            }
        }
    }

    /// Takes note of what was acknowledged in this process.
    fn settle(&mut self) {
        for log in self.logs.values_mut() {
            log.acknowledged(log.listening.position());
        }
    }

    /// The log to send from next, in turn; none while the subscriber has as much as it may.
    fn next_log(&self) -> Option<u16> {
        let unacknowledged: usize = self.logs.values().map(Log::unacknowledged).sum();
        if unacknowledged >= self.most {
            return None;
        }
        let now = Instant::now();
        let more = |(_, log): &(&u16, &Log)| log.has_more(now);
        let after = self.logs.range(self.last.saturating_add(1)..).find(more);
        after.or_else(|| self.logs.iter().find(more)).map(|(number, _)| *number)
    }

    fn send(&mut self, place: mpsc::Permit<'_, Told>, number: u16) {
        let now = Instant::now();
        let Some(log) = self.logs.get_mut(&number) else {
            return;
        };
        // The lease may have ended while there was no room.
        if !log.has_more(now) {
            return;
        }
        let sent = log.listening.sent();
        if let Some((event, position)) = log.next(now) {
            self.last = number;
            place.send(Ok(SubscribeResponse {
                event: Some(event),
                resume_token: String::new(),
                ack_token: token::encode(sent, position),
            }));
        }
    }

    /// When the first event that is not acknowledged has to be sent again.
    fn next_lapse(&self) -> Option<Instant> {
        let waits = self.logs.values().filter_map(Log::waits_since).min();
        waits.map(|since| since + self.api.settings.acknowledge_within)
    }

    /// Sends again what was not acknowledged in time.
    fn rewind(&mut self) -> Result<(), Problem> {
        let now = Instant::now();
        let within = self.api.settings.acknowledge_within;
        let is_over = |log: &Log| log.waits_since().is_some_and(|since| since + within <= now);
        for (number, log) in self.logs.iter_mut().filter(|(_, log)| is_over(log)) {
            log.rewind(&self.api.broker, &self.group);
            let (group, log_number) = (&self.group.name, number);
            tracing::warn!(
                group,
                log = log_number,
                lapses = log.lapses,
                "events were not acknowledged in time"
            );
            if log.lapses >= MAX_LAPSES {
                let text = format!(
                    "nothing was acknowledged within {} s, {MAX_LAPSES} times",
                    within.as_secs()
                );
                return Err(Problem::aborted("NOTHING_ACKNOWLEDGED", text));
            }
        }
        Ok(())
    }

    /// Keeps its share. A store that is away is waited for: leases that end meanwhile stop what hangs on them.
    async fn tick(&mut self) -> Result<(), Problem> {
        match self.balance().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Problem::not_found("GROUP_DELETED", "the group was deleted")),
            Err(error) => {
                tracing::warn!(group = self.group.name, %error, "share of the logs was not balanced");
                Ok(())
            }
        }
    }

    /// Prolongs what it has, gives up what others should have, takes what is missing. False when the group is gone.
    async fn balance(&mut self) -> Result<bool, LeaseError> {
        let api = self.api.clone();
        let context = api.context();
        let found = consumer_group::get(&context, &self.group.tenant_id, &self.group.name).await?;
        if found.is_none_or(|group| group.birth != self.group.birth) {
            return Ok(false);
        }
        let membership = self.group.membership();
        lease::join(&context, &membership, &self.owner, api.settings.lease).await?;
        self.keep(&context).await?;
        let members = lease::members(&context, &membership).await?;
        let ours = self.logs.iter().filter(|(_, log)| log.leaving.is_none());
        let held: Vec<u16> = ours.map(|(number, _)| *number).collect();
        let count = topology::event_log_count(api.partitions);
        let shares = share(&held, count, &members, &self.owner);
        for number in shares.release {
            if let Some(log) = self.logs.get_mut(&number) {
                log.leaving = Some(Instant::now());
            }
        }
        self.hand_over(&context).await?;
        self.take(&context, shares.wanted, shares.order).await?;
        // Only logs that it had from the beginning of the group can be read from their ends on.
        self.is_new = false;
        Ok(true)
    }

    /// Prolongs the leases, with the places of what needs no acknowledgement.
    async fn keep(&mut self, context: &Context<'_>) -> Result<(), LeaseError> {
        self.settle();
        let ttl = self.api.settings.lease;
        let (group, owner) = (&self.group, &self.owner);
        let renewals = self.logs.iter().map(|(number, log)| {
            let (number, epoch, passed) = (*number, log.listening.sent().epoch, log.passed());
            async move {
                let (name, asked) = (group.lease(Partition(number)), Instant::now());
                let kept = consumer_group::keep(context, wish(&name, owner), epoch, passed, ttl).await;
                (number, asked + ttl, kept)
            }
        });
        let renewals: Vec<_> = renewals.collect();
        for (number, ends, kept) in join_all(renewals).await {
            match kept {
                Ok(position) => {
                    if let Some(log) = self.logs.get_mut(&number) {
                        log.ends = ends;
                        // Acknowledged in another process, perhaps.
                        log.acknowledged(position);
                    }
                }
                Err(LeaseError::Lost(_)) => {
                    tracing::warn!(group = self.group.name, log = number, "another member took the log");
                    self.logs.remove(&number);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives up logs of which everything that was sent is acknowledged, or has had its time.
    async fn hand_over(&mut self, context: &Context<'_>) -> Result<(), LeaseError> {
        let within = self.api.settings.hand_over_within;
        let is_ready = |log: &Log| {
            let since = log.leaving;
            since.is_some_and(|since| log.unacknowledged() == 0 || since.elapsed() >= within)
        };
        let ready = self.logs.iter().filter(|(_, log)| is_ready(log));
        for number in ready.map(|(number, _)| *number).collect::<Vec<u16>>() {
            if let Some(log) = self.logs.remove(&number) {
                self.release(context, number, log.listening.sent().epoch).await?;
            }
        }
        Ok(())
    }

    async fn release(&mut self, context: &Context<'_>, number: u16, epoch: u64) -> Result<(), LeaseError> {
        let name = self.group.lease(Partition(number));
        tracing::debug!(group = self.group.name, log = number, "gives a log back");
        lease::release(context, wish(&name, &self.owner), epoch).await
    }

    async fn take(&mut self, context: &Context<'_>, mut wanted: usize, order: Vec<u16>) -> Result<(), LeaseError> {
        if wanted == 0 {
            return Ok(());
        }
        let names: Vec<String> = order.iter().map(|log| self.group.lease(Partition(*log))).collect();
        let leases = lease::look(context, COMMON, &names).await?;
        for ((number, name), record) in order.into_iter().zip(names).zip(leases) {
            if wanted == 0 {
                break;
            }
            if let Some(log) = self.logs.get_mut(&number) {
                // Nobody else wants it after all.
                log.leaving = None;
                wanted -= 1;
                continue;
            }
            if is_held(&record, context.now()) {
                continue;
            }
            let (asked, ttl) = (Instant::now(), self.api.settings.lease);
            match lease::acquire(context, wish(&name, &self.owner), ttl).await {
                Ok(held) => {
                    let place = Position::from_cursor(&held.cursor);
                    self.open(number, held.epoch, place, asked + ttl);
                    wanted -= 1;
                }
                Err(LeaseError::Held { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&mut self, number: u16, epoch: u64, place: Option<Position>, ends: Instant) {
        let sent = Sent {
            birth: self.group.birth,
            log: Partition(number),
            epoch,
        };
        tracing::debug!(group = self.group.name, log = number, epoch, "takes a log");
        let listening = self.api.places.listen(sent, &self.acknowledged);
        let begin = (place, ends, self.is_new);
        let log = Log::open(&self.api.broker, &self.group, listening, begin);
        self.logs.insert(number, log);
    }

    /// Gives everything back, as far as the store lets it; the rest ends by itself.
    async fn leave(&mut self) {
        let api = self.api.clone();
        let context = api.context();
        let left = async {
            self.keep(&context).await?;
            let held: Vec<(u16, u64)> = self
                .logs
                .iter()
                .map(|(number, log)| (*number, log.listening.sent().epoch))
                .collect();
            for (number, epoch) in held {
                self.release(&context, number, epoch).await?;
            }
            lease::leave(&context, &self.group.membership(), &self.owner).await
        };
        match timeout(api.settings.lease, left).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "membership ends by itself"),
            Err(_) => tracing::warn!("membership ends by itself"),
        }
    }
}

/// The next entry of one of the logs that have nothing to send.
async fn read(logs: &mut BTreeMap<u16, Log>) -> (u16, LogEntry) {
    let hungry = logs.iter_mut().filter(|(_, log)| log.is_hungry());
    let (numbers, reads): (Vec<u16>, Vec<_>) = hungry.map(|(number, log)| (*number, log.entries.next())).unzip();
    if !reads.is_empty()
        && let (Some(entry), which, _) = select_all(reads).await
    {
        return (numbers[which], entry);
    }
    pending().await
}

fn wish<'a>(name: &'a str, owner: &'a str) -> Wish<'a> {
    Wish {
        shard: COMMON,
        name,
        owner,
        address: "",
    }
}
