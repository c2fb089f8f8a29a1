//! What customers write: short messages as the Telegram adapter translates them.

use bytes::Bytes;
use omnigate_core::account::Account;
use omnigate_core::event::normalise;
use omnigate_core::port::Clock as _;
use omnigate_core::port::broker::QueueName;
use omnigate_core::{partition, topology};
use omnigate_proto::state::v1::{EventBatch, Stamped};
use omnigate_proto::v1::{
    Direction, Event, Evidence, Identifier, IdentifierEvidence, Message, Part, Profile, Text, event::Kind, part,
};
use omnigate_runtime::clock::SystemClock;
use prost::Message as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Different messages of the bare publisher, which sends them over and over.
const BARE: u64 = 4096;
/// Trace of the bare publisher's messages.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const WORDS: [&str; 8] = [
    "Chào shop",
    "cho em hỏi",
    "áo này",
    "còn size M không ạ",
    "giao về Đà Nẵng",
    "mất mấy ngày",
    "em cảm ơn",
    "để em xem thêm",
];

/// Makes messages that differ.
pub(super) struct Traffic {
    account: String,
    customers: u64,
    /// Tells the messages of this run from those of an earlier one on the same servers.
    run: u64,
    next: AtomicU64,
}

impl Traffic {
    pub(super) fn new(account: &str, customers: usize) -> Self {
        Self {
            account: account.to_owned(),
            customers: u64::try_from(customers.max(1)).unwrap_or(u64::MAX),
            run: u64::try_from(SystemClock.now().0).unwrap_or(0),
            next: AtomicU64::new(0),
        }
    }

    /// The next message, of any customer, with its number.
    pub(super) fn next(&self) -> (u64, Event) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, self.event(scattered(number) % self.customers, number))
    }

    /// A message of the customer at this place, with its number.
    pub(super) fn of(&self, place: u64) -> (u64, Event) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, self.event(place % self.customers, number))
    }

    fn event(&self, customer: u64, number: u64) -> Event {
        let peer = Identifier {
            r#type: "tg_chat".to_owned(),
            scope: self.account.clone(),
            value: (5_550_000_000 + customer).to_string(),
        };
        Event {
            account_id: self.account.clone(),
            occurred_at: Some(SystemClock.now().to_timestamp()),
            direction: Direction::Inbound.into(),
            peer: Some(peer.clone()),
            identifiers: vec![IdentifierEvidence {
                identifier: Some(peer),
                evidence: Evidence::Vouched.into(),
                provider_form: String::new(),
            }],
            profile: Some(Profile {
                display_name: format!("Khách {customer}"),
                locale: "vi".to_owned(),
                ..Profile::default()
            }),
            provider_message_id: format!("{}-{number}", self.run),
            kind: Some(Kind::Message(Message {
                parts: vec![Part {
                    content: Some(part::Content::Text(Text {
                        text: text(number),
                        ..Text::default()
                    })),
                }],
                ..Message::default()
            })),
            ..Event::default()
        }
    }

    /// Number of a message of this run.
    pub(super) fn number(&self, provider_message_id: &str) -> Option<u64> {
        let (run, number) = provider_message_id.split_once('-')?;
        (run.parse() == Ok(self.run)).then(|| number.parse().ok())?
    }

    /// What ingest would put on the queues if it put one event into each message.
    pub(super) fn bodies(&self, account: &Account, partitions: u16) -> anyhow::Result<Vec<(QueueName, Bytes)>> {
        let now = SystemClock.now();
        let body = |number: u64| {
            let mut event = self.event(scattered(number) % self.customers, number);
            normalise(&mut event, account, now, &TRACE[3..35])?;
            let stamped = Stamped {
                event: event.encode_to_vec().into(),
                received_at_ms: now.0,
                traceparent: TRACE.to_owned(),
                ..Stamped::default()
            };
            let batch = EventBatch { events: vec![stamped] };
            let queue = topology::inbound(partition::of(&event, partitions));
            Ok((queue, batch.encode_to_vec().into()))
        };
        (0..BARE).map(body).collect()
    }
}

fn text(number: u64) -> String {
    let word = |place: u64| WORDS[usize::try_from(scattered(number + place) % 8).unwrap_or(0)];
    format!("{} {} {}", word(1), word(2), word(3))
}

/// A number that looks random, the same for the same number (splitmix64).
const fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn messages_differ_and_are_known_again() {
        let traffic = Traffic::new("bench", 10);
        let (one, event) = traffic.next();
        let (two, other) = traffic.next();
        assert_ne!(event.provider_message_id, other.provider_message_id);
        assert_eq!(traffic.number(&event.provider_message_id), Some(one));
        assert_eq!(traffic.number(&other.provider_message_id), Some(two));
        assert_eq!(traffic.number("1-17"), None);
        let peers: BTreeSet<String> = (0..1000)
            .map(|_| traffic.next().1.peer.unwrap_or_default().value)
            .collect();
        assert_eq!(peers.len(), 10);
    }
}
