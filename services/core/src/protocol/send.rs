//! Accepts messages for sending, once for each request.

pub use super::destination::{Target, thread_of_customer};

mod create;
pub(super) mod entry;

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop, found_record};
use super::destination::{Destination, find, place_of};
use super::outbox::Outgoing;
use super::resolve::{expect_record, is_owned, put};
use crate::delivery;
use crate::id::{MessageId, hash};
use crate::identifier;
use crate::keys;
use crate::port::store::{Shape, Write};
use crate::shard::Shard;
use crate::time::Moment;
use create::create;
use omnigate_proto::state::v1::{DeliveryRecord, RequestRecord};
use omnigate_proto::v1::{Lane, Message, UnknownPolicy};
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
                let place = place_of(
                    context,
                    &request.tenant_id,
                    (thread, &record.account_id, &record.channel),
                )
                .await?;
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
