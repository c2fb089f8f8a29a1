//! Remembers commands of people, so that a repeated one is carried out once and answered alike.

use crate::id::hash;
use crate::keys;
use crate::port::store::{Shape, StoreError, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::resolve::{expect_record, put};
use crate::shard::Shard;
use omnigate_proto::state::v1::CommandRecord;
use std::time::Duration;

/// How long a request id is remembered.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The request id was used for something else.
    #[error("request id was used with another body")]
    RequestIdReused,
    /// There is no such customer.
    #[error("no such customer")]
    NoSuchCustomer,
    /// One of two customers was merged or erased since.
    #[error("they are not two customers any more")]
    NotTwo,
    /// Rules keep the two apart.
    #[error("kept apart by {}", .0.join(", "))]
    Apart(Vec<String>),
    /// The store did not let it happen; trying again with the same request id goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

fn place(tenant_id: &str, request_id: &str) -> (Shard, bytes::Bytes) {
    let digest = hash("command", &[tenant_id.as_bytes(), request_id.as_bytes()]);
    (Shard::new(digest[0]), keys::command(digest))
}

/// The command of a request id, if it was decided on before.
pub async fn known(
    context: &Context<'_>,
    tenant_id: &str,
    request_id: &str,
    body_hash: [u8; 32],
) -> Result<Option<CommandRecord>, NotDone> {
    let (shard, key) = place(tenant_id, request_id);
    let known: Loaded<CommandRecord> = context.record(shard, key, "command").await?;
    match known.value {
        Some(record) if record.body_hash.as_ref() != body_hash => Err(NotDone::RequestIdReused),
        known => Ok(known),
    }
}

/// Remembers a command before anything of it is done; gives back the one that stands.
pub async fn remember(
    context: &Context<'_>,
    tenant_id: &str,
    request_id: &str,
    record: CommandRecord,
) -> Result<CommandRecord, NotDone> {
    let (shard, key) = place(tenant_id, request_id);
    for _ in 0..MAX_TRIES {
        let known: Loaded<CommandRecord> = context.record(shard, key.clone(), "command").await?;
        if let Some(known) = known.value {
            let same = known.body_hash == record.body_hash;
            return if same { Ok(known) } else { Err(NotDone::RequestIdReused) };
        }
        let expect = vec![expect_record(key.clone(), known.stamp)];
        let write = kept(&key, &record);
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(record);
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Notes that a command took effect: from now on it is only answered.
pub async fn mark_done(context: &Context<'_>, tenant_id: &str, request_id: &str) -> Result<(), Stop> {
    mark_answered(context, tenant_id, request_id, bytes::Bytes::new()).await
}

/// Notes that a command took effect, with an answer that could not be told anew.
pub async fn mark_answered(
    context: &Context<'_>,
    tenant_id: &str,
    request_id: &str,
    answer: bytes::Bytes,
) -> Result<(), Stop> {
    let (shard, key) = place(tenant_id, request_id);
    for _ in 0..MAX_TRIES {
        let known: Loaded<CommandRecord> = context.record(shard, key.clone(), "command").await?;
        let Some(record) = known.value.filter(|record| !record.done) else {
            return Ok(());
        };
        let expect = vec![expect_record(key.clone(), known.stamp)];
        let done = CommandRecord {
            done: true,
            answer: answer.clone(),
            ..record
        };
        let write = kept(&key, &done);
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Writes a command for as long as it is remembered; a put alone would keep it for ever.
fn kept(key: &bytes::Bytes, record: &CommandRecord) -> Vec<Write> {
    let expire = Write::Expire {
        shape: Shape::Record,
        key: key.clone(),
        after: KEPT,
    };
    vec![put(key.clone(), record), expire]
}
