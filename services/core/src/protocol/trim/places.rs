//! Places of entries that were trimmed, until they are forgotten.

use crate::id::{CustomerId, EventId, MessageId};
use crate::keys;
use crate::port::store::{Expect, Query, StoreError, Write};
use crate::protocol::append::one_member;
use crate::protocol::context::{Context, Ended, MAX_TRIES, Stop, as_fields, as_range};
use crate::protocol::delivery;
use crate::protocol::entries::Interval;
use crate::protocol::resolve::expect_record;
use crate::retention::Trimmed;
use crate::time::Moment;
use crate::timeline::Place;
use bytes::Bytes;
use omnigate_proto::state::v1::TrimmedPlace;
use prost::Message as _;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Places that one commit forgets at most.
const AT_ONCE: u32 = 100;

/// What trimming means for places.
pub(super) fn writes(id: CustomerId, trimmed: &Trimmed) -> Vec<Write> {
    let mut write: Vec<Write> = trimmed.forgotten.iter().map(|event| forget(id, *event)).collect();
    write.extend(trimmed.remembered.iter().map(|(until, event, place)| Write::Insert {
        key: keys::trimmed_places(id),
        member: keys::trimmed_member(*until, *event),
        value: place.encode_to_vec().into(),
    }));
    write
}

fn forget(id: CustomerId, event: EventId) -> Write {
    Write::RemoveField {
        key: keys::places(id),
        field: event.to_bytes(),
    }
}

fn range(id: CustomerId, from: Bound<Bytes>, to: Bound<Bytes>, limit: u32) -> Query {
    Query::Range {
        key: keys::trimmed_places(id),
        from,
        to,
        limit,
        reverse: false,
    }
}

/// Query for the one that is forgotten first.
pub(super) fn oldest(id: CustomerId) -> Query {
    range(id, Bound::Unbounded, Bound::Unbounded, 1)
}

fn read(value: Bytes) -> Result<TrimmedPlace, StoreError> {
    TrimmedPlace::decode(value).map_err(|error| StoreError::Corrupt(format!("trimmed place: {error}")))
}

/// Forgets some of the places whose time has come, with their deliveries; how many those were.
pub(super) async fn forget_some(context: &Context<'_>, id: CustomerId) -> Result<usize, Stop> {
    let key = keys::trimmed_places(id);
    for _ in 0..MAX_TRIES {
        let until = Moment(context.now().0 + 1).to_key().to_vec();
        let due = range(id, Bound::Unbounded, Bound::Excluded(until.into()), AT_ONCE);
        let (home, members) = super::read_home(context, id, due).await?;
        let Some((first, _)) = members.first() else {
            return Ok(0);
        };
        // What waits in a place may be added to meanwhile, which changes the home.
        let expect = vec![
            Expect::Member {
                key: key.clone(),
                member: first.clone(),
                present: true,
            },
            expect_record(keys::home(id), home.stamp),
        ];
        let count = members.len();
        let mut write = Vec::new();
        let mut messages = BTreeSet::new();
        for (member, value) in members {
            let place = read(value)?;
            messages.extend(MessageId::from_bytes(&place.message_id));
            if let Some((_, event)) = keys::read_trimmed_member(&member)
                && (!place.awaited || awaits_nothing(context, id, event).await?)
            {
                write.push(forget(id, event));
            }
            write.push(Write::Remove {
                key: key.clone(),
                member,
            });
        }
        write.extend(delivery::gone(context, id, &messages).await?);
        if let Ended::Committed(_) = context.commit(id.shard(), expect, write).await? {
            return Ok(count);
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// True for the place of a message that never came, when all entries that wanted to change it are gone.
async fn awaits_nothing(context: &Context<'_>, id: CustomerId, event: EventId) -> Result<bool, StoreError> {
    let query = Query::Fields {
        key: keys::places(id),
        fields: vec![event.to_bytes()],
    };
    let answers = context.store.read(id.shard(), vec![query]).await?;
    let value = as_fields(answers.into_iter().next())?.into_iter().next().flatten();
    let Some(Place::Awaited(waiting)) = value.and_then(|value| Place::decode(event, &value)) else {
        return Ok(false);
    };
    let queries: Vec<Query> = waiting
        .iter()
        .map(|(spot, entry)| one_member(id, *spot, *entry))
        .collect();
    for answer in context.store.read(id.shard(), queries).await? {
        if !as_range(Some(answer))?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Messages of ours whose entries were trimmed, received in an interval by these threads.
pub(in crate::protocol) async fn messages_of(
    context: &Context<'_>,
    id: CustomerId,
    interval: Interval,
    threads: &[u32],
) -> Result<BTreeSet<MessageId>, StoreError> {
    let mut found = BTreeSet::new();
    let mut edge = Bound::Unbounded;
    loop {
        let query = range(id, edge, Bound::Unbounded, AT_ONCE);
        let members = as_range(context.store.read(id.shard(), vec![query]).await?.into_iter().next())?;
        let Some((last, _)) = members.last() else {
            return Ok(found);
        };
        edge = Bound::Excluded(last.clone());
        for (_, value) in members {
            let place = read(value)?;
            if threads.contains(&place.thread) && interval.is_at(Moment(place.received_at_ms)) {
                found.extend(MessageId::from_bytes(&place.message_id));
            }
        }
    }
}
