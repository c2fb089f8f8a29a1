//! Appends events of one thread to their home: one decision and one commit for as many as there are.

use crate::customer_event::Happened;
use crate::id::{Birth, CustomerId, EventId};
use crate::time::Moment;
use crate::timeline::{self, Place, Spot};
use bytes::Bytes;
use omnigate_proto::state::v1::{EntryRecord, HomeRecord, ThreadRecord};
use omnigate_proto::v1::{Direction, Event, Identifier, Profile, SubscriptionState, event::Kind};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// An event on its way to the timeline.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Decoded.
    pub event: Event,
    /// As ingest encoded it.
    pub bytes: Bytes,
    /// Its id.
    pub id: EventId,
    /// When ingest took it.
    pub received_at: Moment,
}

/// Which thread of a home.
#[derive(Clone, PartialEq, Debug)]
pub struct ThreadKey {
    /// Account.
    pub account_id: String,
    /// Kind of channel.
    pub channel: String,
    /// Peer.
    pub peer: Identifier,
    /// Reservation token of the peer.
    pub birth: Birth,
    /// Peer as the provider writes it, when different.
    pub provider_form: String,
}

/// What was read of a home before deciding.
#[derive(Clone, Debug)]
pub struct HomeState {
    /// The home.
    pub id: CustomerId,
    /// Its record, if there is one.
    pub record: Option<HomeRecord>,
    /// Places that are known; an arrival that is not here is taken to be new.
    pub places: BTreeMap<EventId, Place>,
    /// Entries that arrivals change, or that want to change arrivals.
    pub entries: BTreeMap<EventId, (Spot, EntryRecord)>,
}

/// A place that the commit changes.
#[derive(Clone, PartialEq, Debug)]
pub struct PlaceChange {
    /// Event id.
    pub event: EventId,
    /// What must stand there.
    pub before: Option<Place>,
    /// What stands there after.
    pub after: Place,
}

/// What appending changes.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The home's record afterwards.
    pub home: HomeRecord,
    /// Entries to write.
    pub entries: Vec<(EventId, Spot, EntryRecord)>,
    /// Places to write.
    pub places: Vec<PlaceChange>,
    /// CustomerEvents with their numbers.
    pub outbox: Vec<(u64, Bytes)>,
    /// Events that took effect, in order.
    pub applied: Vec<EventId>,
    /// Events that had taken effect before.
    pub repeated: usize,
    /// Events of an erased interval.
    pub dropped: usize,
}

/// Appends arrivals of one thread, in order.
#[must_use]
pub fn append(state: HomeState, tenant_id: &str, thread: &ThreadKey, arrivals: &[Arrival], now: Moment) -> Appended {
    let mut home = state.record.unwrap_or_default();
    tenant_id.clone_into(&mut home.tenant_id);
    let mut work = Work {
        id: state.id,
        before: state.places.clone(),
        places: state.places,
        entries: state.entries,
        dirty: BTreeSet::new(),
        outbox: Vec::new(),
        now,
    };
    let (mut applied, mut repeated, mut dropped) = (Vec::new(), 0, 0);
    for arrival in arrivals {
        if matches!(work.places.get(&arrival.id), Some(Place::At { .. })) {
            repeated += 1;
        } else if is_wiped(&home, thread.birth, arrival.received_at) {
            dropped += 1;
        } else {
            work.add(&mut home, thread, arrival);
            applied.push(arrival.id);
        }
    }
    let places = work.place_changes();
    Appended {
        entries: work.dirty_entries(),
        outbox: work.outbox,
        home,
        places,
        applied,
        repeated,
        dropped,
    }
}

/// True when erasure took this interval of the thread.
#[must_use]
pub fn is_wiped(home: &HomeRecord, birth: Birth, received_at: Moment) -> bool {
    home.wiped.iter().any(|wiped| {
        wiped.birth.as_ref() == birth.0.as_slice()
            && received_at.0 >= wiped.from_ms
            && (wiped.to_ms == 0 || received_at.0 < wiped.to_ms)
    })
}

/// The thread's record in its home, made when it is not there.
pub fn thread_of<'a>(home: &'a mut HomeRecord, thread: &ThreadKey) -> &'a mut ThreadRecord {
    let birth = thread.birth.to_bytes();
    let found = home
        .threads
        .iter()
        .position(|record| record.birth == birth && record.account_id == thread.account_id);
    let position = found.unwrap_or_else(|| {
        home.threads.push(ThreadRecord {
            account_id: thread.account_id.clone(),
            channel: thread.channel.clone(),
            peer: Some(thread.peer.clone()),
            birth,
            peer_provider_form: thread.provider_form.clone(),
            ..ThreadRecord::default()
        });
        home.threads.len() - 1
    });
    &mut home.threads[position]
}

struct Work {
    id: CustomerId,
    before: BTreeMap<EventId, Place>,
    places: BTreeMap<EventId, Place>,
    entries: BTreeMap<EventId, (Spot, EntryRecord)>,
    dirty: BTreeSet<EventId>,
    outbox: Vec<(u64, Bytes)>,
    now: Moment,
}

impl Work {
    fn add(&mut self, home: &mut HomeRecord, key: &ThreadKey, arrival: &Arrival) {
        let shown_at = timeline::shown_at(&arrival.event, arrival.received_at);
        home.home_seq += 1;
        home.entry_count += 1;
        let arrived_late = shown_at.0 < home.newest_shown_ms;
        home.newest_shown_ms = home.newest_shown_ms.max(shown_at.0);
        let home_seq = home.home_seq;
        let spot = Spot { shown_at, home_seq };
        let thread = thread_of(home, key);
        thread.thread_seq += 1;
        let mut entry = EntryRecord {
            event: arrival.bytes.clone(),
            birth: key.birth.to_bytes(),
            received_at_ms: arrival.received_at.0,
            thread_seq: thread.thread_seq,
            home_seq,
            applied_at_ms: self.now.0,
            arrived_late,
            follows_gap: std::mem::take(&mut thread.gap),
            ..EntryRecord::default()
        };
        note_on_thread(thread, arrival);
        self.change_target(arrival, spot, &mut entry);
        if let Some(Place::Awaited(waiting)) = self.places.get(&arrival.id).cloned() {
            self.apply_waiting(arrival.id, &waiting, &mut entry);
        }
        let happened = Happened {
            tenant_id: &home.tenant_id,
            home: self.id,
            home_seq,
            at: self.now,
            trace_id: &arrival.event.trace_id,
        };
        self.outbox
            .push((home_seq, happened.entry_added(arrival.id, shown_at, &entry)));
        self.places.insert(
            arrival.id,
            Place::At {
                spot,
                entry: arrival.id,
            },
        );
        self.entries.insert(arrival.id, (spot, entry));
        self.dirty.insert(arrival.id);
    }

    /// Applies an edit, deletion or reaction to its message, or lets it wait for the message.
    fn change_target(&mut self, arrival: &Arrival, spot: Spot, entry: &mut EntryRecord) {
        let Some(target) = timeline::target(&arrival.event) else {
            return;
        };
        match self.places.get(&target).cloned() {
            Some(Place::At {
                entry: target_entry, ..
            }) => {
                entry.target = target_entry.to_bytes();
                if let Some((_, changed)) = self.entries.get_mut(&target_entry)
                    && timeline::amend(changed, &arrival.event, arrival.received_at)
                {
                    self.dirty.insert(target_entry);
                }
            }
            waiting => {
                self.places.insert(target, Place::awaiting(waiting, spot, arrival.id));
            }
        }
    }

    /// Applies what came before its message.
    fn apply_waiting(&mut self, id: EventId, waiting: &[(Spot, EventId)], entry: &mut EntryRecord) {
        for (_, amendment) in waiting {
            let Some((_, waiting)) = self.entries.get_mut(amendment) else {
                continue;
            };
            waiting.target = id.to_bytes();
            self.dirty.insert(*amendment);
            if let Ok(change) = Event::decode(waiting.event.clone()) {
                timeline::amend(entry, &change, Moment(waiting.received_at_ms));
            }
        }
    }

    fn place_changes(&self) -> Vec<PlaceChange> {
        let changed = self
            .places
            .iter()
            .filter(|(id, place)| self.before.get(id) != Some(place));
        changed
            .map(|(id, place)| PlaceChange {
                event: *id,
                before: self.before.get(id).cloned(),
                after: place.clone(),
            })
            .collect()
    }

    fn dirty_entries(&mut self) -> Vec<(EventId, Spot, EntryRecord)> {
        let entries = &mut self.entries;
        let taken = self.dirty.iter().filter_map(|id| entries.remove_entry(id));
        taken.map(|(id, (spot, entry))| (id, spot, entry)).collect()
    }
}

/// What an event tells about its thread: when the peer last wrote, whether we may write, what they are called.
fn note_on_thread(thread: &mut ThreadRecord, arrival: &Arrival) {
    let event = &arrival.event;
    let inbound = event.direction() != Direction::Outbound;
    match &event.kind {
        Some(Kind::Message(_) | Kind::Postback(_)) if inbound => {
            thread.last_inbound_ms = thread.last_inbound_ms.max(arrival.received_at.0);
            thread
                .last_inbound_provider_message_id
                .clone_from(&event.provider_message_id);
            thread.unreachable = false;
        }
        Some(Kind::Subscription(subscription)) if subscription.topic.is_empty() => match subscription.state() {
            SubscriptionState::Unsubscribed => thread.unreachable = true,
            SubscriptionState::Subscribed => thread.unreachable = false,
            _ => {}
        },
        Some(Kind::ProfileUpdate(update)) => {
            if let Some(moved) = &update.moved_to {
                thread.moved_to.clone_from(&moved.value);
                thread.unreachable = true;
            }
        }
        _ => {}
    }
    if let Some(said) = &event.profile {
        learn(thread.profile.get_or_insert_default(), said);
    }
}

/// Takes over what a profile says; an empty field is unknown and never erases.
pub(crate) fn learn(known: &mut Profile, said: &Profile) {
    for (known, said) in [
        (&mut known.display_name, &said.display_name),
        (&mut known.avatar_url, &said.avatar_url),
        (&mut known.locale, &said.locale),
        (&mut known.username, &said.username),
    ] {
        if !said.is_empty() {
            known.clone_from(said);
        }
    }
}
