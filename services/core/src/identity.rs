//! Who owns an identifier: the claim and attach half of the identity protocol. Merge, split and erasure belong here too;
//! their states are known, so that records written by a later version are refused and not misread.
//!
//! Membership of an identifier is decided once, in the customer's record; the claim in the identifier's own shard only
//! points. A refused reservation stays refused for ever, whatever room is made later: a slow worker may still hold it.

use crate::id::{Birth, CustomerId};
use crate::identifier::cap;
use crate::time::Moment;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState, Membership, RejectedToken};
use omnigate_proto::v1::{Evidence, Identifier};
use std::time::Duration;

/// Most identifiers one customer may have.
const MAX_MEMBERS: usize = 1000;
/// How long a refused reservation is remembered: longer than any worker can sleep on it.
const REJECTED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// An identifier as an event names it.
#[derive(Clone, PartialEq, Debug)]
pub struct Named {
    /// Canonical identifier.
    pub identifier: Identifier,
    /// How well it is known.
    pub evidence: Evidence,
    /// As the provider writes it, when different.
    pub provider_form: String,
}

/// What a claim says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claimed {
    /// Nobody has it.
    Free,
    /// Reserved for a customer; not yet known to be a member.
    Reserved {
        /// Customer it is reserved for.
        customer: CustomerId,
        /// Reservation token.
        birth: Birth,
    },
    /// A member was accepted in `home`; `customer` leads to its present owner.
    Settled {
        /// Record from which the way to the owner begins.
        customer: CustomerId,
        /// Reservation token.
        birth: Birth,
        /// Record in which its threads live.
        home: CustomerId,
    },
    /// The event is older than an erasure of this identifier.
    Erased,
}

/// Reads a claim for an event received at `received_at`.
#[must_use]
pub fn read_claim(claim: Option<&Claim>, received_at: Moment) -> Claimed {
    let Some(claim) = claim else {
        return Claimed::Free;
    };
    if received_at.0 < claim.erased_at_ms {
        return Claimed::Erased;
    }
    match (
        CustomerId::from_bytes(&claim.customer),
        Birth::from_bytes(&claim.birth),
        CustomerId::from_bytes(&claim.home),
    ) {
        (Some(customer), Some(birth), Some(home)) => Claimed::Settled { customer, birth, home },
        (Some(customer), Some(birth), None) => Claimed::Reserved { customer, birth },
        _ => Claimed::Free,
    }
}

/// A claim for a customer; `home` is known at once only at first contact, where claim and member are one commit.
#[must_use]
pub fn new_claim(
    before: Option<&Claim>,
    identifier: &Identifier,
    customer: CustomerId,
    birth: Birth,
    home: Option<CustomerId>,
) -> Claim {
    Claim {
        customer: customer.to_bytes(),
        birth: birth.to_bytes(),
        home: home.map(CustomerId::to_bytes).unwrap_or_default(),
        erased_at_ms: before.map_or(0, |claim| claim.erased_at_ms),
        identifier: Some(identifier.clone()),
    }
}

/// A new customer with its first identifier.
#[must_use]
pub fn new_customer(tenant_id: &str, id: CustomerId, named: &Named, birth: Birth, now: Moment) -> CustomerRecord {
    CustomerRecord {
        tenant_id: tenant_id.to_owned(),
        state: CustomerState::Active.into(),
        members: vec![membership(id, named, birth, now)],
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
    if record.state() == CustomerState::Active && has_room(&next, &named.identifier) {
        next.members.push(membership(id, named, birth, now));
        Attach::Accepted(Some(next))
    } else {
        next.members.clone_from(&record.members);
        next.rejected
            .retain(|rejected| now.since(Moment(rejected.at_ms)) < REJECTED_KEPT);
        next.rejected.push(RejectedToken {
            birth: token,
            at_ms: now.0,
        });
        Attach::Rejected(Some(next))
    }
}

/// Whether one more identifier of this type fits; caps count per type and, for scoped types, per scope.
fn has_room(record: &CustomerRecord, identifier: &Identifier) -> bool {
    let counted = record.members.iter().filter(|member| !member.retired);
    let same = counted
        .filter_map(|member| member.identifier.as_ref())
        .filter(|other| other.r#type == identifier.r#type && other.scope == identifier.scope);
    record.members.len() < MAX_MEMBERS
        && !record
            .members
            .iter()
            .any(|member| member.identifier.as_ref() == Some(identifier))
        && same.count() < cap(&identifier.r#type)
}

/// The identifiers of an event that may own or link, in the fixed order in which they are tried; the peer is always among
/// them, the others only when the channel or a person vouches for them: a stated one would let anybody take a name.
#[must_use]
pub fn candidates(peer: &Named, others: &[Named]) -> Vec<Named> {
    let mut all: Vec<Named> = others
        .iter()
        .filter(|named| named.evidence as i32 >= Evidence::Verified as i32 && named.identifier != peer.identifier)
        .cloned()
        .collect();
    all.push(peer.clone());
    all.sort_by_cached_key(|named| crate::identifier::rank(&named.identifier, named.evidence));
    all.dedup_by(|one, other| one.identifier == other.identifier);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Shard;

    fn named(kind: &str, value: &str) -> Named {
        Named {
            identifier: Identifier {
                r#type: kind.into(),
                scope: String::new(),
                value: value.into(),
            },
            evidence: Evidence::Vouched,
            provider_form: String::new(),
        }
    }

    fn customer() -> (CustomerId, CustomerRecord) {
        let id = CustomerId::new(Moment(1), Shard::new(1), [1; 16]);
        (
            id,
            new_customer("t", id, &named("tg_chat", "1"), Birth([1; 16]), Moment(1)),
        )
    }

    #[test]
    fn a_reservation_is_decided_once() {
        let (id, record) = customer();
        let other = named("tg_chat", "2");
        let Attach::Rejected(Some(refused)) = attach(&record, id, &other, Birth([2; 16]), None, Moment(2)) else {
            panic!("the cap of one chat per bot must refuse a second");
        };
        let mut roomy = refused.clone();
        roomy.members.clear();
        assert_eq!(
            attach(&roomy, id, &other, Birth([2; 16]), None, Moment(3)),
            Attach::Rejected(None)
        );
        assert!(matches!(
            attach(&roomy, id, &other, Birth([3; 16]), None, Moment(3)),
            Attach::Accepted(Some(_))
        ));
    }

    #[test]
    fn an_accepted_token_stays_accepted() {
        let (id, record) = customer();
        let phone = named("phone", "+84912345678");
        let Attach::Accepted(Some(next)) = attach(&record, id, &phone, Birth([2; 16]), None, Moment(2)) else {
            panic!("there is room for a phone");
        };
        assert_eq!(
            attach(&next, id, &phone, Birth([2; 16]), None, Moment(3)),
            Attach::Accepted(None)
        );
    }

    #[test]
    fn a_frozen_record_takes_nothing() {
        let (id, mut record) = customer();
        record.state = CustomerState::Frozen.into();
        assert_eq!(
            attach(
                &record,
                id,
                &named("phone", "+84912345678"),
                Birth([2; 16]),
                None,
                Moment(2)
            ),
            Attach::Busy
        );
    }

    #[test]
    fn stated_identifiers_never_own() {
        let mut mail = named("email", "a@b.vn");
        mail.evidence = Evidence::Stated;
        let peer = named("tg_chat", "1");
        assert_eq!(
            candidates(&peer, &[mail, named("phone", "+84912345678")]),
            vec![named("phone", "+84912345678"), peer]
        );
    }

    #[test]
    fn an_event_older_than_an_erasure_is_dropped() {
        let claim = Claim {
            erased_at_ms: 100,
            ..Claim::default()
        };
        assert_eq!(read_claim(Some(&claim), Moment(99)), Claimed::Erased);
        assert_eq!(read_claim(Some(&claim), Moment(100)), Claimed::Free);
    }
}
