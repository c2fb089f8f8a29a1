//! What an event says about consents.

use super::Arrival;
use crate::consent::{Said, What, purposes_of};
use crate::id::hash;
use omnigate_proto::v1::{SubscriptionState, event::Kind};

/// The facts that an event adds to the ledger of its peer: one for each purpose that its topic is about. They count from
/// when the event was received, as everything in a thread does: providers' clocks differ.
pub(super) fn wishes_of(arrival: &Arrival) -> Vec<Said> {
    let Some(Kind::Subscription(wish)) = &arrival.event.kind else {
        return Vec::new();
    };
    let what = match wish.state() {
        SubscriptionState::Unsubscribed => What::Refused(arrival.id),
        SubscriptionState::Subscribed => What::TookBack(arrival.id),
        SubscriptionState::Requested | SubscriptionState::Unspecified => return Vec::new(),
    };
    let said = purposes_of(&wish.topic).iter().map(|purpose| {
        let mut id = [0; 16];
        id.copy_from_slice(&hash("wish", &[&arrival.id.0, purpose.as_str_name().as_bytes()])[..16]);
        Said {
            id,
            channel: arrival.event.channel.clone(),
            purpose: *purpose,
            at: arrival.received_at,
            what: what.clone(),
        }
    });
    said.collect()
}
