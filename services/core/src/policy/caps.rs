//! How often somebody may be written to: so many messages within a time that slides.
//!
//! What counts stands in the record of the customer, which is one whatever became of their identifiers; those whom a customer
//! consists of count together. A place is taken before a message leaves, and given back if it provably did not.

use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CapRecord, cap_record::Counted};
use std::str::FromStr;
use std::time::Duration;

/// Most messages that a record counts: more than any cap allows.
pub const MAX_COUNTED: usize = 256;
/// Longest time that a limit looks back, in hours: a year.
const LONGEST_HOURS: u64 = 366 * 24;

/// A limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cap {
    /// Kind of channel that it is about; `None` for all of them together.
    pub channel: Option<String>,
    /// So many messages …
    pub most: u32,
    /// … within this time.
    pub within: Duration,
}

/// Not a limit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no limit: write it as 3/7d, 1/24h, or with a kind of channel in front, as sms:1/24h")]
pub struct NotACap(pub String);

impl FromStr for Cap {
    type Err = NotACap;

    fn from_str(text: &str) -> Result<Self, NotACap> {
        let read = || {
            let (channel, rest) = match text.split_once(':') {
                Some((channel, rest)) => (Some(channel), rest),
                None => (None, text),
            };
            let named = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
            let (most, within) = rest.split_once('/')?;
            let (count, hours) = match within.strip_suffix('h') {
                Some(count) => (count, 1),
                None => (within.strip_suffix('d')?, 24),
            };
            let within = count.parse::<u64>().ok()?.checked_mul(hours)?;
            let most: u32 = most.parse().ok()?;
            let bounded = (1..=LONGEST_HOURS).contains(&within) && usize::try_from(most).ok()? <= MAX_COUNTED;
            (bounded && channel.is_none_or(named)).then(|| Self {
                channel: channel.map(str::to_owned),
                most,
                within: Duration::from_hours(within),
            })
        };
        read().ok_or_else(|| NotACap(text.to_owned()))
    }
}

/// One message to one customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts<'a> {
    /// Names it: the same for every attempt.
    pub message: [u8; 8],
    /// Kind of channel that it takes.
    pub channel: &'a str,
}

/// Whether there is room for a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Room {
    /// Yes: write this record.
    Taken(CapRecord),
    /// Yes, and the place is taken already.
    Had,
    /// Not before this moment, if nothing else comes meanwhile.
    NotBefore(Moment),
    /// Never: a cap allows none at all.
    Never,
}

/// Takes a place for a message in a customer's record, under all caps. `others` are the records of those whom the customer
/// consists of besides.
#[must_use]
pub fn take(record: &CapRecord, others: &[CapRecord], caps: &[Cap], counts: Counts<'_>, now: Moment) -> Room {
    let all = || std::iter::once(record).chain(others).flat_map(|record| &record.counted);
    if all().any(|counted| counted.message.as_ref() == counts.message) {
        return Room::Had;
    }
    let mut opens = now;
    for cap in caps {
        let concerns = |channel: &str| cap.channel.as_deref().is_none_or(|named| named == channel);
        if !concerns(counts.channel) {
            continue;
        }
        if cap.most == 0 {
            return Room::Never;
        }
        let mut within: Vec<i64> = all()
            .filter(|counted| concerns(&counted.channel) && now < Moment(counted.at_ms) + cap.within)
            .map(|counted| counted.at_ms)
            .collect();
        within.sort_unstable();
        let most = usize::try_from(cap.most).unwrap_or(usize::MAX);
        if let Some(leaves) = within.len().checked_sub(most).and_then(|over| within.get(over)) {
            opens = opens.max(Moment(*leaves) + cap.within);
        }
    }
    if opens > now {
        return Room::NotBefore(opens);
    }
    let longest = caps.iter().map(|cap| cap.within).max().unwrap_or_default();
    let mut next = record.clone();
    next.counted.retain(|counted| now < Moment(counted.at_ms) + longest);
    if next.counted.len() >= MAX_COUNTED {
        let oldest = next.counted.iter().map(|counted| counted.at_ms).min().unwrap_or(now.0);
        return Room::NotBefore((Moment(oldest) + longest).max(now + Duration::from_millis(1)));
    }
    next.counted.push(Counted {
        message: Bytes::copy_from_slice(&counts.message),
        at_ms: now.0,
        channel: counts.channel.to_owned(),
    });
    Room::Taken(next)
}

/// Gives a place back, because the message provably did not leave. `None` when it has none.
#[must_use]
pub fn give_back(record: &CapRecord, message: [u8; 8]) -> Option<CapRecord> {
    let position = record
        .counted
        .iter()
        .position(|counted| counted.message.as_ref() == message)?;
    let mut next = record.clone();
    next.counted.remove(position);
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn cap(channel: Option<&str>, most: u32, hours: u64) -> Cap {
        Cap {
            channel: channel.map(str::to_owned),
            most,
            within: Duration::from_hours(hours),
        }
    }

    fn counts(number: u8, channel: &str) -> Counts<'_> {
        Counts {
            message: [number; 8],
            channel,
        }
    }

    fn taken(record: &CapRecord, caps: &[Cap], of: Counts<'_>, at: i64) -> CapRecord {
        match take(record, &[], caps, of, Moment(at)) {
            Room::Taken(next) => next,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_window_slides_and_says_when_there_is_room() {
        let caps = [cap(None, 2, 24)];
        let one = taken(&CapRecord::default(), &caps, counts(1, "sms"), 0);
        let two = taken(&one, &caps, counts(2, "email"), HOUR);
        let third = |at| take(&two, &[], &caps, counts(3, "sms"), Moment(at));
        assert_eq!(third(2 * HOUR), Room::NotBefore(Moment(24 * HOUR)));
        assert_eq!(third(24 * HOUR - 1), Room::NotBefore(Moment(24 * HOUR)));
        let Room::Taken(next) = third(24 * HOUR) else {
            panic!("the first one has left the window");
        };
        assert_eq!(next.counted.len(), 2, "what no cap looks at is not kept");
    }

    #[test]
    fn every_cap_that_concerns_the_channel_has_its_say() {
        let caps = [cap(Some("sms"), 1, 24), cap(None, 3, 7 * 24)];
        let mut record = taken(&CapRecord::default(), &caps, counts(1, "sms"), 0);
        let sms = take(&record, &[], &caps, counts(2, "sms"), Moment(1));
        assert_eq!(sms, Room::NotBefore(Moment(24 * HOUR)));
        record = taken(&record, &caps, counts(3, "email"), 2);
        record = taken(&record, &caps, counts(4, "email"), 3);
        let mail = take(&record, &[], &caps, counts(5, "email"), Moment(4));
        assert_eq!(mail, Room::NotBefore(Moment(7 * 24 * HOUR)));
        let none = [cap(Some("sms"), 0, 24)];
        assert_eq!(take(&record, &[], &none, counts(6, "sms"), Moment(4)), Room::Never);
        assert!(matches!(
            take(&record, &[], &none, counts(6, "zalo"), Moment(4)),
            Room::Taken(_)
        ));
    }

    #[test]
    fn a_message_counts_once_and_its_place_can_be_given_back() {
        let caps = [cap(None, 1, 24)];
        let record = taken(&CapRecord::default(), &caps, counts(1, "sms"), 0);
        assert_eq!(take(&record, &[], &caps, counts(1, "sms"), Moment(5)), Room::Had);
        let back = give_back(&record, [1; 8]).unwrap();
        assert_eq!(give_back(&back, [1; 8]), None);
        assert!(matches!(
            take(&back, &[], &caps, counts(2, "sms"), Moment(5)),
            Room::Taken(_)
        ));
    }

    #[test]
    fn those_who_became_one_count_together() {
        let caps = [cap(None, 1, 24)];
        let other = taken(&CapRecord::default(), &caps, counts(1, "sms"), 0);
        let room = |message| {
            take(
                &CapRecord::default(),
                std::slice::from_ref(&other),
                &caps,
                counts(message, "sms"),
                Moment(5),
            )
        };
        assert_eq!(room(2), Room::NotBefore(Moment(24 * HOUR)));
        assert_eq!(room(1), Room::Had);
    }

    #[test]
    fn limits_are_read_strictly() {
        assert_eq!("1/24h".parse(), Ok(cap(None, 1, 24)));
        assert_eq!("sms:3/7d".parse(), Ok(cap(Some("sms"), 3, 7 * 24)));
        for wrong in [
            "", "3", "3/7", "3/7w", "/7d", "3/0d", ":3/7d", "SMS:3/7d", "300/7d", "3/1000d",
        ] {
            assert_eq!(wrong.parse::<Cap>(), Err(NotACap(wrong.to_owned())));
        }
    }

    #[test]
    fn a_record_stays_small() {
        let caps = [cap(None, u32::MAX, 24 * 365)];
        let mut record = CapRecord::default();
        for number in 0..MAX_COUNTED {
            let message = u64::try_from(number).unwrap().to_be_bytes();
            let of = Counts {
                message,
                channel: "sms",
            };
            record = taken(&record, &caps, of, i64::try_from(number).unwrap());
        }
        let full = take(&record, &[], &caps, counts(255, "sms"), Moment(300));
        assert_eq!(full, Room::NotBefore(Moment(24 * 365 * HOUR)));
    }
}
