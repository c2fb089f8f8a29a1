//! Writes the members of a list: for all rows of a shard in one commit.

use super::{CameTo, Session};
use crate::audience::member;
use crate::audience::row::{Problem, Reason, Row};
use crate::id::CustomerId;
use crate::identity::{built_in, consists_of};
use crate::keys;
use crate::port::store::{Query, StoreError, Write};
use crate::protocol::audience::NotDone;
use crate::protocol::audience::forget::decode;
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_range, as_record};
use crate::protocol::identity::find;
use crate::protocol::resolve::{expect_record, put};
use crate::shard::Shard;
use futures_util::future::join_all;
use omnigate_proto::state::v1::{AudiencePartRecord, CustomerRecord, CustomerState, MemberRecord};
use prost::Message as _;
use std::collections::BTreeMap;

/// A row of a customer, and the record that its member hangs on: that of the present customer, or of somebody who was merged
/// into them and is in the list already.
#[derive(Clone, Copy)]
struct Seat<'r> {
    row: &'r Row,
    at: CustomerId,
}

/// Writes a member for each row, in the order of their numbers.
pub(super) async fn enrol(
    context: &Context<'_>,
    session: &mut Session,
    rows: Vec<(&Row, CustomerId)>,
) -> Result<Vec<(u64, CameTo)>, NotDone> {
    let mut open: Vec<Seat<'_>> = rows.into_iter().map(|(row, at)| Seat { row, at }).collect();
    let mut ended = Vec::with_capacity(open.len());
    for _ in 0..MAX_TRIES {
        if open.is_empty() {
            return Ok(ended);
        }
        open.sort_by_key(|seat| seat.row.number);
        let mut by_shard: BTreeMap<Shard, Vec<Seat<'_>>> = BTreeMap::new();
        for seat in open.drain(..) {
            by_shard.entry(seat.at.shard()).or_default().push(seat);
        }
        let shared = &*session;
        let written = by_shard
            .iter()
            .map(|(shard, seats)| enrol_in_shard(context, shared, *shard, seats));
        for (shard, written) in by_shard.keys().zip(join_all(written).await) {
            let written = written?;
            session.parts.insert(*shard, written.part);
            ended.extend(written.ended);
            for moved in written.moved {
                match moved {
                    Moved::To(seat) => open.push(seat),
                    Moved::From(seat) => match find(context, &session.tenant_id, &built_in(seat.at), seat.at).await? {
                        Some(at) => open.push(Seat { at, ..seat }),
                        None => ended.push((seat.row.number, Err(gone()))),
                    },
                }
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

fn gone() -> Problem {
    Problem::of_row(Reason::Erased, "the customer was erased meanwhile")
}

/// A row whose member hangs on another record than was thought.
enum Moved<'r> {
    /// On this one.
    To(Seat<'r>),
    /// On whoever has the identifiers of this one by now.
    From(Seat<'r>),
}

struct Written<'r> {
    part: Loaded<AudiencePartRecord>,
    ended: Vec<(u64, CameTo)>,
    moved: Vec<Moved<'r>>,
}

/// A customer's record with the member that hangs on it.
struct Stands {
    customer: Loaded<CustomerRecord>,
    member: Option<MemberRecord>,
    is_new: bool,
    is_changed: bool,
}

async fn enrol_in_shard<'r>(
    context: &Context<'_>,
    session: &Session,
    shard: Shard,
    seats: &[Seat<'r>],
) -> Result<Written<'r>, NotDone> {
    for _ in 0..MAX_TRIES {
        let (part, mut stand) = read(context, session, shard, seats).await?;
        let mut next = part.value.unwrap_or_default();
        if next.deleted {
            return Err(NotDone::NoSuchAudience);
        }
        let mut written = Written {
            part,
            ended: Vec::with_capacity(seats.len()),
            moved: Vec::new(),
        };
        decide(context, session, seats, (&mut stand, &mut written)).await?;
        let mut expect = vec![expect_record(keys::audience_part(session.audience), written.part.stamp)];
        let mut write = Vec::new();
        for (at, stands) in stand {
            let Some(member) = stands.member.filter(|_| stands.is_changed) else {
                continue;
            };
            next.members += u64::from(stands.is_new);
            expect.push(expect_record(keys::customer(at), stands.customer.stamp));
            write.push(Write::Insert {
                key: keys::members_of(session.audience),
                member: at.to_bytes(),
                value: member.encode_to_vec().into(),
            });
        }
        if write.is_empty() {
            return Ok(written);
        }
        write.push(put(keys::audience_part(session.audience), &next));
        if let Ended::Committed(stamp) = context.commit(shard, expect, write).await? {
            written.part = Loaded {
                stamp: Some(stamp),
                value: Some(next),
            };
            return Ok(written);
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

type Read = (Loaded<AudiencePartRecord>, BTreeMap<CustomerId, Stands>);

async fn read(context: &Context<'_>, session: &Session, shard: Shard, seats: &[Seat<'_>]) -> Result<Read, StoreError> {
    let ids: BTreeMap<CustomerId, ()> = seats.iter().map(|seat| (seat.at, ())).collect();
    let mut queries = vec![Query::Record(keys::audience_part(session.audience))];
    for id in ids.keys() {
        queries.push(Query::Record(keys::customer(*id)));
        queries.push(Query::member(keys::members_of(session.audience), id.to_bytes()));
    }
    let mut answers = context.store.read(shard, queries).await?.into_iter();
    let part = Loaded::decode(as_record(answers.next())?, "audience part")?;
    let mut stand = BTreeMap::new();
    for id in ids.into_keys() {
        let customer = Loaded::customer(as_record(answers.next())?, id)?;
        let member = as_range(answers.next())?.into_iter().next();
        let member = member.map(|(_, value)| decode(value)).transpose()?;
        let stands = Stands {
            customer,
            is_new: member.is_none(),
            member,
            is_changed: false,
        };
        stand.insert(id, stands);
    }
    Ok((part, stand))
}

/// What each row makes of what stands.
async fn decide<'r>(
    context: &Context<'_>,
    session: &Session,
    seats: &[Seat<'r>],
    (stand, written): (&mut BTreeMap<CustomerId, Stands>, &mut Written<'r>),
) -> Result<(), StoreError> {
    let importing = session.importing();
    for seat in seats {
        let Some(stands) = stand.get_mut(&seat.at) else {
            continue;
        };
        if !is_there(&session.tenant_id, stands) {
            written.moved.push(Moved::From(*seat));
            continue;
        }
        if stands.member.is_none()
            && let Some(at) = elsewhere(context, session, seat.at, stands.customer.value.as_ref()).await?
        {
            written.moved.push(Moved::To(Seat { at, ..*seat }));
            continue;
        }
        let identifiers = member::identifiers(&session.tenant_id, seat.row);
        let row = (seat.row, &identifiers);
        let (outcome, next) = member::take(stands.member.as_ref(), row, &importing, context.now());
        if let Some(next) = next {
            stands.member = Some(next);
            stands.is_changed = true;
        }
        written.ended.push((seat.row.number, Ok(outcome)));
    }
    Ok(())
}

/// True where a member can hang on the record: it is somebody's, and they were not erased. A record that was merged away
/// keeps the member that it has.
fn is_there(tenant_id: &str, stands: &Stands) -> bool {
    let Some(record) = stands.customer.value.as_ref() else {
        return false;
    };
    let is_whole = record.tenant_id == tenant_id && record.erasure.is_none();
    is_whole
        && match record.state() {
            CustomerState::Active | CustomerState::Frozen => true,
            CustomerState::Merged => stands.member.is_some(),
            CustomerState::Unspecified | CustomerState::Prepared | CustomerState::Erased => false,
        }
}

/// The record with the customer's member, if that is one of those that were merged into them.
async fn elsewhere(
    context: &Context<'_>,
    session: &Session,
    at: CustomerId,
    record: Option<&CustomerRecord>,
) -> Result<Option<CustomerId>, StoreError> {
    let members = record.map(|record| record.members.as_slice()).unwrap_or_default();
    for former in consists_of(members).filter(|former| *former != at) {
        let query = Query::member(keys::members_of(session.audience), former.to_bytes());
        let answers = context.store.read(former.shard(), vec![query]).await?;
        if !as_range(answers.into_iter().next())?.is_empty() {
            return Ok(Some(former));
        }
    }
    Ok(None)
}
