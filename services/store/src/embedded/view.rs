//! Reading: what lies in the file at one instant.

use super::{Fault, place::Place};
use crate::memory::is_empty;
use bytes::Bytes;
use omnigate_core::{
    port::store::{Answer, Expect, Found, Key, Query, Shape, Stamp, Versioned},
    shard::Shard,
    time::Moment,
};
use redb::ReadableTable;
use std::ops::Bound;

/// A record's first bytes in its row are its version.
const STAMP_BYTES: usize = 8;

/// One instant of the file, through a read or a write transaction.
pub(super) struct View<'a, T> {
    pub(super) data: &'a T,
    pub(super) dues: &'a T,
    pub(super) now: Moment,
}

/// How long a thing lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// Until it is deleted.
    Endless,
    /// Until this moment, which has not passed.
    Until(Moment),
    /// It is over, only its rows are still there.
    Over(Moment),
}

impl<T: ReadableTable<&'static [u8], &'static [u8]>> View<'_, T> {
    pub(super) fn answer(&self, shard: Shard, query: &Query) -> Result<Answer, Fault> {
        Ok(match query {
            Query::Record(key) => Answer::Record(self.record(&Place::of(shard, Shape::Record, key))?),
            Query::Fields { key, fields } => {
                let place = Place::of(shard, Shape::Map, key);
                let alive = self.is_alive(&place)?;
                let value = |field| if alive { self.row(&place.row(field)) } else { Ok(None) };
                Answer::Fields(fields.iter().map(|field| value(field)).collect::<Result<_, _>>()?)
            }
            Query::Range {
                key,
                from,
                to,
                limit,
                reverse,
            } => Answer::Range(self.range(&Place::of(shard, Shape::Index, key), (from, to), *limit, *reverse)?),
            Query::Counter(key) => Answer::Counter(self.counter(&Place::of(shard, Shape::Counter, key))?.unwrap_or(0)),
        })
    }

    /// What an expectation met instead, if it does not hold.
    pub(super) fn violation(&self, shard: Shard, expect: &Expect) -> Result<Option<Found>, Fault> {
        Ok(match expect {
            Expect::Record { key, stamp } => {
                let found = self.record(&Place::of(shard, Shape::Record, key))?;
                (found.as_ref().map(|record| record.stamp) != *stamp).then_some(Found::Record(found))
            }
            Expect::Field { key, field, value } => {
                let found = self.entry(shard, Shape::Map, key, field)?;
                (found != *value).then_some(Found::Field(found))
            }
            Expect::Member { key, member, present } => {
                let found = self.entry(shard, Shape::Index, key, member)?;
                (found.is_some() != *present).then_some(Found::Member(found))
            }
        })
    }

    pub(super) fn life(&self, place: &Place) -> Result<Life, Fault> {
        let Some(due) = self.dues.get(place.as_bytes())? else {
            return Ok(Life::Endless);
        };
        let due = <[u8; 8]>::try_from(due.value()).map_err(|_| Fault::Corrupt("an expiry has not 8 bytes"))?;
        let due = Moment::from_key(due);
        Ok(if self.now > due {
            Life::Over(due)
        } else {
            Life::Until(due)
        })
    }

    pub(super) fn counter(&self, place: &Place) -> Result<Option<i64>, Fault> {
        if !self.is_alive(place)? {
            return Ok(None);
        }
        let Some(row) = self.data.get(place.as_bytes())? else {
            return Ok(None);
        };
        let number = <[u8; 8]>::try_from(row.value()).map_err(|_| Fault::Corrupt("a counter has not 8 bytes"))?;
        Ok(Some(i64::from_be_bytes(number)))
    }

    /// True if any row of the thing is there, alive or not.
    pub(super) fn has_rows(&self, place: &Place) -> Result<bool, Fault> {
        let (from, to) = place.rows();
        let mut rows = self.data.range::<&[u8]>(borrowed(&from, &to))?;
        Ok(rows.next().transpose()?.is_some())
    }

    fn is_alive(&self, place: &Place) -> Result<bool, Fault> {
        Ok(!matches!(self.life(place)?, Life::Over(_)))
    }

    fn row(&self, row: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.data.get(row)?.map(|value| Bytes::copy_from_slice(value.value())))
    }

    fn record(&self, place: &Place) -> Result<Option<Versioned>, Fault> {
        let Some(row) = self.data.get(place.as_bytes())? else {
            return Ok(None);
        };
        if !self.is_alive(place)? {
            return Ok(None);
        }
        let (stamp, value) = row
            .value()
            .split_first_chunk::<STAMP_BYTES>()
            .ok_or(Fault::Corrupt("a record is shorter than its version"))?;
        Ok(Some(Versioned {
            stamp: Stamp(*stamp),
            value: Bytes::copy_from_slice(value),
        }))
    }

    fn entry(&self, shard: Shard, shape: Shape, key: &Key, name: &[u8]) -> Result<Option<Bytes>, Fault> {
        let place = Place::of(shard, shape, key);
        match self.row(&place.row(name))? {
            Some(value) if self.is_alive(&place)? => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    fn range(
        &self,
        place: &Place,
        (from, to): (&Bound<Bytes>, &Bound<Bytes>),
        limit: u32,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, Fault> {
        let mut found = Vec::new();
        if is_empty(from, to) || !self.is_alive(place)? {
            return Ok(found);
        }
        let (from, to) = place.rows_between(from, to);
        let mut rows = self.data.range::<&[u8]>(borrowed(&from, &to))?;
        for _ in 0..limit {
            let row = if reverse { rows.next_back() } else { rows.next() };
            let Some(row) = row else { break };
            let (row, value) = row?;
            found.push((place.name(row.value()), Bytes::copy_from_slice(value.value())));
        }
        Ok(found)
    }
}

/// The bounds as the file's tables take them.
pub(super) fn borrowed<'a>(from: &'a Bound<Vec<u8>>, to: &'a Bound<Vec<u8>>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice))
}
