//! What happens to conversations by themselves, when their timers fire.

use crate::conversation::{Changes, Desk};
use crate::id::CustomerId;
use crate::keys::{self, Timer};
use crate::port::store::{Expect, Found, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{expect_record, insert_outgoing, put};
use crate::time::Moment;
use omnigate_proto::state::v1::HomeRecord;
use std::sync::Arc;

/// Wakes, resolves and closes what is due in a home, and forgets the timer. CustomerEvents to publish.
pub async fn ring(context: &Context<'_>, id: CustomerId, due: Moment) -> Result<Vec<Outgoing>, Stop> {
    if due > context.now() {
        return Ok(Vec::new());
    }
    let timer = keys::timer_member(due, Timer::Conversations(id));
    // Before the timer is gone: who wrote the words down may be.
    let mut outgoing = super::carry(context, id, "").await?;
    for _ in 0..MAX_TRIES {
        let home: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
        let mut expect = vec![Expect::Member {
            key: keys::timers(),
            member: timer.clone(),
            present: true,
        }];
        let mut write = vec![Write::Remove {
            key: keys::timers(),
            member: timer.clone(),
        }];
        let rung = home.value.and_then(|record| rung(context, id, record));
        let mut told = Vec::new();
        let mut next = None;
        if let Some((record, mut changes)) = rung {
            told = super::told_of(id, &mut changes);
            expect.push(expect_record(keys::home(id), home.stamp));
            write.push(put(keys::home(id), &record));
            write.extend(super::writes(&record.tenant_id, id, changes));
            write.extend(told.iter().map(insert_outgoing));
            next = Some(record);
        }
        match context.commit(id.shard(), expect, write).await? {
            Ended::Committed(stamp) => {
                if let Some(record) = next {
                    let (stamp, value) = (Some(stamp), Some(Arc::new(record)));
                    context.cache.keep_home(id, Loaded { stamp, value });
                }
                outgoing.extend(told);
                return Ok(outgoing);
            }
            // Without the timer somebody else has done it, or our own commit has.
            Ended::Conflict(found) if found.iter().any(|(_, found)| matches!(found, Found::Member(None))) => {
                return Ok(outgoing);
            }
            Ended::Conflict(_) | Ended::Unknown => {}
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// The home after what is due; `None` when nothing is.
fn rung(context: &Context<'_>, id: CustomerId, before: HomeRecord) -> Option<(HomeRecord, Changes)> {
    let mut record = before.clone();
    let mut changes = Changes::default();
    let mut desk = Desk {
        id,
        home: &mut record,
        rules: context.rules,
        now: context.now(),
        trace_id: "",
        changes: &mut changes,
    };
    desk.ring();
    // A timer whose time moved on is as much a change as what others are told of.
    (record != before).then_some((record, changes))
}
