//! Claims and customer records as they are stored: what follows from the rest of a record, or from its key, is left out where
//! exactly that would be put back. Nobody else sees them so.

use super::membership::{built_in, own};
use crate::id::{CustomerId, IdentifierKey};
use crate::keys;
use crate::port::store::Write;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState};
use prost::{DecodeError, Message as _};

/// The write that keeps a customer's record.
#[must_use]
pub fn put_customer(id: CustomerId, record: &CustomerRecord) -> Write {
    Write::Put {
        key: keys::customer(id),
        value: encode_customer(id, record),
    }
}

/// The write that keeps a claim.
#[must_use]
pub fn put_claim(identifier: IdentifierKey, claim: &Claim) -> Write {
    Write::Put {
        key: keys::claim(identifier),
        value: encode_claim(claim),
    }
}

/// A customer's record as it is stored.
#[must_use]
pub fn encode_customer(id: CustomerId, record: &CustomerRecord) -> Bytes {
    let packed = pack_customer(record.clone(), id);
    debug_assert!(
        unpack_customer(packed.clone(), id) == *record,
        "{record:?} does not come back"
    );
    packed.encode_to_vec().into()
}

/// Back from [`encode_customer`].
pub fn decode_customer(id: CustomerId, value: Bytes) -> Result<CustomerRecord, DecodeError> {
    Ok(unpack_customer(CustomerRecord::decode(value)?, id))
}

/// A claim as it is stored.
#[must_use]
pub fn encode_claim(claim: &Claim) -> Bytes {
    let packed = pack_claim(claim.clone());
    debug_assert!(unpack_claim(packed.clone()) == *claim, "{claim:?} does not come back");
    packed.encode_to_vec().into()
}

/// Back from [`encode_claim`].
pub fn decode_claim(value: Bytes) -> Result<Claim, DecodeError> {
    Ok(unpack_claim(Claim::decode(value)?))
}

/// What stands where there is no record: nobody yet, by the built-in identifier.
#[must_use]
pub fn nobody(id: CustomerId) -> CustomerRecord {
    unpack_customer(CustomerRecord::default(), id)
}

fn pack_customer(mut record: CustomerRecord, id: CustomerId) -> CustomerRecord {
    let itself = own(id, Moment(record.created_at_ms));
    if record.members.first() == Some(&itself) {
        let itself = record.members.remove(0);
        if !lacks_itself(&record, id) {
            record.members.insert(0, itself);
        }
    } else {
        record.itself_gone = lacks_itself(&record, id);
    }
    let home = id.to_bytes();
    for member in record.members.iter_mut().filter(|member| member.home == home) {
        member.home.clear();
    }
    record
}

/// Back from [`pack_customer`]; also from what older versions stored, which left out less, and before that knew no built-in
/// identifiers.
fn unpack_customer(mut record: CustomerRecord, id: CustomerId) -> CustomerRecord {
    for member in record.members.iter_mut().filter(|member| member.home.is_empty()) {
        member.home = id.to_bytes();
    }
    let is_gone = std::mem::take(&mut record.itself_gone);
    if !is_gone && lacks_itself(&record, id) {
        record.members.insert(0, own(id, Moment(record.created_at_ms)));
    }
    record
}

/// True for a record that neither has its built-in identifier nor tells where that is: it belongs to every record that is not
/// on its way into being, until a split takes it.
fn lacks_itself(record: &CustomerRecord, id: CustomerId) -> bool {
    let itself = built_in(id);
    let is_on_its_way = record.state() == CustomerState::Prepared
        || record.epoch > 0
        || record.freeze.as_ref().is_some_and(|freeze| freeze.split);
    let members = record.members.iter().map(|member| &member.identifier);
    let went = record.out.iter().map(|forward| &forward.identifier);
    !is_on_its_way && !members.chain(went).any(|named| named.as_ref() == Some(&itself))
}

fn pack_claim(mut claim: Claim) -> Claim {
    if !claim.home.is_empty() && claim.home == claim.customer {
        claim.home.clear();
        claim.home_is_customer = true;
    }
    claim
}

fn unpack_claim(mut claim: Claim) -> Claim {
    if std::mem::take(&mut claim.home_is_customer) {
        claim.home.clone_from(&claim.customer);
    }
    claim
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Shard;
    use omnigate_proto::state::v1::{Forward, Freeze, Membership};
    use omnigate_proto::v1::Identifier;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    const BORN: Moment = Moment(1_790_000_000_000);

    fn id(number: u8) -> CustomerId {
        CustomerId::new(BORN, Shard::new(1), [number; 16])
    }

    fn named(value: &str) -> Option<Identifier> {
        Some(Identifier {
            r#type: "phone".to_owned(),
            scope: String::new(),
            value: value.to_owned(),
        })
    }

    fn member(home: CustomerId) -> Membership {
        Membership {
            identifier: named("+84901234567"),
            home: home.to_bytes(),
            birth: Bytes::from_static(&[7; 16]),
            ..Membership::default()
        }
    }

    /// Members that a record of customer 1 may have, each with something that sets it apart from what is left out.
    fn members() -> impl Strategy<Value = Membership> {
        let itself = own(id(1), BORN);
        let varied = |vary: fn(&mut Membership)| {
            let mut varied = itself.clone();
            vary(&mut varied);
            varied
        };
        let aside = [
            varied(|itself| itself.since_ms = 0),
            varied(|itself| itself.to_ms = 9),
            varied(|itself| itself.retired = true),
            varied(|itself| itself.home = id(2).to_bytes()),
            member(id(1)),
            member(id(2)),
            own(id(2), BORN),
        ];
        prop_oneof![Just(itself), select(aside.to_vec())]
    }

    fn records() -> impl Strategy<Value = CustomerRecord> {
        let out = select(vec![None, None, Some(built_in(id(1))), named("+84907654321")]);
        let freeze = select(vec![None, None, Some(true), Some(false)]);
        let born = select(vec![BORN.0, BORN.0, 0]);
        let all = (0..=5_i32, 0..2_u64, vec(members(), 0..4), out, freeze, born);
        all.prop_map(|(state, epoch, members, out, freeze, created_at_ms)| CustomerRecord {
            tenant_id: "acme".to_owned(),
            state,
            epoch,
            members,
            out: Vec::from_iter(out.map(|identifier| Forward {
                identifier: Some(identifier),
                customer: id(2).to_bytes(),
            })),
            freeze: freeze.map(|split| Freeze {
                split,
                ..Freeze::default()
            }),
            created_at_ms,
            ..CustomerRecord::default()
        })
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was(record in records()) {
            let packed = pack_customer(record.clone(), id(1));
            prop_assert!(packed.encoded_len() <= record.encoded_len() + 3);
            prop_assert_eq!(unpack_customer(packed, id(1)), record);
        }
    }

    #[test]
    fn what_follows_from_the_rest_is_not_stored() {
        let record = CustomerRecord {
            tenant_id: "acme".to_owned(),
            members: vec![own(id(1), BORN), member(id(1)), member(id(2))],
            created_at_ms: BORN.0,
            ..CustomerRecord::default()
        };
        let packed = pack_customer(record.clone(), id(1));
        let homes: Vec<&[u8]> = packed.members.iter().map(|member| &member.home[..]).collect();
        assert_eq!(homes, [&[][..], &id(2).to_bytes()[..]]);
        assert!(!packed.itself_gone);
        assert_eq!(unpack_customer(packed, id(1)), record);
        assert_eq!(
            unpack_customer(record.clone(), id(1)),
            record,
            "as an older version stored it"
        );
    }

    #[test]
    fn a_record_of_a_version_without_built_in_identifiers_gets_its_own() {
        let mut record = CustomerRecord {
            members: vec![member(id(1))],
            created_at_ms: BORN.0,
            ..CustomerRecord::default()
        };
        let read = unpack_customer(record.clone(), id(1));
        assert_eq!(read.members, [own(id(1), BORN), member(id(1))]);
        record.set_state(CustomerState::Prepared);
        assert_eq!(unpack_customer(record.clone(), id(1)), record, "not yet a customer");
    }

    #[test]
    fn a_claim_comes_back_as_it_was() {
        let claim = |customer: &[u8], home: &[u8]| Claim {
            customer: Bytes::copy_from_slice(customer),
            home: Bytes::copy_from_slice(home),
            birth: Bytes::from_static(&[7; 16]),
            identifier: named("+84901234567"),
            ..Claim::default()
        };
        let (one, other) = (id(1).to_bytes(), id(2).to_bytes());
        for (claim, is_left_out) in [
            (claim(&one, &one), true),
            (claim(&one, &other), false),
            (claim(&one, &[]), false),
            (claim(&[], &[]), false),
        ] {
            let packed = pack_claim(claim.clone());
            assert_eq!(packed.home_is_customer, is_left_out);
            assert!(!is_left_out || packed.home.is_empty());
            assert_eq!(unpack_claim(packed), claim);
            assert_eq!(unpack_claim(claim.clone()), claim, "as an older version stored it");
        }
    }

    #[test]
    fn a_claim_that_is_pointed_elsewhere_keeps_its_home() {
        let claim = Claim {
            customer: id(1).to_bytes(),
            home: id(1).to_bytes(),
            ..Claim::default()
        };
        let read = unpack_claim(pack_claim(claim));
        let pointed = unpack_claim(pack_claim(super::super::pointed(&read, id(2))));
        assert_eq!((pointed.customer, pointed.home), (id(2).to_bytes(), id(1).to_bytes()));
    }
}
