//! Changes deliveries in the store: every change of a delivery, of its place in the thread's chain and of its timer is one
//! commit in the home's shard.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use super::hasten;
use super::outbox::Outgoing;
use super::resolve::{expect_record, insert_outgoing, put, to_outbox};
use crate::append::is_thread;
use crate::customer_event::Happened;
use crate::delivery;
use crate::id::{CustomerId, EventId, MessageId, hash};
use crate::keys::{self, Timer};
use crate::port::store::{Query, Shape, Stamp, StoreError, Write};
use crate::time::Moment;
use crate::timeline::Place;
use crate::timeline::stored::delivery::stored;
use omnigate_proto::state::v1::{DeliveryRecord, HomeRecord, ThreadRecord};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What happens to the message's place in its thread's chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chain {
    /// Nothing.
    Stay,
    /// It joins at the end.
    Join,
    /// It leaves; the next one may go.
    Leave,
}

/// A change to write.
pub(super) struct Change {
    /// The record afterwards.
    pub(super) record: DeliveryRecord,
    /// The chain.
    pub(super) chain: Chain,
    /// True when others are told.
    pub(super) announce: bool,
    /// True when the thread turned out to be unreachable.
    pub(super) closes_thread: bool,
    /// How many more answers are free, where the provider said so.
    pub(super) free_replies_left: Option<u32>,
    /// Event id under which the provider would show us this message.
    pub(super) known_as: Option<EventId>,
}

impl Change {
    pub(super) const fn quiet(record: DeliveryRecord) -> Self {
        Self {
            record,
            chain: Chain::Stay,
            announce: false,
            closes_thread: false,
            free_replies_left: None,
            known_as: None,
        }
    }
}

/// What was written.
#[derive(Debug)]
pub struct Changed {
    /// The delivery afterwards.
    pub record: Arc<DeliveryRecord>,
    /// CustomerEvents to publish.
    pub outgoing: Vec<Outgoing>,
    /// The message of the thread that may go now.
    pub next: Option<MessageId>,
}

/// Reads a delivery with its thread, decides, and writes the change; decides again after a conflict. `Ok(None)` when there
/// is no such delivery or nothing to change.
pub(super) async fn change(
    context: &Context<'_>,
    id: MessageId,
    mut decide: impl FnMut(&DeliveryRecord, Option<&ThreadRecord>, Moment) -> Option<Change> + Send,
) -> Result<Option<Changed>, Stop> {
    let mut known = cached(context, id);
    for _ in 0..MAX_TRIES {
        let (loaded, is_certain) = match known.take() {
            Some(loaded) => (loaded, false),
            None => match load(context, id).await? {
                Some(loaded) => (loaded, true),
                None => return Ok(None),
            },
        };
        let now = context.now();
        let Some(change) = decide(&loaded.record, loaded.thread(), now) else {
            // What is remembered may be stale: only what stands in the store says that there is nothing to do.
            if is_certain {
                return Ok(None);
            }
            continue;
        };
        if let Some(changed) = write(context, id, loaded, change, now).await? {
            return Ok(Some(changed));
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// A delivery as it was read, with its home.
pub(super) struct LoadedDelivery {
    pub(super) record: Arc<DeliveryRecord>,
    stamp: Option<Stamp>,
    home_id: CustomerId,
    home: Loaded<Arc<HomeRecord>>,
}

impl LoadedDelivery {
    /// Its thread.
    pub(super) fn thread(&self) -> Option<&ThreadRecord> {
        thread_of(self.home.value.as_deref()?, &self.record)
    }

    /// Replaces the delivery alone, if its home is as it was read; false after a conflict.
    pub(super) async fn replace(
        &self,
        context: &Context<'_>,
        id: MessageId,
        next: &Arc<DeliveryRecord>,
    ) -> Result<bool, Stop> {
        let expect = vec![
            expect_record(keys::delivery(id), self.stamp),
            expect_record(keys::home(self.home_id), self.home.stamp),
        ];
        let mut write = vec![put_delivery(id, next)];
        write.extend(move_timer(id, self.record.timer_ms, next.timer_ms, bytes::Bytes::new()));
        match context.commit(id.shard(), expect, write).await? {
            Ended::Committed(stamp) => {
                remember(context, stamp, (id, next), None);
                Ok(true)
            }
            Ended::Conflict(_) | Ended::Unknown => {
                context.cache.forget_delivery(id);
                context.cache.forget_home(self.home_id);
                Ok(false)
            }
        }
    }
}

/// Remembers what was written, for whoever needs it next.
pub(super) fn remember(
    context: &Context<'_>,
    stamp: Stamp,
    (id, delivery): (MessageId, &Arc<DeliveryRecord>),
    home: Option<(CustomerId, HomeRecord)>,
) {
    let stamp = Some(stamp);
    let value = Some(Arc::clone(delivery));
    context.cache.keep_delivery(id, Loaded { stamp, value });
    if let Some((home_id, home)) = home {
        let value = Some(Arc::new(home));
        context.cache.keep_home(home_id, Loaded { stamp, value });
    }
}

/// A delivery as this process remembers it; whoever decides on it must be ready for a conflict.
pub(super) fn cached(context: &Context<'_>, id: MessageId) -> Option<LoadedDelivery> {
    let delivery = context.cache.delivery(id)?;
    let record = delivery.value?;
    let home_id = CustomerId::from_bytes(&record.home)?;
    Some(LoadedDelivery {
        record,
        stamp: delivery.stamp,
        home_id,
        home: context.cache.home(home_id)?,
    })
}

/// Reads a delivery; `None` when there is none.
pub(super) async fn load(context: &Context<'_>, id: MessageId) -> Result<Option<LoadedDelivery>, Stop> {
    let record: Loaded<DeliveryRecord> = context.record(id.shard(), keys::delivery(id), "delivery").await?;
    let (Some(mut value), stamp) = (record.value, record.stamp) else {
        return Ok(None);
    };
    let Some(home_id) = CustomerId::from_bytes(&value.home) else {
        return Ok(None);
    };
    let home = context.home(home_id).await?;
    if let Some(home) = &home.value {
        context.stored(home_id, home).open_delivery(id, &mut value)?;
    }
    Ok(Some(LoadedDelivery {
        record: Arc::new(value),
        stamp,
        home_id,
        home,
    }))
}

/// The delivery's thread in its home.
pub(super) fn thread_of<'a>(home: &'a HomeRecord, record: &DeliveryRecord) -> Option<&'a ThreadRecord> {
    let account = &record.delivery.as_ref()?.account_id;
    home.threads
        .iter()
        .find(|thread| is_thread(thread, &record.birth, account))
}

async fn write(
    context: &Context<'_>,
    id: MessageId,
    loaded: LoadedDelivery,
    change: Change,
    now: Moment,
) -> Result<Option<Changed>, Stop> {
    let Change { mut record, .. } = change;
    let mut expect = vec![expect_record(keys::delivery(id), loaded.stamp)];
    let mut write = vec![put_delivery(id, &record)];
    let mut outgoing = None;
    let mut next = None;
    let tells_of_thread = change.closes_thread || change.free_replies_left.is_some();
    let touches_home = change.announce || tells_of_thread || change.chain != Chain::Stay;
    let mut home = None;
    if touches_home {
        let mut changed = loaded.home.value.as_deref().cloned().unwrap_or_default();
        if let Some(thread) = thread_mut(&mut changed, &record) {
            thread.unreachable |= change.closes_thread;
            thread.free_replies_left = change.free_replies_left.or(thread.free_replies_left);
            match change.chain {
                Chain::Stay => {}
                Chain::Join => {
                    delivery::join(thread, id);
                }
                Chain::Leave => {
                    next = delivery::leave(thread, id);
                    thread.last_submit_ms = now.0;
                }
            }
        }
        if change.announce {
            outgoing = announce(&mut changed, loaded.home_id, &mut record, now);
        }
        expect.push(expect_record(keys::home(loaded.home_id), loaded.home.stamp));
        // Beside the other record: the store writes neighbours at once.
        write.push(put(keys::home(loaded.home_id), &changed));
        home = Some((loaded.home_id, changed));
    }
    let beside = hasten::beside_timer(&record);
    write.extend(move_timer(id, loaded.record.timer_ms, record.timer_ms, beside));
    write.extend(outgoing.iter().map(insert_outgoing));
    write.extend(alias(loaded.home_id, &record, change.known_as));
    match context.commit(id.shard(), expect, write).await? {
        Ended::Committed(stamp) => {
            let record = Arc::new(record);
            remember(context, stamp, (id, &record), home);
            Ok(Some(Changed {
                record,
                outgoing: outgoing.into_iter().collect(),
                next,
            }))
        }
        Ended::Conflict(_) | Ended::Unknown => {
            context.cache.forget_delivery(id);
            context.cache.forget_home(loaded.home_id);
            Ok(None)
        }
    }
}

/// The delivery's thread in its home, to be changed.
fn thread_mut<'a>(home: &'a mut HomeRecord, record: &DeliveryRecord) -> Option<&'a mut ThreadRecord> {
    let account = &record.delivery.as_ref()?.account_id;
    home.threads
        .iter_mut()
        .find(|thread| is_thread(thread, &record.birth, account))
}

fn announce(home: &mut HomeRecord, id: CustomerId, record: &mut DeliveryRecord, now: Moment) -> Option<Outgoing> {
    let delivery = record.delivery.as_mut()?;
    home.home_seq += 1;
    let (tenant_id, trace_id) = (delivery.tenant_id.clone(), delivery.trace_id.clone());
    let happened = Happened {
        tenant_id: &tenant_id,
        home: id,
        home_seq: home.home_seq,
        at: now,
        trace_id: &trace_id,
    };
    Some(to_outbox(id, home.home_seq, happened.delivery_changed(delivery)))
}

/// Lets the provider's own id of the message lead to its entry: an echo of it is no second message, and a reaction to it
/// finds it.
fn alias(home: CustomerId, record: &DeliveryRecord, known_as: Option<EventId>) -> Option<Write> {
    let (spot, entry) = keys::read_timeline_member(&record.entry_member)?;
    let known_as = known_as?;
    let place = Place::At { spot, entry };
    Some(Write::SetField {
        key: keys::places(home),
        field: known_as.to_bytes(),
        value: place.encode(known_as),
    })
}

/// Moves a delivery's timer; zero is no timer. `beside` says what it waits for, where that is more than time.
pub(super) fn move_timer(id: MessageId, before_ms: i64, after_ms: i64, beside: bytes::Bytes) -> Vec<Write> {
    let mut write = Vec::new();
    if before_ms != after_ms && before_ms != 0 {
        write.push(Write::Remove {
            key: keys::timers(),
            member: keys::timer_member(Moment(before_ms), Timer::Delivery(id)),
        });
    }
    if before_ms != after_ms && after_ms != 0 {
        write.push(Write::Insert {
            key: keys::timers(),
            member: keys::timer_member(Moment(after_ms), Timer::Delivery(id)),
            value: beside,
        });
    }
    write
}

/// A delivery as it is written.
pub(super) fn put_delivery(id: MessageId, record: &DeliveryRecord) -> Write {
    Write::Put {
        key: keys::delivery(id),
        value: stored(record),
    }
}

/// A delivery as it stands, with what it says. `None` when there is none.
pub async fn get(context: &Context<'_>, id: MessageId) -> Result<Option<DeliveryRecord>, Stop> {
    let loaded = load(context, id).await?;
    Ok(loaded.map(|loaded| Arc::unwrap_or_clone(loaded.record)))
}

/// A delivery as it stands, for who needs only what stands outside its seal: account, lane, times and state.
pub(super) async fn outline(context: &Context<'_>, id: MessageId) -> Result<Option<DeliveryRecord>, Stop> {
    let loaded: Loaded<DeliveryRecord> = context.record(id.shard(), keys::delivery(id), "delivery").await?;
    Ok(loaded.value)
}

/// Event id of the entry that a message of ours has on the timeline.
#[must_use]
pub fn entry_event(id: MessageId) -> EventId {
    let mut event = [0; 16];
    event.copy_from_slice(&hash("outbound", &[&id.0])[..16]);
    EventId(event)
}

/// Deletes messages of ours with their timers, whatever becomes of them: who is at work on one finds it gone.
pub(super) async fn gone(
    context: &Context<'_>,
    home: CustomerId,
    messages: &BTreeSet<MessageId>,
) -> Result<Vec<Write>, StoreError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let queries = messages.iter().map(|id| Query::Record(keys::delivery(*id)));
    let answers = context.store.read(home.shard(), queries.collect()).await?;
    let mut write = Vec::new();
    for (id, answer) in messages.iter().zip(answers) {
        let delivery: Loaded<DeliveryRecord> = Loaded::decode(as_record(Some(answer))?, "delivery")?;
        context.cache.forget_delivery(*id);
        write.push(Write::Delete {
            shape: Shape::Record,
            key: keys::delivery(*id),
        });
        let due = delivery.value.map(|delivery| delivery.timer_ms);
        write.extend(due.filter(|due| *due != 0).map(|due| Write::Remove {
            key: keys::timers(),
            member: keys::timer_member(Moment(due), Timer::Delivery(*id)),
        }));
    }
    Ok(write)
}
