//! Reads timelines across the homes they are spread over.

use super::context::{Context, Loaded, as_fields, as_range, as_record};
use crate::append::is_wiped;
use crate::customer_event;
use crate::id::{Birth, CustomerId, EntryId, EventId, MessageId, ThreadId};
use crate::identifier;
use crate::identity;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::time::Moment;
use crate::timeline::{Place, SPOT, Spot, kind_of};
use bytes::Bytes;
use omnigate_proto::state::v1::{EntryRecord, HomeRecord, Membership};
use omnigate_proto::v1::{Entry, EntryKind, Event};
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
pub async fn thread_view(
    context: &Context<'_>,
    tenant_id: &str,
    id: ThreadId,
    account_id: &str,
) -> Result<Option<View>, StoreError> {
    let claim = super::resolve::claimed(context, id.peer()).await?;
    let peer = claim.as_ref().and_then(|claim| claim.identifier.as_ref());
    // An id tells nobody whose the peer is: it may be of another tenant.
    if peer.is_none_or(|peer| identifier::key(tenant_id, peer) != id.peer()) {
        return Ok(None);
    }
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

/// Which entries of a timeline are wanted; all of them by default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Kinds of channel; all when empty.
    pub channels: Vec<String>,
    /// Accounts; all when empty.
    pub account_ids: Vec<String>,
    /// Kinds of event; all when empty.
    pub kinds: Vec<EntryKind>,
    /// Shown at this moment or later.
    pub from: Option<Moment>,
    /// Shown before this moment.
    pub to: Option<Moment>,
}

/// A page that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Where the page before ended.
    pub after: Option<Position>,
    /// Most entries.
    pub limit: u32,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// Which entries.
    pub filter: Filter,
}

impl Wanted {
    /// The first page without a filter.
    #[must_use]
    pub fn first(limit: u32, oldest_first: bool) -> Self {
        Self {
            after: None,
            limit,
            oldest_first,
            filter: Filter::default(),
        }
    }
}

/// Some entries.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    /// In order, each with its position.
    pub entries: Vec<(Position, Entry)>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<Position>,
}

/// Most entries that are looked at for one page, in all homes together; each home is looked at for a full page nevertheless.
const MAX_SCANNED: usize = 2000;
/// Entries that are looked at in one step where a filter passes over some.
const AT_ONCE: u32 = 200;

impl Filter {
    fn lets_through(&self, event: &Event) -> bool {
        let holds = |wanted: &[String], given| wanted.is_empty() || wanted.contains(given);
        holds(&self.channels, &event.channel)
            && holds(&self.account_ids, &event.account_id)
            && (self.kinds.is_empty() || self.kinds.contains(&kind_of(event)))
    }

    /// What of an index can hold entries shown in this time.
    fn bounds(&self) -> (Bound<Bytes>, Bound<Bytes>) {
        let key = |shown_at| {
            let spot = Spot { shown_at, home_seq: 0 };
            Bytes::copy_from_slice(&spot.to_key())
        };
        let from = self.from.map_or(Bound::Unbounded, |at| Bound::Included(key(at)));
        let to = self.to.map_or(Bound::Unbounded, |at| Bound::Excluded(key(at)));
        (from, to)
    }

    fn passes_over(&self) -> bool {
        !(self.channels.is_empty() && self.account_ids.is_empty() && self.kinds.is_empty())
    }
}

/// Entries of several homes, merged by the time they are shown and their id. A page ends where the first of the homes was
/// looked at long enough, so it may hold fewer entries than are wanted, and none is passed over.
pub async fn page(context: &Context<'_>, views: &[View], wanted: &Wanted) -> Result<Page, StoreError> {
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let scanned = (MAX_SCANNED / views.len().max(1)).max(limit);
    let order = |one: &Position, other: &Position| {
        if wanted.oldest_first {
            one.cmp(other)
        } else {
            other.cmp(one)
        }
    };
    let mut page = Page::default();
    for view in views {
        let (entries, edge) = entries_of(context, view, wanted, scanned).await?;
        page.entries.extend(entries);
        if let Some(edge) = edge {
            let nearer = page.next.take().filter(|known| order(known, &edge).is_le());
            page.next = Some(nearer.unwrap_or(edge));
        }
    }
    page.entries.sort_by(|(one, _), (other, _)| order(one, other));
    if let Some(end) = &page.next {
        page.entries.retain(|(position, _)| order(position, end).is_le());
    }
    if page.entries.len() > limit {
        page.entries.truncate(limit);
        page.next = page.entries.last().map(|(position, _)| position.clone());
    }
    Ok(page)
}

/// Entries of a home that the page may hold, and where looking ended if that was before the home's end.
async fn entries_of(
    context: &Context<'_>,
    view: &View,
    wanted: &Wanted,
    scanned: usize,
) -> Result<(Vec<(Position, Entry)>, Option<Position>), StoreError> {
    let mut found = Vec::new();
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let mut seen = 0;
    let mut home: Option<HomeRecord> = None;
    let (mut from, mut to) = wanted.filter.bounds();
    if let Some(after) = &wanted.after {
        let edge = after_position(after, view.home);
        let end = if wanted.oldest_first { &mut from } else { &mut to };
        *end = tighter(std::mem::replace(end, Bound::Unbounded), edge, wanted.oldest_first);
    }
    let at_once = if wanted.filter.passes_over() {
        wanted.limit.max(AT_ONCE)
    } else {
        wanted.limit
    };
    while !is_empty(&from, &to) {
        let query = Query::Range {
            key: keys::timeline(view.home),
            from: from.clone(),
            to: to.clone(),
            limit: at_once,
            reverse: !wanted.oldest_first,
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
        let complete = u32::try_from(members.len()).is_ok_and(|count| count < at_once);
        let last = members.len();
        for (number, (member, value)) in (1..).zip(members) {
            seen += 1;
            let edge = if wanted.oldest_first { &mut from } else { &mut to };
            *edge = Bound::Excluded(member.clone());
            let record = stored.unpack(&member, value)?.filter(|record| view.shows(record));
            found.extend(record.and_then(|record| shown(view, &wanted.filter, &member, &record)));
            let is_enough = found.len() >= limit || seen >= scanned;
            if is_enough && !(complete && number == last) {
                return Ok((found, Some(position(&member, view.home))));
            }
        }
        if complete {
            break;
        }
    }
    Ok((found, None))
}

/// The entry at a member, where the view and the filter show it.
fn shown(view: &View, filter: &Filter, member: &Bytes, record: &EntryRecord) -> Option<(Position, Entry)> {
    let (spot, event) = keys::read_timeline_member(member)?;
    let entry = to_entry(view.home, event, spot.shown_at, record);
    let is_wanted = entry.event.as_ref().is_none_or(|event| {
        let of_account = view
            .account_id
            .as_ref()
            .is_none_or(|account| *account == event.account_id);
        of_account && filter.lets_through(event)
    });
    is_wanted.then(|| (position(member, view.home), entry))
}

fn edge_of(bound: &Bound<Bytes>) -> Option<&Bytes> {
    match bound {
        Bound::Included(edge) | Bound::Excluded(edge) => Some(edge),
        Bound::Unbounded => None,
    }
}

/// The bound that leaves less: the greater one of lower ends, the lesser one of upper ends.
fn tighter(one: Bound<Bytes>, other: Bound<Bytes>, lower: bool) -> Bound<Bytes> {
    let (Some(of_one), Some(of_other)) = (edge_of(&one), edge_of(&other)) else {
        return if matches!(one, Bound::Unbounded) { other } else { one };
    };
    match of_one.cmp(of_other) {
        std::cmp::Ordering::Equal if matches!(one, Bound::Excluded(_)) => one,
        std::cmp::Ordering::Equal => other,
        order if order.is_gt() == lower => one,
        _ => other,
    }
}

/// True when nothing lies between two ends.
fn is_empty(from: &Bound<Bytes>, to: &Bound<Bytes>) -> bool {
    matches!((edge_of(from), edge_of(to)), (Some(from), Some(to)) if from >= to)
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
