//! The threads of a customer's home against what the customer knows of them.

use super::{Found, Mended, mend};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::repair::{Repair, is_unknown, remembered};
use crate::keys;
use crate::protocol::context::{Context, Loaded, Stop};
use omnigate_proto::state::v1::{CustomerRecord, HomeRecord};

/// Looks for a thread that was written to under a birth of which neither its record nor a claim tells: both were lost, and
/// the identifier was born anew before anybody looked. True when one was found.
pub(super) async fn unknown(
    context: &Context<'_>,
    id: CustomerId,
    record: &CustomerRecord,
    mended: &mut Mended,
) -> Result<bool, Stop> {
    let home: Loaded<HomeRecord> = context.record(id.shard(), keys::home(id), "home").await?;
    let home = home.value.unwrap_or_default();
    let wiped = |birth: &[u8]| home.wiped.iter().any(|wiped| wiped.birth == birth);
    for thread in home
        .threads
        .iter()
        .filter(|thread| is_unknown(record, thread) && !wiped(&thread.birth))
    {
        let peer = thread.peer.clone().unwrap_or_default();
        let key = identifier::key(&record.tenant_id, &peer);
        let claim = context.claim(key).await?;
        let claim = claim.value.unwrap_or_default();
        // One that is claimed is looked at from there.
        if claim.birth == thread.birth || claim.home.is_empty() {
            continue;
        }
        let found = Found {
            repair: Repair::MemberRestored,
            other: None,
            members: &[],
        };
        if mend(context, id, &found, |record, now| remembered(record?, id, thread, now)).await? {
            mended.note(Repair::MemberRestored, id);
            return Ok(true);
        }
    }
    Ok(false)
}
