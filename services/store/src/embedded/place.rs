//! Where things lie in the file: shard, shape, length of the key, key, and then the name inside a map or an index.
//!
//! No place is the beginning of another, so a thing is exactly the rows that begin with its place.

use bytes::Bytes;
use omnigate_core::{port::store::Shape, shard::Shard};
use std::ops::Bound;

/// The first part of every row of a thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place(Vec<u8>);

/// A range of rows.
pub(super) type Rows = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Place {
    pub(super) fn of(shard: Shard, shape: Shape, key: &[u8]) -> Self {
        let tag = match shape {
            Shape::Record => b'r',
            Shape::Map => b'm',
            Shape::Index => b'i',
            Shape::Counter => b'c',
        };
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let mut place = Vec::with_capacity(key.len() + 6);
        place.extend([shard.number(), tag]);
        place.extend(length.to_be_bytes());
        place.extend(key);
        Self(place)
    }

    pub(super) fn from_bytes(place: &[u8]) -> Self {
        Self(place.to_vec())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The row of a name in a map or an index.
    pub(super) fn row(&self, name: &[u8]) -> Vec<u8> {
        [&self.0, name].concat()
    }

    /// All rows.
    pub(super) fn rows(&self) -> Rows {
        (Bound::Included(self.0.clone()), Bound::Excluded(self.end()))
    }

    /// The rows of the names in a range.
    pub(super) fn rows_between(&self, from: &Bound<Bytes>, to: &Bound<Bytes>) -> Rows {
        let from = match from {
            Bound::Included(name) => Bound::Included(self.row(name)),
            Bound::Excluded(name) => Bound::Excluded(self.row(name)),
            Bound::Unbounded => Bound::Included(self.0.clone()),
        };
        let to = match to {
            Bound::Included(name) => Bound::Included(self.row(name)),
            Bound::Excluded(name) => Bound::Excluded(self.row(name)),
            Bound::Unbounded => Bound::Excluded(self.end()),
        };
        (from, to)
    }

    /// The name of a row of this thing.
    pub(super) fn name(&self, row: &[u8]) -> Bytes {
        Bytes::copy_from_slice(row.get(self.0.len()..).unwrap_or_default())
    }

    /// The least bytes above every row: the place plus one in its last position. The shape's tag is never 0xff, so the
    /// carry ends there at the latest.
    fn end(&self) -> Vec<u8> {
        let mut end = self.0.clone();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        end
    }
}
