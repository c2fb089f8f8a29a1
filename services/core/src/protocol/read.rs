//! Reads customers and timelines across the homes they are spread over.

use super::context::{Context, Loaded, as_fields, as_range};
use crate::append::is_wiped;
use crate::customer_event;
use crate::id::{Birth, CustomerId, EntryId, EventId, MessageId, ThreadId};
use crate::identifier;
use crate::identity;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::shard::Shard;
use crate::time::Moment;
use crate::timeline::{Place, SPOT};
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, EntryRecord, HomeRecord, Membership, ThreadRecord};
use omnigate_proto::v1::{Customer, CustomerIdentifier, Entry, Event, Identifier, Profile, Thread, Unsupported};
use omnigate_proto::v1::{Evidence, event::Kind};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Longest way from a former id to the present customer.
const MAX_FORWARDS: usize = 100;

/// A customer with everything that is read to show it.
pub struct Whole {
    /// Present id.
    pub id: CustomerId,
    /// Its record.
    pub record: CustomerRecord,
    version: String,
    homes: BTreeMap<CustomerId, HomeRecord>,
}

/// The present customer behind an id of the tenant; `None` when there is none.
pub async fn customer(context: &Context<'_>, tenant_id: &str, id: CustomerId) -> Result<Option<Whole>, StoreError> {
    let mut id = id;
    for _ in 0..MAX_FORWARDS {
        let loaded: Loaded<CustomerRecord> = context.record(id.shard(), keys::customer(id), "customer").await?;
        let Some(record) = loaded.value.filter(|record| record.tenant_id == tenant_id) else {
            return Ok(None);
        };
        if record.state() == CustomerState::Merged
            && let Some(into) = CustomerId::from_bytes(&record.into)
        {
            id = into;
            continue;
        }
        let version = loaded.stamp.map(|stamp| data_encoding::HEXLOWER.encode(&stamp.0));
        let homes = homes(context, &record).await?;
        return Ok(Some(Whole {
            id,
            record,
            version: version.unwrap_or_default(),
            homes,
        }));
    }
    Err(StoreError::Corrupt(format!("{id} forwards without end")))
}

/// The customer who has an identifier; `None` when nobody has.
pub async fn resolve(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
) -> Result<Option<Whole>, StoreError> {
    let key = identifier::key(tenant_id, identifier);
    let claim = super::resolve::claimed(context, key).await?;
    match identity::read_claim(claim.as_ref(), context.now()) {
        identity::Claimed::Settled { customer: id, .. } => customer(context, tenant_id, id).await,
        _ => Ok(None),
    }
}

async fn homes(context: &Context<'_>, record: &CustomerRecord) -> Result<BTreeMap<CustomerId, HomeRecord>, StoreError> {
    let ids: BTreeSet<CustomerId> = record
        .members
        .iter()
        .filter_map(|member| CustomerId::from_bytes(&member.home))
        .collect();
    let mut homes = BTreeMap::new();
    for id in ids {
        let home: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
        homes.insert(id, home.value.unwrap_or_default());
    }
    Ok(homes)
}

/// A page of a tenant's customers, by shard and id. `after` is the last one of the page before.
pub async fn customers(
    context: &Context<'_>,
    tenant_id: &str,
    after: Option<CustomerId>,
    limit: u32,
) -> Result<Vec<Whole>, StoreError> {
    let mut page = Vec::new();
    let first = after.map_or(0, |id| id.shard().number());
    for number in first..=u8::MAX {
        let from = match after {
            Some(id) if id.shard().number() == number => Bound::Excluded(id.to_bytes()),
            _ => Bound::Unbounded,
        };
        let missing = limit.saturating_sub(u32::try_from(page.len()).unwrap_or(limit));
        if missing == 0 {
            break;
        }
        let query = Query::Range {
            key: keys::customers(tenant_id),
            from,
            to: Bound::Unbounded,
            limit: missing,
            reverse: false,
        };
        let answers = context.store.read(Shard::new(number), vec![query]).await?;
        for (member, _) in as_range(answers.into_iter().next())? {
            let Some(id) = CustomerId::from_bytes(&member) else {
                continue;
            };
            // One that was merged away is shown as its survivor only.
            if let Some(whole) = customer(context, tenant_id, id).await?.filter(|whole| whole.id == id) {
                page.push(whole);
            }
        }
    }
    Ok(page)
}

impl Whole {
    /// The customer as readers see it.
    #[must_use]
    pub fn to_customer(&self) -> Customer {
        let threads: Vec<(&Membership, &ThreadRecord)> = self.threads().collect();
        let newest = threads
            .iter()
            .map(|(_, thread)| thread.last_inbound_ms)
            .max()
            .unwrap_or(0);
        let mut by_age = threads.clone();
        by_age.sort_by_key(|(_, thread)| thread.last_inbound_ms);
        Customer {
            customer_id: self.id.to_string(),
            tenant_id: self.record.tenant_id.clone(),
            profile: newest_profile(&by_age),
            identifiers: self.record.members.iter().map(to_identifier).collect(),
            threads: threads
                .iter()
                .map(|(_, thread)| to_thread(&self.record.tenant_id, thread))
                .collect(),
            created_at: Some(Moment(self.record.created_at_ms).to_timestamp()),
            last_inbound_at: (newest > 0).then(|| Moment(newest).to_timestamp()),
            entry_count: self.homes.values().map(|home| home.entry_count).sum(),
            etag: self.version.clone(),
        }
    }

    fn threads(&self) -> impl Iterator<Item = (&Membership, &ThreadRecord)> {
        self.record.members.iter().flat_map(|member| {
            let home = CustomerId::from_bytes(&member.home).and_then(|id| self.homes.get(&id));
            let threads = home.map(|home| home.threads.as_slice()).unwrap_or_default();
            let of_member = threads.iter().filter(move |thread| thread.birth == member.birth);
            of_member.map(move |thread| (member, thread))
        })
    }

    /// The intervals of births that are this customer's, by home.
    #[must_use]
    pub fn views(&self) -> Vec<View> {
        let mut views: BTreeMap<CustomerId, Vec<Interval>> = BTreeMap::new();
        for member in &self.record.members {
            if let (Some(home), Some(birth)) = (CustomerId::from_bytes(&member.home), Birth::from_bytes(&member.birth))
            {
                views.entry(home).or_default().push(Interval {
                    birth,
                    from: Moment(member.from_ms),
                    to: (member.to_ms != 0).then_some(Moment(member.to_ms)),
                });
            }
        }
        let views = views.into_iter();
        views
            .map(|(home, intervals)| View {
                home,
                intervals,
                account_id: None,
            })
            .collect()
    }
}

fn newest_profile(by_age: &[(&Membership, &ThreadRecord)]) -> Option<Profile> {
    let mut whole: Option<Profile> = None;
    for said in by_age.iter().filter_map(|(_, thread)| thread.profile.as_ref()) {
        let whole = whole.get_or_insert_default();
        for (known, said) in [
            (&mut whole.display_name, &said.display_name),
            (&mut whole.avatar_url, &said.avatar_url),
            (&mut whole.locale, &said.locale),
            (&mut whole.username, &said.username),
        ] {
            if !said.is_empty() {
                known.clone_from(said);
            }
        }
    }
    whole
}

fn to_identifier(member: &Membership) -> CustomerIdentifier {
    CustomerIdentifier {
        identifier: member.identifier.clone(),
        evidence: member.evidence.max(Evidence::Stated.into()),
        provider_form: member.provider_form.clone(),
        since: Some(Moment(member.since_ms).to_timestamp()),
    }
}

fn to_thread(tenant_id: &str, thread: &ThreadRecord) -> Thread {
    let peer = thread.peer.clone().unwrap_or_default();
    Thread {
        thread_id: ThreadId::new(identifier::key(tenant_id, &peer), &thread.account_id).to_string(),
        account_id: thread.account_id.clone(),
        channel: thread.channel.clone(),
        peer: Some(peer),
        thread_seq: thread.thread_seq,
        last_inbound_at: (thread.last_inbound_ms > 0).then(|| Moment(thread.last_inbound_ms).to_timestamp()),
        last_inbound_provider_message_id: thread.last_inbound_provider_message_id.clone(),
        reachable: !thread.unreachable,
        pending: u32::try_from(thread.chain.len()).unwrap_or(u32::MAX),
    }
}

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

impl View {
    fn shows(&self, record: &EntryRecord) -> bool {
        self.intervals.iter().any(|interval| {
            record.birth.as_ref() == interval.birth.0.as_slice()
                && record.received_at_ms >= interval.from.0
                && interval.to.is_none_or(|to| record.received_at_ms < to.0)
        })
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
pub async fn entries(
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
        let answers = context.store.read(view.home.shard(), vec![query]).await?;
        let members = as_range(answers.into_iter().next())?;
        let complete = members.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        for (member, value) in members {
            edge = Bound::Excluded(member.clone());
            let Some((spot, event)) = keys::read_timeline_member(&member) else {
                continue;
            };
            let record =
                EntryRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("entry {event}: {error}")))?;
            if !view.shows(&record) {
                continue;
            }
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

/// An entry as readers see it. A kind that this version does not know is shown as unsupported, with its bytes.
#[must_use]
pub fn to_entry(home: CustomerId, event: EventId, shown_at: Moment, record: &EntryRecord) -> Entry {
    let mut entry = customer_event::entry(home, event, shown_at, record);
    let mut read = Event::decode(record.event.clone()).unwrap_or_default();
    if read.kind.is_none() {
        read.kind = Some(Kind::Unsupported(Unsupported {
            type_name: "newer".to_owned(),
            raw: record.event.clone(),
            ..Unsupported::default()
        }));
    }
    entry.event = Some(read);
    entry
}

/// A single entry with its record; `None` when there is none of the tenant.
pub async fn entry(
    context: &Context<'_>,
    tenant_id: &str,
    id: EntryId,
) -> Result<Option<(Entry, EntryRecord)>, StoreError> {
    let (home, event) = (id.home(), id.event());
    let query = Query::Fields {
        key: keys::places(home),
        fields: vec![event.to_bytes()],
    };
    let answers = context.store.read(home.shard(), vec![query]).await?;
    let place = as_fields(answers.into_iter().next())?.into_iter().next().flatten();
    let Some(Place::At { spot, entry: event }) = place.and_then(|place| Place::decode(&place)) else {
        return Ok(None);
    };
    let answers = context
        .store
        .read(home.shard(), vec![super::append::one_member(home, spot, event)])
        .await?;
    let Some((_, value)) = as_range(answers.into_iter().next())?.into_iter().next() else {
        return Ok(None);
    };
    let record = EntryRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("entry {event}: {error}")))?;
    let owned: Loaded<HomeRecord> = context.record(home.shard(), keys::home(home), "home").await?;
    let Some(owned) = owned.value.filter(|owned| owned.tenant_id == tenant_id) else {
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
