//! Claims: what stands in the shard of an identifier. They only point.

use crate::id::{Birth, CustomerId};
use crate::time::Moment;
use omnigate_proto::state::v1::Claim;
use omnigate_proto::v1::Identifier;

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
        ..Claim::default()
    }
}

/// The claim that leads to another customer; birth and home stay what they are.
#[must_use]
pub fn pointed(claim: &Claim, customer: CustomerId) -> Claim {
    Claim {
        customer: customer.to_bytes(),
        ..claim.clone()
    }
}

/// The claim of an identifier that nobody has: events received before `erased_at` are dropped.
#[must_use]
pub fn free(erased_at: Moment) -> Claim {
    Claim {
        erased_at_ms: erased_at.0,
        ..Claim::default()
    }
}
