//! Messages of a campaign on the timelines of those who got them.

use super::Letter;
use crate::append::is_gone;
use crate::id::{CustomerId, EventId};
use crate::keys;
use crate::port::store::{Expect, Query, Stamp, Write};
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop, as_record};
use crate::protocol::delivery::entry_event;
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{expect_record, put};
use crate::protocol::send::entry::Written;
use crate::protocol::trim;
use crate::shard::Shard;
use crate::timeline::Place;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use omnigate_proto::state::v1::HomeRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Timelines that are written in one commit.
const TOGETHER: usize = 64;
/// Commits that are under way side by side.
const SIDE_BY_SIDE: usize = 32;

/// A message that left, and the event by which the provider would show us the same message, where it does.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol::campaign) struct Left<'a> {
    pub(in crate::protocol::campaign) letter: &'a Letter,
    pub(in crate::protocol::campaign) known_as: Option<EventId>,
}

/// Puts messages that left onto the timelines of their recipients, each once however often it is told; the CustomerEvents to
/// publish. Whoever was erased meanwhile has no timeline any more.
pub(in crate::protocol::campaign) async fn tell(
    context: &Context<'_>,
    tenant_id: &str,
    left: &[Left<'_>],
) -> Result<Vec<Outgoing>, Stop> {
    let mut by_shard: BTreeMap<Shard, Vec<Left<'_>>> = BTreeMap::new();
    for one in left {
        by_shard.entry(one.letter.home.shard()).or_default().push(*one);
    }
    let mut told = Vec::new();
    for (shard, left) in &by_shard {
        told.extend(
            left.chunks(TOGETHER)
                .map(|lot| together(context, tenant_id, *shard, lot)),
        );
    }
    let told = stream::iter(told).buffer_unordered(SIDE_BY_SIDE);
    let told: Vec<Vec<Outgoing>> = told.try_collect().await?;
    Ok(told.into_iter().flatten().collect())
}

/// Those of one shard in one commit, where nothing stands in the way; else one by one.
async fn together(
    context: &Context<'_>,
    tenant_id: &str,
    shard: Shard,
    lot: &[Left<'_>],
) -> Result<Vec<Outgoing>, Stop> {
    let homes: BTreeSet<CustomerId> = lot.iter().map(|left| left.letter.home).collect();
    // Of two in one home the second builds on the first.
    if lot.len() > 1 && homes.len() == lot.len() {
        let queries = lot.iter().map(|left| Query::Record(keys::home(left.letter.home)));
        let answers = context.store.read(shard, queries.collect()).await?;
        let (mut expect, mut write, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for (left, answer) in lot.iter().zip(answers) {
            let loaded: Loaded<HomeRecord> = Loaded::decode(as_record(Some(answer))?, "home")?;
            let home = loaded.value.unwrap_or_default();
            if is_gone(&home, left.letter.thread.birth) {
                continue;
            }
            expect.extend(expects(*left, loaded.stamp));
            let made = make(context, tenant_id, *left, home)?;
            write.extend(made.write);
            told.push(made.told);
        }
        for home in homes {
            context.cache.forget_home(home);
        }
        if expect.is_empty() {
            return Ok(told);
        }
        if let Ended::Committed(_) = context.commit(shard, expect, write).await? {
            return Ok(told);
        }
    }
    let mut told = Vec::new();
    for left in lot {
        told.extend(alone(context, tenant_id, *left).await?);
    }
    Ok(told)
}

/// What the commit of an entry expects: the home as it was read, and that the entry does not stand there yet, nor an echo that
/// was faster.
fn expects(left: Left<'_>, stamp: Option<Stamp>) -> impl Iterator<Item = Expect> {
    let home_id = left.letter.home;
    let place = move |event: EventId| Expect::Field {
        key: keys::places(home_id),
        field: event.to_bytes(),
        value: None,
    };
    std::iter::once(expect_record(keys::home(home_id), stamp))
        .chain([place(entry_event(left.letter.id))])
        .chain(left.known_as.map(place))
}

async fn alone(context: &Context<'_>, tenant_id: &str, left: Left<'_>) -> Result<Option<Outgoing>, Stop> {
    let home_id = left.letter.home;
    let mut remembered = context.cache.home(home_id);
    for _ in 0..MAX_TRIES {
        let loaded = match remembered.take() {
            Some(home) => home,
            None => context.home(home_id).await?,
        };
        let home = loaded.value.as_deref().cloned().unwrap_or_default();
        if is_gone(&home, left.letter.thread.birth) {
            context.cache.forget_home(home_id);
            return Ok(None);
        }
        let expect = expects(left, loaded.stamp).collect();
        let made = make(context, tenant_id, left, home)?;
        match context.commit(home_id.shard(), expect, made.write).await? {
            Ended::Committed(stamp) => {
                let home = Loaded {
                    stamp: Some(stamp),
                    value: Some(Arc::new(made.home)),
                };
                context.cache.keep_home(home_id, home);
                return Ok(Some(made.told));
            }
            // It stands there already.
            Ended::Conflict(found) if found.iter().any(|(position, _)| *position > 0) => return Ok(None),
            Ended::Conflict(_) | Ended::Unknown => context.cache.forget_home(home_id),
        }
    }
    Err(Stop::Contended(MAX_TRIES))
}

/// An entry that is to be written.
struct Made {
    home: HomeRecord,
    told: Outgoing,
    write: Vec<Write>,
}

fn make(
    context: &Context<'_>,
    tenant_id: &str,
    Left { letter, known_as }: Left<'_>,
    mut home: HomeRecord,
) -> Result<Made, Stop> {
    let (home_id, event, now) = (letter.home, entry_event(letter.id), context.now());
    let trace_id = letter.trace([0; 8]).trace_id();
    tenant_id.clone_into(&mut home.tenant_id);
    let written = Written {
        id: letter.id,
        tenant_id,
        message: &letter.message,
        trace_id: &trace_id,
    };
    let entered = written.enter(context, (home_id, &mut home), &letter.thread, now)?;
    let spot = entered.spot;
    let trims = trim::schedule(context, home_id, &mut home);
    let mut write = vec![put(keys::home(home_id), &home)];
    write.extend(entered.write);
    write.extend(known_as.map(|known| Write::SetField {
        key: keys::places(home_id),
        field: known.to_bytes(),
        value: Place::At { spot, entry: event }.encode(known),
    }));
    write.extend(trims);
    let told = entered.added;
    Ok(Made { home, told, write })
}
