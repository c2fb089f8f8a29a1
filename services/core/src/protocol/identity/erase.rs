//! Erasure of a person: marked once in the customer's record, then carried out by anybody who meets it, and by the scheduler
//! whoever began it.
//!
//! Threads go first, and with them the keys of their entries; then the entries, messages of ours, parked events, claims; in
//! the end the records that knew the identifiers know them no more.

pub(super) mod wipe;

use super::events::events;
use super::find::find;
use super::merge::recover;
use super::record::{Next, change, load};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::log::Note;
use crate::identity::veil::{forget_verdict, is_veiled, veil, veiled};
use crate::identity::{CLOSED, built_in, built_in_of, consists_of, is_held};
use crate::keys::{self, Timer};
use crate::port::store::Write;
use crate::protocol::audience;
use crate::protocol::consent;
use crate::protocol::context::{Context, MAX_TRIES, Stop};
use crate::protocol::details;
use crate::protocol::entries::Interval;
use crate::protocol::park;
use crate::protocol::replay;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, Erasure, Membership};
use omnigate_proto::v1::{Identifier, IdentityEventKind};
use std::time::Duration;
use wipe::wipe;

/// How long whoever began an erasure has it alone.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// Erases the present customer behind an id, with all that it consists of: identifiers, entries, messages, and the ways to
/// them. How that went; `None` when there is no such customer.
pub async fn erase(context: &Context<'_>, tenant_id: &str, id: CustomerId) -> Result<Option<Erasure>, Stop> {
    for _ in 0..MAX_TRIES {
        let found = find(context, tenant_id, &built_in(id), id).await?;
        let present = found.unwrap_or(id);
        let stands = load(context, present).await?.value.unwrap_or_default();
        if stands.tenant_id != tenant_id {
            return Ok(None);
        }
        match change(context, present, |record, now| mark(present, record, now)).await? {
            CustomerState::Erased => return carry_out(context, present).await.map(Some),
            CustomerState::Frozen => recover(context, present).await?,
            CustomerState::Merged if found.is_none() => match erased_with(context, present).await? {
                Some(survivor) => return carry_out(context, survivor).await.map(Some),
                None => return Ok(None),
            },
            // Merged since: its new owner is looked for again.
            CustomerState::Merged => {}
            CustomerState::Unspecified | CustomerState::Active | CustomerState::Prepared => {
                if present == id {
                    return Ok(None);
                }
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Marks an active record, with a timer for whoever goes on should this process end. The state in which the record is then.
fn mark(id: CustomerId, record: Option<&CustomerRecord>, now: Moment) -> (CustomerState, Option<Next>) {
    let record = record.cloned().unwrap_or_default();
    let state = record.state();
    if state != CustomerState::Active {
        return (state, None);
    }
    let is_named = |member: &&Membership| member.identifier.as_ref().is_some_and(|of| built_in_of(of).is_none());
    let identifiers = record.members.iter().filter(|member| is_held(member)).filter(is_named);
    let erasure = Erasure {
        began_ms: now.0,
        finished_ms: 0,
        identifiers: u32::try_from(identifiers.count()).unwrap_or(u32::MAX),
    };
    let mut next = CustomerRecord {
        erasure: Some(erasure),
        ..record
    };
    next.set_state(CustomerState::Erased);
    let note = Note::new(IdentityEventKind::Erased, "");
    let mut next = Next::noted(next, note);
    next.also.push(Write::Insert {
        key: keys::timers(),
        member: keys::timer_member(due_of(now), Timer::Erasure(id)),
        value: Bytes::new(),
    });
    (CustomerState::Erased, Some(next))
}

/// The erased customer that a merged one had gone into; `None` where the way ends elsewhere.
async fn erased_with(context: &Context<'_>, merged: CustomerId) -> Result<Option<CustomerId>, Stop> {
    let mut id = merged;
    for _ in 0..MAX_TRIES {
        let record = load(context, id).await?.value.unwrap_or_default();
        match (record.state(), CustomerId::from_bytes(&record.into)) {
            (CustomerState::Erased, _) => return Ok(Some(id)),
            (CustomerState::Merged, Some(into)) => id = into,
            _ => return Ok(None),
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// When somebody else goes on with an erasure: whoever began it is left alone for as long as it usually takes.
fn due_of(began: Moment) -> Moment {
    began + LEFT_ALONE
}

/// Goes on with an erasure whose timer fired, until nothing is left.
pub async fn go_on(context: &Context<'_>, id: CustomerId, due: Moment) -> Result<(), Stop> {
    carry_out(context, id).await?;
    // Nobody's, once the erasure was finished by somebody else under another timer.
    Ok(context.drop_timer(id.shard(), due, Timer::Erasure(id)).await?)
}

/// Carries out what an erased record says, and notes that it is done.
async fn carry_out(context: &Context<'_>, id: CustomerId) -> Result<Erasure, Stop> {
    let record = load(context, id).await?.value.unwrap_or_default();
    let erasure = record.erasure.unwrap_or_default();
    if record.state() == CustomerState::Erased && erasure.finished_ms == 0 {
        let tenant_id = record.tenant_id.clone();
        sweep(context, &tenant_id, &record, None).await?;
        for gets in record
            .out
            .iter()
            .filter_map(|way| CustomerId::from_bytes(&way.customer))
        {
            recover(context, gets).await?;
        }
        unpark(context, &tenant_id, &record).await?;
        forget_verdicts(context, &record).await?;
        for former in consists_of(&record.members) {
            if former != id {
                forget_names(context, former, erasure).await?;
            }
            // After the record is marked: whoever knew it before cannot write beside it any more.
            details::forget(context, former).await?;
            audience::forget(context, &tenant_id, former).await?;
            consent::forget_refusal(context, former).await?;
        }
    }
    finish(context, id).await
}

/// Takes the names out of a record that was merged into the erased one, and marks it as erased with it.
pub(super) async fn forget_names(context: &Context<'_>, id: CustomerId, erasure: Erasure) -> Result<(), Stop> {
    for _ in 0..MAX_TRIES {
        let state = change(context, id, |record, _| {
            let Some(record) = record else {
                return (CustomerState::Unspecified, None);
            };
            let state = record.state();
            let is_to_do = state == CustomerState::Merged && record.erasure.is_none();
            let next = is_to_do.then(|| CustomerRecord {
                erasure: Some(erasure),
                ..veil(record).unwrap_or_else(|| record.clone())
            });
            (state, next.map(Next::from))
        });
        if state.await? != CustomerState::Frozen {
            return Ok(());
        }
        // Merged, and not told yet.
        recover(context, id).await?;
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Takes the names out of the verdicts by which others parted with the erased: they are settled, and nobody needs them.
async fn forget_verdicts(context: &Context<'_>, record: &CustomerRecord) -> Result<(), Stop> {
    let (noted, _) = events(context, &record.members).await?;
    for event in noted.into_iter().map(|noted| noted.event) {
        let decider = CustomerId::from_bytes(&event.other);
        let Some(decider) = decider.filter(|_| event.kind() == IdentityEventKind::SplitOff) else {
            continue;
        };
        change(context, decider, |record, _| {
            let next = record.and_then(|record| forget_verdict(record, &event.transaction));
            ((), next.map(Next::from))
        })
        .await?;
    }
    Ok(())
}

/// The same in the erased record itself, with the note that all is done; takes the timer out.
async fn finish(context: &Context<'_>, id: CustomerId) -> Result<Erasure, Stop> {
    change(context, id, |record, now| {
        let Some(record) = record.filter(|record| record.state() == CustomerState::Erased) else {
            return (Erasure::default(), None);
        };
        let erasure = record.erasure.unwrap_or_default();
        if erasure.finished_ms != 0 {
            return (erasure, None);
        }
        let finished = Erasure {
            finished_ms: now.0,
            ..erasure
        };
        let mut next = Next::from(veil(record).unwrap_or_else(|| record.clone()));
        next.record.erasure = Some(finished);
        next.also.push(Write::Remove {
            key: keys::timers(),
            member: keys::timer_member(due_of(Moment(erasure.began_ms)), Timer::Erasure(id)),
        });
        (finished, Some(next))
    })
    .await
}

/// Carries out what an erased record says: for all it owned, or for one identifier.
pub(super) async fn sweep(
    context: &Context<'_>,
    tenant_id: &str,
    record: &CustomerRecord,
    only: Option<&Identifier>,
) -> Result<(), Stop> {
    let asked = only.map(|only| (only, veiled(tenant_id, only)));
    // A claim that is found late, as after a failover of the store, knows no later erasure than there was.
    let finished = record.erasure.map_or(0, |erasure| erasure.finished_ms);
    let at = (finished != 0).then_some(Moment(finished + 1));
    for member in &record.members {
        let Some(stands) = member.identifier.as_ref() else {
            continue;
        };
        // What is veiled was swept before; whoever asks for it knows what it was.
        let identifier = match &asked {
            Some((only, veiled)) if *only == stands || veiled == stands => *only,
            Some(_) => continue,
            None if is_veiled(stands) => continue,
            None => stands,
        };
        wipe(context, tenant_id, member).await?;
        // A birth that repair closed may still be claimed.
        let may_have = is_held(member) || member.to_ms == CLOSED;
        if may_have && built_in_of(identifier).is_none() {
            clear(context, tenant_id, identifier, &member.birth, at).await?;
        }
    }
    Ok(())
}

/// Takes out what was parked of the events of the erased.
async fn unpark(context: &Context<'_>, tenant_id: &str, record: &CustomerRecord) -> Result<(), Stop> {
    let mut theirs = Vec::new();
    for member in &record.members {
        let named = member.identifier.as_ref().zip(Interval::of(member));
        let Some((identifier, interval)) = named else { continue };
        if built_in_of(identifier).is_some() || is_veiled(identifier) || member.to_ms == CLOSED {
            continue;
        }
        // Whoever has it since keeps what waits of theirs.
        let key = identifier::key(tenant_id, identifier);
        let claim = context.claim(key).await?;
        let erased = Moment(claim.value.map_or(0, |claim| claim.erased_at_ms));
        let to = interval.to.unwrap_or(erased);
        theirs.push((
            identifier,
            Interval {
                to: Some(to),
                ..interval
            },
        ));
    }
    if theirs.is_empty() {
        return Ok(());
    }
    park::remove_of(context, tenant_id, &theirs).await
}

/// Frees an identifier, unless it has been born anew since; what was received before that moment, else before now, is dropped
/// from then on.
pub(super) async fn clear(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
    birth: &[u8],
    at: Option<Moment>,
) -> Result<(), Stop> {
    let key = identifier::key(tenant_id, identifier);
    context.cache.forget_owner(key);
    let claim = context.claim(key).await?;
    if claim.value.is_none_or(|claim| claim.birth != birth) {
        return Ok(());
    }
    // What was received in the same millisecond is older, too.
    let at = at.unwrap_or(Moment(context.now().0 + 1));
    // Before the claim is freed, so that whoever dies in between finds all to do.
    replay::mark_erased(context, key, at).await?;
    consent::forget(context, tenant_id, (identifier, birth), at).await
}
