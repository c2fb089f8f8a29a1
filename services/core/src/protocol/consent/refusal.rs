//! A customer's word that they want no advertising at all.

use crate::consent;
use crate::id::CustomerId;
use crate::identity::{built_in, consists_of, frozen};
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use crate::protocol::identity::wait;
use crate::protocol::read;
use crate::protocol::resolve::{expect_record, put};
use futures_util::future::try_join_all;
use omnigate_proto::state::v1::{CustomerState, RefusalRecord};
use omnigate_proto::v1::Identifier;
use std::collections::BTreeMap;

const WHAT: &str = "refusal";

/// Everybody whom the owner of an identifier consists of, with what they said. None when nobody owns it. `from` is a record
/// that once owned it.
pub async fn refusals(
    context: &Context<'_>,
    tenant_id: &str,
    identifier: &Identifier,
    from: CustomerId,
) -> Result<Vec<(CustomerId, RefusalRecord)>, StoreError> {
    let Some((_, record)) = read::holder(context, tenant_id, identifier, from).await? else {
        return Ok(Vec::new());
    };
    let mut by_shard: BTreeMap<_, Vec<CustomerId>> = BTreeMap::new();
    for id in consists_of(&record.members) {
        by_shard.entry(id.shard()).or_default().push(id);
    }
    let reads = by_shard.into_iter().map(async |(shard, ids)| {
        let queries = ids.iter().map(|id| Query::Record(keys::refusal(*id))).collect();
        let answers = context.store.read(shard, queries).await?;
        let said = ids.into_iter().zip(answers).map(|(id, answer)| {
            let loaded: Loaded<RefusalRecord> = Loaded::decode(as_record(Some(answer))?, WHAT)?;
            Ok(loaded.value.map(|record| (id, record)))
        });
        said.filter_map(Result::transpose)
            .collect::<Result<Vec<_>, StoreError>>()
    });
    Ok(try_join_all(reads).await?.concat())
}

/// Writes a customer's word down for everybody they consist of, so that it holds for each of them if they are taken apart.
/// Gives the present customer and whether they refuse; `None` when there is no such customer.
pub async fn set_refusal(
    context: &Context<'_>,
    tenant_id: &str,
    id: CustomerId,
    word: &RefusalRecord,
) -> Result<Option<(CustomerId, bool)>, Stop> {
    for _ in 0..MAX_TRIES {
        let Some((owner, record)) = read::holder(context, tenant_id, &built_in(id), id).await? else {
            return Ok(None);
        };
        let mut is_whole = true;
        for of in consists_of(&record.members) {
            is_whole &= set_of(context, of, owner, word).await?;
        }
        if is_whole {
            let refusals = refusals(context, tenant_id, &built_in(id), owner).await?;
            return Ok(Some((owner, refusals.iter().any(|(_, said)| said.refuses))));
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Writes the word for one of those whom `owner` consists of. False when they are not the owner's any more.
async fn set_of(context: &Context<'_>, id: CustomerId, owner: CustomerId, word: &RefusalRecord) -> Result<bool, Stop> {
    let mut waited = 0;
    for _ in 0..MAX_TRIES {
        let queries = vec![Query::Record(keys::customer(id)), Query::Record(keys::refusal(id))];
        let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
        let customer = Loaded::customer(as_record(answers.next())?, id)?;
        let before: Loaded<RefusalRecord> = Loaded::decode(as_record(answers.next())?, WHAT)?;
        let record = customer.value.unwrap_or_default();
        // A split gives a record back: it is frozen before that is decided, and then it is somebody else.
        if frozen(&record).is_some() {
            wait(context, id, &mut waited).await?;
            continue;
        }
        let theirs = if id == owner {
            CustomerState::Active
        } else {
            CustomerState::Merged
        };
        if record.state() != theirs || record.erasure.is_some() {
            return Ok(false);
        }
        let Some(next) = consent::refuse(before.value.as_ref(), word) else {
            return Ok(true);
        };
        let expect = vec![
            expect_record(keys::refusal(id), before.stamp),
            expect_record(keys::customer(id), customer.stamp),
        ];
        if let Ended::Committed(_) = context
            .commit(id.shard(), expect, vec![put(keys::refusal(id), &next)])
            .await?
        {
            return Ok(true);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
