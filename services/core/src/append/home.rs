//! Threads of a home, and what erasure took of it.

use super::ThreadKey;
use crate::id::Birth;
use crate::time::Moment;
use omnigate_proto::state::v1::{HomeRecord, ThreadRecord, Wiped};

/// True when erasure took this interval of the thread.
#[must_use]
pub fn is_wiped(home: &HomeRecord, birth: Birth, received_at: Moment) -> bool {
    home.wiped.iter().any(|wiped| {
        wiped.birth.as_ref() == birth.0.as_slice()
            && received_at.0 >= wiped.from_ms
            && (wiped.to_ms == 0 || received_at.0 < wiped.to_ms)
    })
}

/// True when nothing is appended under a birth any more: erasure took everything of it, without end, or its identifier is
/// owned under another one.
#[must_use]
pub fn is_gone(home: &HomeRecord, birth: Birth) -> bool {
    if home
        .closed_births
        .iter()
        .any(|closed| closed.as_ref() == birth.0.as_slice())
    {
        return true;
    }
    let of_birth = |wiped: &&Wiped| wiped.birth.as_ref() == birth.0.as_slice();
    home.wiped.iter().filter(of_birth).any(|wiped| wiped.to_ms == 0)
}

/// True for the thread of an account with the identifier of this birth: there is one at most in a home.
#[must_use]
pub fn is_thread(record: &ThreadRecord, birth: &[u8], account_id: &str) -> bool {
    record.birth.as_ref() == birth && record.account_id == account_id
}

/// The thread's record in its home, made when it is not there.
pub fn thread_of<'a>(home: &'a mut HomeRecord, thread: &ThreadKey) -> &'a mut ThreadRecord {
    let birth = thread.birth.to_bytes();
    let found = home
        .threads
        .iter()
        .position(|record| is_thread(record, &birth, &thread.account_id));
    let position = found.unwrap_or_else(|| {
        home.threads.push(ThreadRecord {
            account_id: thread.account_id.clone(),
            channel: thread.channel.clone(),
            peer: Some(thread.peer.clone()),
            birth,
            peer_provider_form: thread.provider_form.clone(),
            ..ThreadRecord::default()
        });
        home.threads.len() - 1
    });
    let thread = &mut home.threads[position];
    if thread.number == 0 {
        home.threads_numbered += 1;
        thread.number = home.threads_numbered;
    }
    thread
}
