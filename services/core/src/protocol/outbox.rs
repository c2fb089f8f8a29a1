//! The outbox: CustomerEvents that were committed and are not yet known to be published.
//!
//! The committer publishes at once and takes them out with a later commit of the shard; whoever holds the shard's lease
//! publishes what is left over. Both may publish the same one: readers drop repeats by its id.

use super::context::{Context, Ended, as_range};
use crate::port::store::{Expect, Query, StoreError, Write};
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most members that one commit takes out on its way.
const TAKEN_ALONG: usize = 64;
/// Fewer are not worth a removal in every commit: they wait for others, or for the next [`flush`].
const WORTH_TAKING: usize = 8;
/// Shards flushed at once.
const FLUSHED_AT_ONCE: usize = 32;
/// Most pages of a shard's outbox that are looked through for what is left over.
const MOST_PAGES: usize = 64;

/// CustomerEvents of this process that are published but still stand in the store.
#[derive(Default)]
pub struct Outbox {
    published: Mutex<BTreeMap<Shard, Vec<Bytes>>>,
}

/// A CustomerEvent on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Shard of its home.
    pub shard: Shard,
    /// Member of the shard's outbox.
    pub member: Bytes,
    /// Encoded `v1.CustomerEvent`.
    pub event: Bytes,
}

impl Outbox {
    /// Notes that these were published: they may be taken out.
    pub fn published(&self, shard: Shard, members: Vec<Bytes>) {
        if !members.is_empty() {
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            published.entry(shard).or_default().extend(members);
        }
    }

    /// Some of the shard's for a commit to take along, if they are worth it; to be given back when it fails.
    pub(super) fn take_along(&self, shard: Shard) -> Vec<Bytes> {
        self.take(shard, WORTH_TAKING)
    }

    /// Some of the shard's, if there are so many; to be given back when they could not be taken out.
    fn take(&self, shard: Shard, at_least: usize) -> Vec<Bytes> {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(members) = published.get_mut(&shard).filter(|members| members.len() >= at_least) else {
            return Vec::new();
        };
        let keep = members.len().saturating_sub(TAKEN_ALONG);
        let taken = members.split_off(keep);
        if members.is_empty() {
            published.remove(&shard);
        }
        taken
    }

    /// Shards that have more to take out than one commit takes along.
    #[must_use]
    pub fn crowded(&self) -> Vec<Shard> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let crowded = published.iter().filter(|(_, members)| members.len() > TAKEN_ALONG);
        crowded.map(|(shard, _)| *shard).collect()
    }

    /// Shards that have some to take out.
    #[must_use]
    pub fn shards(&self) -> Vec<Shard> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.keys().copied().collect()
    }
}

/// Takes published members of a shard out where no commit came by. Leaves them for later when the store does not answer.
pub async fn flush(context: &Context<'_>, shard: Shard) -> Result<(), StoreError> {
    let members = context.outbox.take(shard, 1);
    let Some(first) = members.first() else {
        return Ok(());
    };
    let key = crate::keys::outbox();
    let expect = vec![Expect::Member {
        key: key.clone(),
        member: first.clone(),
        present: true,
    }];
    let write = members.iter().map(|member| Write::Remove {
        key: key.clone(),
        member: member.clone(),
    });
    let outcome = context.commit(shard, expect, write.collect()).await;
    match outcome {
        Ok(Ended::Committed(_)) => Ok(()),
        // The lease holder was faster with the first one, and perhaps with more: what still stands has its turn later.
        Ok(Ended::Conflict(_)) => match standing(context, shard, &members).await {
            Ok(standing) => {
                context.outbox.published(shard, standing);
                Ok(())
            }
            Err(error) => {
                context.outbox.published(shard, members);
                Err(error)
            }
        },
        Ok(Ended::Unknown) => {
            context.outbox.published(shard, members);
            Ok(())
        }
        Err(error) => {
            context.outbox.published(shard, members);
            Err(error)
        }
    }
}

/// [`flush`]es shards, some at a time. A store that is away ends it, for later; any other problem concerns its shard alone.
pub async fn flush_shards(context: &Context<'_>, shards: &[Shard]) -> Result<(), StoreError> {
    for shards in shards.chunks(FLUSHED_AT_ONCE) {
        let flushes = shards.iter().map(|shard| flush(context, *shard));
        for (shard, flushed) in shards.iter().zip(join_all(flushes).await) {
            if let Err(error) = flushed {
                tracing::debug!(%shard, %error, "published events stay in the outbox for now");
                if matches!(error, StoreError::Unavailable(_)) {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// [`flush_shards`] of all that have something.
pub async fn flush_all(context: &Context<'_>) {
    // Said there, and made up for by the next one or by the scheduler.
    flush_shards(context, &context.outbox.shards()).await.ok();
}

/// Those of the members that are still in the outbox.
async fn standing(context: &Context<'_>, shard: Shard, members: &[Bytes]) -> Result<Vec<Bytes>, StoreError> {
    let exactly = |member: &Bytes| Query::member(crate::keys::outbox(), member.clone());
    let answers = context.store.read(shard, members.iter().map(exactly).collect()).await?;
    let mut standing = Vec::new();
    for answer in answers {
        standing.extend(as_range(Some(answer))?.into_iter().map(|(member, _)| member));
    }
    standing.sort_unstable();
    standing.dedup();
    Ok(standing)
}

/// What stands in a shard's outbox although it was committed at least `age` ago, oldest homes first. Looks behind those that
/// are younger, so that a busy home does not hide what others left.
pub async fn left_over(
    context: &Context<'_>,
    shard: Shard,
    age: Duration,
    limit: u32,
) -> Result<Vec<Outgoing>, StoreError> {
    let now = context.now();
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut old = Vec::new();
    let mut from = Bound::Unbounded;
    for _ in 0..MOST_PAGES {
        let query = Query::Range {
            key: crate::keys::outbox(),
            from,
            to: Bound::Unbounded,
            limit,
            reverse: false,
        };
        let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
        let Some((last, _)) = members.last() else {
            break;
        };
        from = Bound::Excluded(last.clone());
        let is_last_page = members.len() < wanted;
        let is_old = |event: &Bytes| committed_at(event).is_none_or(|at| now.since(at) >= age);
        let found = members.into_iter().filter(|(_, event)| is_old(event));
        old.extend(found.map(|(member, event)| Outgoing { shard, member, event }));
        if is_last_page || old.len() >= wanted {
            break;
        }
    }
    old.truncate(wanted);
    Ok(old)
}

fn committed_at(event: &Bytes) -> Option<Moment> {
    use prost::Message as _;
    let event = omnigate_proto::v1::CustomerEvent::decode(event.clone()).ok()?;
    event.at.as_ref().map(Moment::from_timestamp)
}
