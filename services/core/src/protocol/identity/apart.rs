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
use crate::protocol::walk::Walk;
use bytes::Bytes;
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
    limit: u32,
) -> Result<Vec<Conflict>, StoreError> {
    let after = after.map(|(survivor, loser)| (survivor.shard(), keys::conflict_member(survivor, loser)));
    let mut walk = Walk::new(keys::conflicts(tenant_id), after, limit);
    let mut page = Vec::new();
    while let Some(members) = walk.next(context).await? {
        for (member, value) in members {
            let Some((survivor, loser)) = keys::read_conflict_member(&member) else {
                continue;
            };
            let record = decode(value)?;
            if !record.settled {
                page.push((survivor, loser, record));
                if page.len() >= limit as usize {
                    return Ok(page);
                }
            }
        }
    }
    Ok(page)
}

/// The conflicts of a customer with younger ones.
pub async fn conflicts_of(
    context: &Context<'_>,
    tenant_id: &str,
    older: CustomerId,
    limit: u32,
) -> Result<Vec<Conflict>, StoreError> {
    let end = |loser| Bound::Included(keys::conflict_member(older, CustomerId(loser)));
    let query = Query::Range {
        key: keys::conflicts(tenant_id),
        from: end([0; 16]),
        to: end([0xff; 16]),
        limit,
        reverse: false,
    };
    let members = as_range(context.store.read(older.shard(), vec![query]).await?.into_iter().next())?;
    let mut found = Vec::new();
    for (member, value) in members {
        let record = decode(value)?;
        if let (Some((survivor, loser)), false) = (keys::read_conflict_member(&member), record.settled) {
            found.push((survivor, loser, record));
        }
    }
    Ok(found)
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
    let query = Query::member(keys::conflicts(tenant_id), keys::conflict_member(older, younger));
    let answers = context.store.read(older.shard(), vec![query]).await?;
    let found = as_range(answers.into_iter().next())?.into_iter().next();
    found.map(|(_, value)| decode(value)).transpose()
}

fn decode(value: Bytes) -> Result<ConflictRecord, StoreError> {
    ConflictRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("conflict: {error}")))
}
