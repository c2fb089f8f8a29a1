//! Law and wishes, checked at the moment of sending: what the peer refused, and the provider's reply window.

use super::{Terms, note, of, receipt};
use crate::consent;
use crate::time::Moment;
use crate::window;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{Delivery, ErrorClass, Identifier, Message, Part, Purpose, SendError, part::Content};

/// Whether a message may leave.
pub(super) enum Verdict {
    AsItIs,
    /// Its alternative may, because of this.
    Alternative(&'static str),
    Refused(SendError),
}

/// Looks at a message of which nothing has left.
pub(super) fn check(record: &DeliveryRecord, terms: Terms<'_>, now: Moment) -> Verdict {
    let (Some(delivery), Some(thread)) = (&record.delivery, terms.thread) else {
        return Verdict::AsItIs;
    };
    if delivery.pieces.iter().any(receipt::is_proven) {
        return Verdict::AsItIs;
    }
    let message = delivery.message.as_ref();
    let purpose = message.map_or(Purpose::Service, Message::purpose);
    // Known without a look into the store, and so decided before one; the other layers are asked by the protocol.
    let is_refused = |topic: &str| consent::purposes_of(topic).contains(&purpose);
    if thread.refused.iter().any(|refused| is_refused(&refused.topic)) {
        return Verdict::Refused(SendError {
            class: ErrorClass::Refused.into(),
            provider_code: "opted_out".to_owned(),
            text: "the recipient opted out of marketing".to_owned(),
            ..SendError::default()
        });
    }
    let closed = terms.window.is_some_and(|rule| window::is_closed(rule, thread, now));
    if !closed || delivery.alternative_used || message.is_some_and(window::needs_none) {
        return Verdict::AsItIs;
    }
    if has_alternative(delivery) {
        return Verdict::Alternative("the reply window is closed");
    }
    Verdict::Refused(SendError {
        class: ErrorClass::Policy.into(),
        provider_code: "window_closed".to_owned(),
        text: "the reply window of the thread is closed and the message has no alternative".to_owned(),
        outside_window: true,
        ..SendError::default()
    })
}

/// True when the message may still go out as its alternative.
pub(super) fn has_alternative(delivery: &Delivery) -> bool {
    !delivery.alternative_used
        && delivery
            .message
            .as_ref()
            .and_then(|message| message.alternative.as_ref())
            .is_some_and(|alternative| alternative.template.is_some())
}

/// From here on the alternative is what leaves.
pub(super) fn use_alternative(record: &mut DeliveryRecord, now: Moment, why: &str) {
    of(record).alternative_used = true;
    note(
        record,
        now,
        "dispatch",
        "alternative",
        format!("{why}: the alternative is sent"),
    );
}

/// What a delivery hands to the adapter, and for whom.
#[derive(Clone, PartialEq, Debug)]
pub struct Leaving {
    /// Content.
    pub message: Message,
    /// Whom it reaches.
    pub peer: Identifier,
    /// The peer as the provider writes it, when different.
    pub peer_provider_form: String,
}

/// What is sent: the message, or its alternative once that took its place. `None` when the record is damaged.
#[must_use]
pub fn leaving(record: &DeliveryRecord) -> Option<Leaving> {
    let delivery = record.delivery.as_ref()?;
    let (message, peer) = (delivery.message.as_ref()?, delivery.peer.as_ref()?);
    let alternative = message.alternative.as_ref().filter(|_| delivery.alternative_used);
    let Some(alternative) = alternative else {
        return Some(Leaving {
            message: message.clone(),
            peer: peer.clone(),
            peer_provider_form: record.peer_provider_form.clone(),
        });
    };
    let template = Part {
        content: Some(Content::Template(alternative.template.clone()?)),
    };
    let message = Message {
        parts: vec![template],
        purpose: message.purpose,
        ..Message::default()
    };
    Some(match alternative.phone.as_str() {
        "" => Leaving {
            message,
            peer: peer.clone(),
            peer_provider_form: record.peer_provider_form.clone(),
        },
        phone => Leaving {
            message,
            peer: Identifier {
                r#type: "phone".to_owned(),
                scope: String::new(),
                value: phone.to_owned(),
            },
            peer_provider_form: String::new(),
        },
    })
}
