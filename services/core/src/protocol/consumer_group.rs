//! Consumer groups in the store: made, kept, acknowledged, forgotten. All of a group is in the shard of leases.

use super::context::{Context, Ended, MAX_TRIES, Stop, as_range};
use super::lease::{COMMON, LeaseError, Wish, change, members};
use crate::consumer_group::{self, Position};
use crate::keys;
use crate::port::store::{Expect, Query, Shape, StoreError, Write};
use crate::shard::Partition;
use crate::time::Moment;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use omnigate_proto::state::v1::{EventGroupRecord, LeaseRecord};
use prost::Message as _;
use std::ops::Bound;
use std::time::Duration;

/// Most groups of a tenant.
pub const MAX_GROUPS: u32 = 1000;

/// A consumer group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Tenant.
    pub tenant_id: String,
    /// Its name.
    pub name: String,
    /// Tells it from one of the same name that was deleted.
    pub birth: [u8; 8],
    /// When it was made.
    pub created_at: Moment,
    /// True when it began with the oldest event kept, else with those of when it was made.
    pub from_oldest: bool,
}

impl Group {
    fn read(tenant_id: &str, name: &str, value: &Bytes) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("event group: {what}"));
        let record = EventGroupRecord::decode(value.clone()).map_err(|error| corrupt(&error.to_string()))?;
        Ok(Self {
            tenant_id: tenant_id.to_owned(),
            name: name.to_owned(),
            birth: record.birth.as_ref().try_into().map_err(|_| corrupt("its birth"))?,
            created_at: Moment(record.created_at_ms),
            from_oldest: record.from_oldest,
        })
    }

    /// Name under which its members join.
    #[must_use]
    pub fn membership(&self) -> String {
        membership(&self.tenant_id, &self.name, self.birth)
    }

    /// Name of the lease of one of its logs.
    #[must_use]
    pub fn lease(&self, log: Partition) -> String {
        lease_name(&self.tenant_id, &self.name, self.birth, log)
    }

    /// Events before this moment are not for the group, wherever its places are.
    #[must_use]
    pub fn begins(&self) -> Option<Moment> {
        (!self.from_oldest).then_some(self.created_at)
    }
}

fn membership(tenant_id: &str, name: &str, birth: [u8; 8]) -> String {
    format!("events/{tenant_id}/{name}/{}", HEXLOWER.encode(&birth))
}

fn lease_name(tenant_id: &str, name: &str, birth: [u8; 8], log: Partition) -> String {
    format!("{}/{log}", membership(tenant_id, name, birth))
}

/// A group is not made or not deleted.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The tenant has as many as it may.
    #[error("the tenant has {MAX_GROUPS} groups already")]
    Full,
    /// Nobody made it.
    #[error("there is no such group")]
    Missing,
    /// Somebody subscribes.
    #[error("somebody subscribes to the group")]
    InUse,
    /// Nothing was decided.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for GroupError {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// The group of that name, made if there is none; true when this made it.
pub async fn ensure(
    context: &Context<'_>,
    tenant_id: &str,
    name: &str,
    from_oldest: bool,
) -> Result<(Group, bool), GroupError> {
    let mut birth = [0; 8];
    birth.copy_from_slice(&context.entropy.bytes()[..8]);
    for _ in 0..MAX_TRIES {
        if let Some(group) = get(context, tenant_id, name).await? {
            // After an unknown outcome it may be ours.
            let made = group.birth == birth;
            return Ok((group, made));
        }
        if list(context, tenant_id).await?.len() >= MAX_GROUPS as usize {
            return Err(GroupError::Full);
        }
        let record = EventGroupRecord {
            birth: Bytes::copy_from_slice(&birth),
            created_at_ms: context.now().0,
            from_oldest,
        };
        let (key, member) = (keys::event_groups(tenant_id), Bytes::copy_from_slice(name.as_bytes()));
        let value: Bytes = record.encode_to_vec().into();
        let expect = vec![Expect::Member {
            key: key.clone(),
            member: member.clone(),
            present: false,
        }];
        let write = vec![Write::Insert {
            key,
            member,
            value: value.clone(),
        }];
        if let Ended::Committed(_) = context.commit(COMMON, expect, write).await? {
            return Ok((Group::read(tenant_id, name, &value)?, true));
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// All groups of a tenant, by name.
pub async fn list(context: &Context<'_>, tenant_id: &str) -> Result<Vec<Group>, StoreError> {
    let query = Query::Range {
        key: keys::event_groups(tenant_id),
        from: Bound::Unbounded,
        to: Bound::Unbounded,
        limit: MAX_GROUPS,
        reverse: false,
    };
    let found = as_range(context.store.read(COMMON, vec![query]).await?.into_iter().next())?;
    let read = |(name, value): &(Bytes, Bytes)| Group::read(tenant_id, &String::from_utf8_lossy(name), value);
    found.iter().map(read).collect()
}

/// The group of that name, if there is one.
pub async fn get(context: &Context<'_>, tenant_id: &str, name: &str) -> Result<Option<Group>, StoreError> {
    let query = Query::member(keys::event_groups(tenant_id), Bytes::copy_from_slice(name.as_bytes()));
    let found = as_range(context.store.read(COMMON, vec![query]).await?.into_iter().next())?;
    found
        .first()
        .map(|(_, value)| Group::read(tenant_id, name, value))
        .transpose()
}

/// Forgets a group and its places in these logs, unless somebody subscribes.
pub async fn delete(
    context: &Context<'_>,
    tenant_id: &str,
    name: &str,
    logs: impl Iterator<Item = Partition>,
) -> Result<Group, GroupError> {
    let group = get(context, tenant_id, name).await?.ok_or(GroupError::Missing)?;
    if !members(context, &group.membership()).await?.is_empty() {
        return Err(GroupError::InUse);
    }
    let (key, member) = (keys::event_groups(tenant_id), Bytes::copy_from_slice(name.as_bytes()));
    let expect = vec![Expect::Member {
        key: key.clone(),
        member: member.clone(),
        present: true,
    }];
    let mut write = vec![Write::Remove { key, member }];
    write.extend(logs.map(|log| Write::Delete {
        shape: Shape::Record,
        key: keys::lease(&group.lease(log)),
    }));
    for _ in 0..MAX_TRIES {
        match context.commit(COMMON, expect.clone(), write.clone()).await? {
            // What somebody else deleted meanwhile is gone too.
            Ended::Committed(_) | Ended::Conflict(_) => return Ok(group),
            Ended::Unknown => {}
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// What an acknowledgement is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sent {
    /// Birth of the group.
    pub birth: [u8; 8],
    /// The log.
    pub log: Partition,
    /// Epoch of the lease under which it was sent.
    pub epoch: u64,
}

/// Moves the place of a group in a log, durably. True when it is there now; false when the log is another member's.
pub async fn acknowledge(
    context: &Context<'_>,
    (tenant_id, name): (&str, &str),
    sent: Sent,
    position: Position,
) -> Result<bool, LeaseError> {
    let lease = lease_name(tenant_id, name, sent.birth, sent.log);
    let decide = |record: Option<&LeaseRecord>, _| Ok(consumer_group::acknowledge(record, sent.epoch, position)?);
    match change(context, nobody(&lease), decide, &[]).await {
        Ok(_) => Ok(true),
        Err(LeaseError::Lost(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Prolongs a lease of a log, moves its place over what needs no acknowledgement, and gives the place as it is then.
pub async fn keep(
    context: &Context<'_>,
    wish: Wish<'_>,
    epoch: u64,
    passed: Option<Position>,
    ttl: Duration,
) -> Result<Option<Position>, LeaseError> {
    let decide = |record: Option<&LeaseRecord>, now| {
        let kept = consumer_group::keep(record, (wish.owner, epoch), passed, (ttl, now))?;
        Ok(Some(kept))
    };
    let kept = change(context, wish, decide, &[]).await?;
    Ok(kept.and_then(|record| Position::from_cursor(&record.cursor)))
}

fn nobody(name: &str) -> Wish<'_> {
    Wish {
        shard: COMMON,
        name,
        owner: "",
        address: "",
    }
}
