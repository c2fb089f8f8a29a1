//! Membership: which identifiers a customer's record owns, and whether it takes one more.

use super::Named;
use super::whereabouts::forget_ways;
use crate::id::{Birth, CustomerId};
use crate::identifier::{BUILT_IN, cap};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Membership, RejectedToken};
use omnigate_proto::v1::{Evidence, Identifier};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most identifiers one customer may have.
pub const MAX_MEMBERS: usize = 1000;
/// Most customers that one customer may consist of.
pub const MAX_MERGED: usize = 100;
/// How long a refused reservation and a verdict are remembered: longer than any worker can sleep on them.
pub(super) const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// End of a membership that repair has ended: it keeps all that came under its token, and holds the identifier no more.
pub const CLOSED: i64 = i64::MAX;

/// The identifier that every record has from birth: rows without a peer hang on it, and it is what an old id leads by.
#[must_use]
pub fn built_in(id: CustomerId) -> Identifier {
    Identifier {
        r#type: BUILT_IN.to_owned(),
        scope: String::new(),
        value: id.to_string(),
    }
}

/// The customer whose built-in identifier this is.
#[must_use]
pub fn built_in_of(identifier: &Identifier) -> Option<CustomerId> {
    (identifier.r#type == BUILT_IN).then(|| identifier.value.parse().ok())?
}

/// The customer records that a customer with these members consists of, itself included.
pub fn consists_of(members: &[Membership]) -> impl Iterator<Item = CustomerId> {
    members
        .iter()
        .filter_map(|member| built_in_of(member.identifier.as_ref()?))
}

/// Membership of a record in itself.
#[must_use]
pub fn own(id: CustomerId, now: Moment) -> Membership {
    Membership {
        identifier: Some(built_in(id)),
        evidence: Evidence::Vouched.into(),
        home: id.to_bytes(),
        birth: id.to_bytes(),
        since_ms: now.0,
        ..Membership::default()
    }
}

/// A new customer with its first identifier.
#[must_use]
pub fn new_customer(tenant_id: &str, id: CustomerId, named: &Named, birth: Birth, now: Moment) -> CustomerRecord {
    CustomerRecord {
        tenant_id: tenant_id.to_owned(),
        state: CustomerState::Active.into(),
        members: vec![own(id, now), membership(id, named, birth, now)],
        created_at_ms: now.0,
        ..CustomerRecord::default()
    }
}

fn membership(home: CustomerId, named: &Named, birth: Birth, now: Moment) -> Membership {
    Membership {
        identifier: Some(named.identifier.clone()),
        evidence: named.evidence.into(),
        provider_form: named.provider_form.clone(),
        home: home.to_bytes(),
        birth: birth.to_bytes(),
        since_ms: now.0,
        ..Membership::default()
    }
}

/// True for an identifier that is owned; one whose address got a new holder only keeps what came before.
#[must_use]
pub fn is_held(member: &Membership) -> bool {
    member.to_ms == 0
}

/// The member that holds an identifier.
#[must_use]
pub fn member<'a>(members: &'a [Membership], identifier: &Identifier) -> Option<&'a Membership> {
    members
        .iter()
        .find(|member| is_held(member) && member.identifier.as_ref() == Some(identifier))
}

/// Identifiers that count against caps.
fn counted(members: &[Membership]) -> impl Iterator<Item = &Identifier> {
    let counted = members.iter().filter(|member| is_held(member) && !member.retired);
    counted.filter_map(|member| member.identifier.as_ref())
}

/// The type and scope of which these members hold more than one customer may have.
#[must_use]
pub(super) fn over_cap(members: &[Membership]) -> Option<(&str, &str)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for identifier in counted(members) {
        *counts.entry((&identifier.r#type, &identifier.scope)).or_default() += 1;
    }
    counts
        .into_iter()
        .find(|((kind, _), count)| *count > cap(kind))
        .map(|(of, _)| of)
}

/// How a reservation was decided.
#[derive(Clone, PartialEq, Debug)]
pub enum Attach {
    /// Accepted, now or before; the record to write when now.
    Accepted(Option<CustomerRecord>),
    /// Refused for ever, now or before; the record to write when now.
    Rejected(Option<CustomerRecord>),
    /// A merge or split is being decided; try again.
    Busy,
}

/// Decides a reservation of `named` in the record of customer `id`. The same token always gets the same answer. When the
/// provider moved the peer, `replaces` names the member that the new one stands in for.
#[must_use]
pub fn attach(
    record: &CustomerRecord,
    id: CustomerId,
    named: &Named,
    birth: Birth,
    replaces: Option<&Identifier>,
    now: Moment,
) -> Attach {
    let token = birth.to_bytes();
    if record.members.iter().any(|member| member.birth == token) || record.departed.contains(&token) {
        return Attach::Accepted(None);
    }
    if record.rejected.iter().any(|rejected| rejected.birth == token) {
        return Attach::Rejected(None);
    }
    if record.state() == CustomerState::Frozen {
        return Attach::Busy;
    }
    let mut next = record.clone();
    if let Some(replaced) = replaces {
        for member in &mut next.members {
            member.retired |= member.identifier.as_ref() == Some(replaced);
        }
    }
    if record.state() == CustomerState::Active && has_room(&next.members, &named.identifier) {
        let joins = membership(id, named, birth, now);
        forget_ways(&mut next, std::slice::from_ref(&joins));
        next.members.push(joins);
        Attach::Accepted(Some(next))
    } else {
        next.members.clone_from(&record.members);
        next.rejected
            .retain(|rejected| now.since(Moment(rejected.at_ms)) < REMEMBERED);
        next.rejected.push(RejectedToken {
            birth: token,
            at_ms: now.0,
        });
        Attach::Rejected(Some(next))
    }
}

/// Whether one more identifier of this type fits; caps count per type and, for scoped types, per scope.
#[must_use]
pub fn has_room(members: &[Membership], identifier: &Identifier) -> bool {
    let same = counted(members).filter(|other| other.r#type == identifier.r#type && other.scope == identifier.scope);
    members.len() < MAX_MEMBERS && member(members, identifier).is_none() && same.count() < cap(&identifier.r#type)
}

/// Tokens of these members that were accepted here and leave: a slow worker may still ask for their answer.
pub(super) fn departed(record: &CustomerRecord, id: CustomerId, leaving: impl Fn(&Membership) -> bool) -> Vec<Bytes> {
    let born_here = record.members.iter().filter(|member| member.home == id.to_bytes());
    born_here
        .filter(|member| leaving(member))
        .map(|member| member.birth.clone())
        .collect()
}
