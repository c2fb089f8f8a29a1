//! Who is left out when what was received before is put on its way again.

use super::context::{Context, Loaded, Stop, as_record};
use crate::id::IdentifierKey;
use crate::identifier;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::replay::Found;
use crate::shard::Shard;
use crate::time::Moment;
use futures_util::future::try_join_all;
use omnigate_proto::state::v1::ErasedRecord;
use std::collections::{BTreeMap, BTreeSet};

/// Where it is written a second time that an identifier was erased: in another shard than its claim, so that a shard that
/// is lost does not bring back who is to be forgotten.
#[must_use]
pub const fn shard_of_mark(identifier: IdentifierKey) -> Shard {
    Shard::new(identifier.shard().number() ^ 0x80)
}

/// Notes that an identifier was erased: what was received before `erased_at` is not put on its way again.
pub(super) async fn mark_erased(
    context: &Context<'_>,
    identifier: IdentifierKey,
    erased_at: Moment,
) -> Result<(), Stop> {
    let place = (shard_of_mark(identifier), keys::erased(identifier));
    let mark = |record: Option<&ErasedRecord>, _| {
        let is_known = record.is_some_and(|record| record.erased_at_ms >= erased_at.0);
        (!is_known).then_some(ErasedRecord {
            erased_at_ms: erased_at.0,
        })
    };
    context.change(place, "erased", mark).await.map(drop)
}

/// Those whose sender was not erased since they were received, and how many are left out.
pub async fn without_erased(context: &Context<'_>, found: Vec<Found>) -> Result<(Vec<Found>, u64), StoreError> {
    let key_of = |found: &Found| {
        let peer = found.event.peer.as_ref()?;
        Some(identifier::key(&found.event.tenant_id, peer))
    };
    let erased = erased_at(context, found.iter().filter_map(key_of).collect()).await?;
    let all = found.len();
    let is_left = |found: &Found| {
        let erased = key_of(found).and_then(|key| erased.get(&key));
        erased.is_none_or(|erased| Moment(found.stamped.received_at_ms) >= *erased)
    };
    let left: Vec<Found> = found.into_iter().filter(is_left).collect();
    let out = u64::try_from(all - left.len()).unwrap_or(u64::MAX);
    Ok((left, out))
}

/// When identifiers were erased, by their claims and by the marks elsewhere.
async fn erased_at(
    context: &Context<'_>,
    identifiers: BTreeSet<IdentifierKey>,
) -> Result<BTreeMap<IdentifierKey, Moment>, StoreError> {
    let mut asked: BTreeMap<Shard, Vec<(IdentifierKey, bool)>> = BTreeMap::new();
    for identifier in identifiers {
        asked.entry(identifier.shard()).or_default().push((identifier, false));
        asked
            .entry(shard_of_mark(identifier))
            .or_default()
            .push((identifier, true));
    }
    let reads = asked.iter().map(|(shard, wanted)| async move {
        let key = |(identifier, is_mark): &(IdentifierKey, bool)| match is_mark {
            true => keys::erased(*identifier),
            false => keys::claim(*identifier),
        };
        let queries = wanted.iter().map(|wanted| Query::Record(key(wanted))).collect();
        Ok::<_, StoreError>((wanted, context.store.read(*shard, queries).await?))
    });
    let mut erased: BTreeMap<IdentifierKey, Moment> = BTreeMap::new();
    for (wanted, answers) in try_join_all(reads).await? {
        let mut answers = answers.into_iter();
        for (identifier, is_mark) in wanted {
            let record = as_record(answers.next())?;
            let at = match is_mark {
                true => Loaded::<ErasedRecord>::decode(record, "erased")?
                    .value
                    .map(|record| record.erased_at_ms),
                false => Loaded::claim(record)?.value.map(|claim| claim.erased_at_ms),
            };
            let known = erased.entry(*identifier).or_default();
            *known = (*known).max(Moment(at.unwrap_or_default()));
        }
    }
    Ok(erased)
}
