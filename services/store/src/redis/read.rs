//! Queries as arguments of the read script, and its answer as answers.

use super::{
    call::Call,
    commit::{bytes, record},
    names::Names,
};
use bytes::Bytes;
use omnigate_core::{
    port::store::{Answer, Query, Shape},
    shard::Shard,
};
use redis::Value;
use std::ops::Bound;

/// The call that answers all these queries.
pub(super) fn encode<'a>(names: &Names, queries: impl Iterator<Item = (Shard, &'a Query)>) -> Call {
    let mut call = Call::default();
    for (shard, query) in queries {
        encode_one(names, shard, query, &mut call);
    }
    call
}

fn encode_one(names: &Names, shard: Shard, query: &Query, Call { keys, args }: &mut Call) {
    match query {
        Query::Record(key) => {
            keys.push_joined(names.thing(shard, Shape::Record, key).parts());
            args.push(b"g");
        }
        Query::Counter(key) => {
            keys.push_joined(names.thing(shard, Shape::Counter, key).parts());
            args.push(b"g");
        }
        Query::Fields { key, fields } => {
            keys.push_joined(names.thing(shard, Shape::Map, key).parts());
            args.push(b"f");
            args.push_number(fields.len());
            fields.iter().for_each(|field| args.push(field));
        }
        Query::Range {
            key,
            from,
            to,
            limit,
            reverse,
        } => {
            keys.push_joined(names.thing(shard, Shape::Index, key).parts());
            keys.push_joined(names.values(shard, key).parts());
            let (from, to) = (bound(from, b"-"), bound(to, b"+"));
            if *reverse {
                args.push(b"ZREVRANGEBYLEX");
                args.push(&to);
                args.push(&from);
            } else {
                args.push(b"ZRANGEBYLEX");
                args.push(&from);
                args.push(&to);
            }
            args.push(limit.to_string().as_bytes());
        }
    }
}

fn bound(bound: &Bound<Bytes>, unbounded: &[u8]) -> Vec<u8> {
    match bound {
        Bound::Included(member) => [b"[", member.as_ref()].concat(),
        Bound::Excluded(member) => [b"(", member.as_ref()].concat(),
        Bound::Unbounded => unbounded.to_vec(),
    }
}

/// The next query's answer from the elements that are left; `None` if they make no sense.
pub(super) fn decode(query: &Query, elements: &mut impl Iterator<Item = Value>) -> Option<Answer> {
    let element = elements.next()?;
    Some(match query {
        Query::Record(_) => Answer::Record(record(bytes(element)?)?),
        Query::Counter(_) => Answer::Counter(match bytes(element)? {
            Some(digits) => std::str::from_utf8(&digits).ok()?.parse().ok()?,
            None => 0,
        }),
        Query::Fields { fields, .. } => {
            let values = list(element)?.into_iter().map(bytes).collect::<Option<Vec<_>>>()?;
            (values.len() == fields.len()).then_some(Answer::Fields(values))?
        }
        Query::Range { .. } => {
            let (members, values) = (list(element)?, list(elements.next()?)?);
            // A member without a value has no field in the hash.
            let pair = |(member, value)| Some((bytes(member)??, bytes(value)?.unwrap_or_default()));
            Answer::Range(members.into_iter().zip(values).map(pair).collect::<Option<_>>()?)
        }
    })
}

fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(elements) => Some(elements),
        _ => None,
    }
}
