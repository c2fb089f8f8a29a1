//! Pointers from a provider's ids to our messages. They are written before an acceptance is recorded, so that a receipt finds
//! either the pointer or a place to wait in.

use super::{POINTER_KEPT, apply_to, expire_pointer, of_campaign};
use crate::id::{EventId, MessageId, hash};
use crate::keys;
use crate::port::store::{Expect, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, found_record};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{expect_record, put};
use crate::protocol::submit::note_fault_of;
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::state::v1::ProviderPointer;
use std::collections::BTreeMap;

/// Pointers that are written in one commit.
const TOGETHER: usize = 100;
/// Commits that are under way side by side.
const SIDE_BY_SIDE: usize = 32;

/// A provider's id and what it is to lead to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer {
    /// Id that the provider gave.
    pub provider_id: String,
    /// Our message.
    pub message_id: MessageId,
    /// Piece of it.
    pub piece: u32,
}

impl Pointer {
    fn record(&self) -> ProviderPointer {
        ProviderPointer {
            message_id: self.message_id.to_bytes(),
            piece: self.piece,
            early: Vec::new(),
        }
    }
}

/// Where the pointer of a provider's id lives.
pub(super) fn place((tenant_id, account_id): (&str, &str), provider_id: &str) -> (Shard, Bytes) {
    let hash = hash(
        "provider message",
        &[tenant_id.as_bytes(), account_id.as_bytes(), provider_id.as_bytes()],
    );
    (Shard::new(hash[0]), keys::provider_message(hash))
}

/// Lets a provider's id of an account of a tenant lead to a message, single or of a campaign, before its acceptance is
/// recorded. Receipts that were faster are applied before they are forgotten here; CustomerEvents to publish.
pub async fn point(context: &Context<'_>, whose: (&str, &str), pointer: &Pointer) -> Result<Vec<Outgoing>, Stop> {
    let mut outgoing = Vec::new();
    let (shard, key) = place(whose, &pointer.provider_id);
    let (id, piece) = (pointer.message_id, pointer.piece);
    let next = pointer.record();
    // Receipts are seldom faster: nothing is taken to be there, and the conflict tells when there is something.
    let mut before = Loaded::<ProviderPointer> {
        stamp: None,
        value: None,
    };
    for _ in 0..MAX_TRIES {
        let known = before.value.unwrap_or_default();
        if known == next {
            return Ok(outgoing);
        }
        for early in &known.early {
            let Some(receipt) = &early.receipt else { continue };
            if let Some(error) = &receipt.error {
                let said = (Moment(early.received_at_ms), EventId::from_bytes(&early.event_id));
                note_fault_of(context, id, error, said).await?;
            }
            if !of_campaign(context, whose, (id, piece), receipt).await? {
                outgoing.extend(apply_to(context, id, Some(piece), receipt).await?);
            }
        }
        let expect = vec![expect_record(key.clone(), before.stamp)];
        before = match context.commit(shard, expect, writes(key.clone(), &next).into()).await? {
            Ended::Committed(_) => return Ok(outgoing),
            Ended::Conflict(found) => match found_record(&found, 0) {
                Some(found) => Loaded::decode(found, "provider pointer")?,
                None => context.record(shard, key.clone(), "provider pointer").await?,
            },
            Ended::Unknown => context.record(shard, key.clone(), "provider pointer").await?,
        };
    }
    Err(Stop::Contended(MAX_TRIES))
}

fn writes(key: Bytes, next: &ProviderPointer) -> [Write; 2] {
    [put(key.clone(), next), expire_pointer(key, POINTER_KEPT)]
}

/// The same for many ids of one account: those that lie together are written in one commit, unless receipts were faster.
pub async fn point_all(
    context: &Context<'_>,
    whose: (&str, &str),
    pointers: &[Pointer],
) -> Result<Vec<Outgoing>, Stop> {
    let mut by_shard: BTreeMap<Shard, Vec<(Bytes, &Pointer)>> = BTreeMap::new();
    for pointer in pointers {
        let (shard, key) = place(whose, &pointer.provider_id);
        by_shard.entry(shard).or_default().push((key, pointer));
    }
    let mut written = Vec::new();
    for (shard, placed) in &by_shard {
        written.extend(placed.chunks(TOGETHER).map(|lot| together(context, whose, *shard, lot)));
    }
    let written = stream::iter(written).buffer_unordered(SIDE_BY_SIDE);
    let outgoing: Vec<Vec<Outgoing>> = written.try_collect().await?;
    Ok(outgoing.into_iter().flatten().collect())
}

async fn together(
    context: &Context<'_>,
    whose: (&str, &str),
    shard: Shard,
    lot: &[(Bytes, &Pointer)],
) -> Result<Vec<Outgoing>, Stop> {
    let expect: Vec<Expect> = lot.iter().map(|(key, _)| expect_record(key.clone(), None)).collect();
    let write = lot
        .iter()
        .flat_map(|(key, pointer)| writes(key.clone(), &pointer.record()));
    if let Ended::Committed(_) = context.commit(shard, expect, write.collect()).await? {
        return Ok(Vec::new());
    }
    let mut outgoing = Vec::new();
    for (_, pointer) in lot {
        outgoing.extend(point(context, whose, pointer).await?);
    }
    Ok(outgoing)
}
