//! Messages of ours as they stand in the store: what they say and whom they reach is sealed once, when they are accepted,
//! with the key of their thread. Where they stand changes often and is not.

use super::Stored;
use crate::append::is_thread;
use crate::id::MessageId;
use crate::keyring::{self, nonce};
use crate::port::Entropy;
use crate::port::store::StoreError;
use bytes::{Bytes, BytesMut};
use omnigate_proto::state::v1::{DeliveryContent, DeliveryRecord, ThreadRecord};
use omnigate_proto::v1::Delivery;
use prost::Message as _;

impl Stored<'_> {
    /// Seals what a message says, where the operator's keys are to. It stays in the record beside its seal, for whoever works
    /// on it now; [`stored`] leaves it out.
    pub fn seal_delivery(
        &self,
        id: MessageId,
        record: &mut DeliveryRecord,
        entropy: &dyn Entropy,
    ) -> Result<(), StoreError> {
        let thread = self.thread_of(record).filter(|thread| !thread.data_key.is_empty());
        let (Some(thread), Some(delivery)) = (thread.filter(|_| self.keyring.seals_content()), &record.delivery) else {
            return Ok(());
        };
        let content = DeliveryContent {
            message: delivery.message.clone(),
            peer: delivery.peer.clone(),
            peer_provider_form: record.peer_provider_form.clone(),
        };
        let content = content.encode_to_vec();
        let mut sealed = BytesMut::with_capacity(content.len() + 32);
        let key = self.key(thread)?;
        keyring::seal_with(&key, &self.place_of_delivery(id), nonce(entropy), &content, &mut sealed)
            .ok_or_else(|| StoreError::Corrupt("a message cannot be sealed".to_owned()))?;
        record.sealed = sealed.freeze();
        Ok(())
    }

    /// Puts what a stored message says back. It stays without where its thread was erased.
    pub fn open_delivery(&self, id: MessageId, record: &mut DeliveryRecord) -> Result<(), StoreError> {
        let Some(thread) = self.thread_of(record).filter(|_| !record.sealed.is_empty()) else {
            return Ok(());
        };
        let corrupt = |what: &str| StoreError::Corrupt(format!("message {id}: {what}"));
        let opened = keyring::open_with(&self.key(thread)?, &self.place_of_delivery(id), &record.sealed);
        let opened = opened.map_err(|closed| corrupt(&closed.to_string()))?;
        let content = DeliveryContent::decode(opened).map_err(|error| corrupt(&error.to_string()))?;
        record.peer_provider_form = content.peer_provider_form;
        if let Some(delivery) = &mut record.delivery {
            delivery.message = content.message;
            delivery.peer = content.peer;
        }
        Ok(())
    }

    fn thread_of(&self, record: &DeliveryRecord) -> Option<&ThreadRecord> {
        let account = &record.delivery.as_ref()?.account_id;
        let mut threads = self.home.threads.iter();
        threads.find(|thread| is_thread(thread, &record.birth, account))
    }

    fn place_of_delivery(&self, id: MessageId) -> Vec<u8> {
        [b"delivery".as_slice(), &self.id.0, &id.0].concat()
    }
}

/// The record as it is stored: without what is sealed in it.
#[must_use]
pub fn stored(record: &DeliveryRecord) -> Bytes {
    if record.sealed.is_empty() {
        return record.encode_to_vec().into();
    }
    let delivery = record.delivery.as_ref().map(|delivery| Delivery {
        message: None,
        peer: None,
        ..delivery.clone()
    });
    let outside = DeliveryRecord {
        delivery,
        peer_provider_form: String::new(),
        ..record.clone()
    };
    outside.encode_to_vec().into()
}
