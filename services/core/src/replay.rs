//! What of the journal is put on its way again.

use crate::hourly;
use crate::partition;
use crate::shard::Partition;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{EventBatch, ReplayMark, Stamped};
use omnigate_proto::v1::Event;
use prost::Message as _;
use std::time::Duration;

/// Which events are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Of this tenant.
    pub tenant_id: String,
    /// Through this account; empty for all.
    pub account_id: String,
    /// Received from here on.
    pub from: Moment,
    /// Received before.
    pub to: Moment,
    /// A copy made by a replay is left out when it was received later than this: what it is a copy of is still there.
    pub originals_since: Moment,
}

/// How much longer than it must a journal keeps what a replay believes to be gone: entries go in whole pieces.
const SURELY: Duration = Duration::from_hours(1);

/// Since when everything that was received still lies in a journal that keeps so long.
#[must_use]
pub fn originals_since(now: Moment, kept: Duration) -> Moment {
    now - kept.saturating_sub(SURELY)
}

/// An event that is wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The partition of its queue.
    pub partition: Partition,
    /// As ingest stamped it, marked as a copy.
    pub stamped: Stamped,
    /// It, decoded.
    pub event: Event,
}

/// What an entry of the journal holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sorted {
    /// What is wanted, in order.
    pub found: Vec<Found>,
    /// Events of the times that cannot be read.
    pub unreadable: u64,
}

/// Sorts an entry of the journal; `None` for the end that [`end`] stands for.
#[must_use]
pub fn sort(entry: &Bytes, wanted: &Wanted, partitions: u16, marker: &[u8; 16]) -> Option<Sorted> {
    let mut sorted = Sorted::default();
    let Ok(batch) = EventBatch::decode(entry.clone()) else {
        // Nobody knows what stood in it, and how much.
        sorted.unreadable = 1;
        return Some(sorted);
    };
    let mark = ReplayMark::decode(entry.clone()).unwrap_or_default();
    if batch.events.is_empty() && mark.marker == marker.as_slice() {
        return None;
    }
    for stamped in batch.events {
        let received_at = Moment(stamped.received_at_ms);
        if received_at < wanted.from || received_at >= wanted.to {
            // A part that does not open has the time of its hour alone.
            let whole_hour = hourly::is_sealed(&stamped.event) && hourly::Hour::of(received_at).ends() > wanted.from;
            sorted.unreadable += u64::from(whole_hour && received_at < wanted.to && is_of(&stamped, wanted));
            continue;
        }
        if stamped.replayed && received_at >= wanted.originals_since {
            continue;
        }
        let Ok(event) = Event::decode(stamped.event.clone()) else {
            sorted.unreadable += u64::from(is_of(&stamped, wanted));
            continue;
        };
        let is_wanted = event.tenant_id == wanted.tenant_id
            && (wanted.account_id.is_empty() || event.account_id == wanted.account_id);
        if is_wanted {
            let stamped = Stamped {
                replayed: true,
                ..stamped
            };
            sorted.found.push(Found {
                partition: partition::of(&event, partitions),
                stamped,
                event,
            });
        }
    }
    Some(sorted)
}

/// True where what cannot be read is the tenant's, or nobody knows whose.
fn is_of(stamped: &Stamped, wanted: &Wanted) -> bool {
    let sealed = hourly::decode(&stamped.event);
    sealed.is_none_or(|sealed| sealed.parts.iter().any(|part| part.tenant_id == wanted.tenant_id))
}

/// What a replay writes into the journal before it reads: it goes no further, and so never meets its own copies.
#[must_use]
pub fn end(marker: [u8; 16]) -> Bytes {
    let mark = ReplayMark {
        marker: Bytes::copy_from_slice(&marker),
    };
    mark.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::state::v1::SealedPart;

    fn wanted() -> Wanted {
        Wanted {
            tenant_id: "t".to_owned(),
            account_id: String::new(),
            from: Moment(7_200_000),
            to: Moment(7_300_000),
            originals_since: Moment(7_250_000),
        }
    }

    fn stamped(tenant_id: &str, account_id: &str, received_at_ms: i64) -> Stamped {
        let event = Event {
            tenant_id: tenant_id.to_owned(),
            account_id: account_id.to_owned(),
            ..Event::default()
        };
        Stamped {
            event: event.encode_to_vec().into(),
            received_at_ms,
            ..Stamped::default()
        }
    }

    fn sorted(events: Vec<Stamped>, wanted: &Wanted) -> (Vec<i64>, u64) {
        let batch = EventBatch { events };
        let sorted = sort(&batch.encode_to_vec().into(), wanted, 16, &[1; 16]).unwrap();
        assert!(sorted.found.iter().all(|found| found.stamped.replayed));
        let times = sorted.found.iter().map(|found| found.stamped.received_at_ms);
        (times.collect(), sorted.unreadable)
    }

    #[test]
    fn the_tenants_events_of_the_times_and_the_account_are_wanted() {
        let all = vec![
            stamped("t", "a", 7_199_999),
            stamped("t", "a", 7_200_000),
            stamped("u", "a", 7_200_001),
            stamped("t", "b", 7_299_999),
            stamped("t", "a", 7_300_000),
        ];
        assert_eq!(sorted(all.clone(), &wanted()), (vec![7_200_000, 7_299_999], 0));
        let of_account = Wanted {
            account_id: "b".to_owned(),
            ..wanted()
        };
        assert_eq!(sorted(all, &of_account), (vec![7_299_999], 0));
    }

    #[test]
    fn a_copy_is_wanted_once_what_it_is_a_copy_of_is_gone() {
        let copy = |at| Stamped {
            replayed: true,
            ..stamped("t", "a", at)
        };
        let copies = vec![copy(7_249_999), copy(7_250_000)];
        assert_eq!(sorted(copies, &wanted()).0, [7_249_999]);
        let day = Duration::from_hours(24);
        let now = Moment(0) + 30 * day;
        assert!(originals_since(now, 3 * day) > now - 3 * day);
    }

    #[test]
    fn what_cannot_be_read_is_counted_for_its_tenant() {
        let closed = |tenant_id: &str, hour| {
            let part = SealedPart {
                tenant_id: tenant_id.to_owned(),
                hour,
                ..SealedPart::default()
            };
            let closed = hourly::closed_event("omnigate.inbound.03", part);
            EventBatch::decode(closed).unwrap().events.remove(0)
        };
        let later = Wanted {
            from: Moment(7_250_000),
            ..wanted()
        };
        let all = || vec![closed("t", 2), closed("u", 2), closed("t", 1), closed("t", 3)];
        assert_eq!(sorted(all(), &later), (vec![], 1));
        assert_eq!(sorted(all(), &wanted()), (vec![], 1));
        let damaged = sort(&Bytes::from_static(b"\0h"), &wanted(), 16, &[1; 16]).unwrap();
        assert_eq!(damaged.unreadable, 1);
    }

    #[test]
    fn a_replay_ends_at_its_own_end_alone() {
        assert_eq!(sort(&end([1; 16]), &wanted(), 16, &[1; 16]), None);
        assert_eq!(sort(&end([2; 16]), &wanted(), 16, &[1; 16]), Some(Sorted::default()));
    }
}
