//! Writes a message down: delivery, entry, chain, timer and what it means for its conversation, in the home of its thread.

use super::entry::Written;
use super::{NotAccepted, Request};
use crate::append::{is_gone, thread_of};
use crate::conversation::{Changes, Desk, answer, has_words};
use crate::delivery::{self, Plan};
use crate::id::{CustomerId, MessageId};
use crate::keys;
use crate::port::store::{Stamp, Write};
use crate::protocol::context::{Context, Ended, MAX_TRIES, Stop};
use crate::protocol::conversation;
use crate::protocol::delivery::{entry_event, get, move_timer, put_delivery, remember};
use crate::protocol::destination::Destination;
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{expect_record, insert_outgoing, put};
use crate::protocol::trim;
use crate::time::Moment;
use omnigate_proto::state::v1::{DeliveryRecord, HomeRecord, ThreadRecord};
use std::sync::Arc;

/// Delivery, entry, chain and timer in one commit; gives back the delivery that is there when it has been made before. One
/// that is new is taken not to be there, and its home to be as it is remembered; the conflict tells when that is wrong.
pub(super) async fn create(
    context: &Context<'_>,
    request: &Request,
    (id, is_new): (MessageId, bool),
    place: &Destination,
    outgoing: &mut Vec<Outgoing>,
) -> Result<Arc<DeliveryRecord>, NotAccepted> {
    let home_id = place.owner.home;
    let mut remembered = context.cache.home(home_id).filter(|_| is_new);
    for attempt in 0..MAX_TRIES {
        if (attempt > 0 || !is_new)
            && let Some(made) = get(context, id).await?
        {
            return Ok(Arc::new(made));
        }
        let loaded = match remembered.take() {
            Some(home) => home,
            None => context.home(home_id).await?,
        };
        if loaded
            .value
            .as_ref()
            .is_some_and(|home| is_gone(home, place.thread.birth))
        {
            context.cache.forget_home(home_id);
            return Err(NotAccepted::Erased);
        }
        let home = loaded.value.as_deref().cloned().unwrap_or_default();
        let made = make(context, request, id, place, home)?;
        let expect = vec![
            expect_record(keys::delivery(id), None),
            expect_record(keys::home(home_id), loaded.stamp),
        ];
        if let Ended::Committed(stamp) = context.commit(home_id.shard(), expect, made.write).await? {
            outgoing.extend(made.told);
            return created(
                context,
                request,
                stamp,
                (id, made.record),
                (home_id, made.home),
                outgoing,
            )
            .await;
        }
        context.cache.forget_home(home_id);
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// A delivery that is to be written.
struct Made {
    record: DeliveryRecord,
    home: HomeRecord,
    told: Vec<Outgoing>,
    write: Vec<Write>,
}

/// Delivery, entry, chain and timer of a message, in its home as it was read.
fn make(
    context: &Context<'_>,
    request: &Request,
    id: MessageId,
    place: &Destination,
    mut home: HomeRecord,
) -> Result<Made, NotAccepted> {
    let (home_id, now) = (place.owner.home, context.now());
    request.tenant_id.clone_into(&mut home.tenant_id);
    let plan = plan(request, id, place, thread_of(&mut home, &place.thread));
    let mut record = plan.record(now);
    let due = request.send_at <= now;
    if due && !delivery::join(thread_of(&mut home, &place.thread), id) {
        return Err(NotAccepted::ChainFull);
    }
    let written = Written {
        id,
        tenant_id: &plan.tenant_id,
        message: &plan.message,
        trace_id: &plan.trace_id,
    };
    let entered = written
        .enter(context, (home_id, &mut home), &place.thread, now)
        .map_err(Stop::from)?;
    record.entry_member = keys::timeline_member(entered.spot, entry_event(id));
    let sealing = context.stored(home_id, &home);
    sealing
        .seal_delivery(id, &mut record, context.entropy)
        .map_err(Stop::from)?;
    let (told, of_conversations) = noted(context, request, (home_id, &mut home), place, id, now);
    let trims = trim::schedule(context, home_id, &mut home);
    let mut write = vec![put_delivery(id, &record), put(keys::home(home_id), &home)];
    write.extend(entered.write);
    write.extend(of_conversations);
    write.extend(trims);
    write.extend(move_timer(id, 0, record.timer_ms, bytes::Bytes::new()));
    Ok(Made {
        record,
        home,
        told: std::iter::once(entered.added).chain(told).collect(),
        write,
    })
}

/// Remembers what was written, and carries what it means to a conversation of another home.
async fn created(
    context: &Context<'_>,
    request: &Request,
    stamp: Stamp,
    (id, record): (MessageId, DeliveryRecord),
    (home_id, home): (CustomerId, HomeRecord),
    outgoing: &mut Vec<Outgoing>,
) -> Result<Arc<DeliveryRecord>, NotAccepted> {
    let record = Arc::new(record);
    let carries = has_words(&home);
    remember(context, stamp, (id, &record), Some((home_id, home)));
    if carries {
        outgoing.extend(conversation::carry(context, home_id, &request.trace_id).await?);
    }
    Ok(record)
}

/// What the message means for the conversation of its thread, if there is one: what others are told, and what is written.
fn noted(
    context: &Context<'_>,
    request: &Request,
    (home_id, home): (CustomerId, &mut HomeRecord),
    place: &Destination,
    id: MessageId,
    now: Moment,
) -> (Vec<Outgoing>, Vec<Write>) {
    let mut changes = Changes::default();
    let at = now.max(request.send_at);
    let word = answer(&request.message, request.lane, at, id.to_string());
    let mut desk = Desk {
        id: home_id,
        home,
        rules: context.rules,
        now,
        trace_id: &request.trace_id,
        changes: &mut changes,
    };
    desk.note(place.thread.birth, &place.thread.account_id, &word);
    let told = conversation::told_of(home_id, &mut changes);
    let mut write: Vec<Write> = told.iter().map(insert_outgoing).collect();
    write.extend(conversation::writes(&request.tenant_id, home_id, changes));
    (told, write)
}

fn plan(request: &Request, id: MessageId, place: &Destination, thread: &ThreadRecord) -> Plan {
    Plan {
        id,
        tenant_id: request.tenant_id.clone(),
        thread_id: place.id,
        customer: place.owner.customer,
        home: place.owner.home,
        birth: place.owner.birth,
        account_id: place.thread.account_id.clone(),
        channel: place.thread.channel.clone(),
        peer: place.thread.peer.clone(),
        peer_provider_form: thread.peer_provider_form.clone(),
        message: request.message.clone(),
        send_at: request.send_at,
        expire_at: request.expire_at,
        lane: request.lane,
        on_unknown: request.on_unknown,
        traceparent: request.traceparent.clone(),
        trace_id: request.trace_id.clone(),
    }
}
