//! After the operator brought in a new key: everything that former ones sealed is sealed with it, in small steps, by one
//! process at a time whose lease keeps how far it is. A step may be repeated.
//!
//! What is sealed with keys of its own needs only these sealed anew: threads with their entries and messages, parked items,
//! what lies on the broker.

use super::context::{Context, Ended, Stop, as_range, as_record};
use super::lease::COMMON;
use crate::hourly::{self, Hour};
use crate::id::{CustomerId, ParkedId, hash};
use crate::keyring::Keyring;
use crate::keys;
use crate::port::store::{Key, Query, Shape, StoreError, Write};
use crate::protocol::resolve::expect_record;
use crate::shard::Shard;
use crate::time::Moment;
use crate::timeline::stored::give_keys;
use bytes::Bytes;
use omnigate_proto::state::v1::{HomeRecord, ResealCursor};
use std::ops::Bound;
use std::time::Duration;

/// Members looked at in one step.
const AT_ONCE: u32 = 50;
/// Hours whose keys are looked at in one step.
const HOURS: u32 = 64;
/// Stages of a pass, in order.
const SECRETS: u32 = 0;
const THREADS: u32 = 1;
const PARKED: u32 = 2;

/// Whose things are sealed.
#[derive(Clone, Debug)]
pub struct Realm {
    /// Tenants, in order; the empty one among them stands for what is of no tenant that is known.
    pub tenants: Vec<String>,
    /// Accounts, whose tokens are sealed.
    pub accounts: Vec<String>,
    /// How long keys of an hour live.
    pub life: Duration,
}

/// Name of the lease under which everything is sealed with the present key; `None` where there is none.
#[must_use]
pub fn lease_name(keyring: &Keyring) -> Option<String> {
    Some(format!("reseal/{}", keyring.present_name()?))
}

/// One step from where `at` says; where it has come to then.
pub async fn step(context: &Context<'_>, realm: &Realm, at: &ResealCursor) -> Result<ResealCursor, Stop> {
    match at.stage {
        SECRETS => secrets(context, realm, at).await,
        THREADS => threads(context, realm, at).await,
        PARKED => parked(context, at).await,
        // The pass is over. Only one that found nothing to do says that nothing is left: while it ran, processes with the
        // former configuration may have written.
        _ if at.resealed == 0 && at.closed == 0 => Ok(ResealCursor {
            done_at_ms: context.now().0,
            ..ResealCursor::default()
        }),
        _ => Ok(ResealCursor::default()),
    }
}

/// True between two passes.
#[must_use]
pub const fn is_pass_over(at: &ResealCursor) -> bool {
    at.stage > PARKED
}

fn stage(at: &ResealCursor, stage: u32) -> ResealCursor {
    ResealCursor {
        stage,
        resealed: at.resealed,
        closed: at.closed,
        ..ResealCursor::default()
    }
}

/// The first tenant that is not done; those before it in order are, also when some came or went meanwhile.
fn tenant<'a>(realm: &'a Realm, at: &ResealCursor) -> Option<&'a String> {
    realm.tenants.iter().find(|tenant| **tenant >= at.tenant_id)
}

/// The tenant behind another; `None` behind the last one.
fn tenant_after<'a>(realm: &'a Realm, tenant: &str) -> Option<&'a String> {
    realm.tenants.iter().find(|other| other.as_str() > tenant)
}

/// Tokens and the key of the suppression list, then keys of hours, some of a tenant at a time.
async fn secrets(context: &Context<'_>, realm: &Realm, at: &ResealCursor) -> Result<ResealCursor, Stop> {
    let first = Hour::of(context.now() - realm.life).0;
    let last = Hour::of(context.now()).next().0;
    if at.after.is_empty() {
        rewrite(context, COMMON, keys::suppression_key(), None).await?;
        for account in &realm.accounts {
            let shard = Shard::new(hash("credential", &[account.as_bytes()])[0]);
            rewrite(context, shard, keys::credential(account), None).await?;
        }
    }
    let Some(tenant_id) = tenant(realm, at) else {
        return Ok(stage(at, THREADS));
    };
    let from = at
        .after
        .as_ref()
        .try_into()
        .map_or(first, u32::from_be_bytes)
        .max(first);
    let to = from.saturating_add(HOURS).min(last + 1);
    for hour in (from..to).map(Hour) {
        let ends = hour.ends() + realm.life;
        let (shard, key) = (hourly::shard_of(tenant_id, hour), keys::hour_key(tenant_id, hour));
        rewrite(context, shard, key, Some(ends)).await?;
    }
    let (tenant_id, next) = match to > last {
        true => match tenant_after(realm, tenant_id) {
            Some(next) => (next, first),
            None => return Ok(stage(at, THREADS)),
        },
        false => (tenant_id, to),
    };
    Ok(ResealCursor {
        tenant_id: tenant_id.clone(),
        after: Bytes::copy_from_slice(&next.to_be_bytes()),
        ..at.clone()
    })
}

/// Writes a secret as it is: it is sealed on its way.
async fn rewrite(context: &Context<'_>, shard: Shard, key: Key, ends: Option<Moment>) -> Result<(), Stop> {
    let answers = context.store.read(shard, vec![Query::Record(key.clone())]).await?;
    let Some(standing) = as_record(answers.into_iter().next())? else {
        return Ok(());
    };
    let expect = vec![expect_record(key.clone(), Some(standing.stamp))];
    let expire = ends.map(|ends| Write::Expire {
        shape: Shape::Record,
        key: key.clone(),
        after: ends.since(context.now()),
    });
    let put = Write::Put {
        key,
        value: standing.value,
    };
    let write = std::iter::once(put).chain(expire).collect();
    match context.commit(shard, expect, write).await? {
        // Whoever was faster sealed it with what is configured there: the next pass looks again.
        Ended::Committed(_) | Ended::Conflict(_) => Ok(()),
        Ended::Unknown => Err(StoreError::Unavailable("nobody knows whether it was written".to_owned()).into()),
    }
}

/// The next members of an index of a shard behind the one in the cursor, and the cursor behind them.
async fn members(
    context: &Context<'_>,
    at: &ResealCursor,
    key: Key,
) -> Result<(Vec<Bytes>, Option<ResealCursor>), StoreError> {
    let shard = shard_of(at);
    let from = match at.after.is_empty() {
        true => Bound::Unbounded,
        false => Bound::Excluded(at.after.clone()),
    };
    let query = Query::Range {
        key,
        from,
        to: Bound::Unbounded,
        limit: AT_ONCE,
        reverse: false,
    };
    let found = as_range(context.store.read(shard, vec![query]).await?.into_iter().next())?;
    let is_full = u32::try_from(found.len()).is_ok_and(|count| count == AT_ONCE);
    let members: Vec<Bytes> = found.into_iter().map(|(member, _)| member).collect();
    let next = match members.last().filter(|_| is_full) {
        Some(last) => Some(ResealCursor {
            after: last.clone(),
            ..at.clone()
        }),
        None => shard.number().checked_add(1).map(|number| ResealCursor {
            shard: number.into(),
            after: Bytes::new(),
            ..at.clone()
        }),
    };
    Ok((members, next))
}

fn shard_of(at: &ResealCursor) -> Shard {
    Shard::new(u8::try_from(at.shard).unwrap_or(u8::MAX))
}

/// Data keys of threads, in the homes of a tenant's customers.
async fn threads(context: &Context<'_>, realm: &Realm, at: &ResealCursor) -> Result<ResealCursor, Stop> {
    let Some(tenant_id) = tenant(realm, at) else {
        return Ok(stage(at, PARKED));
    };
    let at = &ResealCursor {
        tenant_id: tenant_id.clone(),
        ..at.clone()
    };
    let (members, next) = members(context, at, keys::customers(tenant_id)).await?;
    let (mut resealed, mut closed) = (at.resealed, at.closed);
    for home in members.iter().filter_map(|member| CustomerId::from_bytes(member)) {
        let (anew, shut) = reseal_home(context, home).await?;
        resealed += anew;
        closed += shut;
    }
    let next = next.or_else(|| {
        let next = ResealCursor {
            stage: THREADS,
            ..ResealCursor::default()
        };
        tenant_after(realm, tenant_id).map(|tenant| ResealCursor {
            tenant_id: tenant.clone(),
            ..next
        })
    });
    Ok(ResealCursor {
        resealed,
        closed,
        ..next.unwrap_or_else(|| stage(at, PARKED))
    })
}

/// How many threads of a home were sealed anew, and how many could not be.
async fn reseal_home(context: &Context<'_>, id: CustomerId) -> Result<(u64, u64), Stop> {
    let left = |home: &HomeRecord| {
        let is_left = |key: &Bytes| !key.is_empty() && !context.keyring.is_present(key);
        home.threads.iter().filter(|thread| is_left(&thread.data_key)).count()
    };
    let mut before = 0;
    let reseal = |home: Option<&HomeRecord>, _| {
        let mut home = home?.clone();
        before = left(&home);
        give_keys(&mut home, id, context.keyring, context.entropy);
        (left(&home) < before).then_some(home)
    };
    let place = (id.shard(), keys::home(id));
    let standing = context.change(place, "home", reseal).await?;
    context.cache.forget_home(id);
    let after = standing.as_ref().map_or(0, left);
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Ok((count(before.saturating_sub(after)), count(after)))
}

/// Keys of parked items.
async fn parked(context: &Context<'_>, at: &ResealCursor) -> Result<ResealCursor, Stop> {
    let (members, next) = members(context, at, keys::parked()).await?;
    for id in members.iter().filter_map(|member| ParkedId::from_bytes(member)) {
        rewrite(context, id.shard(), keys::parked_key(id), None).await?;
    }
    Ok(next.unwrap_or_else(|| stage(at, PARKED + 1)))
}
