//! Takes out of homes what is more than their tenants keep, when their timers fire.

mod places;
mod sweep;

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_fields, as_range, as_record};
use super::resolve::{expect_record, put};
use crate::id::{CustomerId, EntryId, MessageId};
use crate::keys::{self, Timer};
use crate::port::store::{Expect, Found, Query, StoreError, Write};
use crate::retention::{Left, Limits, Moved, Seen, note_due, note_next, trim as decide};
use crate::time::Moment;
use crate::timeline::Place;
use bytes::Bytes;
use omnigate_proto::state::v1::{DeliveryRecord, EntryRecord, HomeRecord};
use prost::Message as _;
use std::ops::Bound;
use std::sync::Arc;

pub(super) use places::messages_of;
pub use sweep::{Swept, sweep};

/// Entries that one commit takes out at most.
const AT_ONCE: u32 = 100;
/// Commits of one firing at most; what is left then has its turn a second later.
const BATCHES: usize = 50;

/// What was taken out of a home.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gone {
    /// Entries.
    pub entries: usize,
    /// Places.
    pub places: usize,
}

/// Takes out what has to go, and moves the timer to when something has to go again.
pub async fn trim(context: &Context<'_>, id: CustomerId, due: Moment) -> Result<Gone, Stop> {
    let mut gone = Gone::default();
    if due > context.now() {
        return Ok(gone);
    }
    let mut edge = Bound::Unbounded;
    let mut more = false;
    for _ in 0..BATCHES {
        let batch = some_entries(context, id, edge).await?;
        gone.entries += batch.gone;
        more = batch.next.is_some();
        match batch.next {
            Some(next) => edge = next,
            None => break,
        }
    }
    for batch in 1..=BATCHES {
        let forgotten = places::forget_some(context, id).await?;
        gone.places += forgotten;
        if forgotten == 0 {
            break;
        }
        more |= batch == BATCHES;
    }
    settle(context, id, due, more).await?;
    Ok(gone)
}

/// What became of some of the oldest entries.
struct Batch {
    gone: usize,
    /// Where the next ones begin; `None` when nothing else has to go.
    next: Option<Bound<Bytes>>,
}

async fn some_entries(context: &Context<'_>, id: CustomerId, edge: Bound<Bytes>) -> Result<Batch, Stop> {
    for _ in 0..MAX_TRIES {
        let (home, members) = read_home(context, id, timeline_from(id, edge.clone(), AT_ONCE)).await?;
        let done = Batch { gone: 0, next: None };
        let Some(before) = home.value.as_deref() else {
            return Ok(done);
        };
        let limits = limits_of(context, before);
        let Some((last, _)) = members.last() else {
            return Ok(done);
        };
        let next = Bound::Excluded(last.clone());
        let is_full = u32::try_from(members.len()).is_ok_and(|count| count == AT_ONCE);
        let mut after = before.clone();
        let oldest = keys::read_timeline_member(&members[0].0);
        // Most firings find that nothing has to go: no entry is opened for that.
        if !oldest.is_some_and(|(spot, _)| limits.is_trimmed(before, spot.shown_at, context.now())) {
            return Ok(done);
        }
        let seen = seen(context, id, before, members).await?;
        let trimmed = decide(&mut after, &limits, &seen, context.now());
        let goes_on = (is_full && !trimmed.finished).then_some(next);
        if trimmed.entries.is_empty() {
            return Ok(Batch { gone: 0, next: goes_on });
        }
        let mut write = vec![put(keys::home(id), &after)];
        write.extend(trimmed.entries.iter().map(|(spot, event)| Write::Remove {
            key: keys::timeline(id),
            member: keys::timeline_member(*spot, *event),
        }));
        write.extend(places::writes(id, &trimmed));
        let expect = vec![expect_record(keys::home(id), home.stamp)];
        if keep_home(context, id, expect, write, after).await? {
            return Ok(Batch {
                gone: trimmed.entries.len(),
                next: goes_on,
            });
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Commits a change of a home and remembers it; false after a conflict.
async fn keep_home(
    context: &Context<'_>,
    id: CustomerId,
    expect: Vec<Expect>,
    write: Vec<Write>,
    home: HomeRecord,
) -> Result<bool, Stop> {
    let Ended::Committed(stamp) = context.commit(id.shard(), expect, write).await? else {
        context.cache.forget_home(id);
        return Ok(false);
    };
    let (stamp, value) = (Some(stamp), Some(Arc::new(home)));
    context.cache.keep_home(id, Loaded { stamp, value });
    Ok(true)
}

/// A home with some members of an index of it, at one instant.
async fn read_home(
    context: &Context<'_>,
    id: CustomerId,
    query: Query,
) -> Result<(Loaded<Arc<HomeRecord>>, Vec<(Bytes, Bytes)>), StoreError> {
    let queries = vec![Query::Record(keys::home(id)), query];
    let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
    let home: Loaded<HomeRecord> = Loaded::decode(as_record(answers.next())?, "home")?;
    Ok((home.shared(), as_range(answers.next())?))
}

fn timeline_from(id: CustomerId, from: Bound<Bytes>, limit: u32) -> Query {
    Query::Range {
        key: keys::timeline(id),
        from,
        to: Bound::Unbounded,
        limit,
        reverse: false,
    }
}

fn limits_of(context: &Context<'_>, home: &HomeRecord) -> Limits {
    context.tenants.of(&home.tenant_id).timeline
}

/// Entries with what is known of them, and of the messages of ours among them.
async fn seen(
    context: &Context<'_>,
    id: CustomerId,
    home: &HomeRecord,
    members: Vec<(Bytes, Bytes)>,
) -> Result<Vec<Seen>, StoreError> {
    let stored = context.stored(id, home);
    let mut seen = Vec::with_capacity(members.len());
    for (member, value) in members {
        let Some((spot, event)) = keys::read_timeline_member(&member) else {
            continue;
        };
        let entry = match stored.unpack(&member, value.clone())? {
            Some(entry) => entry,
            // Its thread was erased, and with it the key: what stands outside the seal is enough.
            None => EntryRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("entry: {error}")))?,
        };
        seen.push(Seen {
            spot,
            event,
            entry,
            delivery: None,
        });
    }
    let ours = |seen: &Seen| MessageId::from_bytes(&seen.entry.message_id);
    let queries: Vec<Query> = seen
        .iter()
        .filter_map(ours)
        .map(|message| Query::Record(keys::delivery(message)))
        .collect();
    if queries.is_empty() {
        return Ok(seen);
    }
    let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
    for seen in seen.iter_mut().filter(|seen| ours(seen).is_some()) {
        let delivery: Loaded<DeliveryRecord> = Loaded::decode(as_record(answers.next())?, "delivery")?;
        seen.delivery = delivery.value;
        if let (Some(message), Some(record)) = (ours(seen), seen.delivery.as_mut()) {
            stored.open_delivery(message, record)?;
        }
    }
    Ok(seen)
}

/// Moves the timer that fired to when the home has to be looked at again, if it has to.
async fn settle(context: &Context<'_>, id: CustomerId, due: Moment, more: bool) -> Result<(), Stop> {
    let (timer, member) = (keys::timers(), keys::timer_member(due, Timer::Trim(id)));
    for _ in 0..MAX_TRIES {
        let queries = vec![
            Query::Record(keys::home(id)),
            timeline_from(id, Bound::Unbounded, 1),
            places::oldest(id),
        ];
        let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
        let home: Loaded<HomeRecord> = Loaded::decode(as_record(answers.next())?, "home")?;
        let oldest = as_range(answers.next())?.into_iter().next();
        let forgets = as_range(answers.next())?.into_iter().next();
        let Some(mut after) = home.value.filter(|home| home.trim_ms == due.0) else {
            // It was moved since it was read: whoever moved it took this one out, or will.
            return Ok(context.drop_timer(id.shard(), due, Timer::Trim(id)).await?);
        };
        let left = Left {
            more,
            oldest: oldest.and_then(|(member, _)| Some(keys::read_timeline_member(&member)?.0.shown_at)),
            forgets: forgets.and_then(|(member, _)| Some(keys::read_trimmed_member(&member)?.0)),
        };
        let limits = limits_of(context, &after);
        let moved = note_next(&mut after, &limits, left, context.now());
        let expect = vec![
            expect_record(keys::home(id), home.stamp),
            Expect::Member {
                key: timer.clone(),
                member: member.clone(),
                present: true,
            },
        ];
        let mut write = vec![put(keys::home(id), &after)];
        write.extend(move_timer(id, moved));
        match context.commit(id.shard(), expect, write).await? {
            Ended::Committed(stamp) => {
                let (stamp, value) = (Some(stamp), Some(Arc::new(after)));
                context.cache.keep_home(id, Loaded { stamp, value });
                return Ok(());
            }
            // Without the timer somebody else has done it, or our own commit has.
            Ended::Conflict(found) if found.iter().any(|(_, found)| matches!(found, Found::Member(None))) => {
                context.cache.forget_home(id);
                return Ok(());
            }
            Ended::Conflict(_) | Ended::Unknown => context.cache.forget_home(id),
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Sets a home's timer after something was added to it, where that makes it due.
pub(super) fn schedule(context: &Context<'_>, id: CustomerId, home: &mut HomeRecord) -> Vec<Write> {
    let limits = limits_of(context, home);
    let moved = note_due(home, &limits, context.now());
    moved.map(|moved| move_timer(id, moved)).unwrap_or_default()
}

fn move_timer(id: CustomerId, moved: Moved) -> Vec<Write> {
    let key = keys::timers();
    let mut write = Vec::new();
    write.extend(moved.from.map(|due| Write::Remove {
        key: key.clone(),
        member: keys::timer_member(due, Timer::Trim(id)),
    }));
    write.extend(moved.to.map(|due| Write::Insert {
        key,
        member: keys::timer_member(due, Timer::Trim(id)),
        value: Bytes::new(),
    }));
    write
}

/// True when an entry of the tenant that [`entry`](super::entries::entry) does not find is known to have been trimmed. Nobody knows once its place
/// is forgotten, nor in a home of which something was erased.
pub async fn was_trimmed(context: &Context<'_>, tenant_id: &str, id: EntryId) -> Result<bool, StoreError> {
    let home = id.home();
    let places = Query::Fields {
        key: keys::places(home),
        fields: vec![id.event().to_bytes()],
    };
    let queries = vec![places, Query::Record(keys::home(home))];
    let mut answers = context.store.read(home.shard(), queries).await?.into_iter();
    let place = as_fields(answers.next())?.into_iter().next().flatten();
    let owned: Loaded<HomeRecord> = Loaded::decode(as_record(answers.next())?, "home")?;
    let is_whole = |owned: HomeRecord| owned.tenant_id == tenant_id && owned.wiped.is_empty();
    let was_there = place.and_then(|place| Place::decode(id.event(), &place));
    Ok(owned.value.is_some_and(is_whole) && matches!(was_there, Some(Place::At { .. })))
}
