//! The chain of a thread: messages leave one after the other.

use crate::id::MessageId;
use omnigate_proto::state::v1::ThreadRecord;

/// Most messages of one thread that wait to leave.
pub const MAX_CHAIN: usize = 1000;

/// True when the message waits in the thread's chain.
#[must_use]
pub fn waits_in(thread: Option<&ThreadRecord>, id: MessageId) -> bool {
    thread.is_some_and(|thread| thread.chain.iter().any(|waiting| waiting.as_ref() == id.0.as_slice()))
}

/// True when the thread lets this message go next.
#[must_use]
pub fn is_first(thread: Option<&ThreadRecord>, id: MessageId) -> bool {
    thread
        .and_then(|thread| thread.chain.first())
        .is_some_and(|first| first.as_ref() == id.0.as_slice())
}

/// Puts a message at the end of its thread's chain; false when the chain is full.
pub fn join(thread: &mut ThreadRecord, id: MessageId) -> bool {
    let id = id.to_bytes();
    if thread.chain.contains(&id) {
        return true;
    }
    if thread.chain.len() >= MAX_CHAIN {
        return false;
    }
    thread.chain.push(id);
    true
}

/// Takes a message out of its thread's chain; the message that may go now, if it was the first.
pub fn leave(thread: &mut ThreadRecord, id: MessageId) -> Option<MessageId> {
    let was_first = is_first(Some(thread), id);
    thread.chain.retain(|waiting| waiting.as_ref() != id.0.as_slice());
    let first = thread.chain.first().filter(|_| was_first)?;
    MessageId::from_bytes(first)
}
