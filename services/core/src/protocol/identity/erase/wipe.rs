//! What erasure takes out of a home: threads with their keys, entries, messages of ours, conversations.

use crate::id::{CustomerId, MessageId};
use crate::keys;
use crate::port::store::{Expect, Query, StoreError, Write};
use crate::protocol::context::{Context, Ended, Stop, as_range};
use crate::protocol::conversation;
use crate::protocol::delivery;
use crate::protocol::entries::Interval;
use crate::protocol::trim;
use crate::retention;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{EntryRecord, HomeRecord, Membership, ThreadRecord, Wiped};
use prost::Message as _;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Entries looked at in one step.
const AT_ONCE: u32 = 100;

/// Marks what is erased in a home, so that nothing of it comes again, and deletes its entries and conversations.
pub(in crate::protocol::identity) async fn wipe(
    context: &Context<'_>,
    tenant_id: &str,
    member: &Membership,
) -> Result<(), Stop> {
    let (Some(home), Some(interval)) = (CustomerId::from_bytes(&member.home), Interval::of(member)) else {
        return Ok(());
    };
    let mark = |record: Option<&HomeRecord>, _| marked(record.cloned().unwrap_or_default(), member);
    let marked = context.change((home.shard(), keys::home(home)), "home", mark).await?;
    context.cache.forget_home(home);
    let is_theirs = |wiped: &&Wiped| wiped.birth == member.birth && wiped.from_ms == member.from_ms;
    let wiped = marked.and_then(|home| home.wiped.iter().find(is_theirs).cloned());
    let threads = wiped.unwrap_or_default().threads;
    delete_entries(context, home, interval, &threads).await?;
    for message in trim::messages_of(context, home, interval, &threads).await? {
        context.cache.forget_delivery(message);
        context.delete(home.shard(), keys::delivery(message)).await?;
    }
    conversation::erase(context, tenant_id, home, interval).await
}

/// The home with the mark. `None` when it has it.
fn marked(mut home: HomeRecord, member: &Membership) -> Option<HomeRecord> {
    let is_known = |wiped: &Wiped| wiped.birth == member.birth && wiped.from_ms == member.from_ms;
    if home.wiped.iter().any(is_known) {
        return None;
    }
    let theirs = home.threads.iter().filter(|thread| thread.birth == member.birth);
    home.wiped.push(Wiped {
        birth: member.birth.clone(),
        from_ms: member.from_ms,
        to_ms: member.to_ms,
        threads: theirs
            .map(|thread| thread.number)
            .filter(|number| *number != 0)
            .collect(),
    });
    let birth = member.birth.clone();
    if !home.wiped.iter().any(|wiped| wiped.birth == birth && wiped.to_ms == 0) {
        return Some(home);
    }
    let entries = home.threads.iter().filter(|thread| thread.birth == birth);
    let entries: u64 = entries.map(retention::kept).sum();
    home.entry_count = home.entry_count.saturating_sub(entries);
    if is_wholly_wiped(&home, &birth) {
        // Their data keys go with the threads.
        home.threads.retain(|thread| thread.birth != birth);
    }
    // Of a former holder of the address, what was said is still to be read.
    for thread in home.threads.iter_mut().filter(|thread| thread.birth == birth) {
        *thread = shell(thread);
    }
    Some(home)
}

/// True when every holder that a birth ever had is erased.
fn is_wholly_wiped(home: &HomeRecord, birth: &Bytes) -> bool {
    let of_birth = home.wiped.iter().filter(|wiped| wiped.birth == *birth);
    let mut intervals: Vec<(i64, i64)> = of_birth.map(|wiped| (wiped.from_ms, wiped.to_ms)).collect();
    intervals.sort_unstable();
    let mut until = 0;
    for (from, to) in intervals {
        if from > until {
            return false;
        }
        until = if to == 0 { i64::MAX } else { until.max(to) };
    }
    until == i64::MAX
}

/// What entries need of their thread to be read, and nothing else.
fn shell(thread: &ThreadRecord) -> ThreadRecord {
    ThreadRecord {
        account_id: thread.account_id.clone(),
        channel: thread.channel.clone(),
        peer: thread.peer.clone(),
        birth: thread.birth.clone(),
        peer_provider_form: thread.peer_provider_form.clone(),
        number: thread.number,
        data_key: thread.data_key.clone(),
        ..ThreadRecord::default()
    }
}

/// Deletes what was received in an interval by one of these threads, with the messages of ours behind it; the threads'
/// numbers are all that can be read of entries whose thread is gone.
async fn delete_entries(
    context: &Context<'_>,
    home: CustomerId,
    interval: Interval,
    threads: &[u32],
) -> Result<(), Stop> {
    let mut edge = Bound::Unbounded;
    loop {
        let query = Query::Range {
            key: keys::timeline(home),
            from: edge,
            to: Bound::Unbounded,
            limit: AT_ONCE,
            reverse: false,
        };
        let members = as_range(context.store.read(home.shard(), vec![query]).await?.into_iter().next())?;
        let Some((last, _)) = members.last() else {
            return Ok(());
        };
        edge = Bound::Excluded(last.clone());
        let (mut expect, mut write) = (Vec::new(), Vec::new());
        let mut messages = BTreeSet::new();
        for (member, value) in members {
            let entry = EntryRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("entry: {error}")))?;
            let is_theirs = threads.contains(&entry.thread) || interval.is_of(&entry);
            if !is_theirs || !interval.is_at(Moment(entry.received_at_ms)) {
                continue;
            }
            messages.extend(MessageId::from_bytes(&entry.message_id));
            expect.push(Expect::Member {
                key: keys::timeline(home),
                member: member.clone(),
                present: true,
            });
            write.push(Write::Remove {
                key: keys::timeline(home),
                member,
            });
        }
        write.extend(delivery::gone(context, home, &messages).await?);
        // Others may delete the same: what is gone is gone.
        if !expect.is_empty() && !matches!(context.commit(home.shard(), expect, write).await?, Ended::Committed(_)) {
            edge = Bound::Unbounded;
        }
    }
}
