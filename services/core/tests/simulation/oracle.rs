//! What the world may rely on: watches every commit, publication and acknowledgement, and complains at once.

use crate::pieces;
use bytes::Bytes;
use omnigate_core::append::Arrival;
use omnigate_core::id::{CustomerId, EventId, IdentifierKey};
use omnigate_core::identifier;
use omnigate_core::identity::stored::{decode_claim, decode_customer};
use omnigate_core::keyring::Keyring;
use omnigate_core::port::store::{Commit, Write};
use omnigate_core::shard::Shard;
use omnigate_core::timeline::stored::Stored;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState, EntryRecord, HomeRecord};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::{CustomerEvent, Event, Identifier};
use prost::Message as _;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const TENANT: &str = "t";

/// A mirror of what was written, and what should have been.
#[derive(Default)]
pub(crate) struct Oracle {
    pub claims: BTreeMap<IdentifierKey, Claim>,
    pub customers: BTreeMap<CustomerId, CustomerRecord>,
    pub homes: BTreeMap<CustomerId, HomeRecord>,
    pub timelines: BTreeMap<CustomerId, BTreeMap<Bytes, EntryRecord>>,
    pub outbox: BTreeMap<(Shard, Bytes), Bytes>,
    pub published: BTreeMap<String, CustomerEvent>,
    /// Events in the order in which the queue got them first, by thread.
    pub threads: BTreeMap<String, Vec<Arrival>>,
    pub arrivals: BTreeMap<EventId, Arrival>,
    /// What was put together of pieces, as if it had arrived.
    pub wholes: BTreeMap<EventId, Arrival>,
    /// Merges that stand on timelines.
    pub merges: BTreeSet<EventId>,
    pub timers: BTreeSet<(Shard, Bytes)>,
    /// Minutes passed at once.
    pub leapt: bool,
    pub complaint: Option<String>,
    published_members: BTreeSet<Bytes>,
    owners: BTreeMap<String, CustomerId>,
    stored: BTreeMap<EventId, BTreeSet<(CustomerId, Bytes)>>,
    first_versions: BTreeMap<(CustomerId, Bytes), Bytes>,
    /// An identifier was refused somewhere.
    pub refused: bool,
}

pub(crate) fn thread_name(arrival: &Arrival) -> String {
    let peer = arrival.event.peer.as_ref().map(identifier::text).unwrap_or_default();
    format!("{} {peer}", arrival.event.account_id)
}

impl Oracle {
    pub(crate) fn complain(&mut self, what: String) {
        self.complaint.get_or_insert(what);
    }

    /// The queue got an event.
    pub(crate) fn pushed(&mut self, arrival: &Arrival) {
        if let Entry::Vacant(first) = self.arrivals.entry(arrival.id) {
            first.insert(arrival.clone());
            self.threads
                .entry(thread_name(arrival))
                .or_default()
                .push(arrival.clone());
        }
    }

    /// A delivery with this event was acknowledged: it must be stored.
    pub(crate) fn acknowledged(&mut self, event: EventId) {
        let is_kept = |arrival: &Arrival| pieces::is_piece(arrival) && self.has_piece(arrival);
        if !self.stored.contains_key(&event) && !self.arrivals.get(&event).is_some_and(is_kept) {
            self.complain(format!("event {event} was acknowledged and is not stored"));
        }
    }

    pub(crate) fn stored_at(&self, event: EventId) -> Vec<(CustomerId, Bytes)> {
        self.stored.get(&event).into_iter().flatten().cloned().collect()
    }

    pub(crate) fn first_version(&self, home: CustomerId, member: &Bytes) -> Option<Bytes> {
        self.first_versions.get(&(home, member.clone())).cloned()
    }

    /// A log has a CustomerEvent.
    pub(crate) fn published(&mut self, member: &Bytes, bytes: &Bytes) {
        self.published_members.insert(member.clone());
        let event = CustomerEvent::decode(bytes.clone()).unwrap();
        let id = event.event_id.clone();
        if let Some(before) = self.published.insert(id.clone(), event.clone())
            && before != event
        {
            self.complain(format!("two different customer events have the id {id}"));
        }
    }

    /// Something was written.
    pub(crate) fn observe(&mut self, shard: Shard, commit: &Commit) {
        let numbers = numbers(commit);
        for write in &commit.write {
            match write {
                Write::Put { key, value } => self.put(key, value, &numbers),
                Write::Insert { key, member, value } if key[0] == b't' => self.entry(key, member, value),
                Write::Insert { key, member, .. } if key[0] == b'w' => {
                    self.timers.insert((shard, member.clone()));
                }
                Write::Remove { key, member } if key[0] == b'w' => {
                    self.timers.remove(&(shard, member.clone()));
                }
                Write::Insert { key, member, value } if key[0] == b'o' => {
                    if self.published_members.contains(member) {
                        self.complain(format!("number {:?} was used twice", read_member(member)));
                    }
                    self.outbox.insert((shard, member.clone()), value.clone());
                }
                Write::Remove { key, member } if key[0] == b'o' => {
                    self.outbox.remove(&(shard, member.clone()));
                    if !self.published_members.contains(member) {
                        self.complain(format!("{:?} left the outbox unpublished", read_member(member)));
                    }
                }
                _ => {}
            }
        }
        for write in &commit.write {
            if let Write::Put { key, .. } = write
                && key[0] == b'h'
            {
                self.check_count(CustomerId::from_bytes(&key[1..]).unwrap());
            }
        }
    }

    fn put(&mut self, key: &Bytes, value: &Bytes, numbers: &BTreeMap<CustomerId, Vec<u64>>) {
        match key[0] {
            b'i' => self.claim(
                IdentifierKey::from_bytes(&key[1..]).unwrap(),
                decode_claim(value.clone()).unwrap(),
            ),
            b'c' => {
                let id = CustomerId::from_bytes(&key[1..]).unwrap();
                self.customer(id, decode_customer(id, value.clone()).unwrap());
            }
            b'h' => {
                let id = CustomerId::from_bytes(&key[1..]).unwrap();
                let home = HomeRecord::decode(value.clone()).unwrap();
                self.home(id, home, numbers.get(&id));
            }
            _ => {}
        }
    }

    fn claim(&mut self, key: IdentifierKey, claim: Claim) {
        if let Some(before) = self.claims.get(&key)
            && !before.home.is_empty()
            && *before != claim
        {
            self.complain(format!("the settled claim {key} changed"));
        }
        if !claim.home.is_empty() {
            let customer = CustomerId::from_bytes(&claim.customer).unwrap();
            // The member may be in the same commit.
            let known = self.customers.get(&customer);
            if !known.is_some_and(|record| record.members.iter().any(|member| member.birth == claim.birth)) {
                self.complain(format!(
                    "claim {key} was confirmed for {customer}, which has no such member"
                ));
            }
        }
        self.claims.insert(key, claim);
    }

    fn customer(&mut self, id: CustomerId, record: CustomerRecord) {
        let mut counted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        self.refused |= record.verdicts.iter().any(|verdict| !verdict.forbidden_by.is_empty());
        let owns = record.state() == CustomerState::Active;
        for member in record.members.iter().filter(|_| owns) {
            let named = member.identifier.as_ref().unwrap();
            if !member.retired {
                *counted.entry((&named.r#type, &named.scope)).or_default() += 1;
            }
            let text = identifier::text(named);
            if let Some(other) = self.owners.insert(text.clone(), id)
                && other != id
                && self.customers[&other].state() == CustomerState::Active
            {
                self.complaint
                    .get_or_insert(format!("{text} belongs to {other} and to {id}"));
            }
        }
        for ((kind, scope), count) in counted {
            if count > identifier::cap(kind) {
                self.complaint
                    .get_or_insert(format!("{id} has {count} identifiers {kind}/{scope}"));
            }
        }
        if let Some(before) = self.customers.get(&id)
            && before
                .members
                .iter()
                .any(|member| !record.members.iter().any(|now| now.birth == member.birth))
        {
            self.complain(format!("{id} lost a member"));
        }
        self.customers.insert(id, record);
    }

    fn home(&mut self, id: CustomerId, home: HomeRecord, numbers: Option<&Vec<u64>>) {
        let before = self.homes.get(&id).map_or(0, |home| home.home_seq);
        let expected: Vec<u64> = (before + 1..=home.home_seq).collect();
        let none = Vec::new();
        if home.home_seq < before || numbers.unwrap_or(&none) != &expected {
            let said = format!(
                "home {id} goes from {before} to {} with numbers {numbers:?}",
                home.home_seq
            );
            self.complain(said);
        }
        self.homes.insert(id, home);
    }

    fn entry(&mut self, key: &Bytes, member: &Bytes, value: &Bytes) {
        let home = CustomerId::from_bytes(&key[1..]).unwrap();
        let keyring = &Keyring::none();
        let stored = Stored {
            id: home,
            home: &self.homes[&home],
            keyring,
        };
        let entry = stored.unpack(member, value.clone()).unwrap().unwrap();
        let (_, event) = omnigate_core::keys::read_timeline_member(member).unwrap();
        self.first_versions
            .entry((home, member.clone()))
            .or_insert_with(|| value.clone());
        let places = self.stored.entry(event).or_default();
        let new = places.insert((home, member.clone()));
        if places.len() > 1 {
            self.complain(format!("event {event} is stored twice"));
        }
        if new {
            self.new_entry(home, event, &entry);
        } else if let Some(before) = self.timelines.get(&home).and_then(|timeline| timeline.get(member))
            && (before.thread_seq, before.home_seq) != (entry.thread_seq, entry.home_seq)
        {
            self.complain(format!("entry {event} got another number"));
        }
        self.timelines.entry(home).or_default().insert(member.clone(), entry);
    }

    /// Checks where a new entry stands: under its peer's claim, at its turn.
    fn new_entry(&mut self, home: CustomerId, event: EventId, entry: &EntryRecord) {
        let told = Event::decode(entry.event.clone()).unwrap();
        if let Some(Kind::IdentityChange(_)) = told.kind {
            self.merges.insert(event);
            if entry.birth != home.to_bytes() {
                self.complain(format!("merge {event} is not the customer's own"));
            }
            return;
        }
        let arrived = match self.arrivals.get(&event) {
            Some(arrival) => Ok(arrival.clone()),
            None => self.put_together(event, entry),
        };
        let arrival = match arrived {
            Ok(arrival) => arrival,
            Err(complaint) => return self.complain(complaint),
        };
        let peer = arrival.event.peer.clone().unwrap_or_default();
        let claim = self.claims.get(&key(&peer)).cloned().unwrap_or_default();
        if claim.home != home.to_bytes() || claim.birth != entry.birth {
            self.complain(format!(
                "event {event} is stored in {home}, not where {} has its home",
                identifier::text(&peer)
            ));
        }
        let thread = &self.threads[&thread_name(&arrival)];
        if thread.iter().any(pieces::is_piece) {
            return;
        }
        let turn = thread
            .iter()
            .position(|other| other.id == event)
            .map(|position| position as u64 + 1);
        if turn != Some(entry.thread_seq) {
            let said = format!(
                "event {event} has number {} in its thread and arrived as {turn:?}",
                entry.thread_seq
            );
            self.complain(said);
        }
    }

    fn check_count(&mut self, id: CustomerId) {
        let entries = self.timelines.get(&id).map_or(0, BTreeMap::len) as u64;
        let counted = self.homes[&id].entry_count;
        if counted != entries {
            self.complain(format!("home {id} counts {counted} entries and has {entries}"));
        }
    }
}

pub(crate) fn key(identifier: &Identifier) -> IdentifierKey {
    identifier::key(TENANT, identifier)
}

fn numbers(commit: &Commit) -> BTreeMap<CustomerId, Vec<u64>> {
    let mut numbers: BTreeMap<CustomerId, Vec<u64>> = BTreeMap::new();
    for write in &commit.write {
        if let Write::Insert { key, member, .. } = write
            && key[0] == b'o'
        {
            let (home, number) = read_member(member);
            numbers.entry(home).or_default().push(number);
        }
    }
    numbers
}

pub(crate) fn read_member(member: &Bytes) -> (CustomerId, u64) {
    let number = u64::from_be_bytes(member[16..].try_into().unwrap());
    (CustomerId::from_bytes(&member[..16]).unwrap(), number)
}
