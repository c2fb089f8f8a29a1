//! Who had an address before somebody got it.

use super::super::record::load;
use super::claim::listed;
use super::way::{End, walk};
use super::{Found, Mended};
use crate::id::CustomerId;
use crate::identity::built_in;
use crate::identity::repair::{self, Repair, forgot, regained};
use crate::keys;
use crate::protocol::context::{Context, Loaded, Stop};
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, HomeRecord, Membership};

/// Looks at who had an address before somebody got it: where their record is gone, or was born anew, it gets back what they
/// said until then, if that is still there.
pub(super) async fn before(
    context: &Context<'_>,
    tenant_id: &str,
    member: &Membership,
    mended: &mut Mended,
) -> Result<(), Stop> {
    let born = CustomerId::from_bytes(&member.home).filter(|_| member.from_ms > 0);
    let Some(born) = born else { return Ok(()) };
    let home: Loaded<HomeRecord> = context.record(born.shard(), keys::home(born), "home").await?;
    let home = home.value.unwrap_or_default();
    let is_erased = home
        .wiped
        .iter()
        .any(|wiped| wiped.birth == member.birth && wiped.from_ms == 0);
    if is_erased || !home.threads.iter().any(|thread| thread.birth == member.birth) {
        return Ok(());
    }
    let before = Membership {
        from_ms: 0,
        to_ms: member.from_ms,
        path: Vec::new(),
        cut_from: Bytes::new(),
        ..member.clone()
    };
    let stands = load(context, born).await?;
    let record = stands.value.as_ref();
    if !forgot(record, born, member) || given_away(context, (born, record), &before).await? {
        return Ok(());
    }
    let Some(next) = regained(record, tenant_id, born, &before, context.now()) else {
        return Ok(());
    };
    let found = Found {
        repair: Repair::CustomerRestored,
        other: None,
        members: std::slice::from_ref(&before),
    };
    let mut next = found.noted(next);
    next.also.push(listed(tenant_id, born));
    match next.write(context, born, stands.stamp).await? {
        true => mended.note(Repair::CustomerRestored, born),
        false => mended.contended = true,
    }
    Ok(())
}

/// True when a record gave a part back to somebody whom it consisted of.
async fn given_away(
    context: &Context<'_>,
    (id, record): (CustomerId, Option<&CustomerRecord>),
    of: &Membership,
) -> Result<bool, Stop> {
    let Some(record) = record else { return Ok(false) };
    for other in repair::former(record, id).1 {
        let way = walk(context, (&built_in(other), &other.to_bytes()), other).await?;
        if let End::Here(holder) = &way.end
            && repair::part(&holder.members, of).is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
