//! From a message of the broker to events that can be worked on.

use bytes::Bytes;
use omnigate_core::append::Arrival;
use omnigate_core::hourly;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::{EventBatch, Stamped};
use omnigate_proto::v1::{Event, event::Kind};
use prost::{DecodeError, Message as _};

/// What is to be done with an event.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Append it to its thread.
    Append(Arrival),
    /// Move a delivery forward.
    Receipt(Arrival),
    /// Park it: it cannot be applied, for this reason and in these words.
    Unfit(&'static str, String),
}

/// An event in hand.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// What it waits behind: events of one line are worked on in order.
    pub(crate) line: String,
    /// As ingest stamped it.
    pub(crate) stamped: Stamped,
    /// What is to be done.
    pub(crate) work: Work,
    /// True when its message came so often that it may have taken processes down.
    pub(crate) suspicious: bool,
}

/// Reads a message's body.
pub(crate) fn items(body: Bytes, suspicious: bool) -> Result<Vec<Item>, DecodeError> {
    let batch = EventBatch::decode(body)?;
    let item = |stamped: Stamped| {
        let (line, work) = read(&stamped);
        Item {
            line,
            stamped,
            work,
            suspicious,
        }
    };
    Ok(batch.events.into_iter().map(item).collect())
}

fn read(stamped: &Stamped) -> (String, Work) {
    if hourly::is_sealed(&stamped.event) {
        let words = "the key it was sealed with is gone; replay it once the store has the key again, else discard it";
        return (String::new(), Work::Unfit("key_gone", words.to_owned()));
    }
    let event = match Event::decode(stamped.event.clone()) {
        Ok(event) => event,
        Err(error) => return (String::new(), Work::Unfit("undecodable", error.to_string())),
    };
    let Ok(id) = event.event_id.parse() else {
        return (
            String::new(),
            Work::Unfit("undecodable", "it has no event id".to_owned()),
        );
    };
    let arrival = Arrival {
        bytes: stamped.event.clone(),
        id,
        received_at: Moment(stamped.received_at_ms),
        event,
    };
    let event = &arrival.event;
    let line = line(event);
    let work = match &event.kind {
        Some(Kind::Receipt(_)) => Work::Receipt(arrival),
        _ if event.peer.is_some() => Work::Append(arrival),
        _ => Work::Unfit("no_peer", "it names no peer and is no receipt".to_owned()),
    };
    (line, work)
}

/// The thread; without a peer, the message that a receipt is about.
fn line(event: &Event) -> String {
    match (&event.peer, &event.kind) {
        (Some(peer), _) => [&event.account_id, &peer.r#type, &peer.scope, &peer.value]
            .map(String::as_str)
            .join("\n"),
        (None, Some(Kind::Receipt(receipt))) => {
            [&event.account_id, &event.provider_message_id, &receipt.client_reference]
                .map(String::as_str)
                .join("\n")
        }
        (None, _) => event.account_id.clone(),
    }
}
