//! Consumer groups: subscribers that share the logs of events, and how far a group has come in each of them.
//!
//! Each log belongs to one member at a time, by a lease; the lease's cursor is how far the log was acknowledged. So a place
//! moves only under the lease's epoch, and whoever takes the log next finds it in the record that makes it theirs.

use crate::lease::{self, Lost};
use crate::time::Moment;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use omnigate_proto::state::v1::LeaseRecord;
use std::time::Duration;

/// Longest name of a group, in bytes.
const MAX_NAME: usize = 64;
/// First byte of a cursor, for later forms.
const VERSION: u8 = 1;

/// True for what a group may be called.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed)
}

/// A place in a log: between two events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Offset of the entry that holds the next event.
    pub offset: u64,
    /// Events of that entry that lie before the place.
    pub index: u32,
}

impl Position {
    /// Behind everything in the entry at this offset.
    #[must_use]
    pub const fn after(offset: u64) -> Self {
        Self {
            offset: offset.saturating_add(1),
            index: 0,
        }
    }

    /// As a lease's cursor.
    #[must_use]
    pub fn to_cursor(self) -> Bytes {
        let mut cursor = BytesMut::with_capacity(13);
        cursor.put_u8(VERSION);
        cursor.put_u64(self.offset);
        cursor.put_u32(self.index);
        cursor.freeze()
    }

    /// Back from [`Position::to_cursor`]; `None` when there is none.
    #[must_use]
    pub fn from_cursor(mut cursor: &[u8]) -> Option<Self> {
        if cursor.len() != 13 || cursor.get_u8() != VERSION {
            return None;
        }
        Some(Self {
            offset: cursor.get_u64(),
            index: cursor.get_u32(),
        })
    }
}

/// Moves the place of a log forward on the word of whoever was sent the events, the epoch being that of when they were
/// sent. It holds after the member has gone, until another has the log, and prolongs nothing. `None` when the place is
/// there already.
pub fn acknowledge(record: Option<&LeaseRecord>, epoch: u64, position: Position) -> Result<Option<LeaseRecord>, Lost> {
    let record = record.filter(|record| record.epoch == epoch).ok_or(Lost)?;
    let is_behind = Position::from_cursor(&record.cursor).is_none_or(|stored| stored < position);
    Ok(is_behind.then(|| LeaseRecord {
        cursor: position.to_cursor(),
        ..record.clone()
    }))
}

/// Prolongs a member's lease of a log, and moves the place over what needs no acknowledgement.
pub fn keep(
    record: Option<&LeaseRecord>,
    (owner, epoch): (&str, u64),
    passed: Option<Position>,
    (ttl, now): (Duration, Moment),
) -> Result<LeaseRecord, Lost> {
    let renewed = lease::renew(record, owner, epoch, ttl, now)?;
    let moved = passed.map(|passed| acknowledge(Some(&renewed), epoch, passed));
    Ok(moved.transpose()?.flatten().unwrap_or(renewed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{Take, release, take};

    const TTL: Duration = Duration::from_millis(10);

    fn granted(record: Option<&LeaseRecord>, owner: &str, now: i64) -> LeaseRecord {
        match take(record, (owner, ""), TTL, Moment(now)) {
            Take::Granted(record) => record,
            Take::Held { owner, until } => panic!("held by {owner} until {until}"),
        }
    }

    fn at(offset: u64, index: u32) -> Position {
        Position { offset, index }
    }

    fn place(record: &LeaseRecord) -> Option<Position> {
        Position::from_cursor(&record.cursor)
    }

    #[test]
    fn names_hold_nothing_that_would_end_a_key() {
        for good in ["a", "billing", "crm-2.prod_EU", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a/b", "ä", "a b", "a:b", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_position_leads_back_and_nonsense_does_not() {
        for position in [at(0, 0), at(7, 511), at(u64::MAX, u32::MAX)] {
            assert_eq!(Position::from_cursor(&position.to_cursor()), Some(position));
        }
        assert!(at(7, 511) < Position::after(7) && Position::after(7) < at(8, 1));
        for nonsense in [&b""[..], b"\x01", &[2; 13], &[1; 14]] {
            assert_eq!(Position::from_cursor(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn places_move_forward_only() {
        let mine = granted(None, "a", 0);
        let moved = acknowledge(Some(&mine), 1, at(5, 2)).unwrap().unwrap();
        assert_eq!(place(&moved), Some(at(5, 2)));
        assert_eq!(acknowledge(Some(&moved), 1, at(5, 2)), Ok(None));
        assert_eq!(acknowledge(Some(&moved), 1, at(4, 9)), Ok(None));
        let kept = keep(Some(&moved), ("a", 1), Some(at(3, 0)), (TTL, Moment(5))).unwrap();
        assert_eq!((place(&kept), kept.until_ms), (Some(at(5, 2)), 15));
        let kept = keep(Some(&kept), ("a", 1), Some(at(6, 0)), (TTL, Moment(6))).unwrap();
        assert_eq!(place(&kept), Some(at(6, 0)));
    }

    #[test]
    fn who_went_may_acknowledge_until_another_has_the_log_and_prolongs_nothing() {
        let mine = granted(None, "a", 0);
        let left = release(Some(&mine), "a", 1).unwrap();
        let late = acknowledge(Some(&left), 1, at(5, 0)).unwrap().unwrap();
        assert_eq!((late.owner.as_str(), late.until_ms), ("", 0));
        let theirs = granted(Some(&late), "b", 1);
        assert_eq!(place(&theirs), Some(at(5, 0)), "the next one begins there");
        assert_eq!(acknowledge(Some(&theirs), 1, at(9, 0)), Err(Lost));
        assert_eq!(
            keep(Some(&theirs), ("a", 1), Some(at(9, 0)), (TTL, Moment(2))),
            Err(Lost)
        );
        assert_eq!(acknowledge(None, 1, at(9, 0)), Err(Lost));
    }
}
