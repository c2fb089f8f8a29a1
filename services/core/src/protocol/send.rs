//! Accepts messages for sending, once for each request.

pub use super::destination::{Target, thread_of_customer};

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, found_record};
use super::conversation;
use super::delivery::{entry_event, move_timer, remember};
use super::destination::{Destination, find, place_of};
use super::outbox::Outgoing;
use super::resolve::{expect_record, insert_outgoing, is_owned, put, to_outbox};
use crate::append::{ThreadKey, is_gone, thread_of};
use crate::conversation::{Changes, Desk, answer, has_words};
use crate::customer_event::Happened;
use crate::delivery::{self, Plan};
use crate::id::{CustomerId, MessageId, hash};
use crate::identifier;
use crate::keys;
use crate::port::store::{Shape, Stamp, Write};
use crate::shard::Shard;
use crate::time::Moment;
use crate::timeline::stored::give_keys;
use crate::timeline::{Place, Spot};
use omnigate_proto::state::v1::{DeliveryRecord, EntryRecord, HomeRecord, RequestRecord};
use omnigate_proto::v1::{Direction, Event, Lane, Message, UnknownPolicy, event::Kind};
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;

/// How long a request id is remembered.
const REQUEST_KEPT: Duration = Duration::from_secs(24 * 3600);

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// Tenant.
    pub tenant_id: String,
    /// Chosen by the caller.
    pub request_id: String,
    /// Hash of everything else in it.
    pub body_hash: [u8; 32],
    /// Whom to reach.
    pub target: Target,
    /// Content.
    pub message: Message,
    /// Not before.
    pub send_at: Moment,
    /// Not after.
    pub expire_at: Moment,
    /// Lane.
    pub lane: Lane,
    /// What to do when nobody knows.
    pub on_unknown: UnknownPolicy,
    /// Trace of the call.
    pub traceparent: String,
    /// Its trace id.
    pub trace_id: String,
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// The request id was used for something else.
    #[error("request id was used with another body")]
    RequestIdReused,
    /// There is no such thread.
    #[error("no such thread")]
    NoSuchThread,
    /// There is no such customer.
    #[error("no such customer")]
    NoSuchCustomer,
    /// The customer has no thread that can be written to.
    #[error("the customer has no reachable thread")]
    NoThread,
    /// The recipient was erased.
    #[error("the recipient was erased")]
    Erased,
    /// Too many messages of the thread wait already.
    #[error("{} messages of the thread wait to leave", delivery::MAX_CHAIN)]
    ChainFull,
    /// The store did not let it happen; trying again with the same request id goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<crate::port::store::StoreError> for NotAccepted {
    fn from(error: crate::port::store::StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// An accepted message.
#[derive(Debug)]
pub struct Accepted {
    /// Its delivery.
    pub record: Arc<DeliveryRecord>,
    /// CustomerEvents to publish.
    pub outgoing: Vec<Outgoing>,
}

fn request_place(request: &Request) -> (Shard, bytes::Bytes) {
    let digest = hash(
        "request",
        &[request.tenant_id.as_bytes(), request.request_id.as_bytes()],
    );
    (Shard::new(digest[0]), keys::request(digest))
}

/// True when a request of this id was decided on before; [`accept`] then gives the same answer, whatever has changed since.
pub async fn is_known(context: &Context<'_>, request: &Request) -> Result<bool, Stop> {
    let (shard, key) = request_place(request);
    let known: Loaded<RequestRecord> = context.record(shard, key, "request").await?;
    Ok(known.value.is_some())
}

/// Accepts a message: afterwards it is durable and will be attempted.
pub async fn accept(context: &Context<'_>, request: &Request) -> Result<Accepted, NotAccepted> {
    let (shard, key) = request_place(request);
    let mut outgoing = Vec::new();
    let mut known = first_look(context, request, shard, &key).await?;
    for _ in 0..MAX_TRIES {
        match known.value {
            Some(record) if record.body_hash.as_ref() != request.body_hash => return Err(NotAccepted::RequestIdReused),
            Some(record) => {
                let thread = record.thread_id.parse().map_err(|_| NotAccepted::NoSuchThread)?;
                let place = place_of(context, thread, &record.account_id, &record.channel).await?;
                let id = id_of(&record)?;
                if !record.birth.is_empty() && record.birth != place.thread.birth.to_bytes() {
                    return Err(NotAccepted::Erased);
                }
                let record = create(context, request, (id, false), &place, &mut outgoing).await?;
                return Ok(Accepted { record, outgoing });
            }
            None => {
                let place = find(context, request, &mut outgoing).await?;
                let record = request_record(request, &place, context.now());
                let expect = vec![expect_record(key.clone(), known.stamp)];
                let expire = Write::Expire {
                    shape: Shape::Record,
                    key: key.clone(),
                    after: REQUEST_KEPT,
                };
                let write = vec![put(key.clone(), &record), expire];
                let found = match context.commit(shard, expect, write).await? {
                    Ended::Committed(stamp) => {
                        let created = create(context, request, (id_of(&record)?, true), &place, &mut outgoing).await;
                        if !is_somebody_else_now(context, request, &created) {
                            let record = created?;
                            return Ok(Accepted { record, outgoing });
                        }
                        known = Loaded {
                            stamp: Some(stamp),
                            value: None,
                        };
                        continue;
                    }
                    Ended::Conflict(found) => found_record(&found, 0),
                    Ended::Unknown => None,
                };
                known = match found {
                    Some(found) => Loaded::decode(found, "request")?,
                    None => context.record(shard, key.clone(), "request").await?,
                };
            }
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// True when the owner that this process remembered of an identifier was erased: whoever has it now is to be asked for.
fn is_somebody_else_now(
    context: &Context<'_>,
    request: &Request,
    created: &Result<Arc<DeliveryRecord>, NotAccepted>,
) -> bool {
    let (Target::Identifier { named, .. }, Err(NotAccepted::Erased)) = (&request.target, created) else {
        return false;
    };
    let key = identifier::key(&request.tenant_id, &named.identifier);
    context.cache.forget_owner(key);
    true
}

fn id_of(record: &RequestRecord) -> Result<MessageId, NotAccepted> {
    MessageId::from_bytes(&record.created_id).ok_or(NotAccepted::NoSuchThread)
}

/// What is known of a request before anything is tried. A request is seldom repeated: where finding its thread can change
/// nothing it is taken to be new, and the conflict tells when it is not.
async fn first_look(
    context: &Context<'_>,
    request: &Request,
    shard: Shard,
    key: &bytes::Bytes,
) -> Result<Loaded<RequestRecord>, Stop> {
    let changes_nothing = match &request.target {
        Target::Identifier { named, .. } => is_owned(context, &request.tenant_id, named),
        Target::Thread { .. } | Target::Customer { .. } => false,
    };
    if changes_nothing {
        return Ok(Loaded {
            stamp: None,
            value: None,
        });
    }
    Ok(context.record(shard, key.clone(), "request").await?)
}

fn request_record(request: &Request, place: &Destination, now: Moment) -> RequestRecord {
    let id = MessageId::new(place.owner.home.shard(), &request.tenant_id, &request.request_id);
    RequestRecord {
        body_hash: bytes::Bytes::copy_from_slice(&request.body_hash),
        created_id: id.to_bytes(),
        thread_id: place.id.to_string(),
        at_ms: now.0,
        account_id: place.thread.account_id.clone(),
        channel: place.thread.channel.clone(),
        birth: place.thread.birth.to_bytes(),
    }
}

/// Delivery, entry, chain and timer in one commit; gives back the delivery that is there when it has been made before. One
/// that is new is taken not to be there, and its home to be as it is remembered; the conflict tells when that is wrong.
async fn create(
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
            && let Some(made) = super::delivery::get(context, id).await?
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
    let entry = entry(&mut home, &plan, &place.thread, now);
    let spot = Spot {
        shown_at: now,
        home_seq: home.home_seq,
    };
    record.entry_member = keys::timeline_member(spot, entry_event(id));
    give_keys(&mut home, home_id, context.keyring, context.entropy);
    let added = Happened {
        tenant_id: &request.tenant_id,
        home: home_id,
        home_seq: home.home_seq,
        at: now,
        trace_id: &request.trace_id,
    };
    let added = to_outbox(home_id, home.home_seq, added.entry_added(entry_event(id), now, &entry));
    let (told, of_conversations) = noted(context, request, (home_id, &mut home), place, id, now);
    let mut write = vec![
        put(keys::delivery(id), &record),
        put(keys::home(home_id), &home),
        super::append::insert_entry(context, (home_id, &home), entry_event(id), spot, &entry)?,
        place_entry(home_id, id, spot),
        insert_outgoing(&added),
    ];
    write.extend(of_conversations);
    write.extend(move_timer(id, 0, record.timer_ms, bytes::Bytes::new()));
    Ok(Made {
        record,
        home,
        told: std::iter::once(added).chain(told).collect(),
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

/// Lets the entry be found by its event.
fn place_entry(home_id: CustomerId, id: MessageId, spot: Spot) -> Write {
    let entry = entry_event(id);
    Write::SetField {
        key: keys::places(home_id),
        field: entry.to_bytes(),
        value: Place::At { spot, entry }.encode(entry),
    }
}

fn plan(
    request: &Request,
    id: MessageId,
    place: &Destination,
    thread: &omnigate_proto::state::v1::ThreadRecord,
) -> Plan {
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

/// The message as an entry of the timeline, numbered.
fn entry(home: &mut HomeRecord, plan: &Plan, thread: &ThreadKey, now: Moment) -> EntryRecord {
    home.home_seq += 1;
    home.entry_count += 1;
    home.newest_shown_ms = home.newest_shown_ms.max(now.0);
    let home_seq = home.home_seq;
    let thread = thread_of(home, thread);
    thread.thread_seq += 1;
    thread.last_outbound_ms = thread.last_outbound_ms.max(now.0);
    thread.outbound_count += 1;
    let event = Event {
        event_id: entry_event(plan.id).to_string(),
        tenant_id: plan.tenant_id.clone(),
        account_id: plan.account_id.clone(),
        channel: plan.channel.clone(),
        occurred_at: Some(now.to_timestamp()),
        received_at: Some(now.to_timestamp()),
        direction: Direction::Outbound.into(),
        peer: Some(plan.peer.clone()),
        thread_id: plan.thread_id.to_string(),
        trace_id: plan.trace_id.clone(),
        kind: Some(Kind::Message(plan.message.clone())),
        ..Event::default()
    };
    EntryRecord {
        event: event.encode_to_vec().into(),
        birth: plan.birth.to_bytes(),
        received_at_ms: now.0,
        thread_seq: thread.thread_seq,
        thread: thread.number,
        home_seq,
        applied_at_ms: now.0,
        message_id: plan.id.to_bytes(),
        ..EntryRecord::default()
    }
}
