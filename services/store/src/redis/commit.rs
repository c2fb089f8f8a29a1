//! Commits as arguments of the commit script, and its answer as outcomes.

use super::{
    call::{Call, Words},
    names::Names,
};
use crate::memory::at_least_a_millisecond;
use bytes::Bytes;
use omnigate_core::{
    port::store::{Commit, Expect, Found, Outcome, Shape, Stamp, Versioned, Write},
    shard::Shard,
};
use redis::Value;
use std::time::Duration;

/// Most entries in one command of the script: its `unpack` cannot take more than some thousand values.
const GROUP: usize = 1000;

/// Bytes of a record before its value.
const STAMP_BYTES: usize = 8;

/// The call that makes all these commits.
pub(super) fn encode<'a>(names: &Names, commits: impl ExactSizeIterator<Item = (Shard, &'a Commit)>) -> Call {
    let mut call = Call::default();
    call.args.push_number(commits.len());
    for (shard, commit) in commits {
        Encoder {
            names,
            shard,
            call: &mut call,
        }
        .commit(commit);
    }
    call
}

struct Encoder<'a> {
    names: &'a Names,
    shard: Shard,
    call: &'a mut Call,
}

impl Encoder<'_> {
    fn commit(&mut self, commit: &Commit) {
        let (first_key, first_arg) = (self.call.keys.len(), self.call.args.len());
        let keys = self.call.args.push_later();
        let args = self.call.args.push_later();
        let groups = self.call.args.push_later();
        let mut count = 0;
        for group in commit
            .expect
            .chunk_by(checked_together)
            .flat_map(|run| run.chunks(GROUP))
        {
            self.checks(group);
            count += 1;
        }
        let mut groups_of_writes = commit
            .write
            .chunk_by(written_together)
            .flat_map(|run| run.chunks(GROUP))
            .peekable();
        while let Some(group) = groups_of_writes.next() {
            match (group, groups_of_writes.peek()) {
                (
                    [Write::Put { key, value }],
                    Some(
                        [
                            Write::Expire {
                                shape: Shape::Record,
                                key: of,
                                after,
                            },
                        ],
                    ),
                ) if key == of => {
                    self.put_for_a_while(key, commit.stamp, value, *after);
                    groups_of_writes.next();
                }
                _ => self.writes(group, commit.stamp),
            }
        }
        let used = (self.call.keys.len() - first_key, self.call.args.len() - first_arg);
        self.call.args.set(keys, used.0);
        self.call.args.set(args, used.1);
        self.call.args.set(groups, count);
    }

    fn key(&mut self, shape: Shape, key: &[u8]) {
        self.call
            .keys
            .push_joined(self.names.thing(self.shard, shape, key).parts());
    }

    fn values_key(&mut self, key: &[u8]) {
        self.call.keys.push_joined(self.names.values(self.shard, key).parts());
    }

    fn put_for_a_while(&mut self, key: &[u8], stamp: Stamp, value: &[u8], after: Duration) {
        self.key(Shape::Record, key);
        self.call.args.push(b"P");
        self.call.args.push_joined([&stamp.0[..], value]);
        self.call.args.push(milliseconds(after).as_bytes());
    }

    fn head(&mut self, kind: u8, count: usize) {
        self.call.args.push(&[kind]);
        self.call.args.push_number(count);
    }

    /// Expectations that one command looks at.
    fn checks(&mut self, group: &[Expect]) {
        match group.first() {
            Some(Expect::Record { key, stamp }) => {
                self.key(Shape::Record, key);
                self.call.args.push(b"r");
                self.call.args.push(stamp.as_ref().map_or(&[], |stamp| &stamp.0));
            }
            Some(Expect::Field { key, value, .. }) => {
                self.key(Shape::Map, key);
                self.head(if value.is_some() { b'=' } else { b'-' }, group.len());
            }
            Some(Expect::Member { key, present, .. }) => {
                self.key(Shape::Index, key);
                self.values_key(key);
                self.head(if *present { b'm' } else { b'n' }, group.len());
            }
            None => {}
        }
        for expect in group {
            if let Expect::Field { field: name, .. } | Expect::Member { member: name, .. } = expect {
                self.call.args.push(name);
            }
        }
        for expect in group {
            if let Expect::Field { value: Some(value), .. } = expect {
                self.call.args.push(value);
            }
        }
    }

    /// Writes that one command, or a pair of commands, makes.
    fn writes(&mut self, group: &[Write], stamp: Stamp) {
        match group.first() {
            Some(Write::Put { .. }) => {
                for write in group {
                    if let Write::Put { key, .. } = write {
                        self.key(Shape::Record, key);
                    }
                }
                self.head(b'p', group.len());
                for write in group {
                    if let Write::Put { value, .. } = write {
                        self.call.args.push_joined([&stamp.0[..], value]);
                    }
                }
            }
            Some(Write::Add { key, delta }) => {
                self.key(Shape::Counter, key);
                self.call.args.push(b"a");
                self.call.args.push(delta.to_string().as_bytes());
            }
            Some(Write::Delete { shape, key }) => self.both(*shape, key, |args| args.push(b"D")),
            Some(Write::Expire { shape, key, after }) => {
                let millis = milliseconds(*after);
                self.both(*shape, key, |args| {
                    args.push(b"E");
                    args.push(millis.as_bytes());
                });
            }
            Some(Write::SetField { key, .. }) => {
                self.key(Shape::Map, key);
                self.head(b's', group.len());
            }
            Some(Write::RemoveField { key, .. }) => {
                self.key(Shape::Map, key);
                self.head(b'd', group.len());
            }
            Some(Write::Insert { key, value, .. }) => {
                self.key(Shape::Index, key);
                self.values_key(key);
                self.head(if value.is_empty() { b'z' } else { b'i' }, group.len());
            }
            Some(Write::Remove { key, .. }) => {
                self.key(Shape::Index, key);
                self.values_key(key);
                self.head(b'x', group.len());
            }
            None => {}
        }
        group.iter().for_each(|write| self.entry(write));
    }

    fn entry(&mut self, write: &Write) {
        match write {
            Write::SetField { field: name, value, .. }
            | Write::Insert {
                member: name, value, ..
            } => {
                self.call.args.push(name);
                if !(value.is_empty() && matches!(write, Write::Insert { .. })) {
                    self.call.args.push(value);
                }
            }
            Write::RemoveField { field: name, .. } | Write::Remove { member: name, .. } => self.call.args.push(name),
            Write::Put { .. } | Write::Add { .. } | Write::Delete { .. } | Write::Expire { .. } => {}
        }
    }

    /// The same for every key that the thing has in Redis: two for an index.
    fn both(&mut self, shape: Shape, key: &[u8], operation: impl Fn(&mut Words)) {
        self.key(shape, key);
        operation(&mut self.call.args);
        if shape == Shape::Index {
            self.values_key(key);
            operation(&mut self.call.args);
        }
    }
}

fn milliseconds(after: Duration) -> String {
    at_least_a_millisecond(after).as_millis().to_string()
}

fn checked_together(one: &Expect, next: &Expect) -> bool {
    match (one, next) {
        (Expect::Field { key, value, .. }, Expect::Field { key: k, value: v, .. }) => {
            key == k && value.is_some() == v.is_some()
        }
        (Expect::Member { key, present, .. }, Expect::Member { key: k, present: p, .. }) => key == k && present == p,
        _ => false,
    }
}

fn written_together(one: &Write, next: &Write) -> bool {
    match (one, next) {
        // The same key twice has its last value in the end, also in one command.
        (Write::Put { .. }, Write::Put { .. }) => true,
        (Write::Insert { key, value, .. }, Write::Insert { key: k, value: v, .. }) => {
            key == k && value.is_empty() == v.is_empty()
        }
        (Write::SetField { key, .. }, Write::SetField { key: k, .. })
        | (Write::RemoveField { key, .. }, Write::RemoveField { key: k, .. })
        | (Write::Remove { key, .. }, Write::Remove { key: k, .. }) => key == k,
        _ => false,
    }
}

/// One commit's outcome from its element of the answer; `None` if that makes no sense.
pub(super) fn decode(commit: &Commit, answer: Value) -> Option<Outcome> {
    let elements = match answer {
        Value::Int(1) => return Some(Outcome::Committed),
        Value::Array(elements) if !elements.is_empty() => elements,
        _ => return None,
    };
    let mut conflicts = Vec::with_capacity(elements.len() / 2);
    let mut elements = elements.into_iter();
    while let Some(position) = elements.next() {
        let Value::Int(position) = position else { return None };
        let position = usize::try_from(position).ok()?;
        let found = bytes(elements.next()?)?;
        let found = match commit.expect.get(position)? {
            Expect::Record { .. } => Found::Record(record(found)?),
            Expect::Field { .. } => Found::Field(found),
            Expect::Member { .. } => Found::Member(found),
        };
        conflicts.push((position, found));
    }
    Some(Outcome::Conflict(conflicts))
}

/// A value that may be absent; `None` if it is something else.
pub(super) fn bytes(value: Value) -> Option<Option<Bytes>> {
    match value {
        Value::Nil => Some(None),
        Value::BulkString(bytes) => Some(Some(bytes.into())),
        _ => None,
    }
}

/// A record that may be absent, from its string; `None` if that is too short for one.
pub(super) fn record(string: Option<Bytes>) -> Option<Option<Versioned>> {
    let Some(mut string) = string else {
        return Some(None);
    };
    let stamp = Stamp(string.get(..STAMP_BYTES)?.try_into().ok()?);
    let value = string.split_off(STAMP_BYTES);
    Some(Some(Versioned { stamp, value }))
}
