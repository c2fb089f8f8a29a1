//! The ledger in the store: one commit for what stands and for the history.

use crate::consent::{self, Said, TooManyChannels};
use crate::id::{Birth, IdentifierKey};
use crate::identifier;
use crate::keys;
use crate::port::store::{Query, StoreError, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_fields, as_range, as_record};
use crate::protocol::resolve::{expect_record, put};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{ConsentFact, ConsentRecord};
use omnigate_proto::v1::Identifier;
use prost::Message as _;
use std::ops::Bound;

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    /// The identifier has facts for too many channels.
    #[error(transparent)]
    TooManyChannels(#[from] TooManyChannels),
    /// The store did not let it happen; trying again goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotRecorded {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// Records facts about an identifier, in their order; those that were recorded before are left out.
pub async fn record(context: &Context<'_>, key: IdentifierKey, said: &[Said]) -> Result<(), NotRecorded> {
    record_while(context, key, None, said).await
}

/// Records facts, and where a birth is named only while it is that of the identifier: whoever was erased since said nothing.
async fn record_while(
    context: &Context<'_>,
    key: IdentifierKey,
    birth: Option<&[u8]>,
    said: &[Said],
) -> Result<(), NotRecorded> {
    for _ in 0..MAX_TRIES {
        let ids = said.iter().map(|said| Bytes::copy_from_slice(&said.id)).collect();
        let queries = vec![
            Query::Record(keys::consent(key)),
            Query::Fields {
                key: keys::consent_history(key),
                fields: ids,
            },
            Query::Record(keys::claim(key)),
        ];
        let mut answers = context.store.read(key.shard(), queries).await?.into_iter();
        let before: Loaded<ConsentRecord> = Loaded::decode(as_record(answers.next())?, "consent")?;
        let known = as_fields(answers.next())?;
        let claim = Loaded::claim(as_record(answers.next())?)?;
        let has_gone = |birth: &[u8]| claim.value.as_ref().is_some_and(|claim| claim.birth != birth);
        if birth.is_some_and(has_gone) {
            return Ok(());
        }
        let mut record = before.value.unwrap_or_default();
        let mut write = Vec::new();
        for (said, _) in said.iter().zip(&known).filter(|(_, known)| known.is_none()) {
            if let Some((next, fact)) = consent::record(&record, said, context.now())? {
                record = next;
                write.extend(kept(key, said, &fact));
            } else {
                // It changed nothing now, and must not when it comes again.
                record.passed_over += 1;
                write.push(Write::SetField {
                    key: keys::consent_history(key),
                    field: Bytes::copy_from_slice(&said.id),
                    value: Bytes::new(),
                });
            }
        }
        if write.is_empty() {
            return Ok(());
        }
        // Every fact changes the record, so that its version guards the history, too.
        write.push(put(keys::consent(key), &record));
        let mut expect = vec![expect_record(keys::consent(key), before.stamp)];
        if birth.is_some() {
            expect.push(expect_record(keys::claim(key), claim.stamp));
        }
        if let Ended::Committed(_) = context.commit(key.shard(), expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Records what a peer wishes, unless they were erased since. The thread has it already; an identifier with facts for too many
/// channels has it there alone.
pub(in crate::protocol) async fn record_wishes(
    context: &Context<'_>,
    tenant_id: &str,
    (peer, birth): (&Identifier, Birth),
    wishes: &[Said],
) -> Result<(), Stop> {
    if wishes.is_empty() {
        return Ok(());
    }
    let key = identifier::key(tenant_id, peer);
    match record_while(context, key, Some(&birth.0), wishes).await {
        Err(NotRecorded::TooManyChannels(problem)) => {
            tracing::warn!(%problem, "a wish is kept in its thread alone");
            Ok(())
        }
        Err(NotRecorded::Stop(stop)) => Err(stop),
        Ok(()) => Ok(()),
    }
}

/// Takes back what was granted for an identifier that got a new holder. The command names it: repeating it changes nothing.
pub(in crate::protocol) async fn lapse(
    context: &Context<'_>,
    (tenant_id, identifier): (&str, &Identifier),
    command: &str,
    since: Moment,
) -> Result<(), Stop> {
    let key = identifier::key(tenant_id, identifier);
    let stands: Loaded<ConsentRecord> = context.record(key.shard(), keys::consent(key), "consent").await?;
    let lapsed = consent::lapsed(&stands.value.unwrap_or_default(), command, since);
    match record(context, key, &lapsed).await {
        // What stands is replaced, so there cannot be too many.
        Ok(()) | Err(NotRecorded::TooManyChannels(_)) => Ok(()),
        Err(NotRecorded::Stop(stop)) => Err(stop),
    }
}

fn kept(key: IdentifierKey, said: &Said, fact: &ConsentFact) -> [Write; 2] {
    let number = Bytes::copy_from_slice(&fact.number.to_be_bytes());
    [
        Write::Insert {
            key: keys::consent_history(key),
            member: number.clone(),
            value: fact.encode_to_vec().into(),
        },
        Write::SetField {
            key: keys::consent_history(key),
            field: Bytes::copy_from_slice(&said.id),
            value: number,
        },
    ]
}

/// A fact as it was recorded; `None` when it was not.
pub async fn recorded(
    context: &Context<'_>,
    key: IdentifierKey,
    id: &[u8; 16],
) -> Result<Option<ConsentFact>, StoreError> {
    let query = Query::Fields {
        key: keys::consent_history(key),
        fields: vec![Bytes::copy_from_slice(id)],
    };
    let fields = as_fields(context.store.read(key.shard(), vec![query]).await?.into_iter().next())?;
    let Some(number) = fields.into_iter().next().flatten() else {
        return Ok(None);
    };
    let query = Query::member(keys::consent_history(key), number);
    let found = as_range(context.store.read(key.shard(), vec![query]).await?.into_iter().next())?;
    found.into_iter().next().map(|(_, value)| decode(value)).transpose()
}

fn decode(value: Bytes) -> Result<ConsentFact, StoreError> {
    ConsentFact::decode(value).map_err(|error| StoreError::Corrupt(format!("consent fact: {error}")))
}

/// Facts about an identifier in the opposite order of their recording, from before a number.
pub async fn history(
    context: &Context<'_>,
    key: IdentifierKey,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<ConsentFact>, StoreError> {
    let query = Query::Range {
        key: keys::consent_history(key),
        from: Bound::Unbounded,
        to: before.map_or(Bound::Unbounded, |number| {
            Bound::Excluded(Bytes::copy_from_slice(&number.to_be_bytes()))
        }),
        limit,
        reverse: true,
    };
    let found = as_range(context.store.read(key.shard(), vec![query]).await?.into_iter().next())?;
    found.into_iter().map(|(_, value)| decode(value)).collect()
}
