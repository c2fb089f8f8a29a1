//! Cuts a body by tenants, without decoding more than is needed to find out whose each element is.

use crate::topology;
use bytes::{BufMut as _, Bytes, BytesMut};
use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// What one tenant has in a body: a body by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Portion {
    /// The tenant; empty for what names none.
    pub tenant_id: String,
    /// Its elements, in their order.
    pub body: Bytes,
}

/// Fields that lead from an element of a body to its tenant.
const OF_EVENTS: &[u32] = &[1, 2];
const OF_CUSTOMER_EVENTS: &[u32] = &[2];
const OF_PARKED: &[u32] = &[2];
/// A provider's request names no tenant.
const OF_RAW: &[u32] = &[];

/// The way to the tenant in a body for this queue or log; `None` for one that is not sealed, because it holds nothing but
/// ids and times of ours.
fn way(place: &str) -> Option<&'static [u32]> {
    if topology::is_inbound(place) {
        return Some(OF_EVENTS);
    }
    if place.starts_with(topology::EVENTS) {
        return Some(OF_CUSTOMER_EVENTS);
    }
    match place {
        topology::PARKED => Some(OF_PARKED),
        topology::RAW => Some(OF_RAW),
        _ => None,
    }
}

/// The body by tenants, in the order of their first elements; `None` for a place whose bodies are not sealed. What cannot be
/// read is nobody's, as it is.
#[must_use]
pub fn portions(place: &str, body: &Bytes) -> Option<Vec<Portion>> {
    let way = way(place)?;
    let whole = || {
        vec![Portion {
            tenant_id: String::new(),
            body: body.clone(),
        }]
    };
    let Some(elements) = elements(body, way) else {
        return Some(whole());
    };
    let Some((first, _)) = elements.first() else {
        return Some(whole());
    };
    if elements.iter().all(|(tenant, _)| tenant == first) {
        return Some(vec![Portion {
            tenant_id: (*first).to_owned(),
            body: body.clone(),
        }]);
    }
    let mut cut: Vec<(&str, BytesMut)> = Vec::new();
    for (tenant, element) in elements {
        match cut.iter_mut().find(|(known, _)| *known == tenant) {
            Some((_, portion)) => portion.put_slice(element),
            None => cut.push((tenant, BytesMut::from(element))),
        }
    }
    let portion = |(tenant, body): (&str, BytesMut)| Portion {
        tenant_id: tenant.to_owned(),
        body: body.freeze(),
    };
    Some(cut.into_iter().map(portion).collect())
}

/// Each element with its key on the wire, and whose it is; `None` for what is no repeated field 1.
fn elements<'a>(body: &'a [u8], way: &[u32]) -> Option<Vec<(&'a str, &'a [u8])>> {
    let mut found = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let begin = rest;
        let (number, value) = field(&mut rest)?;
        let value = value.filter(|_| number == 1)?;
        let whole = &begin[..begin.len() - rest.len()];
        found.push((tenant(value, way).unwrap_or_default(), whole));
    }
    Some(found)
}

/// Follows the way into an element.
fn tenant<'a>(element: &'a [u8], way: &[u32]) -> Option<&'a str> {
    let mut inside = element;
    for wanted in way {
        let mut rest = inside;
        inside = loop {
            if rest.is_empty() {
                return None;
            }
            let (number, value) = field(&mut rest)?;
            if number == *wanted {
                break value?;
            }
        };
    }
    std::str::from_utf8(inside).ok().filter(|_| !way.is_empty())
}

/// The next field: its number, and what it holds where that has a length.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    let (number, wire_type) = decode_key(rest).ok()?;
    if wire_type == WireType::LengthDelimited {
        let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
        let value = rest.get(..length)?;
        rest.advance(length);
        return Some((number, Some(value)));
    }
    skip_field(wire_type, number, rest, DecodeContext::default()).ok()?;
    Some((number, None))
}
