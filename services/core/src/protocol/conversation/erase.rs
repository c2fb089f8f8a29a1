//! Erasure of conversations: with the identifier they came by.

use super::decode;
use crate::conversation::{Changes, key_of};
use crate::id::CustomerId;
use crate::keys;
use crate::port::store::{Expect, Query, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range};
use crate::protocol::entries::Interval;
use crate::protocol::resolve::{expect_record, put};
use omnigate_proto::state::v1::{ConversationRecord, HomeRecord};
use std::ops::Bound;

/// Closed conversations looked at in one step.
const AT_ONCE: u32 = 100;

/// Deletes the conversations of an interval of a birth from a home. Nobody is told: whoever is told of the erasure knows.
pub(in crate::protocol) async fn erase(
    context: &Context<'_>,
    tenant_id: &str,
    home: CustomerId,
    interval: Interval,
) -> Result<(), Stop> {
    present(context, tenant_id, home, interval).await?;
    closed(context, home, interval).await
}

fn is_of(record: &ConversationRecord, interval: Interval) -> bool {
    key_of(record).is_some_and(|key| interval.covers(&record.birth, key.opened()))
}

async fn present(context: &Context<'_>, tenant_id: &str, id: CustomerId, interval: Interval) -> Result<(), Stop> {
    for _ in 0..MAX_TRIES {
        let home: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
        let mut record = home.value.unwrap_or_default();
        let gone = record.conversations.extract_if(.., |record| is_of(record, interval));
        let outlines = gone.filter_map(|record| Some((key_of(&record)?, None))).collect();
        let changes = Changes {
            outlines,
            ..Changes::default()
        };
        if changes.outlines.is_empty() {
            return Ok(());
        }
        let expect = vec![expect_record(keys::home(id), home.stamp)];
        let mut write = vec![put(keys::home(id), &record)];
        write.extend(super::writes(tenant_id, id, changes));
        let ended = context.commit(id.shard(), expect, write).await?;
        context.cache.forget_home(id);
        if let Ended::Committed(_) = ended {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

async fn closed(context: &Context<'_>, id: CustomerId, interval: Interval) -> Result<(), Stop> {
    let key = keys::closed_conversations(id);
    let mut edge = Bound::Unbounded;
    loop {
        let query = Query::Range {
            key: key.clone(),
            from: edge,
            to: Bound::Unbounded,
            limit: AT_ONCE,
            reverse: false,
        };
        let members = as_range(context.store.read(id.shard(), vec![query]).await?.into_iter().next())?;
        let Some((last, _)) = members.last() else {
            return Ok(());
        };
        edge = Bound::Excluded(last.clone());
        let (mut expect, mut write) = (Vec::new(), Vec::new());
        for (member, value) in members {
            if is_of(&decode(value)?, interval) {
                expect.push(Expect::Member {
                    key: key.clone(),
                    member: member.clone(),
                    present: true,
                });
                write.push(Write::Remove {
                    key: key.clone(),
                    member,
                });
            }
        }
        // Others may delete the same: what is gone is gone.
        if !write.is_empty() && !matches!(context.commit(id.shard(), expect, write).await?, Ended::Committed(_)) {
            edge = Bound::Unbounded;
        }
    }
}
