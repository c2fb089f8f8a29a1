//! Messages of a campaign on the timelines of those who got them.

use super::Letter;
use crate::append::is_gone;
use crate::customer_event::Happened;
use crate::id::EventId;
use crate::keys;
use crate::port::store::{Expect, Write};
use crate::protocol::append::insert_entry;
use crate::protocol::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use crate::protocol::delivery::entry_event;
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{expect_record, insert_outgoing, put, to_outbox};
use crate::protocol::send::entry::{Written, place_entry};
use crate::protocol::trim;
use crate::timeline::stored::give_keys;
use crate::timeline::{Place, Spot};
use omnigate_proto::state::v1::HomeRecord;
use std::sync::Arc;

/// Puts a message that left onto the timeline of its recipient, once however often it is told; the CustomerEvents to publish.
/// Whoever was erased meanwhile has no timeline any more.
///
/// `known_as` is the event by which the provider would show us the same message, where it does.
pub(in crate::protocol::campaign) async fn tell(
    context: &Context<'_>,
    tenant_id: &str,
    letter: &Letter,
    known_as: Option<EventId>,
) -> Result<Vec<Outgoing>, Stop> {
    let home_id = letter.home;
    let mut remembered = context.cache.home(home_id);
    for _ in 0..MAX_TRIES {
        let loaded = match remembered.take() {
            Some(home) => home,
            None => context.home(home_id).await?,
        };
        let home = loaded.value.as_deref().cloned().unwrap_or_default();
        if is_gone(&home, letter.thread.birth) {
            context.cache.forget_home(home_id);
            return Ok(Vec::new());
        }
        let place = |event: EventId| Expect::Field {
            key: keys::places(home_id),
            field: event.to_bytes(),
            value: None,
        };
        let expect = std::iter::once(expect_record(keys::home(home_id), loaded.stamp))
            .chain([place(entry_event(letter.id))])
            // An echo that was faster stands there for it.
            .chain(known_as.map(place));
        let made = make(context, tenant_id, letter, known_as, home)?;
        match context.commit(home_id.shard(), expect.collect(), made.write).await? {
            Ended::Committed(stamp) => {
                let home = Loaded {
                    stamp: Some(stamp),
                    value: Some(Arc::new(made.home)),
                };
                context.cache.keep_home(home_id, home);
                return Ok(vec![made.told]);
            }
            // It stands there already.
            Ended::Conflict(found) if found.iter().any(|(position, _)| *position > 0) => return Ok(Vec::new()),
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
    letter: &Letter,
    known_as: Option<EventId>,
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
    let entry = written.entry(&mut home, &letter.thread, now);
    let spot = Spot {
        shown_at: now,
        home_seq: home.home_seq,
    };
    give_keys(&mut home, home_id, context.keyring, context.entropy);
    let happened = Happened {
        tenant_id,
        home: home_id,
        home_seq: home.home_seq,
        at: now,
        trace_id: &trace_id,
    };
    let told = to_outbox(home_id, home.home_seq, happened.entry_added(event, now, &entry));
    let trims = trim::schedule(context, home_id, &mut home);
    let mut write = vec![
        put(keys::home(home_id), &home),
        insert_entry(context, (home_id, &home), event, spot, &entry)?,
        place_entry(home_id, letter.id, spot),
        insert_outgoing(&told),
    ];
    write.extend(known_as.map(|known| Write::SetField {
        key: keys::places(home_id),
        field: known.to_bytes(),
        value: Place::At { spot, entry: event }.encode(known),
    }));
    write.extend(trims);
    Ok(Made { home, told, write })
}
