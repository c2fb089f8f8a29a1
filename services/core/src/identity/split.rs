//! A split: a record is frozen to get identifiers, their present owner decides once which, and the record begins to be a
//! customer by that verdict. It undoes a merge, wholly or in part, or gives identifiers a customer of their own.

use super::membership::{built_in, built_in_of, departed, is_held, member, own};
use super::merge::{Decided, Freezing, without_effect};
use super::whereabouts::{forget_ways, frozen_for, ways};
use crate::id::{CustomerId, TransactionId};
use crate::time::Moment;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, DoNotLink, Freeze, Membership, MergeStep, Verdict};
use omnigate_proto::v1::Identifier;

/// What is taken apart.
#[derive(Clone, PartialEq, Debug)]
pub struct Split {
    /// Names this attempt.
    pub transaction: TransactionId,
    /// Names the command, whichever attempt succeeds; written as a do-not-link mark on both sides.
    pub command: String,
    /// The record that gets identifiers: one that was merged, or a new one.
    pub gets: CustomerId,
    /// Their present owner; it decides.
    pub owner: CustomerId,
    /// Which.
    pub what: What,
}

/// Which identifiers are taken out.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// Everything that a merge brought, and the old id with it.
    Merge {
        /// The merge.
        step: MergeStep,
        /// Only these, if any are named; the old id comes back nevertheless.
        only: Option<Vec<Identifier>>,
    },
    /// These, for a new customer.
    Unlink(Vec<Identifier>),
    /// An address that got a new holder: from now on it is a new customer's, what came before stays.
    NewHolder(Identifier),
}

/// Freezes the record that gets identifiers; `None` for one that does not exist yet.
#[must_use]
pub fn prepare(record: Option<&CustomerRecord>, tenant_id: &str, split: &Split, now: Moment) -> Freezing {
    let fresh = CustomerRecord {
        tenant_id: tenant_id.to_owned(),
        state: CustomerState::Prepared.into(),
        created_at_ms: now.0,
        ..CustomerRecord::default()
    };
    let record = record.unwrap_or(&fresh);
    let (state, merged_by) = match &split.what {
        What::Merge { step, .. } => (CustomerState::Merged, step.transaction.clone()),
        What::Unlink(_) | What::NewHolder(_) => (CustomerState::Prepared, bytes::Bytes::new()),
    };
    let freeze = Freeze {
        transaction: split.transaction.to_bytes(),
        decider: split.owner.to_bytes(),
        split: true,
        since_ms: now.0,
    };
    Freezing::of(record, freeze, record.state() == state && record.merged_by == merged_by)
}

/// Decides a split in the present owner's record.
#[must_use]
pub fn decide(record: &CustomerRecord, split: &Split, now: Moment) -> Decided {
    if let Some(already) = Decided::already(record, &split.transaction.0) {
        return already;
    }
    let given = without_effect(&split.transaction.0, now);
    let parts: (Vec<Membership>, Vec<Membership>) = record
        .members
        .iter()
        .cloned()
        .partition(|member| is_chosen(member, &split.what));
    let (leaving, staying) = parts;
    let is_there = match &split.what {
        What::Merge { .. } => member(&leaving, &built_in(split.gets)).is_some(),
        What::Unlink(_) | What::NewHolder(_) => !leaving.is_empty(),
    };
    if record.state() != CustomerState::Active || !is_there {
        return Decided::new(record.clone(), given, now);
    }
    let mut next = record.clone();
    if !matches!(split.what, What::NewHolder(_)) {
        next.departed.extend(departed(record, split.owner, |member| {
            leaving.iter().any(|gone| gone.birth == member.birth)
        }));
    }
    let (leaving, staying) = parted(leaving, staying, split, now);
    forget_ways(&mut next, &leaving);
    let away = ways(&record.tenant_id, leaving.iter(), &split.gets.to_bytes());
    next.out.extend(away);
    next.members = staying;
    let verdict = Verdict {
        commit: true,
        members: leaving,
        ..given
    };
    Decided::new(next, verdict, now)
}

/// Both sides as they are afterwards: each knows that it is never to be one with the other again.
fn parted(
    mut leaving: Vec<Membership>,
    mut staying: Vec<Membership>,
    split: &Split,
    now: Moment,
) -> (Vec<Membership>, Vec<Membership>) {
    match &split.what {
        What::Merge { step, .. } => {
            for member in &mut leaving {
                let at = member.path.iter().position(|known| known == step);
                member.path.truncate(at.unwrap_or(0));
            }
            staying
                .iter_mut()
                .for_each(|member| member.path.retain(|known| known != step));
        }
        What::Unlink(_) => leaving.iter_mut().for_each(|member| member.path.clear()),
        What::NewHolder(_) => {
            staying.extend(leaving.iter().cloned().map(|mut member| {
                member.to_ms = now.0;
                member
            }));
            for member in &mut leaving {
                member.path.clear();
                member.from_ms = now.0;
                member.cut_from = split.owner.to_bytes();
            }
        }
    }
    if !matches!(split.what, What::Merge { .. }) {
        leaving.push(own(split.gets, now));
    }
    mark(&mut leaving, &split.command, 1);
    mark(&mut staying, &split.command, 0);
    (leaving, staying)
}

/// True for what leaves.
fn is_chosen(member: &Membership, what: &What) -> bool {
    let is_named = |named: &[Identifier]| {
        let identifier = member.identifier.as_ref();
        is_held(member) && identifier.is_some_and(|identifier| named.contains(identifier))
    };
    match what {
        What::Merge { step, only } => {
            let is_itself = member
                .identifier
                .as_ref()
                .is_some_and(|identifier| built_in_of(identifier).is_some());
            member.path.contains(step) && (only.is_none() || is_itself)
                || only.as_ref().is_some_and(|only| is_named(only))
        }
        What::Unlink(named) => is_named(named),
        What::NewHolder(identifier) => is_named(std::slice::from_ref(identifier)),
    }
}

/// Marks one side of what stays apart.
pub fn mark(members: &mut [Membership], command: &str, side: u32) {
    for member in members {
        member.tags.push(DoNotLink {
            split: command.to_owned(),
            side,
        });
    }
}

/// Settles the record that gets identifiers by the verdict. `None` when it is settled already.
#[must_use]
pub fn settle(
    record: &CustomerRecord,
    id: CustomerId,
    transaction: &[u8],
    verdict: &Verdict,
) -> Option<CustomerRecord> {
    frozen_for(record, transaction, true)?;
    let mut next = record.clone();
    next.freeze = None;
    if !verdict.commit {
        let before = if record.into.is_empty() {
            CustomerState::Prepared
        } else {
            CustomerState::Merged
        };
        next.set_state(before);
        return Some(next);
    }
    next.set_state(CustomerState::Active);
    next.epoch += 1;
    next.departed.extend(departed(record, id, |member| {
        verdict.members.iter().all(|back| back.birth != member.birth)
    }));
    // What was merged with it and does not come back is where it was merged into.
    forget_ways(&mut next, &record.members);
    next.out
        .extend(ways(&record.tenant_id, record.members.iter(), &record.into));
    forget_ways(&mut next, &verdict.members);
    next.members.clone_from(&verdict.members);
    next.into = bytes::Bytes::new();
    next.merged_by = bytes::Bytes::new();
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Birth;
    use crate::identity::{Named, Whereabouts, new_customer, whereabouts};
    use crate::shard::Shard;
    use omnigate_proto::v1::Evidence;

    /// A number gets a new holder, the old one is merged, and comes back: the way to the new holder is still known.
    #[test]
    fn who_comes_back_still_knows_where_a_number_went() {
        let id = |at| CustomerId::new(Moment(at), Shard::new(1), [at.unsigned_abs().to_be_bytes()[7]; 16]);
        let (survivor, old, new) = (id(1), id(2), id(3));
        let phone = Named {
            identifier: Identifier {
                r#type: "phone".into(),
                scope: String::new(),
                value: "+84900000001".into(),
            },
            evidence: Evidence::Vouched,
            provider_form: String::new(),
        };
        let record = new_customer("t", old, &phone, Birth([7; 16]), Moment(2));
        let cut = Split {
            transaction: TransactionId([1; 16]),
            command: "cut".into(),
            gets: new,
            owner: old,
            what: What::NewHolder(phone.identifier.clone()),
        };
        let Decided::Verdict(_, Some(record)) = decide(&record, &cut, Moment(10)) else {
            panic!("nothing stands in the way");
        };
        assert_eq!(whereabouts(&record, &phone.identifier), Whereabouts::Gone(new));
        let mut merged = *record;
        merged.set_state(CustomerState::Merged);
        merged.into = survivor.to_bytes();
        let step = MergeStep {
            transaction: bytes::Bytes::from_static(&[2; 16]),
            loser: old.to_bytes(),
        };
        merged.merged_by = step.transaction.clone();
        let undo = Split {
            transaction: TransactionId([3; 16]),
            command: "undo".into(),
            gets: old,
            owner: survivor,
            what: What::Merge { step, only: None },
        };
        let Freezing::Frozen(Some(frozen)) = prepare(Some(&merged), "t", &undo, Moment(20)) else {
            panic!("it was merged by that");
        };
        let verdict = Verdict {
            commit: true,
            members: merged.members.clone(),
            ..Verdict::default()
        };
        let back = settle(&frozen, old, &undo.transaction.0, &verdict).unwrap();
        assert_eq!(whereabouts(&back, &phone.identifier), Whereabouts::Gone(new));
    }
}
