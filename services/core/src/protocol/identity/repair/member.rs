//! A member against its claim, and against whoever else holds it.

use super::super::record::load;
use super::super::recover;
use super::closed::{born_twice, close, closed, set_closed};
use super::way::{End, Way, walk};
use super::{Found, Mended, claim, holder, mend, mend_by, past};
use crate::id::{Birth, CustomerId};
use crate::identifier;
use crate::identity::repair::{Erased, Repair, ended, erased, given_up, is_same_part, keeps};
use crate::identity::{self, Attach, CLOSED, Named, attach, built_in_of, is_held};
use crate::keys;
use crate::protocol::context::{Context, Loaded, Stop};
use crate::time::Moment;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState, HomeRecord, Membership, Wiped};
use omnigate_proto::v1::{Evidence, Identifier};

/// A record that holds an identifier, with what it holds.
pub(super) type Holder<'a> = (CustomerId, &'a Membership);

/// Looks at one member of an active record.
pub(super) async fn check(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    member: &Membership,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let Some(identifier) = member.identifier.as_ref().filter(|of| built_in_of(of).is_none()) else {
        return Ok(());
    };
    if member.to_ms == CLOSED {
        return closed(context, (id, record), (member, identifier), mended).await;
    }
    if !is_held(member) {
        return Ok(());
    }
    holder::before(context, &record.tenant_id, member, mended).await?;
    if let Some((_, later)) = identity::repair::doubled(record).filter(|(_, later)| is_same_part(later, member)) {
        return close(context, id, later, None, mended).await;
    }
    let key = identifier::key(&record.tenant_id, identifier);
    let stands = context.claim(key).await?;
    let wiped = wiped(context, member).await?;
    match erased(member, stands.value.as_ref(), &wiped) {
        Erased::Nothing => claimed(context, (id, record), member, &stands, mended).await,
        erased => gone(context, id, member, erased, mended).await,
    }
}

/// What the home of a member says was erased in it.
pub(super) async fn wiped(context: &Context<'_>, member: &Membership) -> Result<Vec<Wiped>, Stop> {
    let Some(home) = CustomerId::from_bytes(&member.home) else {
        return Ok(Vec::new());
    };
    let home: Loaded<HomeRecord> = context.record(home.shard(), keys::home(home), "home").await?;
    Ok(home.value.unwrap_or_default().wiped)
}

/// Looks at a member that stands, and its claim.
async fn claimed(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    member: &Membership,
    stands: &Loaded<Claim>,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let owner = (id, record);
    let identifier = member.identifier.clone().unwrap_or_default();
    let claim = stands.value.clone().unwrap_or_default();
    let is_ours = claim.birth == member.birth;
    let is_whole = is_ours && claim.home == member.home;
    let Some(from) = CustomerId::from_bytes(&claim.customer) else {
        return restore(context, owner, member, stands, Moment(0), mended).await;
    };
    if from == id && is_whole {
        return set_closed(context, member, false).await;
    }
    if !is_ours && claim.home.is_empty() {
        return reserved(context, owner, member, from, mended).await;
    }
    let way = walk(context, (&identifier, &claim.birth), from).await?;
    match &way.end {
        End::Here(_) if way.at == id && is_whole => set_closed(context, member, false).await,
        End::Here(_) if way.at == id => restore(context, owner, member, stands, Moment(0), mended).await,
        End::Here(other) => {
            let same = identity::repair::part(&other.members, member);
            let theirs = same.or_else(|| identity::member(&other.members, &identifier));
            let Some(theirs) = theirs.cloned() else { return Ok(()) };
            two(context, (id, member), (way.at, &theirs), &identifier, mended).await
        }
        End::Erased(_) if is_ours => gone(context, id, member, Erased::All, mended).await,
        End::Lost(_) | End::Circle if !is_ours => {
            // Somebody had it under that birth: what came under it must not be left behind.
            let before = mended.repairs.len();
            claim::identifier(
                context,
                &record.tenant_id,
                identifier::key(&record.tenant_id, &identifier),
                mended,
            )
            .await?;
            if mended.repairs.len() > before {
                return Ok(());
            }
            restore(context, owner, member, stands, Moment(0), mended).await
        }
        End::Erased(_) | End::Lost(_) | End::Circle => {
            restore(context, owner, member, stands, erased_at(&way), mended).await
        }
    }
}

/// When the record at the end of a way was erased.
fn erased_at(way: &Way) -> Moment {
    match &way.end {
        End::Erased(record) => {
            let erasure = record.erasure.unwrap_or_default();
            Moment(erasure.began_ms + 1)
        }
        _ => Moment(0),
    }
}

/// Takes out of a record what was erased.
async fn gone(
    context: &Context<'_>,
    id: CustomerId,
    member: &Membership,
    erased: Erased,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let what = Found {
        repair: Repair::ErasedAgain,
        other: None,
        members: std::slice::from_ref(member),
    };
    let taken = mend(context, id, &what, |record, _| match erased {
        Erased::Nothing => None,
        Erased::All => given_up(record?, id, std::slice::from_ref(member), None),
        Erased::Since(moment) => ended(record?, member, moment),
    });
    if taken.await? {
        mended.note(Repair::ErasedAgain, id);
    }
    Ok(())
}

/// Somebody reserved it for another record since the claim was lost. Either that took it, or never will.
async fn reserved(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    member: &Membership,
    other: CustomerId,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let identifier = member.identifier.clone().unwrap_or_default();
    let key = identifier::key(&record.tenant_id, &identifier);
    let stands = context.claim(key).await?;
    let token = stands.value.as_ref().and_then(|claim| Birth::from_bytes(&claim.birth));
    let Some(token) = token.filter(|token| member.birth != token.0.as_slice()) else {
        return Ok(());
    };
    recover(context, other).await?;
    if refuse(context, other, token, &identifier).await? {
        return restore(context, (id, record), member, &stands, Moment(0), mended).await;
    }
    let theirs = load(context, other).await?.value.unwrap_or_default();
    match identity::member(&theirs.members, &identifier) {
        Some(theirs) if other != id => two(context, (id, member), (other, theirs), &identifier, mended).await,
        _ => restore(context, (id, record), member, &stands, Moment(0), mended).await,
    }
}

/// Refuses a reservation, unless it was decided. True when it is refused.
async fn refuse(context: &Context<'_>, id: CustomerId, token: Birth, identifier: &Identifier) -> Result<bool, Stop> {
    let named = Named {
        identifier: identifier.clone(),
        evidence: Evidence::Stated,
        provider_form: String::new(),
    };
    super::super::record::change(context, id, |record, now| {
        let record = record.cloned().unwrap_or_default();
        // A record that is no customer refuses everything, in the words of the one decision there is.
        let mut refuses = record.clone();
        refuses.state = 0;
        match attach(&refuses, id, &named, token, None, now) {
            Attach::Accepted(_) => (false, None),
            Attach::Busy | Attach::Rejected(None) => (true, None),
            Attach::Rejected(Some(mut next)) => {
                next.state = record.state;
                (true, Some(next.into()))
            }
        }
    })
    .await
}

/// Has the claim lead to the member, and closes the birth that it bore.
pub(super) async fn restore(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    member: &Membership,
    stands: &Loaded<Claim>,
    erased_at: Moment,
    mended: &mut Mended,
) -> Result<(), Stop> {
    match claim::write(context, &record.tenant_id, (id, member), stands, erased_at).await? {
        Some(true) => {
            mended.note(Repair::ClaimRestored, id);
            let what = Found {
                repair: Repair::ClaimRestored,
                other: None,
                members: std::slice::from_ref(member),
            };
            mend(context, id, &what, |record, _| record.cloned()).await.map(drop)
        }
        Some(false) => {
            mended.contended = true;
            Ok(())
        }
        None => Ok(()),
    }
}

/// Two records hold one identifier.
async fn two(
    context: &Context<'_>,
    ours: Holder<'_>,
    theirs: Holder<'_>,
    identifier: &Identifier,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let (kept, other) = if keeps(ours, theirs) {
        (ours, theirs)
    } else {
        (theirs, ours)
    };
    if kept.1.birth != other.1.birth {
        return born_twice(context, kept, other, identifier, mended).await;
    }
    held_twice(context, kept, other, mended).await
}

/// The same thread: of an address that got a new holder the old one keeps what came before, else one of them gives it up.
async fn held_twice(
    context: &Context<'_>,
    kept: Holder<'_>,
    other: Holder<'_>,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let (earlier, later) = if kept.1.from_ms <= other.1.from_ms {
        (kept, other)
    } else {
        (other, kept)
    };
    let (id, part) = if earlier.1.from_ms < later.1.from_ms {
        earlier
    } else {
        other
    };
    let to = if id == kept.0 { other.0 } else { kept.0 };
    let cut = (earlier.1.from_ms < later.1.from_ms).then_some(Moment(later.1.from_ms));
    let Some(moment) = cut else {
        return give_up(context, id, part, to, mended).await;
    };
    recover(context, id).await?;
    let what = Found {
        repair: Repair::HeldTwice,
        other: Some(to),
        members: std::slice::from_ref(part),
    };
    // Both were read a while ago: by now the one may have come to the other, with what it held.
    let cut = mend_by(context, (id, to), &what, |record, holder, _| {
        let is_held = holder.state() == CustomerState::Active;
        let later = identity::repair::part(&holder.members, later.1).filter(|_| is_held);
        later.and_then(|_| ended(record?, part, moment))
    });
    if cut.await? {
        mended.note(Repair::HeldTwice, id);
    }
    Ok(())
}

/// Takes a part out of a record that another one has.
pub(super) async fn give_up(
    context: &Context<'_>,
    id: CustomerId,
    part: &Membership,
    to: CustomerId,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let part = std::slice::from_ref(part);
    past::give(context, id, part, to, Repair::HeldTwice, mended).await
}
