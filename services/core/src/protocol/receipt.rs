//! Receipts: find their delivery and move it forward; those that come before our own record wait for it.

mod pointer;

pub use pointer::{Pointer, point, point_all};

use super::append::Applied;
use super::campaign::heard;
use super::consent::note_fault;
use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::delivery::{Chain, Change, change};
use super::outbox::Outgoing;
use super::resolve::{expect_record, put};
use crate::append::Arrival;
use crate::campaign::place::Sent;
use crate::delivery;
use crate::id::MessageId;
use crate::port::store::{Shape, Write};
use crate::shard::Shard;
use bytes::Bytes;
use omnigate_proto::state::v1::{EarlyReceipt, ProviderPointer};
use omnigate_proto::v1::{Event, Receipt, event::Kind};
use pointer::place;
use std::time::Duration;

/// How long receipts wait for the delivery they are about.
const EARLY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a provider's id leads to its delivery.
const POINTER_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Most receipts that wait for one delivery.
const MAX_EARLY: usize = 16;

/// What a receipt is about.
enum Target {
    /// A piece of a message of its own.
    Delivery(MessageId, u32),
    /// A message of a campaign, which has heard it.
    Campaign,
}

/// Applies a receipt event.
pub async fn apply(context: &Context<'_>, arrival: &Arrival) -> Result<Applied, Stop> {
    let mut applied = Applied::default();
    let Some(Kind::Receipt(receipt)) = &arrival.event.kind else {
        return Ok(applied);
    };
    let target = match by_reference(context, &arrival.event, receipt).await? {
        None if !receipt.provider_message_id.is_empty() => by_provider_id(context, receipt, arrival).await?,
        target => target,
    };
    let delivery = match target {
        Some(Target::Delivery(id, piece)) => Some((id, piece)),
        Some(Target::Campaign) | None => None,
    };
    note_fault_of(context, receipt, delivery.map(|(id, _)| id), arrival).await?;
    if let Some((id, piece)) = delivery {
        applied.outgoing = apply_to(context, id, Some(piece), receipt).await?;
    }
    applied.applied.push(arrival.id);
    Ok(applied)
}

/// The message whose send key a receipt brings. A reference is only what somebody says: it leads to messages of the same
/// account alone.
async fn by_reference(context: &Context<'_>, event: &Event, receipt: &Receipt) -> Result<Option<Target>, Stop> {
    let Some((id, piece)) = MessageId::from_send_key(&receipt.client_reference) else {
        return Ok(None);
    };
    let whose = (event.tenant_id.as_str(), event.account_id.as_str());
    if of_campaign(context, whose, (id, u32::from(piece)), receipt).await? {
        return Ok(Some(Target::Campaign));
    }
    let is_theirs = went_through(context, id, event).await?;
    Ok(is_theirs.then_some(Target::Delivery(id, u32::from(piece))))
}

/// The message that is known under the provider's id; `None` when only the receipt knows it so far: then it waits.
async fn by_provider_id(context: &Context<'_>, receipt: &Receipt, arrival: &Arrival) -> Result<Option<Target>, Stop> {
    let whose = (arrival.event.tenant_id.as_str(), arrival.event.account_id.as_str());
    let Some((id, piece)) = find(context, whose, receipt, arrival).await? else {
        return Ok(None);
    };
    Ok(Some(match of_campaign(context, whose, (id, piece), receipt).await? {
        true => Target::Campaign,
        false => Target::Delivery(id, piece),
    }))
}

/// Lets a campaign hear a receipt; false when the message is none of a campaign through this account.
async fn of_campaign(
    context: &Context<'_>,
    whose: (&str, &str),
    (id, piece): (MessageId, u32),
    receipt: &Receipt,
) -> Result<bool, Stop> {
    match Sent::of(id) {
        Some(sent) => heard(context, whose, (sent, piece), receipt).await,
        None => Ok(false),
    }
}

/// Puts whom a receipt says to be no good to write to onto the suppression list, before the event is acknowledged. The
/// message tells who that is, and the event where the message is not known or a campaign's: a row holds no address, so whom a
/// receipt of a campaign says nothing of but the reference is not put there.
async fn note_fault_of(
    context: &Context<'_>,
    receipt: &Receipt,
    message: Option<MessageId>,
    arrival: &Arrival,
) -> Result<(), Stop> {
    let (event, Some(error)) = (&arrival.event, &receipt.error) else {
        return Ok(());
    };
    let record = match message {
        Some(id) => super::delivery::get(context, id).await?,
        None => None,
    };
    let reached = record.as_ref().and_then(delivery::leaving).map(|leaving| leaving.peer);
    match reached.or_else(|| event.peer.clone()) {
        Some(address) => {
            let said = (arrival.received_at, Some(arrival.id));
            note_fault(context, (&event.tenant_id, &address, &event.channel), error, said).await
        }
        None => Ok(()),
    }
}

/// True when the message went through the account of the event.
async fn went_through(context: &Context<'_>, id: MessageId, event: &Event) -> Result<bool, Stop> {
    let record = super::delivery::outline(context, id).await?;
    Ok(record
        .and_then(|record| record.delivery)
        .is_some_and(|delivery| delivery.tenant_id == event.tenant_id && delivery.account_id == event.account_id))
}

/// Applies a receipt to a piece of a delivery, or to all of it; CustomerEvents to publish.
async fn apply_to(
    context: &Context<'_>,
    id: MessageId,
    piece: Option<u32>,
    receipt: &Receipt,
) -> Result<Vec<Outgoing>, Stop> {
    let changed = change(context, id, |record, _, now| {
        let next = delivery::receipt::apply(record, piece, receipt, now)?;
        let ends = !delivery::has_ended(delivery::state_of(record)) && delivery::has_ended(delivery::state_of(&next));
        Some(Change {
            chain: if ends { Chain::Leave } else { Chain::Stay },
            announce: true,
            ..Change::quiet(next)
        })
    });
    Ok(changed.await?.map(|changed| changed.outgoing).unwrap_or_default())
}

/// The message behind a provider's id.
async fn find(
    context: &Context<'_>,
    (tenant_id, account_id): (&str, &str),
    receipt: &Receipt,
    arrival: &Arrival,
) -> Result<Option<(MessageId, u32)>, Stop> {
    let (shard, key) = place((tenant_id, account_id), &receipt.provider_message_id);
    for _ in 0..MAX_TRIES {
        let before: Loaded<ProviderPointer> = context.record(shard, key.clone(), "provider pointer").await?;
        let mut known = before.value.clone().unwrap_or_default();
        if let Some(id) = MessageId::from_bytes(&known.message_id) {
            return Ok(Some((id, known.piece)));
        }
        let repeated = known.early.iter().any(|early| early.event_id == arrival.id.to_bytes());
        if repeated || known.early.len() >= MAX_EARLY {
            return Ok(None);
        }
        known.early.push(EarlyReceipt {
            receipt: Some(receipt.clone()),
            received_at_ms: arrival.received_at.0,
            event_id: arrival.id.to_bytes(),
        });
        if wait(context, shard, &key, &before, &known).await? {
            return Ok(None);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

async fn wait(
    context: &Context<'_>,
    shard: Shard,
    key: &Bytes,
    before: &Loaded<ProviderPointer>,
    next: &ProviderPointer,
) -> Result<bool, Stop> {
    let expect = vec![expect_record(key.clone(), before.stamp)];
    let write = vec![put(key.clone(), next), expire_pointer(key.clone(), EARLY_KEPT)];
    Ok(matches!(
        context.commit(shard, expect, write).await?,
        Ended::Committed(_)
    ))
}

/// Lets a pointer vanish by itself.
const fn expire_pointer(key: Bytes, after: Duration) -> Write {
    Write::Expire {
        shape: Shape::Record,
        key,
        after,
    }
}
