//! Events that could not be applied: attempts that are counted before they begin, and the place where such events wait for
//! somebody's decision.

mod sealed;

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range};
use super::entries::Interval;
use super::resolve::{claimed, expect_record, put};
use super::walk::Walk;
use crate::hourly;
use crate::id::{Birth, CustomerId, EventId, ParkedId};
use crate::identifier;
use crate::keys;
use crate::port::store::{Expect, Query, Shape, StoreError, Write};
use crate::shard::Shard;
use crate::time::Moment;
use omnigate_proto::state::v1::{AttemptRecord, HomeRecord, Stamped};
use omnigate_proto::v1::{Event, Identifier, ParkedItem};
use prost::Message as _;
use std::time::Duration;

/// How long attempts are remembered.
const ATTEMPTS_KEPT: Duration = Duration::from_hours(7 * 24);
/// Items that are looked at in one step where those of somebody are removed; each may be a whole event.
const REMOVED_AT_ONCE: u32 = 50;
/// Longest text about a failure, in characters.
const MAX_DETAIL: usize = 500;

/// Counts an attempt that is about to begin, so that one which takes the whole process down is counted too. `failure` is
/// what the attempt before it said. Gives the number of this attempt, from 1. An answer that got lost may count twice.
pub async fn attempt(context: &Context<'_>, event: EventId, failure: &str) -> Result<u32, Stop> {
    let shard = shard_of(event);
    let key = keys::attempt(event);
    for _ in 0..MAX_TRIES {
        let record: Loaded<AttemptRecord> = context.record(shard, key.clone(), "attempt").await?;
        let mut next = record.value.unwrap_or_default();
        next.attempts = next.attempts.saturating_add(1);
        if !failure.is_empty() {
            next.error = shortened(failure);
        }
        let write = vec![
            put(key.clone(), &next),
            Write::Expire {
                shape: Shape::Record,
                key: key.clone(),
                after: ATTEMPTS_KEPT,
            },
        ];
        if let Ended::Committed(_) = context
            .commit(shard, vec![expect_record(key.clone(), record.stamp)], write)
            .await?
        {
            return Ok(next.attempts);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Forgets the attempts of an event that was applied or parked.
pub async fn settled(context: &Context<'_>, event: EventId) -> Result<(), StoreError> {
    let shard = shard_of(event);
    let key = keys::attempt(event);
    let record: Loaded<AttemptRecord> = context.record(shard, key.clone(), "attempt").await?;
    if record.stamp.is_some() {
        let expect = vec![expect_record(key.clone(), record.stamp)];
        // Whatever comes of it: what is left over expires by itself.
        context
            .commit(
                shard,
                expect,
                vec![Write::Delete {
                    shape: Shape::Record,
                    key,
                }],
            )
            .await?;
    }
    Ok(())
}

const fn shard_of(event: EventId) -> Shard {
    Shard::new(event.0[0])
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_DETAIL).collect()
}

/// An event to park.
#[derive(Clone, Debug)]
pub struct Unfit<'a> {
    /// It, as ingest stamped it.
    pub stamped: &'a Stamped,
    /// Why, as a stable lower-case word.
    pub reason: &'a str,
    /// Words for a person; no message content.
    pub detail: &'a str,
    /// Attempts before.
    pub attempts: u32,
    /// Queue it was taken from.
    pub origin: &'a str,
}

/// Parks an event durably and marks the gap in its thread, in one commit where the thread's home is known. Parking the same
/// event again changes nothing.
pub async fn park_event(context: &Context<'_>, unfit: &Unfit<'_>) -> Result<ParkedId, Stop> {
    let event = Event::decode(unfit.stamped.event.clone()).ok();
    let thread = match &event {
        Some(event) => home_of(context, event).await?,
        None => None,
    };
    let body = unfit.stamped.encode_to_vec();
    let mut id = ParkedId::new(Moment(unfit.stamped.received_at_ms), &body);
    if let Some((home, ..)) = &thread {
        id.0[0] = home.shard().number();
    }
    let tenant_id = match &event {
        Some(event) => event.tenant_id.clone(),
        None => hourly::tenant_of(&unfit.stamped.event).unwrap_or_default(),
    };
    let item = ParkedItem {
        parked_id: id.to_string(),
        tenant_id,
        reason: unfit.reason.to_owned(),
        detail: shortened(unfit.detail),
        parked_at: Some(context.now().to_timestamp()),
        attempts: unfit.attempts,
        origin: unfit.origin.to_owned(),
        event: None,
        body: body.into(),
        trace_id: event.as_ref().map(|event| event.trace_id.clone()).unwrap_or_default(),
        account_id: event.map(|event| event.account_id).unwrap_or_default(),
    };
    insert(context, id, &item, thread.as_ref()).await?;
    Ok(id)
}

/// Keeps an item that was parked on the broker. Keeping the same one again changes nothing.
pub async fn keep(context: &Context<'_>, item: &ParkedItem) -> Result<ParkedId, Stop> {
    let id = item.parked_id.parse().unwrap_or_else(|_| {
        let at = item.parked_at.as_ref().map(Moment::from_timestamp);
        ParkedId::new(at.unwrap_or_default(), &item.body)
    });
    let item = ParkedItem {
        parked_id: id.to_string(),
        event: None,
        ..item.clone()
    };
    insert(context, id, &item, None).await?;
    Ok(id)
}

/// Home, birth and account of the event's thread, where they can be found out.
async fn home_of(context: &Context<'_>, event: &Event) -> Result<Option<(CustomerId, Birth, String)>, Stop> {
    let Some(peer) = &event.peer else {
        return Ok(None);
    };
    match claimed(context, identifier::key(&event.tenant_id, peer)).await {
        Ok(Some(claim)) => Ok(CustomerId::from_bytes(&claim.home)
            .zip(Birth::from_bytes(&claim.birth))
            .map(|(home, birth)| (home, birth, event.account_id.clone()))),
        // What cannot be read may be the very reason for parking.
        Ok(None) | Err(StoreError::Corrupt(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn insert(
    context: &Context<'_>,
    id: ParkedId,
    item: &ParkedItem,
    thread: Option<&(CustomerId, Birth, String)>,
) -> Result<(), Stop> {
    for _ in 0..MAX_TRIES {
        let mut expect = vec![Expect::Member {
            key: keys::parked(),
            member: id.to_bytes(),
            present: false,
        }];
        let (value, key) = sealed::pack(context, id, item)?;
        let mut write = vec![Write::Insert {
            key: keys::parked(),
            member: id.to_bytes(),
            value,
        }];
        write.extend(key);
        if let Some((home, birth, account_id)) = thread {
            let record = context.record(home.shard(), keys::home(*home), "home").await;
            if let Some((stamp, marked)) = mark_gap(record, *birth, account_id)? {
                expect.push(expect_record(keys::home(*home), stamp));
                write.push(put(keys::home(*home), &marked));
            }
        }
        match context.commit(id.shard(), expect, write).await? {
            Ended::Committed(_) => return Ok(()),
            Ended::Conflict(found) if found.iter().any(|(position, _)| *position == 0) => return Ok(()),
            Ended::Conflict(_) | Ended::Unknown => {}
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

type Marked = Option<(Option<crate::port::store::Stamp>, HomeRecord)>;

fn mark_gap(
    record: Result<Loaded<HomeRecord>, StoreError>,
    birth: Birth,
    account_id: &str,
) -> Result<Marked, StoreError> {
    let record = match record {
        Err(StoreError::Corrupt(_)) => return Ok(None),
        record => record?,
    };
    let Some(mut home) = record.value else {
        return Ok(None);
    };
    let ours = |thread: &&mut omnigate_proto::state::v1::ThreadRecord| {
        thread.birth.as_ref() == birth.0.as_slice() && thread.account_id == account_id
    };
    let Some(thread) = home.threads.iter_mut().find(ours) else {
        return Ok(None);
    };
    thread.gap = true;
    Ok(Some((record.stamp, home)))
}

/// Parked items of these tenants (an empty name: of none that is known), oldest first within a shard, and where the next
/// page goes on. Event and body are left out.
pub async fn list(
    context: &Context<'_>,
    tenants: &[&str],
    after: Option<ParkedId>,
    limit: u32,
) -> Result<(Vec<ParkedItem>, Option<ParkedId>), StoreError> {
    let limit = limit.max(1);
    let after = after.map(|id| (id.shard(), id.to_bytes()));
    let mut walk = Walk::new(keys::parked(), after, limit);
    let mut items = Vec::new();
    while let Some(members) = walk.next(context).await? {
        for (member, value) in members {
            let item = decode(&value).unwrap_or_else(|_| unreadable(&member));
            if tenants.contains(&item.tenant_id.as_str()) {
                let bare = ParkedItem {
                    body: bytes::Bytes::new(),
                    ..item
                };
                items.push(bare);
                if items.len() == limit as usize {
                    return Ok((items, ParkedId::from_bytes(&member)));
                }
            }
        }
    }
    Ok((items, None))
}

/// One parked item with its content.
pub async fn get(context: &Context<'_>, id: ParkedId) -> Result<Option<ParkedItem>, StoreError> {
    let query = Query::member(keys::parked(), id.to_bytes());
    let members = as_range(context.store.read(id.shard(), vec![query]).await?.into_iter().next())?;
    let Some(mut item) = sealed::unpack(context, id.shard(), members).await?.pop() else {
        return Ok(None);
    };
    item.event = stamped(&item).and_then(|stamped| Event::decode(stamped.event).ok());
    Ok(Some(item))
}

/// What to put back on the event's queue when an item is replayed; `None` when the body is no event. Publish it first and
/// [`remove`] the item afterwards: the event takes effect once, however often it comes.
#[must_use]
pub fn stamped(item: &ParkedItem) -> Option<Stamped> {
    Stamped::decode(item.body.clone()).ok()
}

/// Removes an item for good and gives it back; `None` when it is gone already.
pub async fn remove(context: &Context<'_>, id: ParkedId) -> Result<Option<ParkedItem>, Stop> {
    let Some(item) = get(context, id).await? else {
        return Ok(None);
    };
    for _ in 0..MAX_TRIES {
        let (key, member) = (keys::parked(), id.to_bytes());
        let expect = vec![Expect::Member {
            key: key.clone(),
            member: member.clone(),
            present: true,
        }];
        let write = vec![Write::Remove { key, member }, sealed::key_gone(id)];
        match context.commit(id.shard(), expect, write).await? {
            Ended::Committed(_) | Ended::Conflict(_) => return Ok(Some(item)),
            Ended::Unknown => {}
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Removes, for good, what was parked of events of these peers that were received in their intervals.
pub(super) async fn remove_of(
    context: &Context<'_>,
    tenant_id: &str,
    peers: &[(&Identifier, Interval)],
) -> Result<(), Stop> {
    let mut walk = Walk::new(keys::parked(), None, REMOVED_AT_ONCE);
    while let Some((shard, members)) = walk.next_of_shard(context).await? {
        for item in sealed::unpack(context, shard, members).await? {
            let Some(stamped) = stamped(&item) else { continue };
            let at = Moment(stamped.received_at_ms);
            let event = Event::decode(stamped.event).ok();
            let is_theirs = event.filter(|event| event.tenant_id == tenant_id).is_some_and(|event| {
                let is = |(peer, interval): &(&Identifier, Interval)| {
                    event.peer.as_ref() == Some(*peer) && interval.is_at(at)
                };
                peers.iter().any(is)
            });
            if is_theirs && let Ok(id) = item.parked_id.parse() {
                remove(context, id).await?;
            }
        }
    }
    Ok(())
}

/// Stands in a list for an item that cannot be read: one of them must not hide the others.
fn unreadable(member: &[u8]) -> ParkedItem {
    ParkedItem {
        parked_id: ParkedId::from_bytes(member)
            .map(|id| id.to_string())
            .unwrap_or_default(),
        reason: "unreadable".to_owned(),
        ..ParkedItem::default()
    }
}

fn decode(value: &bytes::Bytes) -> Result<ParkedItem, StoreError> {
    ParkedItem::decode(value.clone()).map_err(|error| StoreError::Corrupt(format!("parked item: {error}")))
}
