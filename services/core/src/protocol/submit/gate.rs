//! The last look before a message leaves: the suppression list for every message, every layer of consent for advertising.
//! Nothing of it is remembered from before.

use crate::consent::{Asked, Layers, effective, needs_consent};
use crate::delivery::{self, receipt};
use crate::id::{CustomerId, MessageId};
use crate::protocol::consent::{Whom, advertising, suppressed};
use crate::protocol::context::{Context, Stop};
use crate::protocol::delivery::LoadedDelivery;
use crate::protocol::submit::Rules;
use futures_util::future::join;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{Delivery, Identifier, Purpose, SendError};
use std::sync::Arc;

/// How a claim ended.
pub(super) enum Claimed {
    /// The message is the submitter's, and may leave.
    Taken,
    /// It must not leave; whether it is the submitter's is not known.
    Refused(SendError),
    /// Something changed meanwhile.
    Overtaken,
}

/// Claims a message if it may leave. Advertising is looked at before. Other messages are hardly ever refused: the look takes
/// place while the claim is written, and costs them no time.
pub(super) async fn claim(
    context: &Context<'_>,
    id: MessageId,
    loaded: &LoadedDelivery,
    next: &Arc<DeliveryRecord>,
    rules: &Rules,
) -> Result<Claimed, Stop> {
    let replaced = loaded.replace(context, id, next);
    let (is_replaced, refusal) = if purpose_of(next).is_some_and(needs_consent) {
        match refusal(context, next, rules).await? {
            None => (replaced.await?, None),
            refused => (true, refused),
        }
    } else {
        // Both come to their end: a claim that is let go half-way would leave things behind.
        let (replaced, refusal) = join(replaced, refusal(context, next, rules)).await;
        (replaced?, refusal?)
    };
    Ok(match refusal {
        Some(error) => Claimed::Refused(error),
        None if is_replaced => Claimed::Taken,
        None => Claimed::Overtaken,
    })
}

fn purpose_of(record: &DeliveryRecord) -> Option<Purpose> {
    Some(record.delivery.as_ref()?.message.as_ref()?.purpose())
}

/// Why a message must not leave, if so. One of which a part has left goes on: half a message serves nobody.
async fn refusal(context: &Context<'_>, record: &DeliveryRecord, rules: &Rules) -> Result<Option<SendError>, Stop> {
    let (Some(delivery), Some(purpose)) = (&record.delivery, purpose_of(record)) else {
        return Ok(None);
    };
    if delivery.pieces.iter().any(receipt::is_proven) {
        return Ok(None);
    }
    let asked = Asked {
        channel: &delivery.channel,
        purpose,
        default: rules.marketing,
        now: context.now(),
    };
    for (identifier, from) in reached(record, delivery) {
        let whom = Whom {
            tenant_id: &delivery.tenant_id,
            identifier: &identifier,
            from,
        };
        let layers: Layers = match needs_consent(purpose) {
            true => advertising(context, whom).await?,
            false => suppressed(context, whom).await?,
        };
        if let Some(error) = effective(&layers, &asked).error() {
            return Ok(Some(error));
        }
    }
    Ok(None)
}

/// The identifiers that a message reaches: its peer, and the number that its alternative goes to. What the customer said is
/// found by the peer.
fn reached(record: &DeliveryRecord, delivery: &Delivery) -> Vec<(Identifier, Option<CustomerId>)> {
    let peer = delivery.peer.clone().unwrap_or_default();
    let other = delivery::leaving(record)
        .map(|leaving| leaving.peer)
        .filter(|other| *other != peer);
    let from = delivery.customer_id.parse().ok();
    std::iter::once((peer, from))
        .chain(other.map(|other| (other, None)))
        .collect()
}
