//! A broker in front of another that seals what people wrote on its way to the disks of the broker, and opens it on its way
//! to the roles: no role knows of it. See [`omnigate_core::hourly`] for the keys and for how a body is cut by tenants.
//!
//! Sealed are inbound queues and with them the journal, providers' requests, CustomerEvents and what is parked. Hints and
//! intents hold ids and times of ours, and stay as they are. Names, sizes and times of messages can be seen, and which
//! tenant wrote how much.
//!
//! What was not sealed is read as it is, so that sealing can be switched on and off while messages wait. A part whose key is
//! gone holds up nobody: among inbound events it becomes an event that is put aside by itself, in a log it is left out.

mod hour_keys;
mod reading;

use bytes::{Bytes, BytesMut};
use hour_keys::HourKeys;
use omnigate_core::hourly::{self, Hour, closed_event, may_lie_at, portions};
use omnigate_core::keyring::nonce;
use omnigate_core::port::broker::{
    Broker, BrokerError, From, LogName, LogReader, Publication, PublishError, QueueName, Subscription, Topology,
};
use omnigate_core::protocol::Ports;
use omnigate_core::topology;
use omnigate_proto::state::v1::{Parked, SealedBody};
use omnigate_proto::v1::ParkedItem;
use prost::Message as _;
use reading::{OpenedLog, OpenedQueue};
use std::sync::Arc;
use std::time::Duration;

/// The broker as roles see it.
pub struct SealedBroker {
    inner: Arc<dyn Broker>,
    desk: Arc<Desk>,
    seals: bool,
}

/// Seals and opens.
struct Desk {
    ports: Arc<Ports>,
    keys: HourKeys,
}

impl SealedBroker {
    /// In front of `inner`, with keys in the store behind `ports`. With `seals` false it opens only. `kept` is the longest
    /// time for which anything lies in a log.
    #[must_use]
    pub fn new(inner: Arc<dyn Broker>, ports: Arc<Ports>, seals: bool, kept: Duration) -> Self {
        let keys = HourKeys::new(Arc::clone(&ports), hourly::life(kept));
        Self {
            inner,
            desk: Arc::new(Desk { ports, keys }),
            seals,
        }
    }

    /// True when it seals what is published from now on.
    #[must_use]
    pub const fn seals(&self) -> bool {
        self.seals
    }

    /// Keeps the keys of this hour and the next at hand for these tenants, and gives the store back what it forgot. Run it
    /// again and again, a few times an hour at least: then no message waits for a key, and pushes are taken while the store
    /// is away.
    pub async fn look_ahead(&self, tenants: &[String]) {
        if self.seals {
            self.desk.keys.look_ahead(tenants).await;
        }
    }

    async fn sealed(&self, place: &str, body: Bytes) -> Result<Bytes, PublishError> {
        if self.seals {
            self.desk.seal(place, body).await
        } else {
            Ok(body)
        }
    }
}

impl Desk {
    /// The body sealed for its place. One that is sealed already is on its way back to where it was.
    async fn seal(&self, place: &str, body: Bytes) -> Result<Bytes, PublishError> {
        let Some(portions) = portions(place, &body).filter(|_| !hourly::is_sealed(&body)) else {
            return Ok(body);
        };
        let hour = Hour::of(self.ports.clock.now());
        let mut sealed = SealedBody {
            place: place.to_owned(),
            parts: Vec::with_capacity(portions.len()),
        };
        for portion in portions {
            let found = self.keys.to_seal(&portion.tenant_id, hour).await;
            let part = found.and_then(|(hour, keys)| {
                let nonce = nonce(self.ports.entropy.as_ref());
                hourly::seal(place, &portion, hour, keys.first()?, nonce)
            });
            // Nothing leaves unsealed.
            let part = part.ok_or_else(|| PublishError::Unconfirmed("there is no key to seal it with".to_owned()))?;
            sealed.parts.push(part);
        }
        Ok(hourly::encode(&sealed))
    }

    /// The body as roles read it, waiting for the store if need be.
    async fn open(&self, at: &str, body: &Bytes) -> Bytes {
        let opened = match hourly::decode(body).filter(|sealed| may_lie_at(&sealed.place, at)) {
            Some(sealed) => self.open_parts(sealed).await.unwrap_or_else(|| body.clone()),
            // Not sealed, or not for here: whoever reads it puts it aside as what it is.
            None => body.clone(),
        };
        match at == topology::parked().0 {
            true => self.open_parked(opened).await,
            false => opened,
        }
    }

    /// The parts one behind the other; `None` for what must stay as it is because some of it does not open.
    async fn open_parts(&self, sealed: SealedBody) -> Option<Bytes> {
        let place = sealed.place;
        let mut body = BytesMut::new();
        for part in sealed.parts {
            match self.keys.to_open(&place, &part).await {
                Some(opened) if body.is_empty() => body = opened.into(),
                Some(opened) => body.extend_from_slice(&opened),
                None if topology::is_inbound(&place) => body.extend_from_slice(&closed_event(&place, part)),
                None if place == topology::parked().0 => return None,
                None => {}
            }
        }
        Some(body.freeze())
    }

    /// What the broker itself parked holds the message as it lay in its queue.
    async fn open_parked(&self, parked: Bytes) -> Bytes {
        let item = Parked::decode(parked.clone()).and_then(|parked| ParkedItem::decode(parked.item));
        let Ok(item) = item else { return parked };
        let sealed = hourly::decode(&item.body).filter(|sealed| sealed.place == item.origin);
        let Some(sealed) = sealed else { return parked };
        let Some(body) = self.open_parts(sealed).await else {
            return parked;
        };
        let item = ParkedItem { body, ..item };
        let item = item.encode_to_vec().into();
        Parked { item }.encode_to_vec().into()
    }
}

/// Answers in the order of what was asked: of what could not be sealed, why; of the rest, what the broker said.
fn told(
    sealed: Vec<Result<(), PublishError>>,
    answers: Vec<Result<(), PublishError>>,
) -> Vec<Result<(), PublishError>> {
    let mut answers = answers.into_iter();
    let missing = || Err(PublishError::Unconfirmed("the broker did not answer".to_owned()));
    sealed
        .into_iter()
        .map(|sealed| sealed.and_then(|()| answers.next().unwrap_or_else(missing)))
        .collect()
}

#[async_trait::async_trait]
impl Broker for SealedBroker {
    async fn declare(&self, topology: Topology) -> Result<(), BrokerError> {
        self.inner.declare(topology).await
    }

    async fn publish(&self, messages: Vec<Publication>) -> Vec<Result<(), PublishError>> {
        let (mut sealed, mut ready) = (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
        for message in messages {
            let body = self.sealed(&message.queue.0, message.body).await;
            sealed.push(body.map(|body| ready.push(Publication { body, ..message })));
        }
        told(sealed, self.inner.publish(ready).await)
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Subscription>, BrokerError> {
        let inner = self.inner.subscribe(queue, prefetch).await?;
        Ok(Box::new(OpenedQueue::new(inner, Arc::clone(&self.desk), queue)))
    }

    async fn append(&self, log: &LogName, entries: Vec<Bytes>) -> Vec<Result<(), PublishError>> {
        let (mut sealed, mut ready) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for entry in entries {
            let entry = self.sealed(&log.0, entry).await;
            sealed.push(entry.map(|entry| ready.push(entry)));
        }
        told(sealed, self.inner.append(log, ready).await)
    }

    async fn read(&self, log: &LogName, from: From) -> Result<Box<dyn LogReader>, BrokerError> {
        let inner = self.inner.read(log, from).await?;
        Ok(Box::new(OpenedLog::new(inner, Arc::clone(&self.desk), log)))
    }

    fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }
}

#[cfg(test)]
mod tests;
