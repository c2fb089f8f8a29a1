//! Lets messages go that wait for their account, as soon as it is put right: their timers say which account that is.

use super::context::{Context, Stop, as_range};
use super::delivery::{Change, change};
use crate::delivery;
use crate::id::MessageId;
use crate::keys::{self, Timer};
use crate::port::store::{Query, StoreError};
use crate::shard::Shard;
use omnigate_proto::state::v1::DeliveryRecord;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

/// How far ahead the timers lie of messages that wait for their account; those that wait for longer were told to.
const AHEAD: Duration = Duration::from_secs(90);
/// Timers that are read at once.
const PAGE: u32 = 500;
/// Pages of a shard that are read; what stands behind them waits its time out.
const PAGES: usize = 100;

/// The messages of a shard that wait for an account.
pub async fn waiting(context: &Context<'_>, shard: Shard, account_id: &str) -> Result<Vec<MessageId>, StoreError> {
    let mark = keys::account_mark(account_id);
    let to = Bound::Excluded((context.now() + AHEAD).to_key().to_vec().into());
    let mut from = Bound::Unbounded;
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let query = Query::Range {
            key: keys::timers(),
            from,
            to: to.clone(),
            limit: PAGE,
            reverse: false,
        };
        let members = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
        for (member, value) in &members {
            if *value == mark
                && let Some((_, Timer::Delivery(id))) = keys::read_timer_member(member)
            {
                found.push(id);
            }
        }
        match members.last() {
            Some((last, _)) if members.len() >= PAGE as usize => from = Bound::Excluded(last.clone()),
            _ => break,
        }
    }
    Ok(found)
}

/// Lets a message go now that waits for its account; the record to hint, when nothing of its thread stands before it.
pub async fn hasten(context: &Context<'_>, id: MessageId) -> Result<Option<Arc<DeliveryRecord>>, Stop> {
    let mut goes_first = false;
    let changed = change(context, id, |record, thread, now| {
        goes_first = delivery::is_first(thread, id);
        delivery::hasten(record, now).map(Change::quiet)
    });
    Ok(changed.await?.map(|changed| changed.record).filter(|_| goes_first))
}

/// What stands beside the timer of a delivery: the account that it waits for, if it waits for one.
pub(super) fn beside_timer(record: &DeliveryRecord) -> bytes::Bytes {
    match delivery::waits_for_account(record) {
        Some(account_id) => keys::account_mark(account_id),
        None => bytes::Bytes::new(),
    }
}
