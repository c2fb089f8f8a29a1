//! A record against those that were merged into it, that it was merged into, or that it gave identifiers.

use super::super::merge::{Merged, merge, recover};
use super::super::record::{Next, change, load};
use super::super::{Person, attempt};
use super::way::{End, walk};
use super::{Found, Mended, mend, mend_by};
use crate::id::CustomerId;
use crate::identity::merge::{Decided, Word, abort};
use crate::identity::repair::{
    self, Repair, gave, given_up, is_unborn, keeps, knows, leads_back, merged_again, split_again, unmerged,
};
use crate::identity::{self, built_in};
use crate::protocol::context::{Context, Stop};
use crate::protocol::resolve::Asking;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Membership, Verdict};

/// Looks at every former customer that a record consists of, or gave back. True when something was put right.
pub(super) async fn former(
    context: &Context<'_>,
    id: CustomerId,
    record: &CustomerRecord,
    mended: &mut Mended,
) -> Result<bool, Stop> {
    let before = mended.repairs.len();
    let (members, gone) = repair::former(record, id);
    for other in members {
        within(context, (id, record), other, mended).await?;
        if mended.repairs.len() > before {
            return Ok(true);
        }
    }
    for other in gone {
        if given_back(context, (id, record), other, mended).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks at one whose old id the record holds: it has to lead here.
async fn within(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    other: CustomerId,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let itself = built_in(other);
    let Some(ours) = identity::member(&record.members, &itself) else {
        return Ok(());
    };
    recover(context, other).await?;
    let theirs = load(context, other).await?.value;
    let state = theirs
        .as_ref()
        .map_or(CustomerState::Unspecified, CustomerRecord::state);
    match (state, &theirs) {
        (CustomerState::Active, Some(theirs)) => apart(context, (id, ours), (other, theirs), mended).await,
        (CustomerState::Erased, Some(theirs)) => {
            give(context, id, &theirs.members, other, Repair::ErasedAgain, mended).await
        }
        (CustomerState::Merged, _) => {
            let way = walk(context, (&itself, &ours.birth), other).await?;
            match &way.end {
                End::Here(_) if way.at == id => Ok(()),
                End::Here(elsewhere) => {
                    let Some(theirs) = identity::member(&elsewhere.members, &itself) else {
                        return Ok(());
                    };
                    let (gives, to) = if keeps((id, ours), (way.at, theirs)) {
                        (way.at, id)
                    } else {
                        (id, way.at)
                    };
                    give(
                        context,
                        gives,
                        std::slice::from_ref(ours),
                        to,
                        Repair::HeldTwice,
                        mended,
                    )
                    .await
                }
                End::Erased(erased) => give(context, id, &erased.members, way.at, Repair::ErasedAgain, mended).await,
                End::Lost(_) | End::Circle => settle_again(context, id, other, mended).await,
            }
        }
        _ => settle_again(context, id, other, mended).await,
    }
}

/// A record that was merged into `id` and does not know, or is gone.
async fn settle_again(
    context: &Context<'_>,
    id: CustomerId,
    other: CustomerId,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let found = Found {
        repair: Repair::MergeRestored,
        other: Some(id),
        members: &[],
    };
    let settled = mend_by(context, (other, id), &found, |theirs, ours, _| {
        let ours = (ours.state() == CustomerState::Active).then_some(ours)?;
        merged_again(theirs, other, (id, ours))
    });
    if settled.await? {
        mended.note(Repair::MergeRestored, other);
    }
    Ok(())
}

/// Two customers hold one old id. Where the former one came back by a split of which the other does not know, that is carried
/// out there; else they are merged once more. Where rules forbid it, they stay two.
async fn apart(
    context: &Context<'_>,
    (id, ours): (CustomerId, &Membership),
    (other, theirs): (CustomerId, &CustomerRecord),
    mended: &mut Mended,
) -> Result<(), Stop> {
    let itself = built_in(other);
    let Some(of_theirs) = identity::member(&theirs.members, &itself) else {
        // It gave its own old id away: that is looked at from there.
        return lead_on(context, other, mended).await.map(drop);
    };
    if keeps((other, of_theirs), (id, ours)) {
        return give(context, id, &theirs.members, other, Repair::SplitRestored, mended).await;
    }
    // By their ids they would be found to be one already.
    let Some(verdict) = rejoin(context, [id.min(other), id.max(other)], mended).await? else {
        mended.contended = true;
        return Ok(());
    };
    if verdict.commit {
        mended.note(Repair::MergeRestored, id);
        return Ok(());
    }
    if verdict.forbidden_by.is_empty() {
        mended.contended = true;
        return Ok(());
    }
    give(context, id, &theirs.members, other, Repair::HeldTwice, mended).await
}

/// Merges two that hold one old id, by their records alone.
async fn rejoin(
    context: &Context<'_>,
    [survivor, loser]: [CustomerId; 2],
    mended: &mut Mended,
) -> Result<Option<Verdict>, Stop> {
    let merge = identity::merge::Merge {
        transaction: crate::id::TransactionId(context.entropy.bytes()),
        survivor,
        loser,
        evidence: [built_in(survivor), built_in(loser)],
        word: Word::Strong,
    };
    attempt(context, &merge, "", &mut 0, &mut mended.outgoing).await
}

/// Has a record give up what another one holds, or held when it was erased. It is looked at again when that is decided: by
/// now the other one may have come to this one, with what it held.
pub(super) async fn give(
    context: &Context<'_>,
    id: CustomerId,
    parts: &[Membership],
    to: CustomerId,
    what: Repair,
    mended: &mut Mended,
) -> Result<(), Stop> {
    recover(context, id).await?;
    let found = Found {
        repair: what,
        other: Some(to),
        members: parts,
    };
    let given = mend_by(context, (id, to), &found, |record, holder, _| {
        let has = matches!(holder.state(), CustomerState::Active | CustomerState::Erased);
        let held = |member: &&Membership| repair::part(&holder.members, member).is_some();
        let parts: Vec<Membership> = parts.iter().filter(held).filter(|_| has).cloned().collect();
        given_up(record?, id, &parts, Some(to))
    });
    if given.await? {
        mended.note(what, id);
    }
    Ok(())
}

/// Looks at one that a record gave its old id back to: it has to know. True when it did not.
async fn given_back(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    other: CustomerId,
    mended: &mut Mended,
) -> Result<bool, Stop> {
    if gave(record, other).is_none() {
        return Ok(false);
    }
    let way = walk(context, (&built_in(other), &other.to_bytes()), other).await?;
    let leads_back = matches!(way.end, End::Circle);
    let found = Found {
        repair: Repair::SplitRestored,
        other: Some(id),
        members: &[],
    };
    let settled = mend_by(context, (other, id), &found, |theirs, owner, now| {
        let merged = theirs.is_some_and(|theirs| theirs.state() == CustomerState::Merged);
        if merged && !leads_back {
            return None;
        }
        split_again(theirs, other, (id, owner), now)
    })
    .await?;
    if settled {
        mended.note(Repair::SplitRestored, other);
    }
    Ok(settled)
}

/// Looks at a merged record: whoever it was merged into has to know. Where that lost it, the merge is ended there, the record
/// is a customer again, and the two are merged anew.
pub(super) async fn merged(
    context: &Context<'_>,
    id: CustomerId,
    record: &CustomerRecord,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let Some(into) = CustomerId::from_bytes(&record.into) else {
        return Ok(());
    };
    let way = walk(context, (&built_in(id), &id.to_bytes()), id).await?;
    if matches!(way.end, End::Circle) {
        // Somebody on it gave it back, and it does not know.
        for owner in way.been.iter().filter(|owner| **owner != id) {
            let of_owner = load(context, *owner).await?.value.unwrap_or_default();
            if given_back(context, (*owner, &of_owner), id, mended).await? {
                return Ok(());
            }
            // Who was erased since does not know any more what it gave.
            if leads_back(&of_owner, id)
                && come_back(context, (id, record), (*owner, Repair::SplitRestored), mended).await?
            {
                return Ok(());
            }
        }
    }
    // Whoever it went on to from there may be the one that lost it.
    if let End::Lost(owner) = &way.end
        && ![id, into].contains(&way.at)
    {
        let owner = owner.as_ref().filter(|owner| !is_unborn(owner));
        return match owner.map(CustomerRecord::state) {
            None | Some(CustomerState::Active) => undone(context, (id, record), (way.at, owner), mended).await,
            // One that was erased, or merged, may not know any more what it gave.
            Some(_) => Ok(()),
        };
    }
    let ended = change(context, into, |survivor, now| {
        let survivor = survivor.cloned().unwrap_or_default();
        if knows(&survivor, id, &record.merged_by) {
            return (None, None);
        }
        let next = match abort(&survivor, &record.merged_by, now) {
            Decided::Verdict(_, next) => next.map(|next| Next::from(*next)),
            Decided::Busy => None,
        };
        (Some(survivor), next)
    });
    let Some(survivor) = ended.await? else {
        return Ok(());
    };
    let survivor = Some(&survivor).filter(|survivor| survivor.state() == CustomerState::Active);
    undone(context, (id, record), (into, survivor), mended).await
}

/// Has a record be a customer again whose merge somebody lost, and merges it anew with that one, if that is a customer.
async fn undone(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    (by, survivor): (CustomerId, Option<&CustomerRecord>),
    mended: &mut Mended,
) -> Result<(), Stop> {
    let is_back = come_back(context, (id, record), (by, Repair::MergeUndone), mended).await?;
    let Some(survivor) = survivor.filter(|_| is_back) else {
        return Ok(());
    };
    // What forbids it now is kept as a conflict.
    if let Merged::One(id) = again(context, &survivor.tenant_id, [by, id], mended).await? {
        mended.note(Repair::MergeRestored, id);
    }
    Ok(())
}

/// Has a merged record be a customer again with what it was merged with.
async fn come_back(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    (other, repair): (CustomerId, Repair),
    mended: &mut Mended,
) -> Result<bool, Stop> {
    let found = Found {
        repair,
        other: Some(other),
        members: &record.members,
    };
    let is_back = mend(context, id, &found, |present, _| {
        let is_same = present.is_some_and(|present| present.into == record.into);
        unmerged(present.filter(|_| is_same)?, &record.merged_by)
    });
    let is_back = is_back.await?;
    if is_back {
        mended.note(repair, id);
    }
    Ok(is_back)
}

/// Merges two whose merge was lost, or who are one by what they hold. What forbids it is kept as a conflict.
pub(super) async fn again(
    context: &Context<'_>,
    tenant_id: &str,
    [one, other]: [CustomerId; 2],
    mended: &mut Mended,
) -> Result<Merged, Stop> {
    let asking = Asking {
        tenant_id,
        received_at: context.now(),
        trace_id: "",
        replaces: None,
    };
    let people = [Person::Customer(one), Person::Customer(other)];
    let both = [&people[0], &people[1]];
    merge(context, &asking, both, Word::Strong, &mut mended.outgoing).await
}

/// Looks at the records on a way, from one that leads on. True when something was put right.
pub(super) async fn lead_on(context: &Context<'_>, from: CustomerId, mended: &mut Mended) -> Result<bool, Stop> {
    let before = mended.repairs.len();
    let Some(record) = load(context, from).await?.value else {
        return Ok(false);
    };
    if record.state() == CustomerState::Merged {
        merged(context, from, &record, mended).await?;
    }
    Ok(mended.repairs.len() > before)
}
