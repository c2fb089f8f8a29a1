//! Which partition an event travels in: events of one thread share one, so that they keep their order.

use crate::{id::hash, shard::Partition};
use omnigate_proto::v1::{Event, event::Kind};

/// The partition of a normalised event. The hash must never change: events of one thread would overtake each other at an
/// upgrade.
#[must_use]
pub fn of(event: &Event, partitions: u16) -> Partition {
    let account = event.account_id.as_bytes();
    let digest = match &event.peer {
        Some(peer) => hash(
            "partition",
            &[
                account,
                peer.r#type.as_bytes(),
                peer.scope.as_bytes(),
                peer.value.as_bytes(),
            ],
        ),
        None => hash("partition", &[account, without_peer(event).as_bytes()]),
    };
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    let partition = u64::from_be_bytes(number) % u64::from(partitions.max(1));
    Partition(u16::try_from(partition).unwrap_or(0))
}

/// What stands for the peer where nobody named it: receipts of one message stay in order by the message's id; what
/// concerns the whole account shares one partition.
fn without_peer(event: &Event) -> &str {
    match &event.kind {
        Some(Kind::Receipt(receipt)) if event.provider_message_id.is_empty() => &receipt.client_reference,
        _ => &event.provider_message_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{Identifier, Receipt};

    fn event(account: &str, peer: Option<&str>, provider_message_id: &str) -> Event {
        Event {
            account_id: account.into(),
            peer: peer.map(|value| Identifier {
                r#type: "tg_chat".into(),
                scope: "bot".into(),
                value: value.into(),
            }),
            provider_message_id: provider_message_id.into(),
            ..Event::default()
        }
    }

    /// Computed once and written down: an upgrade that changes one of them breaks the order of running threads.
    #[test]
    fn the_hash_never_changes() {
        let vectors = [
            (event("shop-bot", Some("42"), "1"), 16, 2),
            (event("shop-bot", Some("43"), "1"), 16, 13),
            (event("other-bot", Some("42"), "1"), 16, 13),
            (event("shop-bot", None, "1"), 16, 14),
            (event("shop-bot", None, ""), 16, 9),
            (event("shop-bot", Some("42"), "1"), 1, 0),
            (event("shop-bot", Some("42"), "1"), 1024, 226),
        ];
        let found: Vec<u16> = vectors
            .iter()
            .map(|(event, partitions, _)| of(event, *partitions).0)
            .collect();
        let expected: Vec<u16> = vectors.iter().map(|(_, _, partition)| *partition).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_thread_stays_in_one_partition_whatever_happens_in_it() {
        let first = of(&event("a", Some("42"), "1"), 16);
        let mut later = event("a", Some("42"), "2");
        later.kind = Some(Kind::Receipt(Receipt::default()));
        assert_eq!(of(&later, 16), first);
    }

    #[test]
    fn threads_spread_over_all_partitions() {
        let used: std::collections::BTreeSet<u16> = (0..500)
            .map(|peer| of(&event("a", Some(&peer.to_string()), ""), 16).0)
            .collect();
        assert_eq!(used.len(), 16);
    }
}
