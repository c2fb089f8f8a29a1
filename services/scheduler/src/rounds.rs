//! Looks after one group of shards: timers that are due, and events that their committer did not publish.

use crate::{campaigns::Campaigns, shared::Shared};
use futures_util::{StreamExt as _, future::join_all, stream};
use omnigate_core::{
    campaign::place::Bucket,
    id::{AudienceId, CustomerId, MessageId},
    keys::{self, Timer},
    port::store::{Query, StoreError},
    protocol::{
        append, audience,
        context::as_range,
        conversation, identity, outbox, publish,
        submit::{self, Woken},
        trim,
    },
    retention::Limits,
    shard::{SHARDS, Shard},
    time::Moment,
};
use omnigate_proto::state::v1::DeliveryRecord;
use std::{collections::BTreeSet, ops::Bound, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Groups of shards.
pub(crate) const GROUPS: u16 = 16;
/// Timers of one shard that are read at once.
const TIMERS: u32 = 200;
/// Pages of timers in one round: a shard that has more waits for the next one.
const PAGES: usize = 20;
/// Timers that are looked at side by side.
const SIDE_BY_SIDE: usize = 16;
/// Events of one shard that are published at once.
const LEFTOVERS: u32 = 500;
/// A flush takes out a part; this many take out what one round publishes.
const FLUSHES: usize = 16;

/// A tenant's homes in a shard, from behind one of them.
type Unlooked = (String, Shard, Option<CustomerId>);

/// What a round found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    Nothing,
    Work,
}

/// One group in the hands of this process.
pub(crate) struct Rounds {
    shared: Arc<Shared>,
    group: u16,
    campaigns: Arc<Campaigns>,
}

impl Rounds {
    pub(crate) const fn new(shared: Arc<Shared>, group: u16, campaigns: Arc<Campaigns>) -> Self {
        Self {
            shared,
            group,
            campaigns,
        }
    }

    /// Goes round until stopped. A round that has begun is finished.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let settings = &self.shared.settings;
        let mut pause = settings.busy_pause;
        let mut swept: Option<Instant> = None;
        let mut unlooked = self.unlooked();
        while !stop.is_cancelled() {
            let sweeps = swept.is_none_or(|swept| swept.elapsed() >= settings.leftover_age);
            if sweeps {
                swept = Some(Instant::now());
                self.look_for_homes(&mut unlooked).await;
            }
            pause = match self.round(sweeps).await {
                Ok(Found::Work) => settings.busy_pause,
                Ok(Found::Nothing) => (pause * 2).min(settings.idle_pause),
                Err(error) => {
                    tracing::warn!(group = self.group, %error, "store is away, timers wait");
                    settings.idle_pause.max(Duration::from_secs(1))
                }
            };
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// What of the group is still to be looked at for homes that have more than their tenant keeps, once after each start:
    /// limits may be new.
    fn unlooked(&self) -> Vec<Unlooked> {
        let accounts = self.shared.directory.accounts.values();
        let tenants: BTreeSet<&String> = accounts.map(|account| &account.tenant_id).collect();
        let rules = &self.shared.ports.tenants;
        let limited = tenants
            .into_iter()
            .filter(|tenant| rules.of(tenant).timeline != Limits::NONE);
        let each = limited.flat_map(|tenant| shards(self.group).map(move |shard| (tenant.clone(), shard, None)));
        each.collect()
    }

    /// Looks at some of them; what cannot be looked at now has its turn later.
    async fn look_for_homes(&self, unlooked: &mut Vec<Unlooked>) {
        let Some((tenant_id, shard, after)) = unlooked.pop() else {
            return;
        };
        match trim::sweep(&self.shared.context(), &tenant_id, shard, after).await {
            Ok(swept) => unlooked.extend(swept.next.map(|next| (tenant_id, shard, Some(next)))),
            Err(error) => {
                tracing::debug!(%shard, %error, "homes not looked at, they are later");
                unlooked.push((tenant_id, shard, after));
            }
        }
    }

    async fn round(&self, sweeps: bool) -> Result<Found, StoreError> {
        let shards: Vec<Shard> = shards(self.group).collect();
        let timers = join_all(shards.iter().map(|shard| self.timers(*shard)));
        let leftovers = join_all(shards.iter().filter(|_| sweeps).map(|shard| self.leftovers(*shard)));
        let mut found = Found::Nothing;
        for outcome in timers.await.into_iter().chain(leftovers.await) {
            if outcome? == Found::Work {
                found = Found::Work;
            }
        }
        self.clear_outbox().await;
        Ok(found)
    }

    /// Looks at the timers of a shard that are due, oldest first.
    async fn timers(&self, shard: Shard) -> Result<Found, StoreError> {
        let now = self.shared.ports.clock.now();
        let mut from = Bound::Unbounded;
        let mut found = Found::Nothing;
        for _ in 0..PAGES {
            let query = Query::Range {
                key: keys::timers(),
                from,
                to: Bound::Excluded(Moment(now.0 + 1).to_key().to_vec().into()),
                limit: TIMERS,
                reverse: false,
            };
            let answers = self.shared.ports.store.read(shard, vec![query]).await?;
            let members = as_range(answers.into_iter().next())?;
            let Some((last, _)) = members.last() else {
                break;
            };
            found = Found::Work;
            // One that cannot be looked at stays; the ones behind it must not wait for it.
            from = Bound::Excluded(last.clone());
            let is_last_page = members.len() < TIMERS as usize;
            let due = members.iter().filter_map(|(member, _)| keys::read_timer_member(member));
            stream::iter(due)
                .for_each_concurrent(SIDE_BY_SIDE, |(due, timer)| self.look(shard, timer, due))
                .await;
            if is_last_page {
                break;
            }
        }
        Ok(found)
    }

    async fn look(&self, shard: Shard, timer: Timer, due: Moment) {
        match timer {
            Timer::Delivery(id) => self.wake(id, due).await,
            Timer::Pieces(home) => self.give_up_pieces(home, due).await,
            Timer::Conversations(home) => self.ring(home, due).await,
            Timer::Trim(home) => self.trim(home, due).await,
            Timer::Erasure(customer) => self.go_on_erasing(customer, due).await,
            Timer::Audience(id) => self.go_on_deleting(id, due).await,
            Timer::Campaign(id) => self.campaigns.note(id, due),
            Timer::Bucket(campaign, number) => {
                let bucket = Bucket {
                    campaign,
                    shard,
                    number,
                };
                self.campaigns.look(bucket, due).await;
            }
        }
    }

    /// Finishes the deletion of an audience that whoever began it did not.
    async fn go_on_deleting(&self, id: AudienceId, due: Moment) {
        if let Err(error) = audience::go_on(&self.shared.context(), id, due).await {
            self.shared.metrics.failed();
            tracing::warn!(audience = %id, %error, "audience not deleted, the timer fires again");
        }
    }

    /// Finishes an erasure that whoever began it did not.
    async fn go_on_erasing(&self, customer: CustomerId, due: Moment) {
        if let Err(error) = identity::go_on(&self.shared.context(), customer, due).await {
            self.shared.metrics.failed();
            tracing::warn!(%customer, %error, "erasure not finished, the timer fires again");
        }
    }

    /// Takes out of a home what is more than its tenant keeps.
    async fn trim(&self, home: CustomerId, due: Moment) {
        match trim::trim(&self.shared.context(), home, due).await {
            Ok(gone) => self.shared.metrics.trimmed(gone.entries),
            Err(error) => {
                self.shared.metrics.failed();
                tracing::warn!(%home, %error, "timeline not trimmed, the timer fires again");
            }
        }
    }

    /// Lets go what waits too long for its missing pieces.
    async fn give_up_pieces(&self, home: CustomerId, due: Moment) {
        let (broker, partitions) = (self.shared.broker.as_ref(), self.shared.settings.partitions);
        match append::give_up_pieces(&self.shared.context(), home, due).await {
            Ok(outgoing) => {
                publish::publish(broker, &self.shared.ports.outbox, partitions, outgoing).await;
            }
            Err(error) => {
                self.shared.metrics.failed();
                tracing::warn!(%home, %error, "incomplete messages not looked at, the timer fires again");
            }
        }
    }

    /// Wakes, resolves and closes conversations of a home.
    async fn ring(&self, home: CustomerId, due: Moment) {
        let (broker, partitions) = (self.shared.broker.as_ref(), self.shared.settings.partitions);
        match conversation::ring(&self.shared.context(), home, due).await {
            Ok(outgoing) => {
                publish::publish(broker, &self.shared.ports.outbox, partitions, outgoing).await;
            }
            Err(error) => {
                self.shared.metrics.failed();
                tracing::warn!(%home, %error, "conversations not looked at, the timer fires again");
            }
        }
    }

    async fn wake(&self, id: MessageId, due: Moment) {
        let metrics = &self.shared.metrics;
        metrics.fired();
        match submit::wake(&self.shared.context(), id, due).await {
            Ok(woken) => self.tell(woken).await,
            Err(error) => {
                metrics.failed();
                tracing::warn!(message = %id, %error, "timer not looked at, it fires again");
            }
        }
    }

    async fn tell(&self, woken: Woken) {
        let broker = self.shared.broker.as_ref();
        for record in woken.ready.iter().filter(|record| self.can_send(record)) {
            self.shared.metrics.hinted();
            if let Err(error) = publish::hint(broker, record).await {
                tracing::warn!(%error, "hint was not confirmed, the timer fires again");
            }
        }
        if let Some(next) = woken.next
            && let Err(error) = publish::hint_by_ids(&self.shared.context(), broker, [next]).await
        {
            tracing::warn!(message = %next, %error, "message not hinted, its timer will");
        }
        let partitions = self.shared.settings.partitions;
        publish::publish(broker, &self.shared.ports.outbox, partitions, woken.outgoing).await;
    }

    /// False for messages of an account that the configuration has no more; they lapse.
    fn can_send(&self, record: &DeliveryRecord) -> bool {
        let account = record.delivery.as_ref().map(|delivery| &delivery.account_id);
        account.is_some_and(|account| self.shared.directory.accounts.contains_key(account))
    }

    /// Publishes what stands in a shard's outbox for too long.
    async fn leftovers(&self, shard: Shard) -> Result<Found, StoreError> {
        let (context, settings) = (self.shared.context(), &self.shared.settings);
        let left = outbox::left_over(&context, shard, settings.leftover_age, LEFTOVERS).await?;
        if left.is_empty() {
            return Ok(Found::Nothing);
        }
        let events = left.len();
        let broker = self.shared.broker.as_ref();
        let unconfirmed = publish::publish(broker, &self.shared.ports.outbox, settings.partitions, left).await;
        self.shared.metrics.left_over(events - unconfirmed);
        tracing::debug!(%shard, events, unconfirmed, "events published that were left over");
        Ok(Found::Work)
    }

    /// Takes what is published out of the store.
    async fn clear_outbox(&self) {
        let ours = |shard: &Shard| shard.number() / shards_each() == u8::try_from(self.group).unwrap_or(u8::MAX);
        for _ in 0..FLUSHES {
            let shards: Vec<Shard> = self.shared.ports.outbox.shards().into_iter().filter(ours).collect();
            for shard in shards {
                if let Err(error) = outbox::flush(&self.shared.context(), shard).await {
                    tracing::debug!(%shard, %error, "outbox not cleared");
                    return;
                }
            }
        }
    }
}

/// Shards in a group.
fn shards_each() -> u8 {
    u8::try_from(SHARDS / GROUPS).unwrap_or(u8::MAX)
}

/// The shards of a group, in order.
pub(crate) fn shards(group: u16) -> impl Iterator<Item = Shard> {
    let each = SHARDS / GROUPS;
    let first = group * each;
    (first..first + each)
        .filter_map(|number| u8::try_from(number).ok())
        .map(Shard::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_shard_is_in_one_group() {
        let all: Vec<Shard> = (0..GROUPS).flat_map(shards).collect();
        let each: BTreeSet<Shard> = all.iter().copied().collect();
        assert_eq!((all.len(), each.len()), (256, 256));
    }
}
