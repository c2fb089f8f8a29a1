//! An erased record against what must be gone.

use super::super::erase::wipe::wipe;
use super::super::erase::{clear, forget_names};
use super::super::record::load;
use super::super::split::{Command, split};
use super::{Found, Mended, mend};
use crate::id::{Birth, CustomerId, IdentifierKey};
use crate::identifier;
use crate::identity::repair::Repair;
use crate::identity::split::What;
use crate::identity::stored::put_claim;
use crate::identity::veil::{is_veiled, veil};
use crate::identity::{self, CLOSED, built_in_of, is_held};
use crate::keys;
use crate::protocol::consent;
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::details;
use crate::protocol::resolve::expect_record;
use crate::time::Moment;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState, Erasure, HomeRecord, Membership};
use omnigate_proto::v1::Identifier;

/// Looks at what an erased record held: homes bear their marks, claims are free, and nothing received before comes back. One
/// that is still being erased has its timer.
pub(super) async fn check(
    context: &Context<'_>,
    id: CustomerId,
    record: &CustomerRecord,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let erasure = record.erasure.unwrap_or_default();
    if erasure.finished_ms == 0 {
        return Ok(());
    }
    // Claims are freed after that, and may have had new owners before all was done.
    let erased_at = Moment(erasure.began_ms + 1);
    for member in &record.members {
        if !is_marked(context, member).await? {
            wipe(context, &record.tenant_id, member).await?;
            mended.note(Repair::ErasedAgain, id);
        }
        let Some(identifier) = &member.identifier else { continue };
        match built_in_of(identifier) {
            Some(former) => {
                if former != id {
                    forget_names(context, former, erasure).await?;
                    part(context, former, record, mended).await?;
                    erased_with(context, (former, id), erasure, mended).await?;
                }
                details::forget(context, former).await?;
                consent::forget_refusal(context, former).await?;
            }
            None if is_held(member) || member.to_ms == CLOSED => {
                claim(context, (id, record), member, erased_at, mended).await?
            }
            None => {}
        }
    }
    Ok(())
}

/// Gives what has come to a record since it went into the erased one, and was forgotten to have done so, a customer of its own:
/// it is somebody's whose id leads somewhere.
async fn part(
    context: &Context<'_>,
    former: CustomerId,
    erased: &CustomerRecord,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let stands = load(context, former).await?.value.unwrap_or_default();
    let is_named = |member: &&Membership| {
        let identifier = member.identifier.as_ref();
        is_held(member) && identifier.is_some_and(|identifier| built_in_of(identifier).is_none())
    };
    let theirs: Vec<&Membership> = stands.members.iter().filter(is_named).collect();
    let is_erased = |member: &&Membership| erased.members.iter().any(|gone| gone.birth == member.birth);
    let Some(first) = theirs.first().filter(|_| stands.state() == CustomerState::Active) else {
        return Ok(());
    };
    // What was erased is taken out of it first, when it is looked at itself.
    let Some(birth) = Birth::from_bytes(&first.birth).filter(|_| !theirs.iter().any(is_erased)) else {
        return Ok(());
    };
    let identifiers: Vec<Identifier> = theirs.iter().filter_map(|member| member.identifier.clone()).collect();
    let gets = CustomerId::new(context.now(), former.shard(), context.entropy.bytes());
    let command = Command {
        name: format!("repair {gets}"),
        tenant_id: stands.tenant_id.clone(),
        gets,
        what: What::Unlink(identifiers),
        birth,
        trace_id: String::new(),
    };
    split(context, &command, former, &mut mended.outgoing).await?;
    mended.note(Repair::SplitRestored, gets);
    Ok(())
}

/// Has a record that went into the erased one, and does not know of it any more, be erased as well, once nothing is left in it
/// that is somebody's: its id leads nowhere.
async fn erased_with(
    context: &Context<'_>,
    (former, id): (CustomerId, CustomerId),
    erasure: Erasure,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let what = Found {
        repair: Repair::ErasedAgain,
        other: Some(id),
        members: &[],
    };
    let is_old_id = |member: &Membership| member.identifier.as_ref().and_then(built_in_of).is_some();
    let taken = mend(context, former, &what, |record, _| {
        let record = record.filter(|record| record.state() == CustomerState::Active)?;
        let mut held = record.members.iter().filter(|member| is_held(member));
        held.all(is_old_id).then(|| {
            let mut next = veil(record).unwrap_or_else(|| record.clone());
            next.set_state(CustomerState::Erased);
            next.erasure = Some(erasure);
            next
        })
    });
    if taken.await? {
        mended.note(Repair::ErasedAgain, former);
    }
    Ok(())
}

async fn is_marked(context: &Context<'_>, member: &Membership) -> Result<bool, Stop> {
    let Some(home) = CustomerId::from_bytes(&member.home) else {
        return Ok(true);
    };
    let record: Loaded<HomeRecord> = context.record(home.shard(), keys::home(home), "home").await?;
    let record = record.value.unwrap_or_default();
    let known =
        |wiped: &omnigate_proto::state::v1::Wiped| wiped.birth == member.birth && wiped.from_ms == member.from_ms;
    Ok(record.wiped.iter().any(known))
}

/// Has a claim know when its identifier was erased. What took effect since although it was received before goes.
async fn claim(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    member: &Membership,
    erased_at: Moment,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let identifier = member.identifier.clone().unwrap_or_default();
    let key = if is_veiled(&identifier) {
        identifier.value.parse().ok()
    } else {
        Some(identifier::key(&record.tenant_id, &identifier))
    };
    let Some(key): Option<IdentifierKey> = key else {
        return Ok(());
    };
    let stands = context.claim(key).await?;
    let stands = stands.value.unwrap_or_default();
    if stands.birth == member.birth {
        let identifier = stands.identifier.clone().unwrap_or(identifier);
        clear(context, &record.tenant_id, &identifier, &member.birth, Some(erased_at)).await?;
        mended.note(Repair::ErasedAgain, id);
        return Ok(());
    }
    if stands.erased_at_ms >= erased_at.0 {
        return Ok(());
    }
    if !stands.home.is_empty() {
        let before = Membership {
            home: stands.home.clone(),
            birth: stands.birth.clone(),
            to_ms: erased_at.0,
            ..Membership::default()
        };
        wipe(context, &record.tenant_id, &before).await?;
    }
    know(context, key, erased_at).await?;
    context.cache.forget_owner(key);
    mended.note(Repair::ErasedAgain, id);
    Ok(())
}

/// Writes in a claim, whosever it is, that nothing older than an erasure takes effect.
async fn know(context: &Context<'_>, key: IdentifierKey, erased_at: Moment) -> Result<(), Stop> {
    for _ in 0..MAX_TRIES {
        let stands = context.claim(key).await?;
        let before = stands.value.unwrap_or_default();
        if before.erased_at_ms >= erased_at.0 {
            return Ok(());
        }
        let next = if before.customer.is_empty() {
            identity::free(erased_at)
        } else {
            Claim {
                erased_at_ms: erased_at.0,
                ..before
            }
        };
        let expect = vec![expect_record(keys::claim(key), stands.stamp)];
        if let Ended::Committed(_) = context.commit(key.shard(), expect, vec![put_claim(key, &next)]).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
