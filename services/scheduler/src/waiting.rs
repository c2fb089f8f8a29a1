//! Lets the messages go that wait for an account which has just been put right.

use crate::shared::Shared;
use futures_util::{StreamExt as _, stream};
use omnigate_core::{
    delivery::CALL_TIME,
    id::MessageId,
    port::store::StoreError,
    protocol::{hasten, pace, publish},
    shard::Shard,
};
use std::time::Duration;
use tokio::sync::Notify;

/// Shards that are looked through side by side.
const SIDE_BY_SIDE: usize = 8;
/// When it is looked again: a send that was under way may fail after the first look, and as late as its call may take.
const ONCE_MORE: [Duration; 2] = [Duration::from_secs(3), CALL_TIME];

/// Whenever the account is said to be right again, lets go what waits for it. What is missed here waits its minute out.
pub(crate) async fn let_go(shared: &Shared, account: &str, is_right: &Notify) {
    loop {
        is_right.notified().await;
        look_through(shared, account).await;
        for pause in ONCE_MORE {
            tokio::time::sleep(pause).await;
            look_through(shared, account).await;
        }
    }
}

async fn look_through(shared: &Shared, account: &str) {
    if let Err(error) = pace::open(&shared.context(), account).await {
        tracing::warn!(account, %error, "account not opened, it opens by itself");
    }
    stream::iter(Shard::all())
        .for_each_concurrent(SIDE_BY_SIDE, |shard| async move {
            if let Err(error) = look(shared, account, shard).await {
                tracing::warn!(account, %shard, %error, "messages that wait for the account not found, their timers fire");
            }
        })
        .await;
}

async fn look(shared: &Shared, account: &str, shard: Shard) -> Result<(), StoreError> {
    for id in hasten::waiting(&shared.context(), shard, account).await? {
        go(shared, id).await;
    }
    Ok(())
}

async fn go(shared: &Shared, id: MessageId) {
    let record = match hasten::hasten(&shared.context(), id).await {
        Ok(Some(record)) => record,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(message = %id, %error, "message not let go, its timer fires");
            return;
        }
    };
    if let Err(error) = publish::hint(shared.broker.as_ref(), &record).await {
        tracing::warn!(message = %id, %error, "hint was not confirmed, the timer fires");
    }
}
