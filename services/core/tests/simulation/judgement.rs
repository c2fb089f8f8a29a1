//! What must hold once everything has come to rest.

use crate::oracle::{Oracle, key, read_member};
use crate::pieces;
use omnigate_core::append::Arrival;
use omnigate_core::id::{CustomerId, EntryId, EventId};
use omnigate_core::identity::{built_in_of, has_room};
use omnigate_core::time::Moment;
use omnigate_core::{identifier, keys};
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, EntryRecord};
use omnigate_proto::v1::{Evidence, Identifier, Message, customer_event, event::Kind};
use std::collections::{BTreeMap, BTreeSet};

/// Complains about the first promise that is not kept.
pub(crate) fn judge(oracle: &mut Oracle) {
    let found = claims_and_members_agree(oracle)
        .and_then(|()| linked(oracle))
        .and_then(|()| everything_is_stored(oracle))
        .and_then(|()| everything_is_published(oracle))
        .and_then(|()| homes_are_consistent(oracle))
        .and_then(|()| amendments_are_applied(oracle))
        .and_then(|()| pieces::are_told(oracle));
    if let Err(complaint) = found {
        oracle.complain(complaint);
    }
}

type Kept = Result<(), String>;

fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Kept {
    if holds { Ok(()) } else { Err(complaint()) }
}

/// Identifiers that an event may link, strongest first.
fn linking(arrival: &Arrival) -> Vec<Identifier> {
    let peer = arrival.event.peer.clone().unwrap();
    let mut named: Vec<(Identifier, Evidence)> = arrival
        .event
        .identifiers
        .iter()
        .filter(|said| said.evidence() != Evidence::Stated)
        .map(|said| (said.identifier.clone().unwrap(), said.evidence()))
        .collect();
    if !named.iter().any(|(identifier, _)| *identifier == peer) {
        named.push((peer, Evidence::Stated));
    }
    named.sort_by_cached_key(|(identifier, evidence)| identifier::rank(identifier, *evidence));
    named.into_iter().map(|(identifier, _)| identifier).collect()
}

fn owner_of(oracle: &Oracle, identifier: &Identifier) -> Result<CustomerId, String> {
    let text = identifier::text(identifier);
    let claim = oracle
        .claims
        .get(&key(identifier))
        .ok_or_else(|| format!("nobody has {text}"))?;
    let mut owner = CustomerId::from_bytes(&claim.home).ok_or_else(|| format!("{text} is not settled"))?;
    while let Some(into) = CustomerId::from_bytes(&oracle.customers[&owner].into) {
        owner = into;
    }
    Ok(owner)
}

fn claims_and_members_agree(oracle: &Oracle) -> Kept {
    let owning = |record: &&CustomerRecord| record.state() == CustomerState::Active;
    for record in oracle.customers.values().filter(owning) {
        for member in &record.members {
            let named = member.identifier.as_ref().unwrap();
            if built_in_of(named).is_some() {
                continue;
            }
            let text = identifier::text(named);
            let claim = oracle.claims.get(&key(named)).cloned().unwrap_or_default();
            ensure(claim.birth == member.birth, || {
                format!("the claim of {text} does not know its member")
            })?;
            ensure(member.home == claim.home, || format!("{text} has another home"))?;
        }
    }
    for arrival in oracle.arrivals.values() {
        for named in linking(arrival).iter().filter(|named| !is_one_too_many(oracle, named)) {
            owner_of(oracle, named)?;
        }
    }
    Ok(())
}

/// True for an identifier that nobody has and nobody wrote by, where somebody has no room for one of its kind.
fn is_one_too_many(oracle: &Oracle, named: &Identifier) -> bool {
    let claim = oracle.claims.get(&key(named));
    let is_free = claim.is_none_or(|claim| claim.customer.is_empty());
    let wrote = oracle
        .arrivals
        .values()
        .any(|arrival| arrival.event.peer.as_ref() == Some(named));
    let mut customers = oracle.customers.values();
    is_free && !wrote && customers.any(|record| !has_room(&record.members, named))
}

/// Identifiers that events tie together, the strongest of each event, and whether any event moves a peer.
struct Tied {
    group: BTreeMap<String, Identifier>,
    begins: BTreeSet<String>,
    moved: bool,
}

/// Identifiers that events tie together belong to one customer. Where the provider moves a peer, only if all those events
/// have the same strongest identifier: whether the new name was free depends on who came first.
fn linked(oracle: &Oracle) -> Kept {
    if oracle.refused {
        return Ok(());
    }
    let mut tied: Vec<Tied> = Vec::new();
    for arrival in oracle.arrivals.values() {
        let named = linking(arrival);
        let strongest = identifier::text(&named[0]);
        let mut group: BTreeMap<String, Identifier> =
            named.into_iter().map(|one| (identifier::text(&one), one)).collect();
        let mut moved = false;
        if let Some(Kind::ProfileUpdate(update)) = &arrival.event.kind {
            moved = true;
            group.extend(update.moved_to.clone().map(|to| (identifier::text(&to), to)));
        }
        let mut begins = BTreeSet::from([strongest]);
        let overlaps = |other: &Tied| other.group.keys().any(|one| group.contains_key(one));
        let (joined, apart): (Vec<_>, Vec<_>) = std::mem::take(&mut tied).into_iter().partition(overlaps);
        tied = apart;
        for more in joined {
            group.extend(more.group);
            begins.extend(more.begins);
            moved |= more.moved;
        }
        tied.push(Tied { group, begins, moved });
    }
    // More of a kind than one customer may have: who gets them depends on who came first.
    let fits = |tied: &Tied| {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for named in tied.group.values() {
            *counts.entry((&named.r#type, &named.scope)).or_default() += 1;
        }
        counts
            .into_iter()
            .all(|((kind, _), count)| count <= identifier::cap(kind))
    };
    let certain = tied
        .into_iter()
        .filter(|tied| fits(tied) && (!tied.moved || tied.begins.len() == 1));
    for Tied { group, begins, .. } in certain {
        let begins = begins.iter().map(|strongest| &group[strongest]);
        let mut held = begins
            .chain(group.values())
            .filter(|named| !is_one_too_many(oracle, named));
        let first = owner_of(oracle, held.next().unwrap())?;
        for (text, identifier) in &group {
            ensure(owner_of(oracle, identifier)? == first, || {
                format!("{text} was not linked")
            })?;
        }
    }
    Ok(())
}

fn everything_is_stored(oracle: &Oracle) -> Kept {
    for (id, _) in oracle.arrivals.iter().filter(|(_, arrival)| !pieces::is_piece(arrival)) {
        let places = oracle.stored_at(*id).len();
        ensure(places == 1, || format!("event {id} is stored {places} times"))?;
    }
    for (name, thread) in &oracle.threads {
        let has_pieces = thread.iter().any(pieces::is_piece);
        let mut before = 0;
        let whole = thread.iter().filter(|arrival| !pieces::is_piece(arrival));
        for (position, arrival) in whole.enumerate() {
            let entry = entry_of(oracle, arrival.id)?;
            // Long messages stand where their last piece came.
            let in_order = entry.thread_seq == position as u64 + 1 || (has_pieces && entry.thread_seq > before);
            before = entry.thread_seq;
            ensure(in_order, || format!("thread {name} is out of order"))?;
            ensure(entry.event == arrival.bytes, || {
                format!("event {} was changed", arrival.id)
            })?;
        }
    }
    Ok(())
}

fn entry_of(oracle: &Oracle, event: EventId) -> Result<&EntryRecord, String> {
    let places = oracle.stored_at(event);
    let found = places
        .first()
        .and_then(|(home, member)| oracle.timelines.get(home)?.get(member));
    found.ok_or_else(|| format!("event {event} is not on a timeline"))
}

fn everything_is_published(oracle: &Oracle) -> Kept {
    if let Some((_, member)) = oracle.outbox.keys().next() {
        return Err(format!("{:?} is left in the outbox", read_member(member)));
    }
    let mut expected = 0;
    for (id, home) in &oracle.homes {
        for number in 1..=home.home_seq {
            expected += 1;
            let name = format!("{id}/{number}");
            ensure(oracle.published.contains_key(&name), || {
                format!("{name} was never published")
            })?;
        }
    }
    ensure(oracle.published.len() == expected, || {
        "something was published that never happened".into()
    })?;
    for (home, timeline) in &oracle.timelines {
        for (member, entry) in timeline {
            let (_, event) = keys::read_timeline_member(member).unwrap();
            let name = format!("{home}/{}", entry.home_seq);
            let Some(customer_event::Kind::EntryAdded(added)) = &oracle.published[&name].kind else {
                return Err(format!("{name} is not about its entry"));
            };
            let told = added.entry.as_ref().unwrap();
            let same = told.entry_id == EntryId::new(*home, event).to_string() && told.thread_seq == entry.thread_seq;
            ensure(same && told.event.is_some(), || {
                format!("{name} tells something else than its entry")
            })?;
        }
    }
    Ok(())
}

fn homes_are_consistent(oracle: &Oracle) -> Kept {
    for (id, timeline) in &oracle.timelines {
        let home = &oracle.homes[id];
        let mut by_number: Vec<(&bytes::Bytes, &EntryRecord)> = timeline.iter().collect();
        by_number.sort_by_key(|(_, entry)| entry.home_seq);
        let mut newest = 0;
        for (member, entry) in by_number {
            let (spot, event) = keys::read_timeline_member(member).unwrap();
            let shown_at = spot.shown_at;
            ensure(spot.home_seq == entry.home_seq, || {
                format!("event {event} stands elsewhere")
            })?;
            if oracle.merges.contains(&event) {
                continue;
            }
            let arrival = pieces::arrival_of(oracle, event, *id)?;
            ensure(shown_at == shown(arrival), || {
                format!("event {event} is shown at {shown_at}")
            })?;
            ensure(entry.arrived_late == (shown_at.0 < newest), || {
                format!("event {event}: late or not")
            })?;
            newest = newest.max(shown_at.0);
        }
        ensure(home.newest_shown_ms == newest, || {
            format!("home {id} shows the wrong newest time")
        })?;
        let of_threads: u64 = home.threads.iter().map(|thread| thread.thread_seq).sum();
        ensure(of_threads == home.entry_count, || {
            format!("the threads of {id} do not add up")
        })?;
        let numbers: BTreeSet<u64> = timeline.values().map(|entry| entry.home_seq).collect();
        ensure(numbers.len() == timeline.len(), || {
            format!("two entries of {id} have one number")
        })?;
    }
    Ok(())
}

/// The provider's time, at most 7 days before and 2 minutes after the time of receipt.
fn shown(arrival: &Arrival) -> Moment {
    let received = arrival.received_at.0;
    let said = arrival
        .event
        .occurred_at
        .as_ref()
        .map_or(received, |at| Moment::from_timestamp(at).0);
    Moment(said.max(received - 7 * 86_400_000).min(received + 120_000))
}

/// What a message should look like after everything that changed it.
#[derive(Default, PartialEq, Debug)]
struct Amended {
    current: Option<Message>,
    edited_at: i64,
    revision: u32,
    deleted: bool,
    reactions: BTreeMap<String, (i64, Vec<String>)>,
}

fn amendments_are_applied(oracle: &Oracle) -> Kept {
    for (name, thread) in &oracle.threads {
        let messages = thread
            .iter()
            .filter(|arrival| matches!(arrival.event.kind, Some(Kind::Message(_))) && !pieces::is_piece(arrival));
        for message in messages {
            let about = |other: &&Arrival| other.event.provider_message_id == message.event.provider_message_id;
            let mut expected = Amended::default();
            for change in thread.iter().filter(about) {
                expected.apply(change);
                if change.id != message.id && is_amendment(change) {
                    let target = &entry_of(oracle, change.id)?.target;
                    ensure(*target == message.id.to_bytes(), || {
                        format!("{} lost its target in {name}", change.id)
                    })?;
                }
            }
            let entry = entry_of(oracle, message.id)?;
            let found = Amended {
                current: entry.current.clone(),
                edited_at: entry.edited_at_ms,
                revision: entry.revision,
                deleted: entry.deleted,
                reactions: entry
                    .reactions
                    .iter()
                    .map(|one| (one.actor.clone(), (one.at_ms, one.emojis.clone())))
                    .collect(),
            };
            ensure(found == expected, || {
                format!("{} in {name} reads {found:?}, not {expected:?}", message.id)
            })?;
        }
    }
    Ok(())
}

fn is_amendment(arrival: &Arrival) -> bool {
    matches!(
        arrival.event.kind,
        Some(Kind::Edit(_) | Kind::Deletion(_) | Kind::Reaction(_))
    )
}

impl Amended {
    fn apply(&mut self, change: &Arrival) {
        match &change.event.kind {
            Some(Kind::Edit(edit)) => {
                let at = edit
                    .edited_at
                    .as_ref()
                    .map_or(change.received_at, Moment::from_timestamp)
                    .0;
                if at >= self.edited_at {
                    self.edited_at = at;
                    self.current.clone_from(&edit.message);
                    self.revision += 1;
                }
            }
            Some(Kind::Deletion(_)) => self.deleted = true,
            Some(Kind::Reaction(reaction)) => {
                let at = change
                    .event
                    .occurred_at
                    .as_ref()
                    .map_or(change.received_at, Moment::from_timestamp)
                    .0;
                let actor = reaction.actor.as_ref().map(identifier::text).unwrap_or_default();
                let given = (at, reaction.emojis.clone());
                let standing = self.reactions.entry(actor).or_insert_with(|| given.clone());
                if at >= standing.0 {
                    *standing = given;
                }
            }
            _ => {}
        }
    }
}
