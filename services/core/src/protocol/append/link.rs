//! Brings the identifiers of an event to one customer, and customers who turn out to be one person together.

use super::doubt::{Parted, ask, part};
use crate::append::Arrival;
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::merge::{Word, survivor_and_loser};
use crate::identity::{Claimed, Named, candidates, has_room, read_claim};
use crate::port::store::StoreError;
use crate::protocol::context::{Context, Stop};
use crate::protocol::identity::{Merged, Person, load, merge};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{Asking, Owner, claimed, is_owned, known, owner};
use omnigate_proto::state::v1::CustomerState;
use omnigate_proto::v1::{Event, Evidence, Identifier, event::Kind};

/// Makes everything the events vouch for belong to one customer where that can be, and gives the peer's owner. Customers
/// that turn out to be one person are merged.
pub(super) async fn link(
    context: &Context<'_>,
    arrivals: &[Arrival],
    peer: &Named,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Option<Owner>, Stop> {
    let Some(first) = arrivals.first() else {
        return Ok(None);
    };
    // What stands for nobody in particular stays in the event, and is nobody's. Whoever writes from it is somebody.
    let blocked = &context.tenants.of(&first.event.tenant_id).blocked;
    let said = arrivals.iter().flat_map(|arrival| named_in(&arrival.event));
    let others: Vec<Named> = said.filter(|named| !blocked.holds(&named.identifier)).collect();
    let asking = Asking {
        tenant_id: &first.event.tenant_id,
        received_at: arrivals
            .iter()
            .map(|arrival| arrival.received_at)
            .max()
            .unwrap_or(first.received_at),
        trace_id: &first.event.trace_id,
        replaces: None,
    };
    let Parted { certain, doubtful } = part(context, &asking, peer, candidates(peer, &others)).await?;
    let came_from = arrivals.iter().find_map(|arrival| moved_from(&arrival.event));
    let mut prefer = preferred(context, &asking, came_from.as_ref(), &certain).await?;
    let mut of_peer = None;
    let mut before: Option<(Named, Owner)> = None;
    for named in certain {
        let is_peer = named.identifier == peer.identifier;
        if !is_peer && is_one_too_many(context, &asking, &named, prefer).await? {
            continue;
        }
        let asking = Asking {
            replaces: came_from.as_ref().filter(|_| is_peer).map(|old| &old.identifier),
            ..asking.clone()
        };
        let Some(found) = owner(context, &asking, &named, prefer, outgoing).await? else {
            continue;
        };
        prefer = prefer.or(Some(found.customer));
        if is_peer {
            of_peer = Some(found);
        }
        if let Some(before) = &before {
            join(context, &asking, before, (&named, found), outgoing).await?;
        }
        before = Some((named, found));
    }
    let Some(of_peer) = of_peer else {
        return Ok(None);
    };
    ask(context, &asking, (peer, of_peer.customer), &doubtful).await?;
    let asking = Asking {
        replaces: Some(&peer.identifier),
        ..asking
    };
    for moved in arrivals.iter().filter_map(|arrival| moved_to(&arrival.event)) {
        owner(context, &asking, &moved, Some(of_peer.customer), outgoing).await?;
    }
    Ok(Some(of_peer))
}

/// The customer that identifiers without an owner go to, where somebody is known by the others.
async fn preferred(
    context: &Context<'_>,
    asking: &Asking<'_>,
    came_from: Option<&Named>,
    candidates: &[Named],
) -> Result<Option<CustomerId>, StoreError> {
    if let Some(old) = came_from
        && let Some(owner) = known(context, asking, old).await?
    {
        return Ok(Some(owner.customer));
    }
    match settled(context, asking, candidates).await? {
        Some(customer) => Ok(Some(customer)),
        None => by_variant(context, asking, candidates).await,
    }
}

/// Merges the owners of two identifiers that one event gives, unless they are one, or are known to stay apart.
async fn join(
    context: &Context<'_>,
    asking: &Asking<'_>,
    (one, of_one): &(Named, Owner),
    (other, of_other): (&Named, Owner),
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), Stop> {
    let pair = survivor_and_loser(of_one.customer, of_other.customer);
    if pair.0 == pair.1 || context.cache.is_apart(pair, context.now()) {
        return Ok(());
    }
    // A stated identifier is enough for a thread of one's own, not for anybody else's.
    if one.evidence < Evidence::Verified || other.evidence < Evidence::Verified {
        return Ok(());
    }
    let people = [Person::Named(one.clone()), Person::Named(other.clone())];
    let merged = merge(context, asking, [&people[0], &people[1]], Word::Strong, outgoing).await?;
    if let Merged::Apart { .. } = merged {
        context.cache.keep_apart(pair, context.now());
    }
    Ok(())
}

/// True for an identifier that nobody has and its customer has no room for. It is said in the event and is nobody's: a
/// customer of its own would be somebody who never wrote.
async fn is_one_too_many(
    context: &Context<'_>,
    asking: &Asking<'_>,
    named: &Named,
    prefer: Option<CustomerId>,
) -> Result<bool, StoreError> {
    let Some(customer) = prefer.filter(|_| !is_owned(context, asking.tenant_id, named)) else {
        return Ok(false);
    };
    let key = identifier::key(asking.tenant_id, &named.identifier);
    // One that is reserved has its answer in the record it is reserved for.
    let claim = claimed(context, key).await?;
    if !matches!(read_claim(claim.as_ref(), asking.received_at), Claimed::Free) {
        return Ok(false);
    }
    let record = load(context, customer).await?.value.unwrap_or_default();
    Ok(record.state() == CustomerState::Active && !has_room(&record.members, &named.identifier))
}

/// The customer that the strongest of several identifiers with an owner belongs to; new ones go there too, also when they
/// are stronger.
async fn settled(
    context: &Context<'_>,
    asking: &Asking<'_>,
    candidates: &[Named],
) -> Result<Option<CustomerId>, StoreError> {
    if candidates.len() > 1 {
        for named in candidates {
            if let Some(owner) = known(context, asking, named).await? {
                return Ok(Some(owner.customer));
            }
        }
    }
    Ok(None)
}

/// The customer who is known by another form of a number that nobody has.
async fn by_variant(
    context: &Context<'_>,
    asking: &Asking<'_>,
    candidates: &[Named],
) -> Result<Option<CustomerId>, StoreError> {
    for named in candidates {
        let variants = identifier::variants(&named.identifier);
        if variants.is_empty() || known(context, asking, named).await?.is_some() {
            continue;
        }
        for identifier in variants {
            let other = Named {
                identifier,
                ..named.clone()
            };
            if let Some(owner) = known(context, asking, &other).await? {
                return Ok(Some(owner.customer));
            }
        }
    }
    Ok(None)
}

fn named_in(event: &Event) -> impl Iterator<Item = Named> + '_ {
    event.identifiers.iter().filter_map(|said| {
        Some(Named {
            identifier: said.identifier.clone()?,
            evidence: said.evidence(),
            provider_form: said.provider_form.clone(),
        })
    })
}

/// Where the provider says that the peer went.
fn moved_to(event: &Event) -> Option<Named> {
    match &event.kind {
        Some(Kind::ProfileUpdate(update)) => update.moved_to.clone().map(vouched),
        _ => None,
    }
}

/// Where the provider says that the peer came from.
fn moved_from(event: &Event) -> Option<Named> {
    match &event.kind {
        Some(Kind::ProfileUpdate(update)) => update.moved_from.clone().map(vouched),
        _ => None,
    }
}

fn vouched(identifier: Identifier) -> Named {
    Named {
        identifier,
        evidence: Evidence::Vouched,
        provider_form: String::new(),
    }
}
