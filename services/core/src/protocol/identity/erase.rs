//! Erasure of a customer's identity and entries: marked once in the record, then carried out by anybody who meets it.

use super::find::find;
use super::merge::recover;
use super::record::{Next, change, load};
use crate::id::CustomerId;
use crate::identifier;
use crate::identity::log::Note;
use crate::identity::{self, built_in, built_in_of, is_held};
use crate::keys;
use crate::port::store::{Expect, Query, StoreError, Write};
use crate::protocol::context::{Context, Ended, MAX_TRIES, Stop, as_range};
use crate::protocol::details;
use crate::protocol::entries::Interval;
use crate::time::Moment;
use omnigate_proto::state::v1::{Claim, CustomerRecord, CustomerState, EntryRecord, HomeRecord, Membership, Wiped};
use omnigate_proto::v1::{Identifier, IdentityEventKind};
use prost::Message as _;
use std::ops::Bound;

/// Entries looked at in one step.
const AT_ONCE: u32 = 100;

/// Erases the present customer behind an id: identifiers, entries, and the way to them. True when there was one.
pub async fn erase(context: &Context<'_>, tenant_id: &str, id: CustomerId) -> Result<bool, Stop> {
    for _ in 0..MAX_TRIES {
        let found = find(context, tenant_id, &built_in(id), id).await?;
        let present = found.unwrap_or(id);
        let marked = change(context, present, |record, _| {
            let record = record.cloned().unwrap_or_default();
            match record.state() {
                CustomerState::Active => {
                    let mut next = record;
                    next.set_state(CustomerState::Erased);
                    let note = Note::new(IdentityEventKind::Erased, "");
                    (CustomerState::Erased, Some(Next::noted(next, note)))
                }
                state => (state, None),
            }
        });
        match marked.await? {
            CustomerState::Erased => {
                let record = load(context, present).await?.value.unwrap_or_default();
                sweep(context, tenant_id, &record, None).await?;
                return Ok(true);
            }
            CustomerState::Frozen => recover(context, present).await?,
            // Erased with the one it was merged into.
            CustomerState::Merged if found.is_none() => return Ok(true),
            // Merged since: its new owner is looked for again.
            CustomerState::Merged => {}
            CustomerState::Unspecified | CustomerState::Active | CustomerState::Prepared => {
                if present == id {
                    return Ok(false);
                }
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// Carries out what an erased record says: for all it owned, or for one identifier.
pub(super) async fn sweep(
    context: &Context<'_>,
    tenant_id: &str,
    record: &CustomerRecord,
    only: Option<&Identifier>,
) -> Result<(), Stop> {
    for member in &record.members {
        let Some(identifier) = member.identifier.as_ref() else {
            continue;
        };
        if only.is_some_and(|only| only != identifier) {
            continue;
        }
        wipe(context, member).await?;
        if let Some(id) = built_in_of(identifier) {
            details::forget(context, id).await?;
        }
        if built_in_of(identifier).is_none() && is_held(member) {
            clear(context, tenant_id, identifier, &member.birth).await?;
        }
    }
    Ok(())
}

/// Marks what is erased in a home, so that nothing of it comes again, and deletes its entries.
async fn wipe(context: &Context<'_>, member: &Membership) -> Result<(), Stop> {
    let (Some(home), Some(interval)) = (CustomerId::from_bytes(&member.home), Interval::of(member)) else {
        return Ok(());
    };
    let mark = |record: Option<&HomeRecord>, _| marked(record.cloned().unwrap_or_default(), member);
    context.change((home.shard(), keys::home(home)), "home", mark).await?;
    context.cache.forget_home(home);
    delete_entries(context, home, interval).await
}

/// The home with the mark. `None` when it has it.
fn marked(mut home: HomeRecord, member: &Membership) -> Option<HomeRecord> {
    let is_known = |wiped: &Wiped| wiped.birth == member.birth && wiped.from_ms == member.from_ms;
    if home.wiped.iter().any(is_known) {
        return None;
    }
    home.wiped.push(Wiped {
        birth: member.birth.clone(),
        from_ms: member.from_ms,
        to_ms: member.to_ms,
    });
    if is_held(member) {
        let gone = home.threads.extract_if(.., |thread| thread.birth == member.birth);
        let entries: u64 = gone.map(|thread| thread.thread_seq).sum();
        home.entry_count = home.entry_count.saturating_sub(entries);
    }
    Some(home)
}

async fn delete_entries(context: &Context<'_>, home: CustomerId, interval: Interval) -> Result<(), Stop> {
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
        for (member, value) in members {
            let entry = EntryRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("entry: {error}")))?;
            if !interval.holds(&entry) {
                continue;
            }
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
        // Others may delete the same: what is gone is gone.
        if !write.is_empty() && !matches!(context.commit(home.shard(), expect, write).await?, Ended::Committed(_)) {
            edge = Bound::Unbounded;
        }
    }
}

/// Frees an identifier, unless it has been born anew since; what was received before is dropped from now on.
async fn clear(context: &Context<'_>, tenant_id: &str, identifier: &Identifier, birth: &[u8]) -> Result<(), Stop> {
    let key = identifier::key(tenant_id, identifier);
    context.cache.forget_owner(key);
    let free = |claim: Option<&Claim>, now: Moment| {
        let is_theirs = claim.is_some_and(|claim| claim.birth == birth);
        // What was received in the same millisecond is older, too.
        is_theirs.then(|| identity::free(Moment(now.0 + 1)))
    };
    context
        .change((key.shard(), keys::claim(key)), "claim", free)
        .await
        .map(drop)
}
