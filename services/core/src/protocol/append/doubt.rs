//! Numbers that an event vouches for and that may have been given to somebody else since: they bring nobody together.

use crate::id::CustomerId;
use crate::identifier;
use crate::identity::merge::survivor_and_loser;
use crate::identity::reassign::{asked_about, challenger, corroborates, is_silent, last_heard, seen};
use crate::identity::{Named, is_held, member};
use crate::keys;
use crate::protocol::context::{Context, Loaded, Stop};
use crate::protocol::identity::{find, load, reassign};
use crate::protocol::resolve::{Asking, Owner, known};
use crate::time::Moment;
use omnigate_proto::state::v1::{HomeRecord, NumberRecord};
use std::time::Duration;

/// What records of numbers are called in errors.
const NUMBER: &str = "number";

/// The identifiers of an event.
pub(super) struct Parted {
    /// Those that link.
    pub(super) certain: Vec<Named>,
    /// Numbers of which somebody has to say whose they are, each with its present holder.
    pub(super) doubtful: Vec<(Named, CustomerId)>,
}

/// What is thought of a number.
enum Thought {
    /// It links.
    Certain,
    /// It may be somebody else's.
    Doubtful(CustomerId),
    /// The same, and that was dealt with before.
    DealtWith,
}

/// Takes out the numbers that may have been given to somebody else. Where all identifiers are known to be one customer's,
/// which is nearly always, nothing is read for it.
pub(super) async fn part(
    context: &Context<'_>,
    asking: &Asking<'_>,
    peer: &Named,
    mut candidates: Vec<Named>,
) -> Result<Parted, Stop> {
    let mut doubtful = Vec::new();
    if let Some(after) = context.tenants.of(asking.tenant_id).reassigned_after {
        let numbers: Vec<Named> = asked_about(peer, &candidates).cloned().collect();
        for number in numbers {
            let thought = think(context, asking, (&number, peer), &candidates, after).await?;
            if let Thought::Certain = thought {
                continue;
            }
            candidates.retain(|named| named.identifier != number.identifier);
            if let Thought::Doubtful(holder) = thought {
                doubtful.push((number, holder));
            }
        }
    }
    Ok(Parted {
        certain: candidates,
        doubtful,
    })
}

async fn think(
    context: &Context<'_>,
    asking: &Asking<'_>,
    (number, peer): (&Named, &Named),
    candidates: &[Named],
    after: Duration,
) -> Result<Thought, Stop> {
    let Some(of_number) = known(context, asking, number).await? else {
        return Ok(Thought::Certain);
    };
    let mut others = Vec::new();
    for other in candidates.iter().filter(|named| corroborates(named)) {
        match known(context, asking, other).await? {
            Some(owner) if owner.customer == of_number.customer => {
                note_evidence(context, asking, number, after).await?;
                return Ok(Thought::Certain);
            }
            Some(owner) => others.push((other, owner)),
            None => {}
        }
    }
    let of_peer = others.iter().find(|(other, _)| other.identifier == peer.identifier);
    let pair = of_peer.map(|(_, owner)| survivor_and_loser(owner.customer, of_number.customer));
    if pair.is_some_and(|pair| context.cache.is_apart(pair, context.now())) {
        return Ok(Thought::DealtWith);
    }
    // Owners that are remembered may have been merged since.
    let Some(holder) = present(context, asking, number, of_number).await? else {
        return Ok(Thought::Certain);
    };
    for (other, owner) in others {
        if present(context, asking, other, owner).await? == Some(holder) {
            note_evidence(context, asking, number, after).await?;
            return Ok(Thought::Certain);
        }
    }
    let key = identifier::key(asking.tenant_id, &number.identifier);
    let about: Loaded<NumberRecord> = context.record(key.shard(), keys::number(key), NUMBER).await?;
    let about = about.value.unwrap_or_default();
    let is_doubtful = challenger(&about).is_some()
        || is_silent(heard(context, number, holder, &about).await?, after, asking.received_at);
    Ok(if is_doubtful {
        Thought::Doubtful(holder)
    } else {
        Thought::Certain
    })
}

/// The present owner behind one that is remembered.
async fn present(
    context: &Context<'_>,
    asking: &Asking<'_>,
    named: &Named,
    owner: Owner,
) -> Result<Option<CustomerId>, Stop> {
    let found = find(context, asking.tenant_id, &named.identifier, owner.customer).await?;
    let key = identifier::key(asking.tenant_id, &named.identifier);
    match found {
        Some(customer) => context.cache.keep_owner(key, Owner { customer, ..owner }),
        None => context.cache.forget_owner(key),
    }
    Ok(found)
}

/// When the number was last heard of.
async fn heard(
    context: &Context<'_>,
    number: &Named,
    holder: CustomerId,
    about: &NumberRecord,
) -> Result<Moment, Stop> {
    let record = load(context, holder).await?.value.unwrap_or_default();
    let Some(member) = member(&record.members, &number.identifier).filter(|member| is_held(member)) else {
        return Ok(Moment(i64::MAX));
    };
    let Some(home) = CustomerId::from_bytes(&member.home) else {
        return Ok(Moment(i64::MAX));
    };
    let threads = context
        .record::<HomeRecord>(home.shard(), keys::home(home), "home")
        .await?;
    Ok(last_heard(about, member, &threads.value.unwrap_or_default()))
}

/// Notes that somebody who has the number is known by it, once in a while.
async fn note_evidence(
    context: &Context<'_>,
    asking: &Asking<'_>,
    number: &Named,
    after: Duration,
) -> Result<(), Stop> {
    let key = identifier::key(asking.tenant_id, &number.identifier);
    if context.cache.is_evident(key, asking.received_at, after) {
        return Ok(());
    }
    let place = (key.shard(), keys::number(key));
    let noted = context.change(place, NUMBER, |about: Option<&NumberRecord>, _| {
        seen(&about.cloned().unwrap_or_default(), asking.received_at, after)
    });
    let about = noted.await?.unwrap_or_default();
    if challenger(&about).is_some() {
        // They turned out to be one by something else.
        reassign::answer_if_one(context, asking.tenant_id, &number.identifier).await?;
    }
    context.cache.keep_evident(key, asking.received_at);
    Ok(())
}

/// Asks whose the numbers are, once for each of them and the event's customer.
pub(super) async fn ask(
    context: &Context<'_>,
    asking: &Asking<'_>,
    (peer, customer): (&Named, CustomerId),
    doubtful: &[(Named, CustomerId)],
) -> Result<(), Stop> {
    for (number, holder) in doubtful {
        let found = find(context, asking.tenant_id, &peer.identifier, customer).await?;
        // Nobody's by now, or the number's own holder's: there is nothing to ask.
        let Some(somebody) = found.filter(|somebody| somebody != holder) else {
            continue;
        };
        reassign::ask(context, asking, &number.identifier, [*holder, somebody]).await?;
        let pair = survivor_and_loser(*holder, somebody);
        context.cache.keep_apart(pair, context.now());
    }
    Ok(())
}
