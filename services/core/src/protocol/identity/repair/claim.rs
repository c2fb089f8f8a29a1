//! A claim against the member that it leads to.

use super::super::erase::clear;
use super::super::erase::wipe::wipe;
use super::super::find;
use super::super::record::load;
use super::past;
use super::way::{End, Way, walk};
use super::{Found, Mended};
use crate::id::{CustomerId, IdentifierKey};
use crate::identifier;
use crate::identity::repair::{Erased, Repair, claim_of, erased, is_unborn, part, regained};
use crate::identity::stored::put_claim;
use crate::identity::{CLOSED, built_in, is_held};
use crate::keys;
use crate::port::store::Write;
use crate::protocol::context::{Context, Ended, Loaded, Stop};
use crate::protocol::resolve::{expect_record, listed_claim};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState, Membership, Wiped};
use omnigate_proto::v1::Evidence;

/// Looks at a claim: what it says was accepted must be a member of whom it leads to.
pub async fn identifier(
    context: &Context<'_>,
    tenant_id: &str,
    key: IdentifierKey,
    mended: &mut Mended,
) -> Result<(), Stop> {
    mended.identifiers += 1;
    let stands = context.claim(key).await?;
    let Some(claim) = stands.value.as_ref().filter(|claim| !claim.home.is_empty()) else {
        return Ok(());
    };
    let ids = CustomerId::from_bytes(&claim.customer).zip(CustomerId::from_bytes(&claim.home));
    let Some((from, home)) = ids else { return Ok(()) };
    let identifier = claim.identifier.clone().unwrap_or_default();
    let way = walk(context, (&identifier, &claim.birth), from).await?;
    match &way.end {
        // What else may be wrong with them is seen from there.
        End::Here(_) => return Ok(()),
        End::Erased(erased) => return freed(context, (tenant_id, claim), erased, way.at, mended).await,
        End::Lost(_) | End::Circle => {}
    }
    for id in &way.been {
        if past::lead_on(context, *id, mended).await? {
            return Ok(());
        }
    }
    let mut member = Membership {
        identifier: Some(identifier),
        evidence: Evidence::Vouched.into(),
        home: claim.home.clone(),
        birth: claim.birth.clone(),
        since_ms: context.now().0,
        from_ms: way.begins_ms,
        ..Membership::default()
    };
    let wiped = super::member::wiped(context, &member).await?;
    match way.told.clone() {
        Some(told) => member = told,
        // The way may not pass by whoever had it before.
        None => member.from_ms = member.from_ms.max(begins(context, home, &claim.birth, &wiped).await?),
    }
    if let Erased::All = erased(&member, None, &wiped) {
        // Whoever had it was erased, and only the claim does not know.
        let of = member.identifier.clone().unwrap_or_default();
        clear(context, tenant_id, &of, &member.birth, None).await?;
        mended.note(Repair::ErasedAgain, home);
        return Ok(());
    }
    let owner = taker(context, tenant_id, &way, home).await?;
    let record = load(context, owner).await?.value.unwrap_or_default();
    if record.state() == CustomerState::Erased {
        let erased_at = Moment(record.erasure.unwrap_or_default().began_ms + 1);
        return bear(context, tenant_id, &member, (&stands, erased_at), mended).await;
    }
    regain(context, (tenant_id, owner), &member, &stands, mended).await
}

/// When the part of a thread begins that nobody has had before, by who it was born with and by what was erased of it.
async fn begins(context: &Context<'_>, home: CustomerId, birth: &[u8], wiped: &[Wiped]) -> Result<i64, Stop> {
    let born = load(context, home).await?.value.unwrap_or_default();
    let parts = born.members.iter().filter(|member| member.birth == birth);
    let ends = parts.map(|member| member.to_ms).filter(|to| *to != CLOSED);
    let erased = wiped
        .iter()
        .filter(|wiped| wiped.birth == birth)
        .map(|wiped| wiped.to_ms);
    Ok(ends.chain(erased).max().unwrap_or(0))
}

/// Frees an identifier whose owner was erased while it was claimed under another birth than theirs.
async fn freed(
    context: &Context<'_>,
    (tenant_id, claim): (&str, &Claim),
    erased: &CustomerRecord,
    id: CustomerId,
    mended: &mut Mended,
) -> Result<(), Stop> {
    if erased.members.iter().any(|member| member.birth == claim.birth) {
        return Ok(());
    }
    let at = Moment(erased.erasure.unwrap_or_default().began_ms + 1);
    let identifier = claim.identifier.clone().unwrap_or_default();
    clear(context, tenant_id, &identifier, &claim.birth, Some(at)).await?;
    mended.note(Repair::ErasedAgain, id);
    Ok(())
}

/// Gives an identifier whose owner was erased, and did not know that it was theirs, a customer of its own with what came
/// since; what came before goes.
async fn bear(
    context: &Context<'_>,
    tenant_id: &str,
    member: &Membership,
    (stands, erased_at): (&Loaded<Claim>, Moment),
    mended: &mut Mended,
) -> Result<(), Stop> {
    let before = Membership {
        to_ms: erased_at.0,
        ..member.clone()
    };
    wipe(context, tenant_id, &before).await?;
    let key = identifier::key(tenant_id, &member.identifier.clone().unwrap_or_default());
    let now = context.now();
    let id = CustomerId::new(now, key.shard(), context.entropy.bytes());
    let since = Membership {
        from_ms: erased_at.0,
        ..member.clone()
    };
    let Some(record) = regained(None, tenant_id, id, &since, now) else {
        return Ok(());
    };
    let found = Found {
        repair: Repair::CustomerRestored,
        other: None,
        members: std::slice::from_ref(&since),
    };
    let mut next = found.noted(record);
    let claim = claim_of(stands.value.as_ref(), &since, id, erased_at).unwrap_or_default();
    next.also.extend([listed(tenant_id, id), put_claim(key, &claim)]);
    let expect = vec![expect_record(keys::claim(key), stands.stamp)];
    let (_, write) = next.writes(id, now);
    context.cache.forget_owner(key);
    match context.commit(key.shard(), expect, write).await? {
        Ended::Committed(_) => mended.note(Repair::CustomerRestored, id),
        Ended::Conflict(_) | Ended::Unknown => mended.contended = true,
    }
    Ok(())
}

/// The record that takes a member which nobody has: where its way ends, or what became of that one since.
async fn taker(context: &Context<'_>, tenant_id: &str, way: &Way, home: CustomerId) -> Result<CustomerId, Stop> {
    let stands = match &way.end {
        End::Lost(None) => return Ok(way.at),
        End::Lost(Some(record)) if is_unborn(record) => return Ok(way.at),
        End::Lost(Some(_)) => way.at,
        _ => home,
    };
    let present = find(context, tenant_id, &built_in(stands), stands).await?;
    Ok(present.unwrap_or(stands))
}

async fn regain(
    context: &Context<'_>,
    (tenant_id, owner): (&str, CustomerId),
    member: &Membership,
    stands: &Loaded<Claim>,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let regained = super::super::record::change(context, owner, |record, now| {
        let is_new = record.is_none_or(is_unborn);
        let repair = if is_new {
            Repair::CustomerRestored
        } else {
            Repair::MemberRestored
        };
        let next = regained(record, tenant_id, owner, member, now).map(|next| {
            let found = Found {
                repair,
                other: None,
                members: std::slice::from_ref(member),
            };
            let mut next = found.noted(next);
            if is_new {
                next.also.push(listed(tenant_id, owner));
            }
            next
        });
        (next.is_some().then_some(repair), next)
    });
    if let Some(repair) = regained.await? {
        mended.note(repair, owner);
    }
    // It may have been there all along, and only the way to it was lost.
    let record = load(context, owner).await?.value.unwrap_or_default();
    match part(&record.members, member).filter(|member| is_held(member)) {
        Some(member) => {
            write(context, tenant_id, (owner, member), stands, Moment(0)).await?;
            Ok(())
        }
        None => Ok(()),
    }
}

/// Lists a customer that was gone.
pub(super) fn listed(tenant_id: &str, id: CustomerId) -> Write {
    Write::Insert {
        key: keys::customers(tenant_id),
        member: id.to_bytes(),
        value: Bytes::new(),
    }
}

/// Has the claim of a member's identifier lead to its owner: whether that could be written, or nothing where it does.
pub(super) async fn write(
    context: &Context<'_>,
    tenant_id: &str,
    (owner, member): (CustomerId, &Membership),
    stands: &Loaded<Claim>,
    erased_at: Moment,
) -> Result<Option<bool>, Stop> {
    let Some(next) = claim_of(stands.value.as_ref(), member, owner, erased_at) else {
        return Ok(None);
    };
    let key = identifier::key(tenant_id, &member.identifier.clone().unwrap_or_default());
    context.cache.forget_owner(key);
    let write = vec![put_claim(key, &next), listed_claim(tenant_id, key)];
    let expect = vec![expect_record(keys::claim(key), stands.stamp)];
    let ended = context.commit(key.shard(), expect, write).await?;
    Ok(Some(matches!(ended, Ended::Committed(_))))
}
