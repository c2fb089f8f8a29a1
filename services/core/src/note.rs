//! Entries that come by no channel: notes of the company's people, and changes of who is who. They are born at a customer
//! record's built-in identifier, by which merges take them along and splits give them back.

use crate::append::Arrival;
use crate::event::event_id_of_message;
use crate::id::{CustomerId, EventId, TransactionId, hash};
use crate::identity::built_in;
use crate::time::Moment;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::{
    Author, Deletion, Direction, Edit, Event, IdentityChange, IdentityChangeKind, Message, Note, Part, Profile, Text,
    event::Kind,
};
use prost::Message as _;
use unicode_normalization::UnicodeNormalization as _;

/// Where and by whose command something is written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// Tenant.
    pub tenant_id: &'a str,
    /// Home: the customer record it is born in.
    pub home: CustomerId,
    /// Names the command; the same command is written once.
    pub command: &'a str,
    /// Who writes.
    pub author: &'a str,
    /// When.
    pub at: Moment,
    /// Trace id of the call.
    pub trace_id: &'a str,
}

/// A note. Its event has the id of a message, so that later edits find it as those of messages do.
#[must_use]
pub fn added(written: &Written<'_>, text: &str) -> Arrival {
    let note = Note {
        text: text.nfc().collect(),
        author: written.author.to_owned(),
    };
    let id = note_id(written.tenant_id, written.home, written.command);
    arrival(written, (id, written.command), Kind::Note(note))
}

/// Id of the event of the note that a command writes.
#[must_use]
pub fn note_id(tenant_id: &str, home: CustomerId, command: &str) -> EventId {
    event_id_of_message(tenant_id, "", Some(&built_in(home)), command)
}

/// A change of the note that the command `note` wrote.
#[must_use]
pub fn edited(written: &Written<'_>, note: &str, text: &str) -> Arrival {
    let part = Part {
        content: Some(Content::Text(Text {
            text: text.nfc().collect(),
            ..Text::default()
        })),
    };
    let edit = Edit {
        message: Some(Message {
            parts: vec![part],
            ..Message::default()
        }),
        edited_at: Some(written.at.to_timestamp()),
    };
    arrival(written, (change_id(written), note), Kind::Edit(edit))
}

/// A withdrawal of the note that the command `note` wrote.
#[must_use]
pub fn withdrawn(written: &Written<'_>, note: &str) -> Arrival {
    let deletion = Deletion { for_everyone: true };
    arrival(written, (change_id(written), note), Kind::Deletion(deletion))
}

fn change_id(written: &Written<'_>) -> EventId {
    let of = [
        written.tenant_id.as_bytes(),
        &written.home.0,
        written.command.as_bytes(),
    ];
    first_half(hash("change of a note", &of))
}

fn first_half(digest: [u8; 32]) -> EventId {
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    EventId(id)
}

/// A merge or a split in the record that decided it. A transaction is decided once, so its event is one.
#[must_use]
pub fn identity_changed(
    tenant_id: &str,
    home: CustomerId,
    (kind, transaction, other): (IdentityChangeKind, TransactionId, CustomerId),
    by_person: bool,
    (at, trace_id): (Moment, &str),
) -> Arrival {
    let transaction_id = transaction.to_string();
    let written = Written {
        tenant_id,
        home,
        command: &transaction_id,
        author: "",
        at,
        trace_id,
    };
    let id = first_half(hash("identity change", &[&transaction.0]));
    let change = IdentityChange {
        kind: kind.into(),
        transaction_id: transaction_id.clone(),
        other_customer_id: other.to_string(),
        by_person,
    };
    arrival(&written, (id, ""), Kind::IdentityChange(change))
}

fn arrival(written: &Written<'_>, (id, about): (EventId, &str), kind: Kind) -> Arrival {
    let author = (!written.author.is_empty()).then(|| Author {
        identifier: None,
        profile: Some(Profile {
            display_name: written.author.to_owned(),
            ..Profile::default()
        }),
    });
    let event = Event {
        event_id: id.to_string(),
        tenant_id: written.tenant_id.to_owned(),
        occurred_at: Some(written.at.to_timestamp()),
        received_at: Some(written.at.to_timestamp()),
        // Never the customer's word: nothing is opened, counted or answered by it.
        direction: Direction::Outbound.into(),
        peer: Some(built_in(written.home)),
        provider_message_id: about.to_owned(),
        trace_id: written.trace_id.to_owned(),
        author,
        kind: Some(kind),
        ..Event::default()
    };
    Arrival {
        bytes: event.encode_to_vec().into(),
        id,
        received_at: written.at,
        event,
    }
}
