//! When a group of shards is swept, and in which order.

use crate::shard::Shard;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::RepairRecord;
use std::time::Duration;

/// How often a sweep begins anew because the one before had something to put right: what is right in one shard may have been
/// looked at before it was wrong in another.
const MOST_TURNS: u32 = 8;

/// Why a sweep begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The store is another one than at the last sweep.
    Failover,
    /// It is time.
    Time,
}

impl Cause {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Time => "time",
        }
    }
}

/// Whether a sweep of a group is to begin now, under these incarnations of the store, each once, in byte order. With `every`
/// zero, time alone begins none.
#[must_use]
pub fn due(record: Option<&RepairRecord>, incarnations: &[Bytes], every: Duration, now: Moment) -> Option<Cause> {
    let none = RepairRecord::default();
    let record = record.unwrap_or(&none);
    let is_under_way = record.began_ms != 0;
    let under = if is_under_way {
        &record.began_under
    } else {
        &record.incarnations
    };
    // A store that has never been swept has nothing to be compared with.
    let is_known = is_under_way || record.ended_ms != 0;
    if is_known && under.as_slice() != incarnations {
        return Some(Cause::Failover);
    }
    let is_time = !every.is_zero() && now.since(Moment(record.ended_ms)) >= every;
    (!is_under_way && is_time).then_some(Cause::Time)
}

/// The record of a sweep that begins.
#[must_use]
pub fn begun(record: Option<&RepairRecord>, incarnations: &[Bytes], now: Moment) -> RepairRecord {
    let before = record.cloned().unwrap_or_default();
    RepairRecord {
        ended_ms: before.ended_ms,
        incarnations: before.incarnations,
        began_ms: now.0,
        began_under: incarnations.to_vec(),
        ..RepairRecord::default()
    }
}

/// The record of a store that was seen for the first time, where time begins no sweep: from now on a failover is seen.
#[must_use]
pub fn seen(incarnations: &[Bytes], now: Moment) -> RepairRecord {
    RepairRecord {
        ended_ms: now.0,
        incarnations: incarnations.to_vec(),
        ..RepairRecord::default()
    }
}

/// Where a sweep stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sweep {
    /// Shard.
    pub shard: Shard,
    /// Tenant whose customers or identifiers it goes through.
    pub tenant_id: String,
    /// True for identifiers.
    pub in_claims: bool,
    /// The last one it looked at; empty for none.
    pub after: Bytes,
}

impl Sweep {
    /// Where the sweep of these shards and tenants stands, both in order; `None` at its end.
    #[must_use]
    pub fn of(record: &RepairRecord, shards: &[Shard], tenants: &[String]) -> Option<Self> {
        let at = u8::try_from(record.shard).ok().map(Shard::new)?;
        let shard = shards.iter().copied().find(|shard| *shard >= at)?;
        let goes_on = shard == at;
        let tenant = tenants.iter().find(|tenant| !goes_on || **tenant >= record.tenant_id)?;
        let goes_on = goes_on && *tenant == record.tenant_id;
        Some(Self {
            shard,
            tenant_id: tenant.clone(),
            in_claims: goes_on && record.in_claims,
            after: if goes_on { record.after.clone() } else { Bytes::new() },
        })
    }

    /// The record after a piece: behind `last` where there is more, else at what comes next; at the beginning again when this
    /// turn had something to put right.
    #[must_use]
    pub fn next(
        &self,
        record: &RepairRecord,
        last: Option<Bytes>,
        repairs: u64,
        (shards, tenants): (&[Shard], &[String]),
        now: Moment,
    ) -> RepairRecord {
        let mut next = record.clone();
        next.repairs += repairs;
        next.shard = u32::from(self.shard.number());
        next.tenant_id.clone_from(&self.tenant_id);
        next.in_claims = self.in_claims;
        next.after = Bytes::new();
        if let Some(last) = last {
            next.after = last;
            return next;
        }
        if !self.in_claims {
            next.in_claims = true;
            return next;
        }
        next.in_claims = false;
        let following = tenants.iter().find(|tenant| **tenant > self.tenant_id);
        if let Some(tenant) = following {
            next.tenant_id.clone_from(tenant);
            return next;
        }
        match shards.iter().find(|shard| **shard > self.shard) {
            Some(shard) => {
                next.shard = u32::from(shard.number());
                next.tenant_id.clear();
                next
            }
            None => ended(&next, now),
        }
    }
}

/// The record of a sweep that has gone through everything: it is over, or begins anew.
#[must_use]
pub fn ended(record: &RepairRecord, now: Moment) -> RepairRecord {
    if record.repairs > 0 && record.turn < MOST_TURNS {
        return RepairRecord {
            ended_ms: record.ended_ms,
            incarnations: record.incarnations.clone(),
            began_ms: record.began_ms,
            began_under: record.began_under.clone(),
            turn: record.turn + 1,
            ..RepairRecord::default()
        };
    }
    RepairRecord {
        ended_ms: now.0,
        incarnations: record.began_under.clone(),
        ..RepairRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn bytes(names: &[&'static str]) -> Vec<Bytes> {
        names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect()
    }

    #[test]
    fn a_sweep_begins_once_a_day_and_after_every_failover() {
        let (one, other) = (bytes(&["a"]), bytes(&["b"]));
        let now = Moment(1 << 40);
        assert_eq!(due(None, &one, DAY, now), Some(Cause::Time));
        assert_eq!(due(None, &one, Duration::ZERO, now), None);
        let begun = begun(None, &one, now);
        assert_eq!(due(Some(&begun), &one, DAY, now + DAY), None);
        assert_eq!(due(Some(&begun), &other, DAY, now), Some(Cause::Failover));
        let over = ended(&begun, now);
        assert_eq!(due(Some(&over), &one, DAY, now), None);
        assert_eq!(due(Some(&over), &one, DAY, now + DAY), Some(Cause::Time));
        assert_eq!(due(Some(&over), &one, Duration::ZERO, now + DAY), None);
        assert_eq!(due(Some(&over), &other, Duration::ZERO, now), Some(Cause::Failover));
        let seen = seen(&one, now);
        assert_eq!(due(Some(&seen), &other, Duration::ZERO, now), Some(Cause::Failover));
    }

    #[test]
    fn a_sweep_goes_through_everything_and_once_more_after_a_repair() {
        let shards: Vec<Shard> = [3, 4].map(Shard::new).to_vec();
        let tenants = vec!["a".to_owned(), "b".to_owned()];
        let now = Moment(1 << 40);
        let mut record = begun(None, &bytes(&["i"]), now);
        let mut been = Vec::new();
        while let Some(sweep) = Sweep::of(&record, &shards, &tenants).filter(|_| record.began_ms != 0) {
            been.push((
                sweep.shard.number(),
                sweep.tenant_id.clone(),
                sweep.in_claims,
                sweep.after.len(),
            ));
            // A page that is full, once.
            let full = been.len() == 1;
            let repairs = u64::from(been.len() == 2);
            let last = full.then(|| Bytes::from_static(&[1; 16]));
            record = sweep.next(&record, last, repairs, (&shards, &tenants), now);
        }
        assert_eq!(been.len(), 9 + 8, "{been:?}");
        assert_eq!(been[1], (3, "a".to_owned(), false, 16));
        assert_eq!(been[8], (4, "b".to_owned(), true, 0));
        assert_eq!(been[9], (3, "a".to_owned(), false, 0));
        assert_eq!(
            record,
            ended(
                &RepairRecord {
                    began_under: bytes(&["i"]),
                    ..RepairRecord::default()
                },
                now
            )
        );
    }
}
