//! Appends events of one thread to their home: one decision and one commit for as many as there are.

use crate::consent::Said;
use crate::conversation::{self, AccountRules, Desk};
use crate::customer_event::Happened;
use crate::id::{Birth, CustomerId, EventId};
use crate::pieces::{self, Whole};
use crate::time::Moment;
use crate::timeline::{self, Place, Spot};
use bytes::Bytes;
use omnigate_proto::state::v1::{EntryRecord, HomeRecord, ThreadRecord};
use omnigate_proto::v1::{Event, Identifier};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

mod home;
mod thread;
mod wish;

pub use home::{is_gone, is_thread, is_wiped, thread_of};
pub use thread::Confirmation;
pub(crate) use thread::learn;
use thread::{confirmations, note_on_thread};
use wish::wishes_of;

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

impl ThreadKey {
    /// The line of what came by no channel: it hangs on the customer record itself, by its built-in identifier.
    #[must_use]
    pub fn of_itself(id: CustomerId) -> Self {
        Self {
            account_id: String::new(),
            channel: String::new(),
            peer: crate::identity::built_in(id),
            birth: Birth(id.0),
            provider_form: String::new(),
        }
    }
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
    /// When somebody has to look for pieces that are missing.
    pub due: Vec<Moment>,
    /// What follows for the home's conversations; what is told of them stands in `outbox`.
    pub conversations: conversation::Changes,
    /// True when words wait to be carried to conversations of other homes.
    pub carries: bool,
    /// What is sent back to the peer, once for each event, also when the event comes again.
    pub confirmations: Vec<Confirmation>,
    /// What the peer wishes, for the ledger of consents, also when the event comes again.
    pub wishes: Vec<Said>,
    /// Events that took effect, in order.
    pub applied: Vec<EventId>,
    /// Events that had taken effect before.
    pub repeated: usize,
    /// Events of an erased interval.
    pub dropped: usize,
}

/// Appends arrivals of one thread, in order.
#[must_use]
pub fn append(
    state: HomeState,
    tenant_id: &str,
    thread: &ThreadKey,
    arrivals: &[Arrival],
    (rules, now): (&AccountRules, Moment),
) -> Appended {
    let mut home = state.record.unwrap_or_default();
    tenant_id.clone_into(&mut home.tenant_id);
    let mut work = Work {
        before: state.places.clone(),
        places: state.places,
        entries: state.entries,
        ..Work::new(state.id, rules, now)
    };
    let (mut applied, mut repeated, mut dropped) = (Vec::new(), 0, 0);
    let mut wishes = Vec::new();
    for arrival in arrivals {
        if !is_wiped(&home, thread.birth, arrival.received_at) {
            wishes.extend(wishes_of(arrival));
        }
        if matches!(work.places.get(&arrival.id), Some(Place::At { .. })) {
            repeated += 1;
        } else if is_wiped(&home, thread.birth, arrival.received_at) {
            dropped += 1;
        } else {
            work.take(&mut home, thread, arrival);
            applied.push(arrival.id);
        }
    }
    let places = work.place_changes();
    Appended {
        entries: work.dirty_entries(),
        outbox: work.outbox,
        due: work.due,
        conversations: work.conversations,
        carries: conversation::has_words(&home),
        confirmations: confirmations(&home, thread, arrivals),
        wishes,
        home,
        places,
        applied,
        repeated,
        dropped,
    }
}

/// Puts together what has waited too long for its missing pieces. `None` when nothing has.
#[must_use]
pub fn give_up_pieces(id: CustomerId, record: HomeRecord, rules: &AccountRules, now: Moment) -> Option<Appended> {
    let mut home = record;
    let mut work = Work::new(id, rules, now);
    for position in 0..home.threads.len() {
        let ready = pieces::overdue(&mut home.threads[position], now);
        if let Some(key) = key_of(&home.threads[position]) {
            work.add_whole(&mut home, &key, ready);
        }
    }
    if work.dirty.is_empty() {
        return None;
    }
    let places = work.place_changes();
    Some(Appended {
        entries: work.dirty_entries(),
        outbox: work.outbox,
        due: Vec::new(),
        conversations: work.conversations,
        carries: conversation::has_words(&home),
        confirmations: Vec::new(),
        wishes: Vec::new(),
        home,
        places,
        applied: Vec::new(),
        repeated: 0,
        dropped: 0,
    })
}

fn key_of(thread: &ThreadRecord) -> Option<ThreadKey> {
    Some(ThreadKey {
        account_id: thread.account_id.clone(),
        channel: thread.channel.clone(),
        peer: thread.peer.clone()?,
        birth: Birth::from_bytes(&thread.birth)?,
        provider_form: thread.peer_provider_form.clone(),
    })
}

struct Work<'a> {
    id: CustomerId,
    before: BTreeMap<EventId, Place>,
    places: BTreeMap<EventId, Place>,
    entries: BTreeMap<EventId, (Spot, EntryRecord)>,
    dirty: BTreeSet<EventId>,
    outbox: Vec<(u64, Bytes)>,
    due: Vec<Moment>,
    conversations: conversation::Changes,
    rules: &'a AccountRules,
    now: Moment,
}

impl<'a> Work<'a> {
    fn new(id: CustomerId, rules: &'a AccountRules, now: Moment) -> Self {
        Self {
            id,
            before: BTreeMap::new(),
            places: BTreeMap::new(),
            entries: BTreeMap::new(),
            dirty: BTreeSet::new(),
            outbox: Vec::new(),
            due: Vec::new(),
            conversations: conversation::Changes::default(),
            rules,
            now,
        }
    }

    /// Adds an arrival; a piece of a long message only waits, until the message is whole.
    fn take(&mut self, home: &mut HomeRecord, key: &ThreadKey, arrival: &Arrival) {
        if pieces::piece(&arrival.event).is_none() {
            return self.add(home, key, arrival);
        }
        let thread = thread_of(home, key);
        let before: Vec<i64> = thread.pending_pieces.iter().map(|pending| pending.due_ms).collect();
        let ready = pieces::take(thread, arrival, self.now);
        let waiting = thread.pending_pieces.iter().map(|pending| pending.due_ms);
        self.due.extend(waiting.filter(|due| !before.contains(due)).map(Moment));
        self.add_whole(home, key, ready);
    }

    /// Adds messages that were put together. Their pieces lead to them, so that a piece that comes again is known.
    fn add_whole(&mut self, home: &mut HomeRecord, key: &ThreadKey, ready: Vec<Whole>) {
        for whole in ready {
            self.add(home, key, &whole.arrival);
            if let Some(Place::At { spot, .. }) = self.places.get(&whole.arrival.id).cloned() {
                let entry = whole.arrival.id;
                if let Some((_, record)) = self.entries.get_mut(&entry) {
                    record.pieces = whole.pieces.iter().map(|piece| piece.to_bytes()).collect();
                }
                let leads = |piece| (piece, Place::At { spot, entry });
                self.places.extend(whole.pieces.into_iter().map(leads));
            }
        }
    }

    fn add(&mut self, home: &mut HomeRecord, key: &ThreadKey, arrival: &Arrival) {
        let shown_at = timeline::shown_at(&arrival.event, arrival.received_at);
        home.home_seq += 1;
        home.entry_count += 1;
        // What came by no channel bears our own time: a message is not late for the merge that it caused.
        let by_channel = !key.account_id.is_empty();
        let arrived_late = by_channel && shown_at.0 < home.newest_shown_ms;
        if by_channel {
            home.newest_shown_ms = home.newest_shown_ms.max(shown_at.0);
        }
        let home_seq = home.home_seq;
        let spot = Spot { shown_at, home_seq };
        let thread = thread_of(home, key);
        thread.thread_seq += 1;
        let mut entry = EntryRecord {
            event: arrival.bytes.clone(),
            birth: key.birth.to_bytes(),
            received_at_ms: arrival.received_at.0,
            thread_seq: thread.thread_seq,
            thread: thread.number,
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
        self.note_word(home, key, arrival);
    }

    /// Opens, reopens or answers a conversation, where the arrival is a word in one.
    fn note_word(&mut self, home: &mut HomeRecord, key: &ThreadKey, arrival: &Arrival) {
        let Some(word) = conversation::of_event(&arrival.event, arrival.id, arrival.received_at) else {
            return;
        };
        let mut desk = Desk {
            id: self.id,
            home,
            rules: self.rules,
            now: self.now,
            trace_id: &arrival.event.trace_id,
            changes: &mut self.conversations,
        };
        desk.note(key.birth, &key.account_id, &word);
        self.outbox.append(&mut self.conversations.outbox);
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
