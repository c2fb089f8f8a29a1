//! Reads timelines across the homes they are spread over.

use super::context::{Context, Loaded, as_fields, as_range, as_record};
use crate::append::is_wiped;
use crate::customer_event;
use crate::id::{Birth, CustomerId, EntryId, EventId, MessageId, ThreadId};
use crate::identity;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::time::Moment;
use crate::timeline::{Place, SPOT};
use bytes::Bytes;
use omnigate_proto::state::v1::{EntryRecord, HomeRecord, Membership};
use omnigate_proto::v1::Entry;
use std::ops::Bound;

/// An interval of a birth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interval {
    /// Which.
    pub birth: Birth,
    /// Entries received from this moment on.
    pub from: Moment,
    /// Entries received before this moment.
    pub to: Option<Moment>,
}

/// What of a home is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Home.
    pub home: CustomerId,
    /// Which entries.
    pub intervals: Vec<Interval>,
    /// Only those of this account.
    pub account_id: Option<String>,
}

impl Interval {
    /// What of a thread is the member's; `None` for a token that cannot be read.
    pub(super) fn of(member: &Membership) -> Option<Self> {
        Some(Self {
            birth: Birth::from_bytes(&member.birth)?,
            from: Moment(member.from_ms),
            to: (member.to_ms != 0).then_some(Moment(member.to_ms)),
        })
    }

    /// True for an entry that lies in it.
    pub(super) fn holds(&self, record: &EntryRecord) -> bool {
        self.covers(&record.birth, Moment(record.received_at_ms))
    }

    /// True for what came by this birth at a moment in it.
    pub(super) fn covers(&self, birth: &[u8], at: Moment) -> bool {
        birth == self.birth.0.as_slice() && self.is_at(at)
    }

    /// True for an entry of the birth.
    pub(super) fn is_of(&self, record: &EntryRecord) -> bool {
        record.birth.as_ref() == self.birth.0.as_slice()
    }

    /// True for a moment in it.
    pub(super) fn is_at(&self, at: Moment) -> bool {
        at >= self.from && self.to.is_none_or(|to| at < to)
    }
}

impl View {
    fn shows(&self, record: &EntryRecord) -> bool {
        self.intervals.iter().any(|interval| interval.holds(record))
    }
}

/// The view of one thread; `None` when there is no such thread.
pub async fn thread_view(context: &Context<'_>, id: ThreadId, account_id: &str) -> Result<Option<View>, StoreError> {
    let claim = super::resolve::claimed(context, id.peer()).await?;
    let read = identity::read_claim(claim.as_ref(), context.now());
    let identity::Claimed::Settled { birth, home, .. } = read else {
        return Ok(None);
    };
    Ok(Some(View {
        home,
        intervals: vec![Interval {
            birth,
            from: Moment(0),
            to: None,
        }],
        account_id: Some(account_id.to_owned()),
    }))
}

/// Where a page ends: the last entry's member in its home, followed by the home.
pub type Position = Bytes;

/// The position of an entry: homes with entries of one instant take turns by their ids, so that no page repeats any.
fn position(member: &Bytes, home: CustomerId) -> Position {
    let spot = member.get(..SPOT).unwrap_or_default();
    [spot, &home.0, member.get(SPOT..).unwrap_or_default()].concat().into()
}

/// Where reading a home begins after a position: every member up to it in the order of [`position`] is left out.
fn after_position(position: &Position, home: CustomerId) -> Bound<Bytes> {
    let (Some(spot), Some(of_home)) = (position.get(..SPOT), position.get(SPOT..SPOT + 16)) else {
        return Bound::Unbounded;
    };
    let rest = position.get(SPOT + 16..).unwrap_or_default();
    match home.0.as_slice().cmp(of_home) {
        std::cmp::Ordering::Equal => Bound::Excluded([spot, rest].concat().into()),
        std::cmp::Ordering::Less => Bound::Excluded([spot, &[0xff; 17]].concat().into()),
        std::cmp::Ordering::Greater => Bound::Included(Bytes::copy_from_slice(spot)),
    }
}

/// Entries of several homes, merged by the time they are shown and their id.
pub async fn page(
    context: &Context<'_>,
    views: &[View],
    after: Option<Position>,
    limit: u32,
    oldest_first: bool,
) -> Result<Vec<(Position, Entry)>, StoreError> {
    let mut found = Vec::new();
    for view in views {
        found.extend(entries_of(context, view, after.clone(), limit, oldest_first).await?);
    }
    found.sort_by(|(one, _), (other, _)| if oldest_first { one.cmp(other) } else { other.cmp(one) });
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

async fn entries_of(
    context: &Context<'_>,
    view: &View,
    after: Option<Position>,
    limit: u32,
    oldest_first: bool,
) -> Result<Vec<(Position, Entry)>, StoreError> {
    let mut found = Vec::new();
    let mut edge = after.map_or(Bound::Unbounded, |after| after_position(&after, view.home));
    let mut home: Option<HomeRecord> = None;
    // A page that the filter empties is read on; a customer's own entries are nearly all that a home has.
    while found.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
        let (from, to) = if oldest_first {
            (edge.clone(), Bound::Unbounded)
        } else {
            (Bound::Unbounded, edge.clone())
        };
        let query = Query::Range {
            key: keys::timeline(view.home),
            from,
            to,
            limit,
            reverse: !oldest_first,
        };
        let queries = [query]
            .into_iter()
            .chain(home.is_none().then(|| Query::Record(keys::home(view.home))));
        let mut answers = context
            .store
            .read(view.home.shard(), queries.collect())
            .await?
            .into_iter();
        let members = as_range(answers.next())?;
        let read = match home.take() {
            Some(home) => home,
            None => Loaded::decode(as_record(answers.next())?, "home")?
                .value
                .unwrap_or_default(),
        };
        let home = home.insert(read);
        let stored = context.stored(view.home, home);
        let complete = members.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        for (member, value) in members {
            edge = Bound::Excluded(member.clone());
            let Some((spot, event)) = keys::read_timeline_member(&member) else {
                continue;
            };
            let Some(record) = stored.unpack(&member, value)?.filter(|record| view.shows(record)) else {
                continue;
            };
            let entry = to_entry(view.home, event, spot.shown_at, &record);
            let account = entry.event.as_ref().map(|event| &event.account_id);
            if view.account_id.is_none() || view.account_id.as_ref() == account {
                found.push((position(&member, view.home), entry));
            }
        }
        if complete {
            break;
        }
    }
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// An entry as readers see it.
#[must_use]
pub fn to_entry(home: CustomerId, event: EventId, shown_at: Moment, record: &EntryRecord) -> Entry {
    let mut entry = customer_event::entry(home, event, shown_at, record);
    entry.event = Some(customer_event::readable(&record.event));
    entry
}

/// A single entry with its record; `None` when there is none of the tenant.
pub async fn entry(
    context: &Context<'_>,
    tenant_id: &str,
    id: EntryId,
) -> Result<Option<(Entry, EntryRecord)>, StoreError> {
    let (home, event) = (id.home(), id.event());
    let places = Query::Fields {
        key: keys::places(home),
        fields: vec![event.to_bytes()],
    };
    let queries = vec![places, Query::Record(keys::home(home))];
    let mut answers = context.store.read(home.shard(), queries).await?.into_iter();
    let place = as_fields(answers.next())?.into_iter().next().flatten();
    let owned: Loaded<HomeRecord> = Loaded::decode(as_record(answers.next())?, "home")?;
    let Some(owned) = owned.value.filter(|owned| owned.tenant_id == tenant_id) else {
        return Ok(None);
    };
    let Some(Place::At { spot, entry: event }) = place.and_then(|place| Place::decode(event, &place)) else {
        return Ok(None);
    };
    let answers = context
        .store
        .read(home.shard(), vec![super::append::one_member(home, spot, event)])
        .await?;
    let Some((member, value)) = as_range(answers.into_iter().next())?.into_iter().next() else {
        return Ok(None);
    };
    let Some(record) = context.stored(home, &owned).unpack(&member, value)? else {
        return Ok(None);
    };
    let wiped =
        Birth::from_bytes(&record.birth).is_some_and(|birth| is_wiped(&owned, birth, Moment(record.received_at_ms)));
    Ok((!wiped).then(|| (to_entry(home, event, spot.shown_at, &record), record)))
}

/// The delivery behind an entry of ours.
#[must_use]
pub fn delivery_of(record: &EntryRecord) -> Option<MessageId> {
    MessageId::from_bytes(&record.message_id)
}
