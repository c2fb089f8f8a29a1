//! Where a record says that an identifier is, and what it shows of itself.

use super::membership::{built_in_of, is_held, member};
use super::veil::{holds, veiled};
use crate::id::CustomerId;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Forward, Freeze, Membership, Verdict};
use omnigate_proto::v1::Identifier;

/// What a record says about an identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whereabouts {
    /// It is owned here.
    Here,
    /// It went there, perhaps further since.
    Gone(CustomerId),
    /// A split is giving this record identifiers: whether this one is among them is being decided.
    Wait,
    /// Its owner is being erased.
    Erased,
    /// It was never here.
    Lost,
}

/// What a frozen record waits for.
#[must_use]
pub fn frozen(record: &CustomerRecord) -> Option<&Freeze> {
    record
        .freeze
        .as_ref()
        .filter(|_| record.state() == CustomerState::Frozen)
}

/// The same, if it waits for this transaction.
pub(super) fn frozen_for<'a>(record: &'a CustomerRecord, transaction: &[u8], split: bool) -> Option<&'a Freeze> {
    frozen(record).filter(|freeze| freeze.transaction == transaction && freeze.split == split)
}

/// Where an identifier is that the record once owned, or has been promised.
#[must_use]
pub fn whereabouts(record: &CustomerRecord, identifier: &Identifier) -> Whereabouts {
    if frozen(record).is_some_and(|freeze| freeze.split) {
        return Whereabouts::Wait;
    }
    if !holds(record, identifier) {
        return forward(record, identifier).map_or(Whereabouts::Lost, Whereabouts::Gone);
    }
    match record.state() {
        CustomerState::Merged => CustomerId::from_bytes(&record.into).map_or(Whereabouts::Lost, Whereabouts::Gone),
        CustomerState::Erased => Whereabouts::Erased,
        _ => Whereabouts::Here,
    }
}

/// Drops the ways to identifiers that these members hold.
pub(super) fn forget_ways(record: &mut CustomerRecord, members: &[Membership]) {
    let held = members.iter().filter(|member| is_held(member));
    let named = held.filter_map(|member| member.identifier.as_ref());
    let ways: Vec<Identifier> = named.map(|identifier| way_of(&record.tenant_id, identifier)).collect();
    let leads = |forward: &Forward| forward.identifier.as_ref().is_none_or(|way| !ways.contains(way));
    record.out.retain(leads);
}

/// Ways to where these members go from a record.
pub(super) fn ways<'a>(
    tenant_id: &str,
    members: impl Iterator<Item = &'a Membership>,
    customer: &Bytes,
) -> Vec<Forward> {
    let held = members.filter(|member| is_held(member));
    let named = held.filter_map(|member| member.identifier.as_ref());
    let ways = named.map(|identifier| Forward {
        identifier: Some(way_of(tenant_id, identifier)),
        customer: customer.clone(),
    });
    ways.collect()
}

/// How a way names the identifier that it leads to: whoever asks for it knows what it is, and nobody else is to.
fn way_of(tenant_id: &str, identifier: &Identifier) -> Identifier {
    match built_in_of(identifier) {
        Some(_) => identifier.clone(),
        None => veiled(tenant_id, identifier),
    }
}

pub(super) fn forward(record: &CustomerRecord, identifier: &Identifier) -> Option<CustomerId> {
    let way = way_of(&record.tenant_id, identifier);
    let mut ways = record.out.iter();
    let forward = ways.find(|forward| forward.identifier.as_ref() == Some(&way))?;
    CustomerId::from_bytes(&forward.customer)
}

/// The verdict on a transaction, where there is one.
#[must_use]
pub fn verdict<'a>(record: &'a CustomerRecord, transaction: &[u8]) -> Option<&'a Verdict> {
    record
        .verdicts
        .iter()
        .find(|verdict| verdict.transaction == transaction)
}

/// What a reader who looks for the owner of an identifier sees in a record on the way to it.
#[derive(Clone, PartialEq, Debug)]
pub enum Shown {
    /// The owner, with these members.
    Here(Vec<Membership>),
    /// It is to be looked for there.
    Gone(CustomerId),
    /// It was erased, or never came to be.
    Nothing,
}

/// What a record shows of the owner of an identifier; a former id leads by its built-in one. `decided` is the verdict that
/// the record is frozen for, if it has been given.
#[must_use]
pub fn shown(record: &CustomerRecord, identifier: &Identifier, decided: Option<&Verdict>) -> Shown {
    let committed = decided.filter(|verdict| verdict.commit);
    let mut state = record.state();
    let mut members = &record.members;
    if let Some(freeze) = frozen(record) {
        match committed {
            Some(verdict) if freeze.split && member(&verdict.members, identifier).is_some() => {
                (state, members) = (CustomerState::Active, &verdict.members);
            }
            Some(_) if !freeze.split && member(members, identifier).is_some() => {
                return CustomerId::from_bytes(&freeze.decider).map_or(Shown::Nothing, Shown::Gone);
            }
            _ if freeze.split => state = CustomerState::Merged,
            _ => {}
        }
    }
    if member(members, identifier).is_none() {
        return forward(record, identifier).map_or(Shown::Nothing, Shown::Gone);
    }
    match state {
        CustomerState::Merged => CustomerId::from_bytes(&record.into).map_or(Shown::Nothing, Shown::Gone),
        CustomerState::Erased => Shown::Nothing,
        _ => Shown::Here(members.clone()),
    }
}
