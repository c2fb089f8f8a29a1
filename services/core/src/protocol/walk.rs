//! A walk over an index of which every shard has a part: by shard, then by member.

use super::context::{Context, as_range};
use crate::port::store::{Query, StoreError};
use crate::shard::Shard;
use bytes::Bytes;
use std::ops::Bound;

/// How far a walk has come.
pub(super) struct Walk {
    key: Bytes,
    at_once: u32,
    /// The shard that is walked and what comes next in it; `None` at the end.
    next: Option<(Shard, Bound<Bytes>)>,
}

impl Walk {
    /// From behind a member, or from the beginning; so many members are read at once.
    pub(super) fn new(key: Bytes, after: Option<(Shard, Bytes)>, at_once: u32) -> Self {
        let first = (Shard::new(0), Bound::Unbounded);
        Self {
            key,
            at_once: at_once.max(1),
            next: Some(after.map_or(first, |(shard, member)| (shard, Bound::Excluded(member)))),
        }
    }

    /// Some of the next members, or none of a shard that has no more; `None` at the end.
    pub(super) async fn next(&mut self, context: &Context<'_>) -> Result<Option<Vec<(Bytes, Bytes)>>, StoreError> {
        Ok(self.next_of_shard(context).await?.map(|(_, members)| members))
    }

    /// The same, with their shard.
    pub(super) async fn next_of_shard(
        &mut self,
        context: &Context<'_>,
    ) -> Result<Option<(Shard, Vec<(Bytes, Bytes)>)>, StoreError> {
        let Some((shard, from)) = self.next.take() else {
            return Ok(None);
        };
        let query = Query::Range {
            key: self.key.clone(),
            from,
            to: Bound::Unbounded,
            limit: self.at_once,
            reverse: false,
        };
        let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
        let is_full = u32::try_from(members.len()).is_ok_and(|count| count == self.at_once);
        self.next = match members.last() {
            Some((last, _)) if is_full => Some((shard, Bound::Excluded(last.clone()))),
            _ => shard
                .number()
                .checked_add(1)
                .map(|number| (Shard::new(number), Bound::Unbounded)),
        };
        Ok(Some((shard, members)))
    }
}
