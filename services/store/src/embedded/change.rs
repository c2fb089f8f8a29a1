//! Writing: commits inside one write transaction of the file.

use super::{
    DATA, DUES, Fault, QUEUE,
    place::Place,
    view::{Life, View, borrowed},
};
use crate::memory::at_least_a_millisecond;
use omnigate_core::{
    port::store::{Commit, Found, Key, Outcome, Shape, Stamp, Write},
    shard::Shard,
    time::Moment,
};
use redb::{ReadableTable, Table, WriteTransaction};

type Rows<'txn> = Table<'txn, &'static [u8], &'static [u8]>;

/// A write transaction's tables at one moment.
pub(super) struct Change<'txn> {
    data: Rows<'txn>,
    dues: Rows<'txn>,
    queue: Rows<'txn>,
    now: Moment,
}

impl<'txn> Change<'txn> {
    pub(super) fn begin(transaction: &'txn WriteTransaction, now: Moment) -> Result<Self, Fault> {
        Ok(Self {
            data: transaction.open_table(DATA)?,
            dues: transaction.open_table(DUES)?,
            queue: transaction.open_table(QUEUE)?,
            now,
        })
    }

    /// What a commit's expectations met instead; empty if all hold.
    pub(super) fn violations(&self, shard: Shard, commit: &Commit) -> Result<Vec<(usize, Found)>, Fault> {
        let mut violations = Vec::new();
        for (position, expect) in commit.expect.iter().enumerate() {
            if let Some(found) = self.view().violation(shard, expect)? {
                violations.push((position, found));
            }
        }
        Ok(violations)
    }

    /// Applies a commit whose expectations hold. After a fault the whole transaction must be given up.
    pub(super) fn apply(&mut self, shard: Shard, commit: &Commit) -> Result<Outcome, Fault> {
        for write in &commit.write {
            self.write(shard, write, commit.stamp)?;
        }
        Ok(Outcome::Committed)
    }

    /// Removes the rows of things whose time is over, at most so many things; returns how many there were.
    pub(super) fn sweep(&mut self, limit: usize) -> Result<usize, Fault> {
        let end = self.now.to_key();
        let mut over = Vec::new();
        for entry in self.queue.range::<&[u8]>(..end.as_slice())?.take(limit) {
            let (entry, _) = entry?;
            let place = entry
                .value()
                .get(end.len()..)
                .ok_or(Fault::Corrupt("an expiry names nothing"))?;
            over.push(Place::from_bytes(place));
        }
        for place in &over {
            self.delete(place)?;
        }
        Ok(over.len())
    }

    fn view(&self) -> View<'_, Rows<'txn>> {
        View {
            data: &self.data,
            dues: &self.dues,
            now: self.now,
        }
    }

    fn write(&mut self, shard: Shard, write: &Write, stamp: Stamp) -> Result<(), Fault> {
        match write {
            Write::Put { key, value } => {
                let place = Place::of(shard, Shape::Record, key);
                self.set_due(&place, None)?;
                self.insert(place.as_bytes(), &[&stamp.0, value.as_ref()].concat())
            }
            Write::SetField { key, field, value } => self.set(shard, Shape::Map, key, (field, value)),
            Write::Insert { key, member, value } => self.set(shard, Shape::Index, key, (member, value)),
            Write::RemoveField { key, field } => self.unset(&Place::of(shard, Shape::Map, key), field),
            Write::Remove { key, member } => self.unset(&Place::of(shard, Shape::Index, key), member),
            Write::Add { key, delta } => {
                let place = Place::of(shard, Shape::Counter, key);
                let number = self.view().counter(&place)?;
                if number.is_none() {
                    self.delete(&place)?;
                }
                let sum = number.unwrap_or(0).saturating_add(*delta);
                self.insert(place.as_bytes(), &sum.to_be_bytes())
            }
            Write::Delete { shape, key } => self.delete(&Place::of(shard, *shape, key)),
            Write::Expire { shape, key, after } => {
                let place = Place::of(shard, *shape, key);
                let over = matches!(self.view().life(&place)?, Life::Over(_));
                if over || !self.view().has_rows(&place)? {
                    return Ok(());
                }
                self.set_due(&place, Some(self.now + at_least_a_millisecond(*after)))
            }
        }
    }

    fn insert(&mut self, row: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.data.insert(row, value)?;
        Ok(())
    }

    fn set(&mut self, shard: Shard, shape: Shape, key: &Key, (name, value): (&[u8], &[u8])) -> Result<(), Fault> {
        let place = Place::of(shard, shape, key);
        if matches!(self.view().life(&place)?, Life::Over(_)) {
            self.delete(&place)?;
        }
        self.insert(&place.row(name), value)
    }

    /// Removes an entry; a map or an index without entries does not exist and has no expiry.
    fn unset(&mut self, place: &Place, name: &[u8]) -> Result<(), Fault> {
        self.data.remove(place.row(name).as_slice())?;
        if self.view().life(place)? != Life::Endless && !self.view().has_rows(place)? {
            self.set_due(place, None)?;
        }
        Ok(())
    }

    fn delete(&mut self, place: &Place) -> Result<(), Fault> {
        let (from, to) = place.rows();
        self.data.retain_in::<&[u8], _>(borrowed(&from, &to), |_, _| false)?;
        self.set_due(place, None)
    }

    fn set_due(&mut self, place: &Place, due: Option<Moment>) -> Result<(), Fault> {
        let queued = |due: Moment| [&due.to_key(), place.as_bytes()].concat();
        if let Life::Until(former) | Life::Over(former) = self.view().life(place)? {
            self.queue.remove(queued(former).as_slice())?;
            self.dues.remove(place.as_bytes())?;
        }
        if let Some(due) = due {
            self.queue.insert(queued(due).as_slice(), [].as_slice())?;
            self.dues.insert(place.as_bytes(), due.to_key().as_slice())?;
        }
        Ok(())
    }
}
