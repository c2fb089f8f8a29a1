//! After a split: threads of one customer are no part of conversations of another one.

use super::carry::{Read, write};
use crate::conversation::{Desk, key_of};
use crate::id::CustomerId;
use crate::identity::is_held;
use crate::keys;
use crate::protocol::context::{Context, Loaded, MAX_TRIES, Stop};
use crate::protocol::entries::Interval;
use omnigate_proto::state::v1::{ConversationRecord, HomeRecord, Membership};
use std::collections::BTreeSet;

/// Parts what a customer got at a split from what it was held together with. Doing it again changes nothing. Those who listen
/// are told from the outbox.
pub(in crate::protocol) async fn part(context: &Context<'_>, members: &[Membership]) -> Result<(), Stop> {
    let homes: BTreeSet<CustomerId> = members
        .iter()
        .filter_map(|member| CustomerId::from_bytes(&member.home))
        .collect();
    for home in homes {
        in_home(context, home, members).await?;
    }
    Ok(())
}

async fn in_home(context: &Context<'_>, id: CustomerId, members: &[Membership]) -> Result<(), Stop> {
    let has_thread = |birth: &[u8]| members.iter().any(|member| is_held(member) && member.birth == birth);
    let has = |record: &ConversationRecord| {
        let opened = key_of(record).map(|key| key.opened());
        let mut intervals = members.iter().filter_map(Interval::of);
        opened.is_some_and(|opened| intervals.any(|interval| interval.covers(&record.birth, opened)))
    };
    for _ in 0..MAX_TRIES {
        let loaded: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
        let (home, stamp) = (loaded.value.unwrap_or_default(), loaded.stamp);
        let read = Read { id, home, stamp };
        let decide = |desk: &mut Desk<'_>| desk.part(has_thread, has);
        if write(context, read, "", decide, &mut Vec::new()).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}
