//! What people say, as unify gets it; both who plays the protocol and who drives it on a real store have it.

use omnigate_core::append::Arrival;
use omnigate_core::id::{EventId, hash};
use omnigate_core::identity::Named;
use omnigate_core::protocol::identity::Person;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{
    Event, Evidence, Identifier, IdentifierEvidence, Message, Part, Text, event::Kind, part::Content,
};
use prost::Message as _;

pub(crate) const TENANT: &str = "t";

pub(crate) fn person(identifier: &Identifier) -> Person {
    Person::Named(Named {
        identifier: identifier.clone(),
        evidence: Evidence::Vouched,
        provider_form: String::new(),
    })
}

/// The event of a message.
pub(crate) fn event_id(name: &str) -> EventId {
    EventId::from_bytes(&hash("simulated event", &[name.as_bytes()])[..16]).unwrap()
}

/// A message that comes by its last identifier; the channel vouches for all.
pub(crate) fn arrival(name: &str, identifiers: &[Identifier], received_at: Moment) -> Arrival {
    let vouched = |identifier: &Identifier| IdentifierEvidence {
        identifier: Some(identifier.clone()),
        evidence: Evidence::Vouched.into(),
        provider_form: String::new(),
    };
    let id = event_id(name);
    let text = Content::Text(Text {
        text: name.into(),
        ..Text::default()
    });
    let event = Event {
        event_id: id.to_string(),
        tenant_id: TENANT.into(),
        account_id: "account".into(),
        channel: "test".into(),
        peer: identifiers.last().cloned(),
        identifiers: identifiers.iter().map(vouched).collect(),
        received_at: Some(received_at.to_timestamp()),
        provider_message_id: name.into(),
        kind: Some(Kind::Message(Message {
            parts: vec![Part { content: Some(text) }],
            ..Message::default()
        })),
        ..Event::default()
    };
    Arrival {
        id,
        bytes: event.encode_to_vec().into(),
        event,
        received_at,
    }
}
