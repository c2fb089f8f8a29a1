//! A message as it is accepted.

use super::{LOOK_AGAIN, note};
use crate::id::{Birth, CustomerId, MessageId, ThreadId};
use crate::time::Moment;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{Delivery, DeliveryState, Identifier, Lane, Message, UnknownPolicy};

/// What is known of a message when it is accepted.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Id.
    pub id: MessageId,
    /// Tenant.
    pub tenant_id: String,
    /// Thread.
    pub thread_id: ThreadId,
    /// Owner of the thread's identifier.
    pub customer: CustomerId,
    /// Home of the thread.
    pub home: CustomerId,
    /// Reservation token of the peer.
    pub birth: Birth,
    /// Account.
    pub account_id: String,
    /// Kind of channel.
    pub channel: String,
    /// Peer.
    pub peer: Identifier,
    /// Peer as the provider writes it.
    pub peer_provider_form: String,
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
    /// Trace of the accepting call.
    pub traceparent: String,
    /// Its trace id.
    pub trace_id: String,
}

impl Plan {
    /// The record of the accepted message; its timer looks at it when it is due, or soon.
    #[must_use]
    pub fn record(&self, now: Moment) -> DeliveryRecord {
        let delivery = Delivery {
            message_id: self.id.to_string(),
            tenant_id: self.tenant_id.clone(),
            thread_id: self.thread_id.to_string(),
            customer_id: self.customer.to_string(),
            account_id: self.account_id.clone(),
            channel: self.channel.clone(),
            peer: Some(self.peer.clone()),
            state: DeliveryState::Planned.into(),
            message: Some(self.message.clone()),
            created_at: Some(now.to_timestamp()),
            send_at: Some(self.send_at.to_timestamp()),
            expire_at: Some(self.expire_at.to_timestamp()),
            updated_at: Some(now.to_timestamp()),
            lane: self.lane.into(),
            trace_id: self.trace_id.clone(),
            on_unknown: self.on_unknown.into(),
            ..Delivery::default()
        };
        let mut record = DeliveryRecord {
            delivery: Some(delivery),
            home: self.home.to_bytes(),
            birth: self.birth.to_bytes(),
            peer_provider_form: self.peer_provider_form.clone(),
            traceparent: self.traceparent.clone(),
            timer_ms: self.send_at.0.max((now + LOOK_AGAIN).0),
            ..DeliveryRecord::default()
        };
        if self.send_at > now {
            record.timer_ms = self.send_at.0;
        }
        note(&mut record, now, "api", "received", String::new());
        record
    }
}
