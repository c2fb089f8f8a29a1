//! Who owns an identifier, and which customers are one.
//!
//! Membership of an identifier is decided once, in the customer's record; the claim in the identifier's own shard only
//! points. A merge is decided once, in the older customer's record, a split once, in the present owner's. What was decided
//! stays decided for as long as a slow worker may still ask.

mod claim;
pub mod log;
mod membership;
pub mod merge;
pub mod reassign;
pub mod repair;
pub mod split;
pub mod stored;
pub mod veil;
mod whereabouts;

pub use claim::{Claimed, free, new_claim, pointed, read_claim};
pub use membership::{
    Attach, CLOSED, MAX_MEMBERS, MAX_MERGED, attach, built_in, built_in_of, consists_of, has_room, is_held, member,
    new_customer, own,
};
pub use whereabouts::{Shown, Whereabouts, frozen, shown, verdict, whereabouts};

use omnigate_proto::v1::{Evidence, Identifier};

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
    use crate::id::{Birth, CustomerId};
    use crate::shard::Shard;
    use crate::time::Moment;
    use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState};

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
