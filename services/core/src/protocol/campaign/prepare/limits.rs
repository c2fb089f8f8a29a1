//! How often a customer may get advertising: a place is taken in their record before a message may leave, and given back when it
//! provably did not.

use super::Letter;
use crate::campaign::ledger::Verdict;
use crate::id::{CustomerId, MessageId, hash};
use crate::identity::consists_of;
use crate::keys;
use crate::policy::caps::{self, Cap, Counts, Room};
use crate::port::store::StoreError;
use crate::protocol::context::{Context, Stop};
use crate::protocol::read::Whole;
use futures_util::future::try_join_all;
use omnigate_proto::state::v1::CapRecord;
use omnigate_proto::v1::RecipientReason;

/// Names a message among those that count: all attempts at it are one.
fn counted(id: MessageId) -> [u8; 8] {
    let digest = hash("counted", &[&id.0]);
    let mut name = [0; 8];
    name.copy_from_slice(&digest[..8]);
    name
}

/// Takes a place for a message, unless it is only to be looked.
pub(super) async fn take(
    context: &Context<'_>,
    whole: &Whole,
    caps: &[Cap],
    (id, channel): (MessageId, &str),
    only_looks: bool,
) -> Result<Verdict, Stop> {
    if caps.is_empty() {
        return Ok(Verdict::Send);
    }
    let others = consists_of(&whole.record.members).filter(|other| *other != whole.id);
    let others: Vec<_> = others.map(|other| counts_of(context, other)).collect();
    let others = try_join_all(others).await?;
    let counts = Counts {
        message: counted(id),
        channel,
    };
    let mut verdict = Verdict::Send;
    let place = (whole.id.shard(), keys::campaign::caps(whole.id));
    let changed = context.change(place, "caps", |record: Option<&CapRecord>, now| {
        let room = caps::take(&record.cloned().unwrap_or_default(), &others, caps, counts, now);
        verdict = match &room {
            Room::Taken(_) | Room::Had => Verdict::Send,
            Room::NotBefore(at) => Verdict::PutOff(*at, RecipientReason::Cap),
            Room::Never => Verdict::Refuse(RecipientReason::Cap),
        };
        match room {
            Room::Taken(next) if !only_looks => Some(next),
            _ => None,
        }
    });
    changed.await?;
    Ok(verdict)
}

async fn counts_of(context: &Context<'_>, id: CustomerId) -> Result<CapRecord, StoreError> {
    let loaded = context.record(id.shard(), keys::campaign::caps(id), "caps").await?;
    Ok(loaded.value.unwrap_or_default())
}

/// Gives the places of messages back that provably did not leave.
pub async fn give_back(context: &Context<'_>, letters: &[&Letter]) -> Result<(), Stop> {
    let counted = letters.iter().filter(|letter| letter.counted);
    let backs: Vec<_> = counted
        .map(|letter| back(context, letter.customer, letter.id))
        .collect();
    try_join_all(backs).await.map(drop)
}

async fn back(context: &Context<'_>, customer: CustomerId, id: MessageId) -> Result<(), Stop> {
    let place = (customer.shard(), keys::campaign::caps(customer));
    let decide = |record: Option<&CapRecord>, _| caps::give_back(record?, counted(id));
    context.change(place, "caps", decide).await.map(drop)
}
