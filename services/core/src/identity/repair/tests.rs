use super::*;
use crate::id::Birth;
use crate::identity::{Named, new_customer};
use crate::shard::Shard;

fn id(at: i64) -> CustomerId {
    CustomerId::new(Moment(at), Shard::new(1), [7; 16])
}

fn phone() -> Named {
    Named {
        identifier: Identifier {
            r#type: "phone".into(),
            scope: String::new(),
            value: "+84900000001".into(),
        },
        evidence: Evidence::Vouched,
        provider_form: String::new(),
    }
}

fn customer(at: i64) -> (CustomerId, CustomerRecord) {
    let birth = Birth([u8::try_from(at).unwrap(); 16]);
    (id(at), new_customer("t", id(at), &phone(), birth, Moment(at)))
}

fn held(record: &CustomerRecord) -> &Membership {
    crate::identity::member(&record.members, &phone().identifier).unwrap()
}

#[test]
fn of_two_births_the_older_customer_keeps_its_own() {
    let ((older, one), (younger, other)) = (customer(1), customer(2));
    assert!(keeps((older, held(&one)), (younger, held(&other))));
    assert!(!keeps((younger, held(&other)), (older, held(&one))));
}

#[test]
fn of_one_part_the_record_that_knows_more_keeps_it() {
    let (older, record) = customer(1);
    let mut split = held(&record).clone();
    crate::identity::split::mark(std::slice::from_mut(&mut split), "command", 1);
    assert!(keeps((id(2), &split), (older, held(&record))));
    assert!(!keeps((older, held(&record)), (id(2), &split)));
    // Both know the same.
    assert!(keeps((older, held(&record)), (id(2), held(&record))));
    assert!(!keeps((id(2), held(&record)), (older, held(&record))));
}

#[test]
fn a_claim_keeps_when_its_identifier_was_erased() {
    let (owner, record) = customer(1);
    let erased = crate::identity::free(Moment(100));
    let next = claim_of(Some(&erased), held(&record), owner, Moment(50)).unwrap();
    assert_eq!((next.erased_at_ms, &next.customer), (100, &owner.to_bytes()));
    assert_eq!(claim_of(Some(&next), held(&record), owner, Moment(0)), None);
}

#[test]
fn what_was_erased_after_it_had_joined_is_not_restored() {
    let (_, record) = customer(10);
    let freed = |at| crate::identity::free(Moment(at));
    assert_eq!(erased(held(&record), Some(&freed(11)), &[]), Erased::All);
    assert_eq!(erased(held(&record), Some(&freed(10)), &[]), Erased::Nothing);
    let wiped = |from_ms, to_ms| Wiped {
        birth: held(&record).birth.clone(),
        from_ms,
        to_ms,
        threads: Vec::new(),
    };
    assert_eq!(erased(held(&record), None, &[wiped(0, 0)]), Erased::All);
    assert_eq!(erased(held(&record), None, &[wiped(20, 0)]), Erased::Since(Moment(20)));
    assert_eq!(erased(held(&record), None, &[wiped(0, 20)]), Erased::Nothing);
}

#[test]
fn a_member_comes_back_to_whoever_has_room_or_not() {
    let (owner, record) = customer(1);
    let (_, other) = customer(2);
    let member = held(&other);
    let back = regained(None, "t", owner, member, Moment(3)).unwrap();
    assert_eq!(
        crate::identity::member(&back.members, &phone().identifier),
        Some(member)
    );
    assert_eq!(regained(Some(&back), "t", owner, member, Moment(3)), None);
    // The identifier is held under another birth by now: what came under this one stays.
    let both = regained(Some(&record), "t", owner, member, Moment(3)).unwrap();
    assert_eq!(held(&both).birth, held(&record).birth);
    assert_eq!(part(&both.members, member).unwrap().to_ms, CLOSED);
}
