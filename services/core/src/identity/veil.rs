//! Identifiers of people who were erased: in the records that once held them only the key stays under which they are looked
//! up. A worker who is behind still finds out with it that they are gone, and it leads nowhere else.

use super::membership::{built_in_of, member};
use crate::identifier::{self, ERASED};
use omnigate_proto::state::v1::{CustomerRecord, Membership, Verdict};
use omnigate_proto::v1::Identifier;

/// What stands in the place of an identifier.
#[must_use]
pub fn veiled(tenant_id: &str, identifier: &Identifier) -> Identifier {
    Identifier {
        r#type: ERASED.to_owned(),
        scope: String::new(),
        value: identifier::key(tenant_id, identifier).to_string(),
    }
}

/// True for an identifier that nobody can read any more.
#[must_use]
pub fn is_veiled(identifier: &Identifier) -> bool {
    identifier.r#type == ERASED
}

/// The record without anything that names the person; `None` when there is nothing of the kind in it. Splits that it decided
/// must be settled: who got what is not to be read in it any more.
#[must_use]
pub fn veil(record: &CustomerRecord) -> Option<CustomerRecord> {
    let names = |member: &Membership| {
        let identifier = member.identifier.as_ref();
        identifier.is_some_and(|identifier| built_in_of(identifier).is_none() && !is_veiled(identifier))
    };
    let tells = record.verdicts.iter().any(|verdict| !verdict.members.is_empty());
    if !tells && !record.members.iter().any(names) {
        return None;
    }
    let mut next = record.clone();
    for verdict in &mut next.verdicts {
        verdict.members.clear();
    }
    for member in next.members.iter_mut().filter(|member| names(member)) {
        if let Some(identifier) = &mut member.identifier {
            *identifier = veiled(&record.tenant_id, identifier);
        }
        member.provider_form.clear();
    }
    Some(next)
}

/// The record without the names in the verdict by which it parted with somebody; `None` when there are none.
#[must_use]
pub fn forget_verdict(record: &CustomerRecord, transaction: &[u8]) -> Option<CustomerRecord> {
    let of = |verdict: &Verdict| verdict.transaction == transaction && !verdict.members.is_empty();
    let at = record.verdicts.iter().position(of)?;
    let mut next = record.clone();
    next.verdicts[at].members.clear();
    Some(next)
}

/// True when a record holds an identifier, readable or not.
#[must_use]
pub(super) fn holds(record: &CustomerRecord, identifier: &Identifier) -> bool {
    member(&record.members, identifier).is_some()
        || member(&record.members, &veiled(&record.tenant_id, identifier)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Birth, CustomerId};
    use crate::identity::{Named, Whereabouts, new_customer, whereabouts};
    use crate::shard::Shard;
    use crate::time::Moment;
    use omnigate_proto::state::v1::CustomerState;
    use omnigate_proto::v1::Evidence;
    use prost::Message as _;

    fn named(value: &str) -> Named {
        Named {
            identifier: Identifier {
                r#type: "phone".to_owned(),
                scope: String::new(),
                value: value.to_owned(),
            },
            evidence: Evidence::Vouched,
            provider_form: value.trim_start_matches('+').to_owned(),
        }
    }

    #[test]
    fn what_is_veiled_names_nobody_and_is_still_found() {
        let id = CustomerId::new(Moment(1), Shard::new(1), [1; 16]);
        let phone = named("+84901234567");
        let mut record = new_customer("acme", id, &phone, Birth([2; 16]), Moment(1));
        record.set_state(CustomerState::Erased);
        let veiled = veil(&record).unwrap();
        let bytes = veiled.encode_to_vec();
        assert!(!bytes.windows(9).any(|window| window == b"901234567"));
        assert_eq!(veil(&veiled), None);
        assert_eq!(whereabouts(&veiled, &phone.identifier), Whereabouts::Erased);
        assert_eq!(
            whereabouts(&veiled, &named("+84901234568").identifier),
            Whereabouts::Lost
        );
        assert_eq!(
            whereabouts(&veiled, &crate::identity::built_in(id)),
            Whereabouts::Erased
        );
    }
}
