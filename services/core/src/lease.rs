//! Leases: who does something that only one may do at a time, and until when.
//!
//! A lease makes work exclusive for efficiency; what must never happen twice is guarded where it is written, by the fencing
//! epoch or by a version. Machines' clocks differ, so an old owner may still be at work for a moment after a new one began.

use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::LeaseRecord;
use std::time::Duration;

/// Longest cursor, in bytes.
pub const MAX_CURSOR: usize = 64 * 1024;

/// How an attempt to take a lease ends.
#[derive(Clone, PartialEq, Debug)]
pub enum Take {
    /// It is ours once this record is written.
    Granted(LeaseRecord),
    /// Somebody else has it until then.
    Held {
        /// Who.
        owner: String,
        /// Until when, unless prolonged.
        until: Moment,
    },
}

/// The lease is no longer ours: whatever it protects must stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the lease was lost")]
pub struct Lost;

/// Takes a lease that is free or over, for an owner who can be reached at an address, or at none. An owner that asks again while its own lasts gets it prolonged under the same epoch;
/// in every other case the epoch grows, so that nothing begun before can be mistaken for the present.
#[must_use]
pub fn take(record: Option<&LeaseRecord>, (owner, address): (&str, &str), ttl: Duration, now: Moment) -> Take {
    let Some(record) = record else {
        return Take::Granted(LeaseRecord {
            owner: owner.to_owned(),
            epoch: 1,
            until_ms: (now + ttl).0,
            cursor: Bytes::new(),
            address: address.to_owned(),
        });
    };
    let lasts = is_held(record, now);
    if lasts && record.owner != owner {
        return Take::Held {
            owner: record.owner.clone(),
            until: Moment(record.until_ms),
        };
    }
    Take::Granted(LeaseRecord {
        owner: owner.to_owned(),
        epoch: if lasts { record.epoch } else { record.epoch + 1 },
        until_ms: (now + ttl).0,
        cursor: record.cursor.clone(),
        address: address.to_owned(),
    })
}

/// True while somebody has the lease; it is over only after its end, not at it.
#[must_use]
pub fn is_held(record: &LeaseRecord, now: Moment) -> bool {
    !record.owner.is_empty() && now.0 <= record.until_ms
}

/// Prolongs a lease. One that is over but that nobody has taken since is still ours.
pub fn renew(
    record: Option<&LeaseRecord>,
    owner: &str,
    epoch: u64,
    ttl: Duration,
    now: Moment,
) -> Result<LeaseRecord, Lost> {
    let ours = record.filter(|record| record.owner == owner && record.epoch == epoch);
    let mut next = ours.cloned().ok_or(Lost)?;
    next.until_ms = (now + ttl).0;
    Ok(next)
}

/// Stores a cursor and prolongs the lease.
pub fn checkpoint(
    record: Option<&LeaseRecord>,
    owner: &str,
    epoch: u64,
    cursor: &Bytes,
    (ttl, now): (Duration, Moment),
) -> Result<LeaseRecord, Lost> {
    let mut next = renew(record, owner, epoch, ttl, now)?;
    next.cursor.clone_from(cursor);
    Ok(next)
}

/// Gives a lease back; epoch and cursor stay for the next owner. `None` when it is not ours: nothing is to be done.
#[must_use]
pub fn release(record: Option<&LeaseRecord>, owner: &str, epoch: u64) -> Option<LeaseRecord> {
    let ours = record.filter(|record| record.owner == owner && record.epoch == epoch)?;
    Some(LeaseRecord {
        owner: String::new(),
        address: String::new(),
        until_ms: 0,
        ..ours.clone()
    })
}

/// What a member of a group does to come to its fair share.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shares {
    /// Give these back: others have too few.
    pub release: Vec<u16>,
    /// Take this many more,
    pub wanted: usize,
    /// trying in this order, so that members do not all reach for the same one.
    pub order: Vec<u16>,
}

/// The fair share of one member of a group in `count` things that the members hold under leases. Shares differ by at most
/// one, and everybody computes the same from the same list of members.
#[must_use]
pub fn share(held: &[u16], count: u16, members: &[String], me: &str) -> Shares {
    let mut members: Vec<&str> = members.iter().map(String::as_str).chain([me]).collect();
    members.sort_unstable();
    members.dedup();
    let position = members.iter().position(|member| *member == me).unwrap_or(0);
    let (all, each) = (usize::from(count), usize::from(count) / members.len());
    let quota = each + usize::from(position < all % members.len());
    let mut held: Vec<u16> = held.to_vec();
    held.sort_unstable();
    let release = held.split_off(quota.min(held.len()));
    let first = u16::try_from(position * each + position.min(all % members.len())).unwrap_or(0);
    let order = (0..count).map(|step| (first + step) % count.max(1));
    Shares {
        wanted: quota - held.len(),
        order: order
            .filter(|number| !held.contains(number) && !release.contains(number))
            .collect(),
        release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const TTL: Duration = Duration::from_millis(10);

    fn granted(record: Option<&LeaseRecord>, owner: &str, now: i64) -> LeaseRecord {
        match take(record, (owner, owner), TTL, Moment(now)) {
            Take::Granted(record) => record,
            Take::Held { owner, until } => panic!("held by {owner} until {until}"),
        }
    }

    #[test]
    fn a_lease_is_held_up_to_and_including_its_end() {
        let record = granted(None, "a", 0);
        let held = Take::Held {
            owner: "a".into(),
            until: Moment(10),
        };
        assert_eq!(take(Some(&record), ("b", ""), TTL, Moment(10)), held);
        assert_eq!(granted(Some(&record), "b", 11).epoch, 2);
    }

    #[test]
    fn the_epoch_grows_with_every_change_and_not_within_one_holding() {
        let first = granted(None, "a", 0);
        let again = granted(Some(&first), "a", 5);
        assert_eq!((again.epoch, again.until_ms), (first.epoch, 15));
        let released = release(Some(&again), "a", again.epoch).unwrap();
        assert_eq!(granted(Some(&released), "a", 6).epoch, first.epoch + 1);
        assert_eq!(granted(Some(&again), "a", 16).epoch, first.epoch + 1);
    }

    #[test]
    fn a_former_owner_can_do_nothing() {
        let mine = granted(None, "a", 0);
        let theirs = granted(Some(&mine), "b", 11);
        assert_eq!(renew(Some(&theirs), "a", 1, TTL, Moment(12)), Err(Lost));
        assert_eq!(
            checkpoint(Some(&theirs), "a", 1, &Bytes::from("x"), (TTL, Moment(12))),
            Err(Lost)
        );
        assert_eq!(release(Some(&theirs), "a", 1), None);
        assert_eq!(renew(None, "a", 1, TTL, Moment(12)), Err(Lost));
    }

    #[test]
    fn an_overdue_lease_that_nobody_took_is_prolonged() {
        let mine = granted(None, "a", 0);
        assert_eq!(renew(Some(&mine), "a", 1, TTL, Moment(100)).unwrap().until_ms, 110);
    }

    #[test]
    fn the_cursor_survives_owners() {
        let mine = granted(None, "a", 0);
        let mine = checkpoint(Some(&mine), "a", 1, &Bytes::from("7"), (TTL, Moment(1))).unwrap();
        let released = release(Some(&mine), "a", 1).unwrap();
        assert_eq!(granted(Some(&released), "b", 2).cursor, Bytes::from("7"));
    }

    #[test]
    fn the_address_is_that_of_the_present_owner() {
        let mine = granted(None, "a", 0);
        let renewed = renew(Some(&mine), "a", 1, TTL, Moment(5)).unwrap();
        assert_eq!(renewed.address, "a");
        assert_eq!(granted(Some(&renewed), "b", 16).address, "b");
        assert_eq!(release(Some(&renewed), "a", 1).unwrap().address, "");
    }

    #[test]
    fn any_members_come_to_even_shares_whatever_they_held_before() {
        for (count, members) in [(16, 1), (16, 2), (16, 3), (5, 7), (1, 2), (256, 11)] {
            let names: Vec<String> = (0..members).map(|number| format!("m{number:02}")).collect();
            let mut holder: BTreeMap<u16, usize> = (0..count).map(|number| (number, 0)).collect();
            for _round in 0..4 {
                for (position, name) in names.iter().enumerate() {
                    let held: Vec<u16> = holder
                        .iter()
                        .filter(|(_, by)| **by == position)
                        .map(|(n, _)| *n)
                        .collect();
                    let shares = share(&held, count, &names, name);
                    holder.retain(|number, _| !shares.release.contains(number));
                    let free = shares.order.into_iter().filter(|number| !holder.contains_key(number));
                    let taken: Vec<u16> = free.take(shares.wanted).collect();
                    holder.extend(taken.into_iter().map(|number| (number, position)));
                }
            }
            let held = |position| holder.values().filter(|by| **by == position).count();
            let sizes: Vec<usize> = (0..members).map(held).collect();
            assert_eq!(sizes.iter().sum::<usize>(), usize::from(count));
            assert!(
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1,
                "{sizes:?}"
            );
        }
    }
}
