//! What the world may rely on: watches every commit, submission and publication, and complains at once.

use crate::people::{Act, Stands, Thread};
use crate::process::KEYRING;
use crate::provider::{Arrived, Provider};
use crate::script::Call;
use bytes::Bytes;
use omnigate_core::delivery::receipt::{further, is_proven};
use omnigate_core::delivery::{has_ended, state_of};
use omnigate_core::id::{CustomerId, EventId, MessageId};
use omnigate_core::keys;
use omnigate_core::port::store::{Commit, Write};
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_core::timeline::stored::Stored;
use omnigate_proto::state::v1::{ConsentRecord, DeliveryRecord, HomeRecord};
use omnigate_proto::v1::{CustomerEvent, DeliveryState, ErrorClass, UnknownPolicy};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const TENANT: &str = "t";

/// A mirror of what was written, and what should have been.
#[derive(Default)]
pub(crate) struct Oracle {
    pub deliveries: BTreeMap<MessageId, DeliveryRecord>,
    pub homes: BTreeMap<CustomerId, HomeRecord>,
    pub timers: BTreeSet<(Shard, Bytes)>,
    pub outbox: BTreeMap<(Shard, Bytes), Bytes>,
    pub published: BTreeMap<String, CustomerEvent>,
    /// Messages in the order in which they joined the chain of their thread.
    pub joined: BTreeMap<(CustomerId, usize), Vec<MessageId>>,
    /// Requests that were answered with OK.
    pub accepted: BTreeMap<String, (MessageId, Call)>,
    /// Messages that were taken back.
    pub cancelled: BTreeSet<MessageId>,
    /// Messages somebody worked on when they died, slept or were told nothing.
    pub in_doubt: BTreeSet<MessageId>,
    /// Provider ids whose answer was recorded.
    pub pointed: BTreeSet<String>,
    /// Receipts that were applied: message, piece, provider id, by reference, state.
    pub receipts: Vec<Receipted>,
    pub intents: BTreeSet<(MessageId, u32, u32)>,
    /// What people did and what did not take effect yet.
    pub acts: BTreeMap<EventId, (Act, Moment)>,
    /// What they are entitled to.
    pub stands: BTreeMap<Thread, Stands>,
    /// Texts that have to go back to them, once each.
    pub to_confirm: Vec<String>,
    /// Messages with an alternative of which the provider said that their window is closed, and we wrote it down.
    pub told_closed: BTreeSet<MessageId>,
    /// Who was put on the suppression list, and since when that is known; `None` while it is under way.
    pub suppressed: BTreeMap<Thread, Option<Moment>>,
    /// What stands in the ledgers, by key.
    pub ledgers: BTreeMap<Bytes, ConsentRecord>,
    /// Whether the provider has reply windows.
    pub has_windows: bool,
    submitted: BTreeSet<(MessageId, u32, u32)>,
    published_members: BTreeSet<Bytes>,
    pub complaint: Option<String>,
}

/// A receipt that was applied.
#[derive(Clone, Debug)]
pub(crate) struct Receipted {
    pub id: MessageId,
    pub piece: u32,
    pub provider_id: String,
    pub by_reference: bool,
    pub said: DeliveryState,
}

impl Oracle {
    pub(crate) fn complain(&mut self, what: String) {
        self.complaint.get_or_insert(what);
    }

    /// A caller was told OK.
    pub(crate) fn told_ok(&mut self, call: &Call, record: &DeliveryRecord) {
        let one = record.delivery.as_ref().unwrap();
        let id: MessageId = one.message_id.parse().unwrap();
        if !self.deliveries.contains_key(&id) {
            self.complain(format!("{id} was accepted and is not stored"));
        }
        if one.message.as_ref() != Some(&call.message()) {
            self.complain(format!("{id} was accepted with another content"));
        }
        let before = self.accepted.insert(call.request_id(), (id, call.clone()));
        if before.is_some_and(|(before, _)| before != id) {
            self.complain(format!("request {} was accepted twice", call.request_id()));
        }
    }

    /// Edge hands a piece to the provider.
    pub(crate) fn submitted(&mut self, provider: &Provider, arrived: &Arrived) {
        let (id, piece, attempt) = (arrived.id, arrived.piece, arrived.attempt);
        if !self.submitted.insert((id, piece, attempt)) {
            return self.complain(format!("{id} piece {piece} attempt {attempt} was submitted twice"));
        }
        if !self.intents.contains(&(id, piece, attempt)) {
            return self.complain(format!("{id} piece {piece} attempt {attempt} has no durable intent"));
        }
        if self.cancelled.contains(&id) {
            return self.complain(format!("{id} was submitted after it was taken back"));
        }
        let Some(record) = self.deliveries.get(&id) else {
            return self.complain(format!("{id} was submitted and is not stored"));
        };
        let one = record.delivery.as_ref().unwrap();
        if one.alternative_used != arrived.is_alternative {
            return self.complain(format!("{id} leaves as something else than is written down"));
        }
        if self.told_closed.contains(&id) && !arrived.is_alternative {
            return self.complain(format!("{id} is tried again where its window is closed"));
        }
        let may_repeat = one.on_unknown() == UnknownPolicy::ResendOnce;
        let copies = provider.copies(id, piece);
        if copies > usize::from(may_repeat) || provider.repetitions(id) + copies > usize::from(may_repeat) {
            return self.complain(format!(
                "{id} piece {piece} was submitted again although it may have left"
            ));
        }
        if copies > 0 && !one.possible_duplicate {
            return self.complain(format!("{id} is not marked as a possible duplicate"));
        }
        let number = usize::try_from(piece).unwrap();
        let settled = one.pieces.get(number).is_some_and(is_proven);
        let present = one.pieces.get(number).is_some_and(|one| one.attempts == attempt);
        let under_way = state_of(record) == DeliveryState::Submitting && present;
        // A receipt of the attempt before may settle a repetition that is on its way.
        let overtaken = settled && copies > 0;
        if !under_way && !overtaken {
            return self.complain(format!(
                "{id} piece {piece} attempt {attempt} was submitted after it was given up, in {:?}",
                state_of(record)
            ));
        }
        let first = self.chain_of(record).and_then(|chain| chain.first().cloned());
        if under_way && first.is_none_or(|first| first.as_ref() != id.0) {
            self.complain(format!("{id} was submitted while it was not first of its thread"));
        }
    }

    fn chain_of(&self, record: &DeliveryRecord) -> Option<&[Bytes]> {
        let home = self.homes.get(&CustomerId::from_bytes(&record.home)?)?;
        let account = &record.delivery.as_ref()?.account_id;
        let mut threads = home.threads.iter();
        let thread = threads.find(|thread| thread.birth == record.birth && thread.account_id == *account)?;
        Some(&thread.chain)
    }

    /// A log has a CustomerEvent.
    pub(crate) fn publish(&mut self, member: &Bytes, bytes: &Bytes) {
        self.published_members.insert(member.clone());
        let event = CustomerEvent::decode(bytes.clone()).unwrap();
        let before = self.published.insert(event.event_id.clone(), event.clone());
        if before.is_some_and(|before| before != event) {
            self.complain(format!("event {} was published with two contents", event.event_id));
        }
    }

    /// A commit was written.
    pub(crate) fn observe(&mut self, shard: Shard, commit: &Commit) {
        let mut numbered: BTreeMap<CustomerId, Vec<u64>> = BTreeMap::new();
        for write in &commit.write {
            if let Write::Insert { key, member, value } = write
                && key[0] == b'o'
            {
                self.outbox.insert((shard, member.clone()), value.clone());
                let home = CustomerId::from_bytes(&member[..16]).unwrap();
                let number = u64::from_be_bytes(member[16..24].try_into().unwrap());
                numbered.entry(home).or_default().push(number);
            }
        }
        let mut deliveries = Vec::new();
        for write in &commit.write {
            match write {
                Write::Put { key, value } if key[0] == b'd' => {
                    let record = DeliveryRecord::decode(value.clone()).unwrap();
                    deliveries.push((MessageId::from_bytes(&key[1..]).unwrap(), record));
                }
                Write::Put { key, value } if key[0] == b'h' => {
                    let home = CustomerId::from_bytes(&key[1..]).unwrap();
                    let numbers = numbered.remove(&home).unwrap_or_default();
                    self.home(home, HomeRecord::decode(value.clone()).unwrap(), &numbers);
                }
                Write::Put { key, value } if key[0] == b'C' => {
                    self.ledgers
                        .insert(key.clone(), ConsentRecord::decode(value.clone()).unwrap());
                }
                Write::Insert { key, member, .. } if key[0] == b't' => {
                    self.took_effect(keys::read_timeline_member(member).unwrap().1);
                }
                Write::Insert { key, member, .. } if *key == keys::timers() => {
                    self.timers.insert((shard, member.clone()));
                }
                Write::Remove { key, member } if *key == keys::timers() => {
                    self.timers.remove(&(shard, member.clone()));
                }
                Write::Remove { key, member } if *key == keys::outbox() => {
                    self.outbox.remove(&(shard, member.clone()));
                    if !self.published_members.contains(member) {
                        self.complain("an event was taken out before it was published".into());
                    }
                }
                _ => {}
            }
        }
        for (id, mut record) in deliveries {
            let home_id = CustomerId::from_bytes(&record.home).unwrap();
            // Its home may stand in the same commit.
            let stored = Stored {
                id: home_id,
                home: &self.homes[&home_id],
                keyring: &KEYRING,
            };
            if stored.open_delivery(id, &mut record).is_err() || record.sealed.is_empty() {
                self.complain(format!("{id} is not sealed as it should be"));
            }
            self.delivery(id, record);
        }
        if !numbered.is_empty() {
            self.complain("events were numbered without their home".into());
        }
    }

    fn home(&mut self, id: CustomerId, next: HomeRecord, numbers: &[u64]) {
        let before = self.homes.insert(id, next.clone()).unwrap_or_default();
        let expected: Vec<u64> = (before.home_seq + 1..=next.home_seq).collect();
        if next.home_seq < before.home_seq || numbers != expected {
            self.complain(format!(
                "home {id} went from {} to {} with {numbers:?}",
                before.home_seq, next.home_seq
            ));
        }
        for (number, thread) in next.threads.iter().enumerate() {
            let old = before.threads.get(number).cloned().unwrap_or_default();
            if thread.thread_seq < old.thread_seq {
                self.complain(format!("a thread of {id} lost an entry"));
            }
            let kept: Vec<&Bytes> = old.chain.iter().filter(|one| thread.chain.contains(one)).collect();
            let new: Vec<&Bytes> = thread.chain.iter().filter(|one| !old.chain.contains(one)).collect();
            let order: Vec<&Bytes> = kept.into_iter().chain(new.iter().copied()).collect();
            if order != thread.chain.iter().collect::<Vec<_>>() {
                self.complain(format!("the chain of a thread of {id} changed its order"));
            }
            let joined = self.joined.entry((id, number)).or_default();
            joined.extend(new.into_iter().filter_map(|one| MessageId::from_bytes(one)));
        }
    }

    fn delivery(&mut self, id: MessageId, next: DeliveryRecord) {
        let before = self.deliveries.get(&id);
        let complaint = before.and_then(|before| went_back(before, &next));
        let complaint = complaint.or_else(|| self.against_law_and_wishes(before, &next));
        if let Some(complaint) = complaint {
            self.complain(format!("{id} {complaint}"));
        }
        self.deliveries.insert(id, next);
    }
}

/// What a delivery may not do.
fn went_back(before: &DeliveryRecord, next: &DeliveryRecord) -> Option<String> {
    let (old, new) = (before.delivery.as_ref()?, next.delivery.as_ref()?);
    // An attempt that the last look before sending forbids is withdrawn.
    let withdrawn = new
        .error
        .as_ref()
        .is_some_and(|error| error.class() == ErrorClass::Refused)
        && has_ended(new.state());
    if withdrawn && new.attempts + 1 == old.attempts && old.state() == DeliveryState::Submitting {
        return None;
    }
    if new.attempts < old.attempts || new.pieces.len() < old.pieces.len() {
        return Some("forgot an attempt".into());
    }
    for (number, (old, new)) in old.pieces.iter().zip(&new.pieces).enumerate() {
        let ranks = further(new.state(), old.state()) == new.state() || !is_proven(old);
        if !ranks || (is_proven(old) && !is_proven(new)) || new.attempts < old.attempts {
            return Some(format!(
                "piece {number} went from {:?} to {:?}",
                old.state(),
                new.state()
            ));
        }
    }
    let (was, is) = (state_of(before), state_of(next));
    let revived = was == DeliveryState::Unknown && is == DeliveryState::Planned;
    let moved_back = has_ended(was) && !has_ended(is) && !revived;
    let left_cancelled = was == DeliveryState::Cancelled && is != was;
    (moved_back || left_cancelled).then(|| format!("went from {was:?} to {is:?}"))
}
