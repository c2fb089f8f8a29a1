//! Carries what was said in threads of one home to conversations that live in another one.

use super::{Found, customer_of, find, told_of, writes};
use crate::conversation::{Carried, Changes, Desk, carried, seen};
use crate::id::{ConversationId, CustomerId, ThreadId};
use crate::keys;
use crate::port::store::{Stamp, StoreError};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::outbox::Outgoing;
use crate::protocol::read;
use crate::protocol::resolve::{expect_record, insert_outgoing, put};
use omnigate_proto::state::v1::HomeRecord;
use std::sync::Arc;

/// A home as it was read.
pub(super) struct Read {
    pub(super) id: CustomerId,
    pub(super) home: HomeRecord,
    pub(super) stamp: Option<Stamp>,
}

/// How far the words of a thread came.
enum Taken {
    /// The conversation took them up to this number.
    UpTo(u64),
    /// It takes no more of this thread than those up to this number.
    NoMore(u64),
}

/// Carries all words that wait in a home. Carrying them again changes nothing. CustomerEvents to publish.
pub(in crate::protocol) async fn carry(
    context: &Context<'_>,
    id: CustomerId,
    trace_id: &str,
) -> Result<Vec<Outgoing>, Stop> {
    let mut outgoing = Vec::new();
    for _ in 0..MAX_TRIES {
        let loaded: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
        let home = loaded.value.unwrap_or_default();
        let stamp = loaded.stamp;
        let Some(words) = carried(&home) else {
            return Ok(outgoing);
        };
        let taken = if is_one_customer(context, &home, &words).await? {
            deliver(context, &home.tenant_id, &words, trace_id, &mut outgoing).await?
        } else {
            forget(context, &home.tenant_id, words.to, words.thread, &mut outgoing).await?;
            Taken::NoMore(0)
        };
        let read = Read { id, home, stamp };
        let decide = |desk: &mut Desk<'_>| {
            match taken {
                Taken::UpTo(number) => desk.carried_up_to(&words, number),
                Taken::NoMore(number) => desk.bring_back(&words, number),
            }
            true
        };
        write(context, read, trace_id, decide, &mut outgoing).await?;
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// True while the thread and the conversation belong to one customer: a split may have come between.
async fn is_one_customer(context: &Context<'_>, home: &HomeRecord, words: &Carried) -> Result<bool, StoreError> {
    let thread = home.threads.get(words.position);
    let of_thread = read::holder_of(context, &home.tenant_id, thread.and_then(|thread| thread.peer.as_ref())).await?;
    let Some(found) = find(context, &home.tenant_id, words.to).await? else {
        return Ok(false);
    };
    let Some(record) = found.record(words.to) else {
        return Ok(false);
    };
    let of_conversation = customer_of(context, &found.home, words.to.home(), record).await?;
    Ok(of_thread.is_some_and(|(customer, _)| Some(customer) == of_conversation))
}

/// Hands words to their conversation.
async fn deliver(
    context: &Context<'_>,
    tenant_id: &str,
    words: &Carried,
    trace_id: &str,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Taken, Stop> {
    for _ in 0..MAX_TRIES {
        let Some(found) = find(context, tenant_id, words.to).await? else {
            return Ok(Taken::NoMore(0));
        };
        let known = found.record(words.to).and_then(|record| seen(record, words.thread));
        let known = known.unwrap_or(0);
        let Found { home, stamp, closed } = found;
        if closed.is_some() {
            return Ok(Taken::NoMore(known));
        }
        let id = words.to.home();
        let read = Read { id, home, stamp };
        let mut taken = None;
        let decide = |desk: &mut Desk<'_>| {
            taken = desk.take_words(words.to.key(), words.thread, &words.words);
            true
        };
        if write(context, read, trace_id, decide, outgoing).await? {
            return Ok(taken.map_or(Taken::NoMore(known), Taken::UpTo));
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Takes a thread out of a conversation that belongs to another customer now.
async fn forget(
    context: &Context<'_>,
    tenant_id: &str,
    from: ConversationId,
    thread: ThreadId,
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), Stop> {
    for _ in 0..MAX_TRIES {
        let found = find(context, tenant_id, from).await?;
        let Some(Found { home, stamp, .. }) = found.filter(|found| found.closed.is_none()) else {
            return Ok(());
        };
        let id = from.home();
        let read = Read { id, home, stamp };
        let decide = |desk: &mut Desk<'_>| {
            desk.forget(from.key(), thread);
            true
        };
        if write(context, read, "", decide, outgoing).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Decides over the conversations of a home and writes what follows, if anything does and the decision is to write it. False
/// when somebody else was faster.
pub(super) async fn write(
    context: &Context<'_>,
    read: Read,
    trace_id: &str,
    decide: impl FnOnce(&mut Desk<'_>) -> bool,
    outgoing: &mut Vec<Outgoing>,
) -> Result<bool, Stop> {
    let Read {
        id,
        home: before,
        stamp,
    } = read;
    let mut home = before.clone();
    let mut changes = Changes::default();
    let writes_it = decide(&mut Desk {
        id,
        home: &mut home,
        rules: context.rules,
        now: context.now(),
        trace_id,
        changes: &mut changes,
    });
    if !writes_it || home == before {
        return Ok(true);
    }
    let told = told_of(id, &mut changes);
    let expect = vec![expect_record(keys::home(id), stamp)];
    let mut write = vec![put(keys::home(id), &home)];
    write.extend(told.iter().map(insert_outgoing));
    write.extend(writes(&before.tenant_id, id, changes));
    match context.commit(id.shard(), expect, write).await? {
        Ended::Committed(stamp) => {
            outgoing.extend(told);
            let (stamp, value) = (Some(stamp), Some(Arc::new(home)));
            context.cache.keep_home(id, Loaded { stamp, value });
            Ok(true)
        }
        Ended::Conflict(_) | Ended::Unknown => {
            context.cache.forget_home(id);
            Ok(false)
        }
    }
}
