//! Finds homes that have more than their tenant keeps and no timer: limits that are new hold for silent customers too.

use super::{keep_home, limits_of, move_timer};
use crate::id::CustomerId;
use crate::keys;
use crate::port::store::{Query, StoreError};
use crate::protocol::context::{Context, Loaded, MAX_TRIES, Stop, as_range, as_record};
use crate::protocol::resolve::{expect_record, put};
use crate::retention::note_due;
use crate::shard::Shard;
use omnigate_proto::state::v1::HomeRecord;
use std::ops::Bound;

/// Homes that are looked at in one step.
const AT_ONCE: u32 = 100;

/// How a step of a sweep went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Where the next one begins; `None` at the end.
    pub next: Option<CustomerId>,
    /// Homes that got a timer.
    pub timed: usize,
}

/// Looks at some homes of a tenant in a shard, from behind a customer or from the beginning, and sets timers where
/// something may have to go.
pub async fn sweep(
    context: &Context<'_>,
    tenant_id: &str,
    shard: Shard,
    after: Option<CustomerId>,
) -> Result<Swept, Stop> {
    let query = Query::Range {
        key: keys::customers(tenant_id),
        from: after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_bytes())),
        to: Bound::Unbounded,
        limit: AT_ONCE,
        reverse: false,
    };
    let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
    let is_full = u32::try_from(members.len()).is_ok_and(|count| count == AT_ONCE);
    let ids: Vec<CustomerId> = members
        .iter()
        .filter_map(|(member, _)| CustomerId::from_bytes(member))
        .collect();
    let queries = ids.iter().map(|id| Query::Record(keys::home(*id))).collect();
    let mut timed = 0;
    for (id, answer) in ids.iter().zip(context.store.read(shard, queries).await?) {
        let home: Loaded<HomeRecord> = Loaded::decode(as_record(Some(answer))?, "home")?;
        timed += usize::from(set_timer(context, *id, home).await?);
    }
    Ok(Swept {
        next: ids.last().copied().filter(|_| is_full),
        timed,
    })
}

/// Sets the timer of a home that needs one; true when it did.
async fn set_timer(context: &Context<'_>, id: CustomerId, mut home: Loaded<HomeRecord>) -> Result<bool, Stop> {
    for _ in 0..MAX_TRIES {
        let Some(mut after) = home.value.filter(|home| home.entry_count > 0) else {
            return Ok(false);
        };
        let limits = limits_of(context, &after);
        let Some(moved) = note_due(&mut after, &limits, context.now()) else {
            return Ok(false);
        };
        let expect = vec![expect_record(keys::home(id), home.stamp)];
        let mut write = vec![put(keys::home(id), &after)];
        write.extend(move_timer(id, moved));
        if keep_home(context, id, expect, write, after).await? {
            return Ok(true);
        }
        home = read(context, id).await?;
    }
    Err(Stop::Contended(MAX_TRIES))
}

async fn read(context: &Context<'_>, id: CustomerId) -> Result<Loaded<HomeRecord>, StoreError> {
    context.record(id.shard(), keys::home(id), "home").await
}
