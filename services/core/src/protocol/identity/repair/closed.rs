//! Births that are closed: an identifier that was born anew while its claim was lost keeps what came under the other birth,
//! and takes nothing more under it.

use super::super::merge::Merged;
use super::super::record::load;
use super::super::recover;
use super::member::{Holder, give_up, restore};
use super::way::{End, walk};
use super::{Found, Mended, mend, past};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::repair::{Repair, ended, part};
use crate::identity::{CLOSED, built_in};
use crate::keys;
use crate::protocol::context::{Context, Stop};
use crate::time::Moment;
use omnigate_proto::state::v1::{CustomerRecord, HomeRecord, Membership};
use omnigate_proto::v1::Identifier;

/// Looks at a member that only keeps what came under its token.
pub(super) async fn closed(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    (member, identifier): (&Membership, &Identifier),
    mended: &mut Mended,
) -> Result<(), Stop> {
    let key = identifier::key(&record.tenant_id, identifier);
    let claim = context.claim(key).await?;
    let claimed = claim.value.filter(|claim| claim.birth == member.birth);
    let (whose, from) = match &claimed {
        // Somebody may hold a later part of the same thread, or this very one again.
        Some(claim) => (identifier.clone(), CustomerId::from_bytes(&claim.customer)),
        // Of two that keep it, it is whose the record is in which it was born.
        None => {
            set_closed(context, member, true).await?;
            let born = CustomerId::from_bytes(&member.home);
            (born.map(built_in).unwrap_or_default(), born)
        }
    };
    let Some(from) = from else { return Ok(()) };
    let birth = claimed.map_or_else(|| from.to_bytes(), |claim| claim.birth);
    let way = walk(context, (&whose, &birth), from).await?;
    match &way.end {
        End::Here(other) if way.at != id && part(&other.members, member).is_some() => {
            give_up(context, id, member, way.at, mended).await
        }
        _ => Ok(()),
    }
}

/// The identifier was born anew while its claim was lost. The older customer keeps it and gets the claim; nothing is appended
/// under the other birth any more; then the two are merged, since one identifier is the best evidence there is. Where rules
/// forbid that, there is a conflict for a person to look at, and the younger keeps what came under its birth.
pub(super) async fn born_twice(
    context: &Context<'_>,
    (kept, keeps): Holder<'_>,
    (other, gives): Holder<'_>,
    identifier: &Identifier,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let record = load(context, kept).await?.value.unwrap_or_default();
    let key = identifier::key(&record.tenant_id, identifier);
    let stands = context.claim(key).await?;
    restore(context, (kept, &record), keeps, &stands, Moment(0), mended).await?;
    set_closed(context, gives, true).await?;
    match past::again(context, &record.tenant_id, [kept, other], mended).await? {
        Merged::One(_) => {
            mended.note(Repair::BornTwice, kept);
            let what = Found {
                repair: Repair::BornTwice,
                other: Some(other),
                members: std::slice::from_ref(gives),
            };
            mend(context, kept, &what, |record, _| record.cloned()).await.map(drop)
        }
        Merged::Apart { .. } | Merged::Gone => {
            let record = load(context, kept).await?.value.unwrap_or_default();
            // After two failovers in a row the older one may have that part, too.
            match part(&record.members, gives) {
                Some(_) => give_up(context, other, gives, kept, mended).await,
                None => close(context, other, gives, Some(kept), mended).await,
            }
        }
    }
}

/// Ends a membership that keeps what came under its token and nothing else.
pub(super) async fn close(
    context: &Context<'_>,
    id: CustomerId,
    member: &Membership,
    other: Option<CustomerId>,
    mended: &mut Mended,
) -> Result<(), Stop> {
    recover(context, id).await?;
    let what = Found {
        repair: Repair::BornTwice,
        other,
        members: std::slice::from_ref(member),
    };
    if mend(context, id, &what, |record, _| ended(record?, member, Moment(CLOSED))).await? {
        mended.note(Repair::BornTwice, id);
    }
    Ok(())
}

/// Has a home take nothing more under a birth, so that whoever remembers it asks for the claim again; or take everything
/// again, where the one that was kept instead is lost by now.
pub(super) async fn set_closed(context: &Context<'_>, member: &Membership, closed: bool) -> Result<(), Stop> {
    let Some(home) = CustomerId::from_bytes(&member.home) else {
        return Ok(());
    };
    let decide = |record: Option<&HomeRecord>, _| {
        let mut next = record.cloned().unwrap_or_default();
        if next.closed_births.contains(&member.birth) == closed {
            return None;
        }
        next.closed_births.retain(|birth| *birth != member.birth);
        next.closed_births.extend(closed.then(|| member.birth.clone()));
        context.cache.forget_home(home);
        Some(next)
    };
    context
        .change((home.shard(), keys::home(home)), "home", decide)
        .await
        .map(drop)
}
