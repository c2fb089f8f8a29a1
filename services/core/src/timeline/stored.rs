//! Entries as they stand in the store: without what their thread says already, and what people wrote sealed with the key of
//! the thread. Erasing a thread takes the key with it, and with that every copy of its entries.
//!
//! Fields of an event are left out where they are exactly what would be put back, byte for byte; everything else stays as it
//! travelled, also what this version does not know.

pub mod delivery;

use crate::id::{CustomerId, ThreadId};
use crate::identifier;
use crate::keyring::{self, Closed, Keyring, nonce};
use crate::keys;
use crate::port::Entropy;
use crate::port::store::StoreError;
use crate::time::Moment;
use bytes::{BufMut as _, Bytes, BytesMut};
use data_encoding::HEXLOWER;
use omnigate_proto::state::v1::{EntryContent, EntryRecord, HomeRecord, ThreadRecord};
use omnigate_proto::v1::{Evidence, IdentifierEvidence};
use prost::Message as _;
use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};
use ring::aead::LessSafeKey;

/// Stands before a data key, so that one without a seal never looks like one with it.
const PLAIN: u8 = 1;
/// Fields of `Event` that may be left out, in the order in which they are put back.
const OMITTABLE: [Omittable; 10] = [
    (1, Field::EventId),
    (2, Field::Tenant),
    (3, Field::Account),
    (4, Field::Channel),
    (5, Field::OccurredAt),
    (6, Field::ReceivedAt),
    (8, Field::Peer),
    (9, Field::Identifiers),
    (12, Field::Thread),
    (13, Field::Trace),
];

type Omittable = (u32, Field);

#[derive(Clone, Copy)]
enum Field {
    EventId,
    Tenant,
    Account,
    Channel,
    OccurredAt,
    ReceivedAt,
    Peer,
    Identifiers,
    Thread,
    Trace,
}

/// A home and what its entries are sealed with.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The home.
    pub id: CustomerId,
    /// Its record.
    pub home: &'a HomeRecord,
    /// The operator's keys.
    pub keyring: &'a Keyring,
}

/// Gives every thread that may have entries a data key, and seals those anew that a former key of the operator sealed.
pub fn give_keys(home: &mut HomeRecord, id: CustomerId, keyring: &Keyring, entropy: &dyn Entropy) {
    for thread in &mut home.threads {
        let has_key = !thread.data_key.is_empty();
        if thread.number == 0 || has_key && keyring.is_present(&thread.data_key) {
            continue;
        }
        let place = place_of_key(id, thread.number);
        let key = match keyring.open(&place, &thread.data_key) {
            Ok(key) if has_key => key,
            // Nothing of the thread can be read without a key that is not configured, and nothing is lost by waiting for it.
            Err(_) => continue,
            Ok(_) => [[PLAIN].as_slice(), &entropy.bytes(), &entropy.bytes()].concat().into(),
        };
        if let Some(sealed) = keyring.seal(&place, nonce(entropy), &key) {
            thread.data_key = sealed;
        }
    }
}

fn place_of_key(home: CustomerId, number: u32) -> Vec<u8> {
    [b"data key".as_slice(), &home.0, &number.to_be_bytes()].concat()
}

impl Stored<'_> {
    /// The entry as it is stored under a member of the timeline. One whose thread has no number or key stays as it is.
    pub fn pack(&self, member: &[u8], entry: &EntryRecord, entropy: &dyn Entropy) -> Result<Bytes, StoreError> {
        let Some(thread) = self.thread(entry.thread).filter(|thread| !thread.data_key.is_empty()) else {
            return Ok(entry.encode_to_vec().into());
        };
        let content = self.content(member, entry, thread).encode_to_vec();
        let mut sealed = BytesMut::with_capacity(content.len() + 32);
        let place = self.place(member);
        keyring::seal_with(&self.key(thread)?, &place, nonce(entropy), &content, &mut sealed)
            .ok_or_else(|| StoreError::Corrupt("an entry cannot be sealed".to_owned()))?;
        let stored = EntryRecord {
            received_at_ms: entry.received_at_ms,
            applied_after_ms: entry.applied_at_ms.saturating_sub(entry.received_at_ms),
            thread_seq: entry.thread_seq,
            revision: entry.revision,
            edited_at_ms: entry.edited_at_ms,
            deleted: entry.deleted,
            target: entry.target.clone(),
            message_id: entry.message_id.clone(),
            arrived_late: entry.arrived_late,
            follows_gap: entry.follows_gap,
            thread: entry.thread,
            pieces: entry.pieces.clone(),
            sealed: sealed.freeze(),
            ..EntryRecord::default()
        };
        Ok(stored.encode_to_vec().into())
    }

    /// Back from [`Stored::pack`]; `None` for an entry of a thread that is gone.
    pub fn unpack(&self, member: &[u8], stored: Bytes) -> Result<Option<EntryRecord>, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("an entry of {}: {what}", self.id));
        let mut entry = EntryRecord::decode(stored).map_err(|error| corrupt(&error.to_string()))?;
        if entry.sealed.is_empty() {
            return Ok(Some(entry));
        }
        let Some(thread) = self.thread(entry.thread) else {
            return Ok(None);
        };
        let opened = keyring::open_with(&self.key(thread)?, &self.place(member), &entry.sealed);
        let opened = opened.map_err(|closed| corrupt(&closed.to_string()))?;
        let content = EntryContent::decode(opened).map_err(|error| corrupt(&error.to_string()))?;
        entry.sealed = Bytes::new();
        entry.birth = thread.birth.clone();
        entry.applied_at_ms = entry.received_at_ms.saturating_add(entry.applied_after_ms);
        entry.applied_after_ms = 0;
        entry.home_seq = keys::read_timeline_member(member).map_or(0, |(spot, _)| spot.home_seq);
        entry.event = self.whole_event(member, &entry, &content, thread);
        entry.current = content.current;
        entry.reactions = content.reactions;
        Ok(Some(entry))
    }

    fn thread(&self, number: u32) -> Option<&ThreadRecord> {
        let found = self.home.threads.iter().find(|thread| thread.number == number);
        found.filter(|_| number != 0)
    }

    fn key(&self, thread: &ThreadRecord) -> Result<LessSafeKey, StoreError> {
        let place = place_of_key(self.id, thread.number);
        let corrupt = |what: String| StoreError::Corrupt(format!("the data key of a thread of {}: {what}", self.id));
        let opened = self.keyring.open(&place, &thread.data_key);
        let opened = opened.map_err(|closed| match closed {
            // Nothing is wrong with what is stored: it waits for the key.
            Closed::Key => StoreError::Unavailable(format!("a thread of {}: {closed}", self.id)),
            closed => corrupt(closed.to_string()),
        })?;
        let key = opened.strip_prefix(&[PLAIN]).and_then(keyring::cipher);
        key.ok_or_else(|| corrupt("is none".to_owned()))
    }

    fn place(&self, member: &[u8]) -> Vec<u8> {
        [&self.id.0, member].concat()
    }

    fn content(&self, member: &[u8], entry: &EntryRecord, thread: &ThreadRecord) -> EntryContent {
        let mut content = EntryContent {
            current: entry.current.clone(),
            reactions: entry.reactions.clone(),
            ..EntryContent::default()
        };
        let Some(fields) = fields(&entry.event) else {
            content.event = entry.event.clone();
            return content;
        };
        let mut rest = BytesMut::with_capacity(entry.event.len());
        for field in &fields {
            let position = OMITTABLE.iter().position(|(number, _)| *number == field.number);
            let alone = fields.iter().filter(|other| other.number == field.number).count() == 1;
            let omitted = position.filter(|_| alone).filter(|position| {
                learn(&mut content, entry, OMITTABLE[*position].1, field.value);
                self.said(member, entry, &content, thread, OMITTABLE[*position].1)
                    .as_deref()
                    == Some(field.value)
            });
            match (omitted, position) {
                (Some(position), _) => content.omitted |= 1 << position,
                (None, position) => {
                    if let Some(position) = position {
                        forget(&mut content, OMITTABLE[position].1);
                    }
                    rest.put_slice(field.whole);
                }
            }
        }
        content.event = rest.freeze();
        content
    }

    /// The event with its fields in the order in which they are encoded.
    fn whole_event(&self, member: &[u8], entry: &EntryRecord, content: &EntryContent, thread: &ThreadRecord) -> Bytes {
        let Some(kept) = fields(&content.event).filter(|_| content.omitted != 0) else {
            return content.event.clone();
        };
        let mut event = BytesMut::with_capacity(content.event.len() + 256);
        let mut kept = kept.into_iter().peekable();
        for (position, (number, field)) in OMITTABLE.into_iter().enumerate() {
            while let Some(before) = kept.next_if(|kept| kept.number < number) {
                event.put_slice(before.whole);
            }
            if content.omitted & (1 << position) != 0
                && let Some(value) = self.said(member, entry, content, thread, field)
            {
                encode_key(number, WireType::LengthDelimited, &mut event);
                encode_varint(u64::try_from(value.len()).unwrap_or(u64::MAX), &mut event);
                event.put_slice(&value);
            }
        }
        kept.for_each(|field| event.put_slice(field.whole));
        event.freeze()
    }

    /// What a field is where it is left out: from the thread, the member, and the few bytes that are kept of it.
    fn said(
        &self,
        member: &[u8],
        entry: &EntryRecord,
        content: &EntryContent,
        thread: &ThreadRecord,
        field: Field,
    ) -> Option<Vec<u8>> {
        let peer = || thread.peer.clone();
        let at = |after: i64| Moment(entry.received_at_ms.saturating_sub(after)).to_timestamp();
        Some(match field {
            Field::EventId => keys::read_timeline_member(member)?.1.to_string().into_bytes(),
            Field::Tenant => self.home.tenant_id.clone().into_bytes(),
            Field::Account => thread.account_id.clone().into_bytes(),
            Field::Channel => thread.channel.clone().into_bytes(),
            Field::OccurredAt => at(content.received_after_occurred_ms).encode_to_vec(),
            Field::ReceivedAt => at(content.received_after_seen_ms).encode_to_vec(),
            Field::Peer => peer()?.encode_to_vec(),
            Field::Identifiers => IdentifierEvidence {
                identifier: peer(),
                evidence: i32::try_from(content.evidence).ok()?,
                provider_form: thread.peer_provider_form.clone(),
            }
            .encode_to_vec(),
            Field::Thread => {
                let peer = identifier::key(&self.home.tenant_id, &peer()?);
                ThreadId::new(peer, &thread.account_id).to_string().into_bytes()
            }
            Field::Trace => HEXLOWER.encode(&content.trace_id).into_bytes(),
        })
    }
}

/// Keeps the few bytes of a field from which it can be put back.
fn learn(content: &mut EntryContent, entry: &EntryRecord, field: Field, value: &[u8]) {
    let after = |value: &[u8]| {
        let at = pbjson_types::Timestamp::decode(value).ok()?;
        Some(entry.received_at_ms.saturating_sub(Moment::from_timestamp(&at).0))
    };
    match field {
        Field::OccurredAt => content.received_after_occurred_ms = after(value).unwrap_or_default(),
        Field::ReceivedAt => content.received_after_seen_ms = after(value).unwrap_or_default(),
        Field::Identifiers => {
            let evidence = IdentifierEvidence::decode(value).map_or(Evidence::Unspecified, |said| said.evidence());
            content.evidence = u32::try_from(i32::from(evidence)).unwrap_or_default();
        }
        Field::Trace => {
            let id = HEXLOWER.decode(value).ok().filter(|id| id.len() == 16);
            content.trace_id = id.unwrap_or_default().into();
        }
        _ => {}
    }
}

/// Takes back what was learnt of a field that stays in the event.
fn forget(content: &mut EntryContent, field: Field) {
    match field {
        Field::OccurredAt => content.received_after_occurred_ms = 0,
        Field::ReceivedAt => content.received_after_seen_ms = 0,
        Field::Identifiers => content.evidence = 0,
        Field::Trace => content.trace_id = Bytes::new(),
        _ => {}
    }
}

/// A top-level field of an encoded message.
struct Wire<'a> {
    number: u32,
    /// With its key.
    whole: &'a [u8],
    /// What it holds; nothing for a field that has no length.
    value: &'a [u8],
}

/// The fields of an encoded message; `None` for what is no message.
fn fields(message: &[u8]) -> Option<Vec<Wire<'_>>> {
    let mut found = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let begin = rest;
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        let value = match wire_type {
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let value = rest.get(..length)?;
                rest.advance(length);
                value
            }
            _ => {
                skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
                &[]
            }
        };
        let whole = &begin[..begin.len() - rest.len()];
        found.push(Wire { number, whole, value });
    }
    Some(found)
}

#[cfg(test)]
mod tests;
