//! Makes, changes, lists and deletes audiences.
//!
//! A deleted audience is marked first, with a timer in the same commit, then every shard of it; an import that is under way
//! meets the mark of the shard it writes to. The marks outlive whoever may still sleep on such a write.

use super::NotDone;
use crate::audience::{self as decide, Change, MAX_AUDIENCES, is_applied};
use crate::id::AudienceId;
use crate::keys::{self, Timer};
use crate::port::store::{Query, Shape, Stamp, StoreError, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range, as_record};
use crate::protocol::resolve::{expect_record, put};
use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use futures_util::future::join_all;
use omnigate_proto::state::v1::{AudiencePartRecord, AudienceRecord};
use std::ops::Bound;
use std::time::Duration;

/// Most audiences in a page.
pub const MAX_LISTED: u32 = MAX_AUDIENCES;
/// How long whoever began a deletion has it alone.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// How long a deleted audience is known: longer than any worker can sleep on a write to it.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Shards that are emptied at once.
const AT_ONCE: usize = 32;

/// An audience as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Audience {
    /// Its id.
    pub id: AudienceId,
    /// Its record.
    pub record: AudienceRecord,
    /// Version of the record.
    pub stamp: Stamp,
}

impl Audience {
    /// Changes with every change of it.
    #[must_use]
    pub fn etag(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.stamp.0)
    }
}

/// Makes the audience of a request, unless that was done before.
pub async fn create(context: &Context<'_>, id: AudienceId, record: AudienceRecord) -> Result<Audience, NotDone> {
    for _ in 0..MAX_TRIES {
        let standing: Loaded<AudienceRecord> = context.record(id.shard(), keys::audience(id), "audience").await?;
        if standing.stamp.is_some() {
            return standing_of(id, standing, &record.tenant_id).ok_or(NotDone::NoSuchAudience);
        }
        let known = listed(context, &record.tenant_id).await?;
        exist(&known, decide::excluded(&record))?;
        if known.len() >= MAX_AUDIENCES as usize {
            return Err(NotDone::TooMany);
        }
        let expect = vec![expect_record(keys::audience(id), None)];
        let write = vec![
            put(keys::audience(id), &record),
            Write::Insert {
                key: keys::audiences(&record.tenant_id),
                member: id.to_bytes(),
                value: Bytes::new(),
            },
        ];
        if let Ended::Committed(stamp) = context.commit(id.shard(), expect, write).await? {
            return Ok(Audience { id, record, stamp });
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// An audience of the tenant; `None` when there is none.
pub async fn get(context: &Context<'_>, tenant_id: &str, id: AudienceId) -> Result<Option<Audience>, StoreError> {
    let record = context.record(id.shard(), keys::audience(id), "audience").await?;
    Ok(standing_of(id, record, tenant_id))
}

fn standing_of(id: AudienceId, loaded: Loaded<AudienceRecord>, tenant_id: &str) -> Option<Audience> {
    let (stamp, record) = loaded.stamp.zip(loaded.value)?;
    (record.tenant_id == tenant_id && record.deleted_ms == 0).then_some(Audience { id, record, stamp })
}

/// A page of the tenant's audiences by id, at most [`MAX_LISTED`]; `after` is the last one of the page before. The second
/// answer is where the next page goes on.
pub async fn list(
    context: &Context<'_>,
    tenant_id: &str,
    after: Option<AudienceId>,
    limit: u32,
) -> Result<(Vec<Audience>, Option<AudienceId>), StoreError> {
    let shard = decide::shard_of(tenant_id);
    let limit = limit.min(MAX_LISTED);
    let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.to_bytes()));
    let ids = ids(context, tenant_id, from, limit).await?;
    let queries = ids.iter().map(|id| Query::Record(keys::audience(*id))).collect();
    let answers = context.store.read(shard, queries).await?;
    let mut found = Vec::with_capacity(ids.len());
    for (id, answer) in ids.iter().zip(answers) {
        let record = Loaded::decode(as_record(Some(answer))?, "audience")?;
        found.extend(standing_of(*id, record, tenant_id));
    }
    let is_full = u32::try_from(ids.len()).is_ok_and(|count| count == limit);
    Ok((found, ids.last().copied().filter(|_| is_full)))
}

/// All audiences of a tenant, those included that are being deleted.
pub(super) async fn listed(context: &Context<'_>, tenant_id: &str) -> Result<Vec<AudienceId>, StoreError> {
    // A few more than there may be: those that are being deleted still stand there.
    ids(context, tenant_id, Bound::Unbounded, MAX_AUDIENCES * 2).await
}

async fn ids(
    context: &Context<'_>,
    tenant_id: &str,
    from: Bound<Bytes>,
    limit: u32,
) -> Result<Vec<AudienceId>, StoreError> {
    let query = Query::Range {
        key: keys::audiences(tenant_id),
        from,
        to: Bound::Unbounded,
        limit,
        reverse: false,
    };
    let answers = context.store.read(decide::shard_of(tenant_id), vec![query]).await?;
    let members = as_range(answers.into_iter().next())?;
    Ok(members
        .iter()
        .filter_map(|(member, _)| AudienceId::from_bytes(member))
        .collect())
}

fn exist(known: &[AudienceId], wanted: impl IntoIterator<Item = AudienceId>) -> Result<(), NotDone> {
    let missing = wanted.into_iter().find(|id| !known.contains(id));
    missing.map_or(Ok(()), |id| Err(NotDone::NoSuchExclusion(id)))
}

/// Changes an audience, once.
pub async fn change(
    context: &Context<'_>,
    tenant_id: &str,
    id: AudienceId,
    (change, etag): (&Change, &str),
) -> Result<Audience, NotDone> {
    for _ in 0..MAX_TRIES {
        let stands = get(context, tenant_id, id).await?.ok_or(NotDone::NoSuchAudience)?;
        if is_applied(&stands.record, &change.name) {
            return Ok(stands);
        }
        if !etag.is_empty() && etag != stands.etag() {
            return Err(NotDone::Changed);
        }
        if let Some(excluded) = &change.excluded {
            exist(&listed(context, tenant_id).await?, excluded.iter().copied())?;
        }
        let record = decide::changed(&stands.record, change, context.now());
        let expect = vec![expect_record(keys::audience(id), Some(stands.stamp))];
        let write = vec![put(keys::audience(id), &record)];
        if let Ended::Committed(stamp) = context.commit(id.shard(), expect, write).await? {
            return Ok(Audience { id, record, stamp });
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Deletes an audience with its rows; `name` names the command.
pub async fn delete(
    context: &Context<'_>,
    tenant_id: &str,
    id: AudienceId,
    (name, etag): (&Bytes, &str),
) -> Result<(), NotDone> {
    for _ in 0..MAX_TRIES {
        let loaded: Loaded<AudienceRecord> = context.record(id.shard(), keys::audience(id), "audience").await?;
        let ours = loaded.value.as_ref().filter(|record| record.tenant_id == tenant_id);
        if ours.is_some_and(|record| record.deleted_ms != 0 && is_applied(record, name)) {
            return Ok(carry_out(context, id).await?);
        }
        let stands = standing_of(id, loaded, tenant_id).ok_or(NotDone::NoSuchAudience)?;
        if !etag.is_empty() && etag != stands.etag() {
            return Err(NotDone::Changed);
        }
        let (others, _) = list(context, tenant_id, None, MAX_LISTED).await?;
        let user = others
            .iter()
            .find(|other| decide::excluded(&other.record).any(|excluded| excluded == id));
        if let Some(user) = user {
            return Err(NotDone::InUse(user.id));
        }
        let now = context.now();
        let expect = vec![expect_record(keys::audience(id), Some(stands.stamp))];
        let write = vec![
            put(keys::audience(id), &decide::deleted(&stands.record, name, now)),
            Write::Insert {
                key: keys::timers(),
                member: keys::timer_member(now + LEFT_ALONE, Timer::Audience(id)),
                value: Bytes::new(),
            },
        ];
        // Recognised by its name in the next round, also where nobody knows whether it was written.
        context.commit(id.shard(), expect, write).await?;
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Goes on with a deletion whose timer fired, until nothing is left.
pub async fn go_on(context: &Context<'_>, id: AudienceId, due: Moment) -> Result<(), Stop> {
    carry_out(context, id).await?;
    // Nobody's, once the deletion was finished by somebody else.
    Ok(context.drop_timer(id.shard(), due, Timer::Audience(id)).await?)
}

/// Empties every shard of a deleted audience, then takes it off the tenant's list.
async fn carry_out(context: &Context<'_>, id: AudienceId) -> Result<(), Stop> {
    let loaded: Loaded<AudienceRecord> = context.record(id.shard(), keys::audience(id), "audience").await?;
    let Some(record) = loaded.value.filter(|record| record.deleted_ms != 0) else {
        return Ok(());
    };
    let shards: Vec<Shard> = Shard::all().collect();
    for shards in shards.chunks(AT_ONCE) {
        let emptied = join_all(shards.iter().map(|shard| empty(context, *shard, id))).await;
        emptied.into_iter().collect::<Result<Vec<()>, Stop>>()?;
    }
    unlist(context, id, &record).await
}

/// Removes the rows of a shard, and marks it so that none is written any more.
async fn empty(context: &Context<'_>, shard: Shard, id: AudienceId) -> Result<(), Stop> {
    let key = keys::audience_part(id);
    for _ in 0..MAX_TRIES {
        let part: Loaded<AudiencePartRecord> = context.record(shard, key.clone(), "audience part").await?;
        if part.value.is_some_and(|part| part.deleted) {
            return Ok(());
        }
        let gone = AudiencePartRecord {
            members: 0,
            deleted: true,
        };
        let expect = vec![expect_record(key.clone(), part.stamp)];
        let write = vec![
            put(key.clone(), &gone),
            expires(key.clone()),
            Write::Delete {
                shape: Shape::Index,
                key: keys::members_of(id),
            },
        ];
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

async fn unlist(context: &Context<'_>, id: AudienceId, record: &AudienceRecord) -> Result<(), Stop> {
    for _ in 0..MAX_TRIES {
        let queries = vec![
            Query::Record(keys::audience(id)),
            Query::member(keys::audiences(&record.tenant_id), id.to_bytes()),
        ];
        let mut answers = context.store.read(id.shard(), queries).await?.into_iter();
        let loaded: Loaded<AudienceRecord> = Loaded::decode(as_record(answers.next())?, "audience")?;
        let (Some(value), false) = (loaded.value, as_range(answers.next())?.is_empty()) else {
            return Ok(());
        };
        let due = Moment(record.deleted_ms) + LEFT_ALONE;
        let expect = vec![expect_record(keys::audience(id), loaded.stamp)];
        let write = vec![
            put(keys::audience(id), &value),
            expires(keys::audience(id)),
            Write::Remove {
                key: keys::audiences(&record.tenant_id),
                member: id.to_bytes(),
            },
            Write::Remove {
                key: keys::timers(),
                member: keys::timer_member(due, Timer::Audience(id)),
            },
        ];
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            return Ok(());
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

fn expires(key: Bytes) -> Write {
    Write::Expire {
        shape: Shape::Record,
        key,
        after: KEPT,
    }
}
