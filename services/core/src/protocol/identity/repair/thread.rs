//! The threads of a customer's homes against what the customer knows of them.

use super::super::record::load;
use super::{Found, Mended, mend};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::consists_of;
use crate::identity::repair::{Repair, is_unknown, remembered};
use crate::keys;
use crate::protocol::context::{Context, Loaded, Stop};
use omnigate_proto::state::v1::{CustomerRecord, CustomerState, HomeRecord, ThreadRecord};
use std::collections::BTreeSet;

/// Looks for a thread that was written to under a birth of which neither its record nor a claim tells: both were lost, and
/// the identifier was born anew before anybody looked. Its record may have been merged since. True when one was found.
pub(super) async fn unknown(
    context: &Context<'_>,
    id: CustomerId,
    record: &CustomerRecord,
    mended: &mut Mended,
) -> Result<bool, Stop> {
    let homes: BTreeSet<CustomerId> = consists_of(&record.members).chain([id]).collect();
    for home in homes {
        for thread in unknown_of(context, (id, record), home).await? {
            let peer = thread.peer.clone().unwrap_or_default();
            let claim = context.claim(identifier::key(&record.tenant_id, &peer)).await?;
            let claim = claim.value.unwrap_or_default();
            // One that is claimed is looked at from there.
            if claim.birth == thread.birth || claim.home.is_empty() {
                continue;
            }
            let found = Found {
                repair: Repair::MemberRestored,
                other: (home != id).then_some(home),
                members: &[],
            };
            let theirs = |record: &&CustomerRecord| home == id || consists_of(&record.members).any(|of| of == home);
            let taken = mend(context, id, &found, |record, now| {
                remembered(record.filter(theirs)?, home, &thread, now)
            });
            if taken.await? {
                mended.note(Repair::MemberRestored, id);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Threads of a home that neither the customer knows nor the record that was born with the home.
async fn unknown_of(
    context: &Context<'_>,
    (id, record): (CustomerId, &CustomerRecord),
    home: CustomerId,
) -> Result<Vec<ThreadRecord>, Stop> {
    let stored: Loaded<HomeRecord> = context.record(home.shard(), keys::home(home), "home").await?;
    let stored = stored.value.unwrap_or_default();
    let is_wiped = |thread: &ThreadRecord| stored.wiped.iter().any(|wiped| wiped.birth == thread.birth);
    let threads = stored.threads.iter().filter(|thread| is_unknown(record, thread));
    let mut threads: Vec<ThreadRecord> = threads.filter(|thread| !is_wiped(thread)).cloned().collect();
    if home != id && !threads.is_empty() {
        let born = load(context, home).await?.value.unwrap_or_default();
        threads.retain(|thread| born.state() == CustomerState::Merged && is_unknown(&born, thread));
    }
    Ok(threads)
}
