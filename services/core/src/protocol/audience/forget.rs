//! What lists say of one customer: for whoever asks for a copy of everything, and gone when the customer is erased.
//!
//! A row is found by asking each list of the tenant. No way leads from a customer to their lists, because it would have to be
//! written with every row.

use super::define::{Audience, get, listed};
use crate::id::{AudienceId, CustomerId};
use crate::identity::consists_of;
use crate::keys;
use crate::port::store::{Answer, Query, StoreError, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range, as_record};
use crate::protocol::read::Whole;
use crate::protocol::resolve::{expect_record, put};
use omnigate_proto::state::v1::{AudiencePartRecord, MemberRecord};
use prost::Message as _;

/// Lists that are asked in one read.
const AT_ONCE: usize = 100;

/// A list that a customer is in, and what it says of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Membership {
    /// The list.
    pub audience: Audience,
    /// What it says.
    pub member: MemberRecord,
}

/// The lists that a customer is in, by any of the records that they consist of.
pub async fn memberships(context: &Context<'_>, whole: &Whole) -> Result<Vec<Membership>, StoreError> {
    let tenant_id = &whole.record.tenant_id;
    let known = listed(context, tenant_id).await?;
    let mut all = Vec::new();
    for at in consists_of(&whole.record.members) {
        for (id, value) in rows(context, &known, at).await? {
            let member = decode(value)?;
            all.extend(
                get(context, tenant_id, id)
                    .await?
                    .map(|audience| Membership { audience, member }),
            );
        }
    }
    Ok(all)
}

/// Removes the rows of a record that is erased. Who wrote one expected the record as it was before.
pub(in crate::protocol) async fn forget(context: &Context<'_>, tenant_id: &str, at: CustomerId) -> Result<(), Stop> {
    let known = listed(context, tenant_id).await?;
    for (id, _) in rows(context, &known, at).await? {
        remove(context, id, at).await?;
    }
    Ok(())
}

/// The rows of a record in these lists.
async fn rows(
    context: &Context<'_>,
    known: &[AudienceId],
    at: CustomerId,
) -> Result<Vec<(AudienceId, bytes::Bytes)>, StoreError> {
    let mut found = Vec::new();
    for ids in known.chunks(AT_ONCE) {
        let member = |id: &AudienceId| Query::member(keys::members_of(*id), at.to_bytes());
        let answers: Vec<Answer> = context.store.read(at.shard(), ids.iter().map(member).collect()).await?;
        for (id, answer) in ids.iter().zip(answers) {
            found.extend(as_range(Some(answer))?.into_iter().map(|(_, value)| (*id, value)));
        }
    }
    Ok(found)
}

async fn remove(context: &Context<'_>, id: AudienceId, at: CustomerId) -> Result<(), Stop> {
    for _ in 0..MAX_TRIES {
        let queries = vec![
            Query::Record(keys::audience_part(id)),
            Query::member(keys::members_of(id), at.to_bytes()),
        ];
        let mut answers = context.store.read(at.shard(), queries).await?.into_iter();
        let part: Loaded<AudiencePartRecord> = Loaded::decode(as_record(answers.next())?, "audience part")?;
        let stands = !as_range(answers.next())?.is_empty();
        let Some(mut next) = part.value.filter(|_| stands) else {
            return Ok(());
        };
        next.members = next.members.saturating_sub(1);
        let expect = vec![expect_record(keys::audience_part(id), part.stamp)];
        let write = vec![
            put(keys::audience_part(id), &next),
            Write::Remove {
                key: keys::members_of(id),
                member: at.to_bytes(),
            },
        ];
        if let Ended::Committed(_) = context.commit(at.shard(), expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// A row as it is stored.
pub(in crate::protocol) fn decode(value: bytes::Bytes) -> Result<MemberRecord, StoreError> {
    MemberRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("member: {error}")))
}
