//! What this version does not know of an event, kept as it came.
//!
//! A decoded event holds no field that a newer version added. So the bytes to store are put together from the bytes that
//! came: what normalising left alone stays as it was written, unknown fields inside included; what it changed is written
//! anew, and around it, as deep as the contract goes, the unknown fields stay.

use omnigate_proto::{DESCRIPTORS, v1::Event};
use prost::{
    DecodeError, Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field},
};
use prost_types::{FileDescriptorSet, field_descriptor_proto::Type};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const EVENT: &str = ".omnigate.v1.Event";

/// Fields of a message by number, each with the name of the message inside, if it is one.
type Known = BTreeMap<u32, Option<String>>;

/// The messages of the contract by name. Entries of maps are not among them: their order says nothing, so none can be
/// found again after a change.
static MESSAGES: LazyLock<BTreeMap<String, Known>> = LazyLock::new(|| {
    // The descriptors are written by the build; a test reads them.
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let mut messages = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            let known = message.field.iter().map(|field| {
                let number = u32::try_from(field.number()).unwrap_or_default();
                let is_message = field.r#type() == Type::Message;
                (number, field.type_name.clone().filter(|_| is_message))
            });
            let name = format!(".{}.{}", file.package(), message.name());
            messages.insert(name, known.collect());
        }
    }
    messages
});

/// A field as it is written.
struct Field<'a> {
    number: u32,
    /// Key and value.
    whole: &'a [u8],
    /// What a length stands before; empty for numbers.
    inside: &'a [u8],
}

fn fields(mut bytes: &[u8]) -> Result<Vec<Field<'_>>, DecodeError> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let begun = bytes;
        let (number, wire_type) = decode_key(&mut bytes)?;
        let mut inside = bytes;
        skip_field(wire_type, number, &mut bytes, DecodeContext::default())?;
        if wire_type == WireType::LengthDelimited {
            decode_varint(&mut inside)?;
        } else {
            inside = bytes;
        }
        found.push(Field {
            number,
            whole: without_end(begun, bytes),
            inside: without_end(inside, bytes),
        });
    }
    Ok(found)
}

/// The bytes up to `end`, which is what is left of them.
fn without_end<'a>(bytes: &'a [u8], end: &[u8]) -> &'a [u8] {
    bytes.split_at(bytes.len().saturating_sub(end.len())).0
}

/// The fields of an event that this version does not know, as they were written; what lies deeper is not looked at.
pub(super) fn unknown_fields(original: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let known = MESSAGES.get(EVENT);
    let is_known = |field: &Field<'_>| known.is_some_and(|known| known.contains_key(&field.number));
    let unknown = fields(original)?.into_iter().filter(|field| !is_known(field));
    Ok(unknown.flat_map(|field| field.whole).copied().collect())
}

/// The bytes of an event after normalising: decoded they are `after`, and the unknown fields of `original` are in them. In
/// a list that normalising shortened they are not, because nothing says which element was which. `before` is what
/// `original` decodes to.
pub(super) fn kept(original: &[u8], before: &Event, after: &Event) -> Result<Vec<u8>, DecodeError> {
    let plain = after.encode_to_vec();
    let merged = merged(EVENT, original, &before.encode_to_vec(), &plain)?;
    // Two values for one oneof, or a field that is written in pieces, come out right only by luck: there the unknown fields
    // of the event itself are kept, and deeper ones are not.
    if Event::decode(&merged[..]).is_ok_and(|read| read == *after) {
        return Ok(merged);
    }
    Ok([plain, unknown_fields(original)?].concat())
}

/// Goes as deep as `before` does, which was decoded and so is not too deep.
fn merged(message: &str, original: &[u8], before: &[u8], after: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let Some(known) = MESSAGES.get(message) else {
        return Ok(after.to_vec());
    };
    let (original, before, after) = (fields(original)?, fields(before)?, fields(after)?);
    let mut out = Vec::new();
    for changed in after.chunk_by(|one, other| one.number == other.number) {
        let Some(Field { number, .. }) = changed.first() else {
            continue;
        };
        let (came, was) = (of(*number, &original), of(*number, &before));
        let wholes = changed.iter().map(|field| field.whole);
        if was.iter().map(|field| field.whole).eq(wholes.clone()) {
            out.extend(came.iter().flat_map(|field| field.whole));
            continue;
        }
        let inside = known.get(number).and_then(Option::as_deref);
        let same = came.len() == changed.len() && was.len() == changed.len();
        let Some(inside) = inside.filter(|_| same) else {
            out.extend(wholes.flatten());
            continue;
        };
        for ((came, was), changed) in came.iter().zip(was).zip(changed) {
            let value = merged(inside, came.inside, was.inside, changed.inside)?;
            encode_key(*number, WireType::LengthDelimited, &mut out);
            encode_varint(u64::try_from(value.len()).unwrap_or(u64::MAX), &mut out);
            out.extend(value);
        }
    }
    let unknown = original.iter().filter(|field| !known.contains_key(&field.number));
    out.extend(unknown.flat_map(|field| field.whole));
    Ok(out)
}

fn of<'f, 'a>(number: u32, fields: &'f [Field<'a>]) -> Vec<&'f Field<'a>> {
    fields.iter().filter(|field| field.number == number).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Where a message stands in another one: numbers of fields, each with its place among those of that number.
    pub(in super::super) type Path = Vec<(u32, usize)>;

    /// Every message inside of a message, itself included, with the unknown fields in it.
    pub(in super::super) fn places(bytes: &[u8]) -> BTreeMap<Path, Vec<u8>> {
        let mut found = BTreeMap::new();
        look(EVENT, bytes, &[], &mut found);
        found
    }

    fn look(message: &str, bytes: &[u8], path: &[(u32, usize)], found: &mut BTreeMap<Path, Vec<u8>>) {
        let known = &MESSAGES[message];
        let mut unknown = Vec::new();
        let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
        for field in fields(bytes).unwrap() {
            let index = seen.entry(field.number).or_default();
            match known.get(&field.number) {
                None => unknown.extend_from_slice(field.whole),
                Some(Some(inside)) if MESSAGES.contains_key(inside) => {
                    let path = [path, &[(field.number, *index)]].concat();
                    look(inside, field.inside, &path, found);
                }
                Some(_) => {}
            }
            *index += 1;
        }
        found.insert(path.to_vec(), unknown);
    }

    /// The event as a newer version might have written it: with fields of its own in every message inside.
    pub(in super::super) fn newer(event: &Event, first: &[u8], last: &[u8]) -> Vec<u8> {
        with_more(EVENT, &event.encode_to_vec(), first, last)
    }

    fn with_more(message: &str, bytes: &[u8], first: &[u8], last: &[u8]) -> Vec<u8> {
        let mut out = first.to_vec();
        for field in fields(bytes).unwrap() {
            match &MESSAGES[message].get(&field.number) {
                Some(Some(inside)) if MESSAGES.contains_key(inside) => {
                    out.extend(sub(field.number, &with_more(inside, field.inside, first, last)));
                }
                _ => out.extend_from_slice(field.whole),
            }
        }
        out.extend_from_slice(last);
        out
    }

    /// A field that holds bytes.
    pub(in super::super) fn sub(number: u32, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        prost::encoding::bytes::encode(number, &value.to_vec(), &mut out);
        out
    }

    #[test]
    fn the_descriptors_tell_what_is_known() {
        let event = &MESSAGES[EVENT];
        let numbers: Vec<u32> = event.keys().copied().collect();
        assert_eq!(numbers, (1..=16).chain(20..=35).collect::<Vec<u32>>());
        assert_eq!(event[&7], None, "an enum is no message");
        assert_eq!(event[&20].as_deref(), Some(".omnigate.v1.Message"));
        assert!(MESSAGES.contains_key(".google.protobuf.Timestamp"));
        assert!(
            !MESSAGES
                .keys()
                .any(|name| name.ends_with("Entry") && name != ".omnigate.v1.Entry")
        );
    }
}
