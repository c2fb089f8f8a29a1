//! What a failover of the store lost, put right.
//!
//! A replica that takes over may lack the last writes of its master's shards, while what followed from them in other shards
//! stands. Between two shards that leaves a claim that does not lead to its member, a member that two records hold, or a
//! merge or split that only one of its two records knows. Each is decided here, from the two records alone, in such a way
//! that no identifier is lost and whoever decides it again decides the same.

mod kind;
pub mod schedule;

pub use kind::Repair;

use super::membership::{CLOSED, built_in, built_in_of, departed, is_held, own};
use super::split;
use super::whereabouts::{forget_ways, forward, ways};
use crate::id::CustomerId;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{
    Claim, CustomerRecord, CustomerState, Freeze, Membership, MergeStep, ThreadRecord, Verdict, Wiped,
};
use omnigate_proto::v1::{Evidence, Identifier};
use std::cmp::Reverse;

/// True for the same part of the same thread.
#[must_use]
pub fn is_same_part(one: &Membership, other: &Membership) -> bool {
    one.birth == other.birth && one.from_ms == other.from_ms
}

/// The part among these members.
#[must_use]
pub fn part<'a>(members: &'a [Membership], of: &Membership) -> Option<&'a Membership> {
    members.iter().find(|member| is_same_part(member, of))
}

/// True when the first of two records keeps what both hold. Of one part that is the record which knows more of what became of
/// it: each split leaves a mark on it and each merge a step. Where both know the same, and where an identifier was born anew,
/// it is the older customer.
#[must_use]
pub fn keeps((one, of_one): (CustomerId, &Membership), (other, of_other): (CustomerId, &Membership)) -> bool {
    if of_one.birth != of_other.birth {
        return one < other;
    }
    let known = |id, member: &Membership| (member.tags.len(), member.path.len(), Reverse(id));
    known(one, of_one) > known(other, of_other)
}

/// What of a member was erased, where its home and its claim tell it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Erased {
    /// Nothing.
    Nothing,
    /// Everything.
    All,
    /// What was received from then on.
    Since(Moment),
}

/// What of a member that a record holds was erased elsewhere: its home bears the mark, or its claim was freed by an erasure
/// after it had joined.
#[must_use]
pub fn erased(member: &Membership, claim: Option<&Claim>, wiped: &[Wiped]) -> Erased {
    let of_birth = || {
        let ends = |wiped: &&Wiped| wiped.birth == member.birth && wiped.to_ms == 0;
        wiped.iter().filter(ends)
    };
    match of_birth().map(|wiped| wiped.from_ms).min() {
        Some(from) if from > member.from_ms => return Erased::Since(Moment(from)),
        Some(_) => return Erased::All,
        None => {}
    }
    let freed = claim.filter(|claim| claim.customer.is_empty());
    let joined = member.since_ms.max(member.from_ms);
    match freed.is_some_and(|claim| claim.erased_at_ms > joined) {
        true => Erased::All,
        false => Erased::Nothing,
    }
}

/// The claim that leads to a member of `owner`; `None` where it stands. Nothing older than an erasure takes effect, neither
/// than one that stands in the claim nor than `erased_at`.
#[must_use]
pub fn claim_of(before: Option<&Claim>, member: &Membership, owner: CustomerId, erased_at: Moment) -> Option<Claim> {
    let next = Claim {
        customer: owner.to_bytes(),
        birth: member.birth.clone(),
        home: member.home.clone(),
        erased_at_ms: before.map_or(0, |claim| claim.erased_at_ms).max(erased_at.0),
        identifier: member.identifier.clone(),
        ..Claim::default()
    };
    (before != Some(&next)).then_some(next)
}

/// A member that holds an identifier which another member of the record holds too: the one that joined later.
#[must_use]
pub fn doubled(record: &CustomerRecord) -> Option<(&Membership, &Membership)> {
    let held = || record.members.iter().filter(|member| is_held(member));
    held().find_map(|member| {
        let same = |other: &&Membership| other.identifier == member.identifier && other.birth != member.birth;
        let order = |member: &Membership| (member.since_ms, member.birth.clone());
        let kept = held().filter(same).find(|other| order(other) < order(member))?;
        Some((kept, member))
    })
}

/// The record in which a part of a thread ends at a moment; [`CLOSED`] for one that only keeps what came under it. `None`
/// where it has ended.
#[must_use]
pub fn ended(record: &CustomerRecord, part: &Membership, to: Moment) -> Option<CustomerRecord> {
    let mut next = active(record)?;
    let ends = |member: &&mut Membership| is_same_part(member, part) && is_held(member);
    next.members.iter_mut().find(ends)?.to_ms = to.0;
    Some(next)
}

/// The record without these parts, which `to` holds or which are erased; with ways to `to`. `None` where it has none of them.
#[must_use]
pub fn given_up(
    record: &CustomerRecord,
    id: CustomerId,
    parts: &[Membership],
    to: Option<CustomerId>,
) -> Option<CustomerRecord> {
    let mut next = active(record)?;
    let goes = |member: &Membership| part(parts, member).is_some();
    let leaving: Vec<Membership> = next.members.iter().filter(|member| goes(member)).cloned().collect();
    if leaving.is_empty() {
        return None;
    }
    next.departed.extend(departed(record, id, goes));
    next.members.retain(|member| !goes(member));
    if let Some(to) = to {
        forget_ways(&mut next, &leaving);
        next.out.extend(ways(&record.tenant_id, leaving.iter(), &to.to_bytes()));
    }
    Some(next)
}

/// The record with a member that a claim tells of. `None` where the record cannot take it now, or has its token.
#[must_use]
pub fn regained(
    record: Option<&CustomerRecord>,
    tenant_id: &str,
    id: CustomerId,
    member: &Membership,
    now: Moment,
) -> Option<CustomerRecord> {
    let mut next = match record {
        Some(record) if !is_unborn(record) => active(record)?,
        _ => born_again(record, tenant_id, id, now),
    };
    if let Some(known) = part(&next.members, member) {
        let is_free = known.to_ms == CLOSED
            && !next
                .members
                .iter()
                .any(|other| is_held(other) && other.identifier == known.identifier);
        let reopened = next
            .members
            .iter_mut()
            .find(|known| is_free && is_same_part(known, member))?;
        reopened.to_ms = 0;
        return Some(next);
    }
    let mut member = member.clone();
    let identifier = member.identifier.clone().unwrap_or_default();
    // It was decided when there was room.
    member.retired |= !super::has_room(&next.members, &identifier);
    if super::member(&next.members, &identifier).is_some() {
        member.to_ms = CLOSED;
    }
    forget_ways(&mut next, std::slice::from_ref(&member));
    next.members.push(member);
    Some(next)
}

/// The record with a part of which only the threads of a home tell, its own or that of somebody it consists of: what came
/// under it stays the customer's, and goes where that one goes.
#[must_use]
pub fn remembered(
    record: &CustomerRecord,
    home: CustomerId,
    thread: &ThreadRecord,
    now: Moment,
) -> Option<CustomerRecord> {
    let mut next = active(record)?;
    if !is_unknown(record, thread) {
        return None;
    }
    let itself = super::member(&record.members, &built_in(home));
    next.members.push(Membership {
        identifier: thread.peer.clone(),
        evidence: Evidence::Vouched.into(),
        provider_form: thread.peer_provider_form.clone(),
        home: home.to_bytes(),
        birth: thread.birth.clone(),
        since_ms: now.0,
        path: itself.map(|itself| itself.path.clone()).unwrap_or_default(),
        to_ms: CLOSED,
        ..Membership::default()
    });
    Some(next)
}

/// True for a thread of a home under a birth that the record never accepted, as far as it knows.
#[must_use]
pub fn is_unknown(record: &CustomerRecord, thread: &ThreadRecord) -> bool {
    let known = |member: &Membership| member.birth == thread.birth;
    let peer = thread.peer.as_ref();
    peer.is_some_and(|peer| built_in_of(peer).is_none())
        && !record.members.iter().any(known)
        && !record.departed.contains(&thread.birth)
}

/// True for a record that is there and is no customer: one that a verdict made, or that a split prepared.
#[must_use]
pub fn is_unborn(record: &CustomerRecord) -> bool {
    matches!(record.state(), CustomerState::Unspecified | CustomerState::Prepared)
}

fn born_again(record: Option<&CustomerRecord>, tenant_id: &str, id: CustomerId, now: Moment) -> CustomerRecord {
    let mut next = record.cloned().unwrap_or_default();
    tenant_id.clone_into(&mut next.tenant_id);
    next.set_state(CustomerState::Active);
    next.members = vec![own(id, now)];
    next.created_at_ms = id.born().0;
    next
}

/// The merged record whose merge is unknown where it was decided, as a customer again. The transaction must have been ended
/// there before.
#[must_use]
pub fn unmerged(record: &CustomerRecord, transaction: &[u8]) -> Option<CustomerRecord> {
    if record.state() != CustomerState::Merged || record.merged_by != transaction {
        return None;
    }
    let mut next = record.clone();
    next.set_state(CustomerState::Active);
    next.epoch += 1;
    next.into = Bytes::new();
    next.merged_by = Bytes::new();
    Some(next)
}

/// The record of `id` as merged into `survivor`, which holds what it brought. For one that is gone, or leads elsewhere; one
/// that is a customer has to be merged. `None` where it is so, or cannot be.
#[must_use]
pub fn merged_again(
    record: Option<&CustomerRecord>,
    id: CustomerId,
    (survivor, of_survivor): (CustomerId, &CustomerRecord),
) -> Option<CustomerRecord> {
    let is_gone = record.is_none_or(is_unborn);
    if !is_gone && record.is_none_or(|record| record.state() != CustomerState::Merged) {
        return None;
    }
    let step = step_of(&of_survivor.members, id)?;
    let mut next = record.cloned().unwrap_or_default();
    of_survivor.tenant_id.clone_into(&mut next.tenant_id);
    next.set_state(CustomerState::Merged);
    next.into = survivor.to_bytes();
    next.merged_by = step.transaction.clone();
    if is_gone {
        next.created_at_ms = id.born().0;
        next.members.clear();
    }
    for member in of_survivor.members.iter().filter(|member| member.path.contains(step)) {
        if part(&next.members, member).is_none() {
            next.members.push(member.clone());
        }
    }
    (record != Some(&next)).then_some(next)
}

/// The merge that brought a former customer.
fn step_of(members: &[Membership], id: CustomerId) -> Option<&MergeStep> {
    let itself = super::member(members, &built_in(id))?;
    itself.path.iter().find(|step| step.loser == id.to_bytes())
}

/// True when `owner` gave a record its old id back, and knows nothing later of it.
#[must_use]
pub fn leads_back(owner: &CustomerRecord, id: CustomerId) -> bool {
    forward(owner, &built_in(id)) == Some(id)
}

/// The verdict by which `owner` gave a record its old id, when that is the last thing that it knows of it.
#[must_use]
pub fn gave(owner: &CustomerRecord, id: CustomerId) -> Option<&Verdict> {
    let itself = built_in(id);
    if !leads_back(owner, id) {
        return None;
    }
    let gives = |verdict: &&Verdict| verdict.commit && super::member(&verdict.members, &itself).is_some();
    owner.verdicts.iter().rev().find(gives)
}

/// The record that a split gave identifiers, settled by the verdict although it does not know of the split any more. `None`
/// for one that is a customer, or something else by now. A merged one must not be so by a later merge: what it leads to then
/// does not lead back to it.
#[must_use]
pub fn split_again(
    record: Option<&CustomerRecord>,
    id: CustomerId,
    (owner, of_owner): (CustomerId, &CustomerRecord),
    now: Moment,
) -> Option<CustomerRecord> {
    let given = gave(of_owner, id)?;
    let waits = |record: &CustomerRecord| is_unborn(record) || record.state() == CustomerState::Merged;
    if !record.is_none_or(waits) {
        return None;
    }
    let mut frozen = record.cloned().unwrap_or_default();
    if record.is_none_or(is_unborn) {
        frozen.created_at_ms = now.0;
    }
    of_owner.tenant_id.clone_into(&mut frozen.tenant_id);
    frozen.set_state(CustomerState::Frozen);
    frozen.freeze = Some(Freeze {
        transaction: given.transaction.clone(),
        decider: owner.to_bytes(),
        split: true,
        since_ms: now.0,
    });
    split::settle(&frozen, id, &given.transaction, given)
}

/// True when a merge is known where it was decided: the record holds what leads to the other one, or a way to it. One that
/// knows of an earlier merge of the same two, and not of this one, lacks what the other one got in between.
#[must_use]
pub fn knows(survivor: &CustomerRecord, id: CustomerId, transaction: &[u8]) -> bool {
    let itself = built_in(id);
    let Some(member) = super::member(&survivor.members, &itself) else {
        return forward(survivor, &itself).is_some();
    };
    let mut of_id = member.path.iter().filter(|step| step.loser == id.to_bytes()).peekable();
    of_id.peek().is_none() || of_id.any(|step| step.transaction == transaction)
}

/// True for the record `id` in which a thread was born that knows nothing any more of what came before a later part of it: it
/// has neither that, nor a way to whoever got it. Where it was cut here, a way leads to the later part, and says nothing.
#[must_use]
pub fn forgot(record: Option<&CustomerRecord>, id: CustomerId, later: &Membership) -> bool {
    let Some(record) = record.filter(|record| !is_unborn(record)) else {
        return true;
    };
    if record.state() != CustomerState::Active {
        return false;
    }
    let mut known = record.members.iter().filter(|member| member.birth == later.birth);
    if later.cut_from == id.to_bytes() {
        return known.all(|member| member.from_ms >= later.from_ms);
    }
    let identifier = later.identifier.as_ref();
    let way = identifier.and_then(|identifier| forward(record, identifier));
    known.next().is_none() && way.is_none()
}

/// The former customers whose records a record has to agree with: those that it consists of, and those it gave back.
#[must_use]
pub fn former(record: &CustomerRecord, id: CustomerId) -> (Vec<CustomerId>, Vec<CustomerId>) {
    let others = |identifier: Option<&Identifier>| identifier.and_then(built_in_of).filter(|other| *other != id);
    let members = record.members.iter();
    let went = record.out.iter();
    (
        members
            .filter_map(|member| others(member.identifier.as_ref()))
            .collect(),
        went.filter_map(|way| others(way.identifier.as_ref())).collect(),
    )
}

/// What a record that is not the owner tells of a member on the way to it: as it was handed over at a split, or merged.
#[must_use]
pub fn told_of<'a>(record: &'a CustomerRecord, birth: &[u8]) -> Option<&'a Membership> {
    let of_birth = |member: &&Membership| member.birth == birth && is_held(member);
    let given = record.verdicts.iter().rev().flat_map(|verdict| &verdict.members);
    record
        .members
        .iter()
        .find(of_birth)
        .or_else(|| given.clone().find(of_birth))
}

fn active(record: &CustomerRecord) -> Option<CustomerRecord> {
    (record.state() == CustomerState::Active).then(|| record.clone())
}

#[cfg(test)]
mod tests;
