//! Takes grants of a limit from the store.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::resolve::{expect_record, put};
use crate::id::hash;
use crate::keys;
use crate::pace::{self, Granted};
use crate::shard::Shard;
use crate::time::Moment;
use omnigate_proto::state::v1::PaceRecord;

fn place(limit: &str) -> (Shard, bytes::Bytes) {
    (Shard::new(hash("pace", &[limit.as_bytes()])[0]), keys::pace(limit))
}

/// Takes up to `wanted` tokens of a limit; they may be spent within [`pace::GRANT_LIFE`].
pub async fn take(
    context: &Context<'_>,
    limit: &str,
    per_second: f64,
    wanted: u32,
) -> Result<Result<u32, Moment>, Stop> {
    let (shard, key) = place(limit);
    for _ in 0..MAX_TRIES {
        let before: Loaded<PaceRecord> = context.record(shard, key.clone(), "pace").await?;
        match pace::grant(before.value.as_ref(), per_second, wanted, context.now()) {
            Granted::NotBefore(at) => return Ok(Err(at)),
            Granted::Tokens(granted, next) => {
                let expect = vec![expect_record(key.clone(), before.stamp)];
                match context.commit(shard, expect, vec![put(key.clone(), &next)]).await? {
                    Ended::Committed(_) => return Ok(Ok(granted)),
                    Ended::Conflict(_) | Ended::Unknown => {}
                }
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Opens a limit again before its time, because what closed it is put right.
pub async fn open(context: &Context<'_>, limit: &str) -> Result<(), Stop> {
    let decide = |record: Option<&PaceRecord>, now| pace::open(record?, now);
    context.change(place(limit), "pace", decide).await.map(drop)
}

/// Closes a limit for all dispatchers until a moment.
pub async fn close(context: &Context<'_>, limit: &str, until: Moment) -> Result<(), Stop> {
    let decide = |record: Option<&PaceRecord>, now| pace::close(record, until, now);
    context.change(place(limit), "pace", decide).await.map(drop)
}
