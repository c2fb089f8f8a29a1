//! Lets a conversation go on in other threads of its customer, also in those that live in another home.

use super::carry::{Read, carry, write};
use super::command::{Asked, Done, NotDone, change, finished};
use super::{customer_of, find};
use crate::conversation::{Command, Desk, Refusal, away};
use crate::id::{ConversationId, CustomerId, ThreadId};
use crate::keys;
use crate::protocol::context::{Context, Loaded, MAX_TRIES, Stop};
use crate::protocol::destination::{Destination, place_of};
use crate::protocol::identity;
use crate::protocol::outbox::Outgoing;
use crate::protocol::read;
use crate::protocol::send::NotAccepted;
use omnigate_proto::state::v1::HomeRecord;

/// Where a thread lives.
pub(super) async fn place(
    context: &Context<'_>,
    tenant_id: &str,
    thread: (ThreadId, &str, &str),
) -> Result<Destination, NotDone> {
    place_of(context, tenant_id, thread)
        .await
        .map_err(|refused| match refused {
            NotAccepted::Stop(stop) => NotDone::Stop(stop),
            _ => NotDone::NoSuchThread,
        })
}

/// Lets a conversation go on in a thread of this account.
pub async fn join(
    context: &Context<'_>,
    asked: &Asked<'_>,
    id: ConversationId,
    thread: (ThreadId, &str, &str),
) -> Result<Done, NotDone> {
    let place = place(context, asked.tenant_id, thread).await?;
    let (home, thread) = (place.owner.home, thread.0);
    let found = find(context, asked.tenant_id, id).await?;
    let found = found.ok_or(NotDone::NoSuchConversation)?;
    let record = found.record(id).ok_or(NotDone::NoSuchConversation)?;
    let mut outgoing = Vec::new();
    if !asked.remember(context, id).await?.done {
        let of_conversation = customer_of(context, &found.home, id.home(), record).await?;
        let of_thread = read::holder_of(context, asked.tenant_id, Some(&place.thread.peer)).await?;
        if of_thread.map(|(customer, _)| customer) != of_conversation {
            return Err(Refusal::ThreadElsewhere.into());
        }
        if home == id.home() {
            return super::carry_out(context, asked, id, &Command::Join { thread }).await;
        }
        free(context, home, &place, id).await?;
        let mark = asked.mark();
        let listen = |desk: &mut Desk<'_>| desk.listen(id.key(), mark, (thread, home));
        change(context, asked, id, listen, &mut outgoing).await?;
        send_away(context, asked, home, (thread, id), &mut outgoing).await?;
        outgoing.extend(carry(context, home, asked.trace_id).await?);
        identity::mark_done(context, asked.tenant_id, asked.request_id).await?;
    }
    finished(context, asked, id, outgoing).await
}

/// Refuses a thread that is part of a third home's conversation, before anything is done.
async fn free(context: &Context<'_>, home: CustomerId, place: &Destination, to: ConversationId) -> Result<(), NotDone> {
    let loaded: Loaded<HomeRecord> = context.record(home.shard(), keys::home(home), "home").await?;
    let home = loaded.value.unwrap_or_default();
    let (birth, account_id) = (&place.owner.birth.0, &place.thread.account_id);
    let is_it = |thread: &&_| crate::append::is_thread(thread, birth, account_id);
    let thread = home.threads.iter().find(is_it).ok_or(NotDone::NoSuchThread)?;
    match away(thread) {
        Some(there) if there != to => Err(Refusal::ThreadTaken.into()),
        _ => Ok(()),
    }
}

async fn send_away(
    context: &Context<'_>,
    asked: &Asked<'_>,
    home: CustomerId,
    (thread, to): (ThreadId, ConversationId),
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), NotDone> {
    let mut refused = Ok(false);
    let decide = |desk: &mut Desk<'_>| {
        refused = desk.send_away(thread, to);
        refused.is_ok()
    };
    in_home(context, asked, home, decide, outgoing).await?;
    refused.map(drop).map_err(NotDone::Refused)
}

/// Takes a thread of this account out of a conversation.
pub async fn leave(
    context: &Context<'_>,
    asked: &Asked<'_>,
    id: ConversationId,
    thread: (ThreadId, &str, &str),
) -> Result<Done, NotDone> {
    let place = place(context, asked.tenant_id, thread).await?;
    let (home, thread) = (place.owner.home, thread.0);
    let is_away = home != id.home();
    let mut outgoing = Vec::new();
    if is_away {
        // What was said before belongs to it.
        outgoing.extend(carry(context, home, asked.trace_id).await?);
    }
    let done = super::carry_out(context, asked, id, &Command::Leave { thread }).await?;
    outgoing.extend(done.outgoing);
    // A command that comes again may be older than the thread's return.
    let is_back = done.conversation.thread_ids.contains(&thread.to_string());
    if is_away && !is_back {
        // Where the process dies before, the next word finds that the conversation takes no more of them.
        let decide = |desk: &mut Desk<'_>| {
            desk.come_back(thread, id);
            true
        };
        in_home(context, asked, home, decide, &mut outgoing).await?;
    }
    Ok(Done {
        conversation: done.conversation,
        outgoing,
    })
}

async fn in_home(
    context: &Context<'_>,
    asked: &Asked<'_>,
    id: CustomerId,
    mut decide: impl FnMut(&mut Desk<'_>) -> bool,
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), NotDone> {
    for _ in 0..MAX_TRIES {
        let loaded: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
        let (home, stamp) = (loaded.value.unwrap_or_default(), loaded.stamp);
        let read = Read { id, home, stamp };
        if write(context, read, asked.trace_id, &mut decide, outgoing).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}
