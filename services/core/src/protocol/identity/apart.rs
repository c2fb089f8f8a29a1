//! Conflicts: customers that look like one and are kept apart.

use super::command::NotDone;
use super::record::{Next, change};
use crate::id::CustomerId;
use crate::identity::log::Note;
use crate::identity::merge::Rule;
use crate::identity::split::mark;
use crate::keys;
use crate::port::store::{Query, StoreError, Write};
use crate::protocol::context::{Context, as_range};
use crate::shard::Shard;
use omnigate_proto::state::v1::{ConflictRecord, CustomerState};
use omnigate_proto::v1::IdentityEventKind;
use prost::Message as _;
use std::ops::Bound;

/// Two customers, the older first, and what keeps them apart.
pub type Conflict = (CustomerId, CustomerId, ConflictRecord);

/// A page of a tenant's conflicts, by shard and ids. `after` is the last pair of the page before.
pub async fn conflicts(
    context: &Context<'_>,
    tenant_id: &str,
    after: Option<(CustomerId, CustomerId)>,
    limit: usize,
) -> Result<Vec<Conflict>, StoreError> {
    let mut page = Vec::new();
    let first = after.map_or(0, |(survivor, _)| survivor.shard().number());
    for number in first..=u8::MAX {
        let from = match after {
            Some((survivor, loser)) if survivor.shard().number() == number => {
                Bound::Excluded(keys::conflict_member(survivor, loser))
            }
            _ => Bound::Unbounded,
        };
        let missing = limit.saturating_sub(page.len());
        if missing == 0 {
            break;
        }
        let query = Query::Range {
            key: keys::conflicts(tenant_id),
            from,
            to: Bound::Unbounded,
            limit: u32::try_from(missing).unwrap_or(u32::MAX),
            reverse: false,
        };
        let answers = context.store.read(Shard::new(number), vec![query]).await?;
        for (member, value) in as_range(answers.into_iter().next())? {
            let ids = member.split_at_checked(16);
            let pair =
                ids.and_then(|(one, other)| Some((CustomerId::from_bytes(one)?, CustomerId::from_bytes(other)?)));
            let Some((survivor, loser)) = pair else { continue };
            let record =
                ConflictRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("conflict: {error}")))?;
            if !record.settled {
                page.push((survivor, loser, record));
            }
        }
    }
    Ok(page)
}

/// Keeps two customers apart for good, and settles their conflict. It takes effect when both are marked; repeating it goes
/// on where it stopped.
pub async fn keep_apart(
    context: &Context<'_>,
    tenant_id: &str,
    command: &str,
    [older, younger]: [CustomerId; 2],
    trace_id: &str,
) -> Result<(), NotDone> {
    for (side, id, other) in [(1, younger, older), (0, older, younger)] {
        let marked = change(context, id, |record, now| {
            let Some(record) = record.filter(|record| record.tenant_id == tenant_id) else {
                return (false, None);
            };
            let is_marked = record
                .members
                .iter()
                .all(|member| member.tags.iter().any(|tag| tag.split == command));
            if is_marked {
                return (true, None);
            }
            if record.state() != CustomerState::Active {
                return (false, None);
            }
            let mut next = record.clone();
            mark(&mut next.members, command, side);
            let note = Note {
                other: Some(other),
                ..Note::new(IdentityEventKind::KeptApart, trace_id)
            };
            let mut next = Next::noted(next, note);
            if id == older {
                let settled = ConflictRecord {
                    rules: vec![Rule::DoNotLink.name().to_owned()],
                    at_ms: now.0,
                    cause: trace_id.to_owned(),
                    settled: true,
                    ..ConflictRecord::default()
                };
                next.also.push(Write::Insert {
                    key: keys::conflicts(tenant_id),
                    member: keys::conflict_member(older, younger),
                    value: settled.encode_to_vec().into(),
                });
            }
            (true, Some(next))
        });
        if !marked.await? {
            return Err(NotDone::NotTwo);
        }
    }
    Ok(())
}

/// The conflict of two customers, the older one first.
pub(super) async fn conflict(
    context: &Context<'_>,
    tenant_id: &str,
    [older, younger]: [CustomerId; 2],
) -> Result<Option<ConflictRecord>, StoreError> {
    let member = keys::conflict_member(older, younger);
    let query = Query::Range {
        key: keys::conflicts(tenant_id),
        from: Bound::Included(member.clone()),
        to: Bound::Included(member),
        limit: 1,
        reverse: false,
    };
    let answers = context.store.read(older.shard(), vec![query]).await?;
    let found = as_range(answers.into_iter().next())?.into_iter().next();
    let decoded = found.map(|(_, value)| ConflictRecord::decode(value)).transpose();
    decoded.map_err(|error| StoreError::Corrupt(format!("conflict: {error}")))
}
