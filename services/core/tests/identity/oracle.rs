//! What must hold at every moment, judged from what was written.

use bytes::Bytes;
use omnigate_core::id::{CustomerId, EventId, IdentifierKey};
use omnigate_core::identifier::text;
use omnigate_core::identity::stored::{decode_claim, decode_customer};
use omnigate_core::identity::{built_in, is_held, member, verdict};
use omnigate_core::keyring::Keyring;
use omnigate_core::port::store::{Commit, Write};
use omnigate_core::protocol::identity::Command;
use omnigate_core::time::Moment;
use omnigate_core::timeline::stored::Stored;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState, EntryRecord, HomeRecord, Membership};
use omnigate_proto::v1::Identifier;
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// A part of a thread: reservation token, and since when.
pub(crate) type PartOfThread = (Bytes, i64);
/// What a customer shows: identifiers, and until when.
pub(crate) type Names = BTreeSet<(String, i64)>;

/// Everything that stands in the store, and what was promised about it.
#[derive(Default)]
pub(crate) struct Oracle {
    pub customers: BTreeMap<CustomerId, CustomerRecord>,
    pub claims: BTreeMap<IdentifierKey, Claim>,
    pub homes: BTreeMap<CustomerId, HomeRecord>,
    pub entries: BTreeMap<(CustomerId, Bytes), EntryRecord>,
    /// Parts of threads that somebody must own.
    pub owned: BTreeMap<PartOfThread, String>,
    /// The identifier of every token there ever was.
    pub owned_ever: BTreeMap<Bytes, String>,
    /// When each part was erased in its home.
    pub wiped_at: BTreeMap<PartOfThread, i64>,
    /// Parts that are never shown together, by the command that took them apart.
    apart: BTreeMap<String, (BTreeSet<PartOfThread>, BTreeSet<PartOfThread>)>,
    /// Whether anything was ever taken apart.
    pub taken_apart: bool,
    pub conflicts: bool,
    pub refused: bool,
    /// On what two customers are to be merged, by transaction, where a breakage may forget it.
    pub evidence: BTreeMap<Bytes, [Identifier; 2]>,
    /// Readers under way, with what could be seen since they began.
    pub readers: BTreeMap<usize, (CustomerId, Vec<Option<Names>>)>,
    /// When each message was first received, and stored.
    pub received: BTreeMap<String, Moment>,
    pub stored: BTreeMap<(String, Bytes), Moment>,
    /// Messages by the id of their event.
    pub messages: BTreeMap<EventId, String>,
    /// The identifier that each message comes by.
    pub peers: BTreeMap<String, String>,
    pub commands: BTreeMap<String, (Command, CustomerId)>,
    pub erasures: BTreeMap<String, CustomerId>,
    pub dropped: BTreeSet<String>,
    pub complaint: Option<String>,
    /// True from a failover until all is repaired: nothing is promised then.
    pub suspended: bool,
}

pub(crate) fn part(member: &Membership) -> PartOfThread {
    (member.birth.clone(), member.from_ms)
}

/// True when a member shows what was received then under this token.
pub(crate) fn holds(member: &Membership, birth: &Bytes, at: Moment) -> bool {
    member.birth == *birth && member.from_ms <= at.0 && (member.to_ms == 0 || at.0 < member.to_ms)
}

pub(crate) fn names(members: &[Membership]) -> Names {
    let name = |member: &Membership| (text(member.identifier.as_ref().unwrap()), member.to_ms);
    members.iter().map(name).collect()
}

impl Oracle {
    /// The message of an entry, by its member; empty for a merge or a split.
    pub(crate) fn message(&self, member: &[u8]) -> String {
        let id = EventId::from_bytes(&member[member.len() - 16..]).unwrap();
        self.messages.get(&id).cloned().unwrap_or_default()
    }

    /// The identifier that a message came by.
    pub(crate) fn via(&self, message: &str) -> String {
        self.peers[message].clone()
    }

    pub(crate) fn complain(&mut self, what: impl FnOnce() -> String) {
        if self.complaint.is_none() && !self.suspended {
            self.complaint = Some(what());
        }
    }

    /// Sees what is left after a failover, from the first commit on. What was promised before stays promised.
    pub(crate) fn see_anew<'a>(&mut self, commits: impl Iterator<Item = &'a Commit>, now: Moment) {
        self.suspended = true;
        let (owned, apart) = (self.owned.clone(), self.apart.clone());
        self.customers.clear();
        self.claims.clear();
        self.homes.clear();
        self.entries.clear();
        for commit in commits {
            self.observe(commit, now);
        }
        (self.owned, self.apart) = (owned, apart);
        // What was in lost shards only is lost without a trace, until it comes again.
        let held = self.customers.values().flat_map(|record| &record.members);
        let given = self.customers.values().flat_map(|record| &record.verdicts);
        let held = held.chain(given.flat_map(|verdict| &verdict.members));
        let held = held.filter_map(|member| member.identifier.as_ref());
        let claims = self.claims.values().filter(|claim| !claim.home.is_empty());
        let claimed = claims.filter_map(|claim| claim.identifier.as_ref());
        let known: BTreeSet<String> = held.chain(claimed).map(text).collect();
        self.owned.retain(|_, name| known.contains(name));
    }

    /// Takes note of a commit that was written.
    pub(crate) fn observe(&mut self, commit: &Commit, now: Moment) {
        let mut changed = false;
        for write in &commit.write {
            match write {
                Write::Put { key, value } if key[0] == b'c' => {
                    let id = CustomerId::from_bytes(&key[1..]).unwrap();
                    let record = decode_customer(id, value.clone()).unwrap();
                    self.note_customer(id, record);
                    changed = true;
                }
                Write::Put { key, value } if key[0] == b'i' => {
                    let claim = decode_claim(value.clone()).unwrap();
                    self.claims.insert(IdentifierKey::from_bytes(&key[1..]).unwrap(), claim);
                }
                Write::Put { key, value } if key[0] == b'h' => {
                    let home = HomeRecord::decode(value.clone()).unwrap();
                    for wiped in &home.wiped {
                        let part = (wiped.birth.clone(), wiped.from_ms);
                        self.wiped_at.entry(part).or_insert(now.0);
                    }
                    self.homes.insert(CustomerId::from_bytes(&key[1..]).unwrap(), home);
                }
                Write::Insert { key, member, value } if key[0] == b't' => {
                    let home = CustomerId::from_bytes(&key[1..]).unwrap();
                    let entry = unpack(home, &self.homes[&home], member, value);
                    let message = self.message(member);
                    self.stored.entry((message, entry.birth.clone())).or_insert(now);
                    self.entries.insert((home, member.clone()), entry);
                }
                Write::Remove { key, member } if key[0] == b't' => {
                    let home = CustomerId::from_bytes(&key[1..]).unwrap();
                    self.entries.remove(&(home, member.clone()));
                }
                _ => {}
            }
        }
        if changed && !self.suspended {
            self.check();
        }
    }

    fn note_customer(&mut self, id: CustomerId, record: CustomerRecord) {
        let before = self.customers.get(&id).cloned().unwrap_or_default();
        self.refused |= !record.rejected.is_empty();
        let known: BTreeSet<_> = before
            .verdicts
            .iter()
            .map(|verdict| verdict.transaction.clone())
            .collect();
        let given = record
            .verdicts
            .iter()
            .filter(|verdict| !known.contains(&verdict.transaction));
        let given: Vec<_> = given.cloned().collect();
        for verdict in &given {
            self.conflicts |= !verdict.forbidden_by.is_empty();
            if verdict.commit && !verdict.members.is_empty() {
                self.note_split(&record, &verdict.members);
            }
        }
        for verdict in given.iter().filter(|verdict| verdict.commit) {
            let evidence = self.evidence.remove(&verdict.transaction).into_iter().flatten();
            let unseen: Vec<_> = evidence
                .filter(|identifier| member(&record.members, identifier).is_none())
                .collect();
            if !unseen.is_empty() {
                self.complain(|| format!("{id} was merged without its evidence {unseen:?}"));
            }
        }
        let merged = given.iter().any(|verdict| verdict.commit && verdict.members.is_empty());
        if merged && record.automatic_merges_ms == before.automatic_merges_ms {
            // On a person's word: what was taken apart is one again.
            let parts: BTreeSet<_> = record.members.iter().map(part).collect();
            self.apart
                .retain(|_, (one, other)| parts.is_disjoint(one) || parts.is_disjoint(other));
        }
        if record.state() == CustomerState::Erased && before.state() != CustomerState::Erased {
            for member in &record.members {
                self.owned.remove(&part(member));
            }
        }
        if record.state() == CustomerState::Active {
            self.note_owned(&record.members);
        }
        self.customers.insert(id, record);
    }

    fn note_split(&mut self, owner: &CustomerRecord, went: &[Membership]) {
        self.note_owned(went);
        self.taken_apart = true;
        let command = self.commands.values().find(|(command, _)| {
            let gets = built_in(command.gets);
            went.iter().any(|member| member.identifier.as_ref() == Some(&gets))
        });
        let name = command.map(|(command, _)| command.name.clone()).unwrap_or_default();
        let parts = |members: &[Membership]| members.iter().map(part).collect();
        self.apart.insert(name, (parts(went), parts(&owner.members)));
    }

    fn note_owned(&mut self, members: &[Membership]) {
        for member in members {
            let name = text(member.identifier.as_ref().unwrap());
            self.owned_ever.insert(member.birth.clone(), name.clone());
            self.owned.insert(part(member), name);
        }
    }

    /// What every customer would show at this instant.
    pub(crate) fn views(&self) -> BTreeMap<CustomerId, Vec<Membership>> {
        let mut views = BTreeMap::new();
        for (id, record) in &self.customers {
            if record.state() == CustomerState::Active {
                views.insert(*id, record.members.clone());
            }
            let Some(freeze) = record
                .freeze
                .as_ref()
                .filter(|_| record.state() == CustomerState::Frozen)
            else {
                continue;
            };
            let decider = CustomerId::from_bytes(&freeze.decider).and_then(|decider| self.customers.get(&decider));
            let given = decider.and_then(|decider| verdict(decider, &freeze.transaction));
            let committed = given.filter(|verdict| verdict.commit);
            match committed {
                Some(verdict) if freeze.split => views.insert(*id, verdict.members.clone()),
                None if !freeze.split => views.insert(*id, record.members.clone()),
                _ => None,
            };
        }
        views
    }

    /// Everything has one owner, and what was taken apart stays apart.
    pub(crate) fn check(&mut self) {
        let views = self.views();
        let mut parts: BTreeMap<PartOfThread, CustomerId> = BTreeMap::new();
        let mut held = BTreeSet::new();
        let mut complaint = None;
        for (id, members) in &views {
            for member in members {
                let name = text(member.identifier.as_ref().unwrap());
                if parts.insert(part(member), *id).is_some() || is_held(member) && !held.insert(name.clone()) {
                    complaint = Some(format!("{name} has two owners, one is {id}"));
                }
            }
            let of_view: BTreeSet<_> = members.iter().map(part).collect();
            for (command, (one, other)) in &self.apart {
                if !of_view.is_disjoint(one) && !of_view.is_disjoint(other) {
                    complaint = Some(format!("{id} holds again what {command} took apart"));
                }
            }
        }
        for (owned, name) in &self.owned {
            if !parts.contains_key(owned) {
                complaint = Some(format!("{name} has no owner"));
            }
        }
        if let Some(complaint) = complaint {
            self.complain(|| complaint);
        }
        let mut readers = std::mem::take(&mut self.readers);
        for (customer, seen) in readers.values_mut() {
            let itself = (customer.to_bytes(), 0);
            let owner = parts.get(&itself).and_then(|owner| views.get(owner));
            seen.push(owner.map(|members| names(members)));
        }
        self.readers = readers;
    }
}

/// An entry as it was written: its home is written in the same commit, before it.
fn unpack(id: CustomerId, home: &HomeRecord, member: &Bytes, value: &Bytes) -> EntryRecord {
    let keyring = &Keyring::none();
    let stored = Stored { id, home, keyring };
    stored.unpack(member, value.clone()).unwrap().unwrap()
}
