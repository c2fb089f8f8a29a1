//! Builds CustomerEvents, and reads them. An event's bytes are spliced in as they travelled, so that a process that does
//! not know a field does not strip it.

use crate::id::{CustomerId, EntryId, EventId, MessageId, TransactionId};
use crate::port::broker::LogEntry;
use crate::time::Moment;
use bytes::{Bytes, BytesMut};
use omnigate_proto::state::v1::{CustomerEventBatch, EntryRecord};
use omnigate_proto::v1::{
    ConversationChanged, CustomerCreated, CustomerEvent, CustomerMerged, CustomerSplit, Delivery, DeliveryChanged,
    Entry, EntryReaction, Event, Identifier, IdentifierAttached, IdentifierEvidence, Profile, Unsupported,
    customer_event::Kind, event,
};
use prost::DecodeError;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, encode_key, encode_varint, skip_field};
use prost_types::FileDescriptorSet;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Field of `CustomerEvent` that holds `EntryAdded`.
const ENTRY_ADDED: u32 = 12;
/// Field of `EntryAdded` that holds the entry.
const ENTRY: u32 = 1;
/// Field of `Entry` that holds the event.
const EVENT: u32 = 2;

/// Where and when a CustomerEvent happened.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    /// Tenant.
    pub tenant_id: &'a str,
    /// Home it is numbered in.
    pub home: CustomerId,
    /// Its number there.
    pub home_seq: u64,
    /// When it took effect.
    pub at: Moment,
    /// Trace id of what caused it.
    pub trace_id: &'a str,
}

impl Happened<'_> {
    fn event(&self, kind: Option<Kind>) -> CustomerEvent {
        CustomerEvent {
            event_id: format!("{}/{}", self.home, self.home_seq),
            tenant_id: self.tenant_id.to_owned(),
            customer_id: self.home.to_string(),
            home_seq: self.home_seq,
            at: Some(self.at.to_timestamp()),
            trace_id: self.trace_id.to_owned(),
            kind,
        }
    }

    /// A customer record was born.
    #[must_use]
    pub fn customer_created(&self, profile: Option<Profile>) -> Bytes {
        encode(&self.event(Some(Kind::CustomerCreated(CustomerCreated { profile }))))
    }

    /// An identifier was attached.
    #[must_use]
    pub fn identifier_attached(&self, identifier: IdentifierEvidence) -> Bytes {
        let attached = IdentifierAttached {
            identifier: Some(identifier),
        };
        encode(&self.event(Some(Kind::IdentifierAttached(attached))))
    }

    /// Another customer was merged into this one.
    #[must_use]
    pub fn customer_merged(&self, loser: CustomerId, transaction: TransactionId) -> Bytes {
        encode(&self.event(Some(Kind::CustomerMerged(CustomerMerged {
            merged_customer_id: loser.to_string(),
            merge_id: transaction.to_string(),
        }))))
    }

    /// Identifiers went to another customer.
    #[must_use]
    pub fn customer_split(&self, gets: CustomerId, identifiers: Vec<Identifier>) -> Bytes {
        encode(&self.event(Some(Kind::CustomerSplit(CustomerSplit {
            split_customer_id: gets.to_string(),
            identifiers,
        }))))
    }

    /// A conversation was opened or changed.
    #[must_use]
    pub fn conversation_changed(&self, changed: ConversationChanged) -> Bytes {
        encode(&self.event(Some(Kind::ConversationChanged(changed))))
    }

    /// A delivery changed its state; the content stays out.
    #[must_use]
    pub fn delivery_changed(&self, delivery: &mut Delivery) -> Bytes {
        let content = delivery.message.take();
        // Lent to the event while that is written, and not copied for it.
        let changed = DeliveryChanged {
            delivery: Some(std::mem::take(delivery)),
        };
        let event = self.event(Some(Kind::DeliveryChanged(changed)));
        let bytes = encode(&event);
        if let Some(Kind::DeliveryChanged(DeliveryChanged { delivery: Some(back) })) = event.kind {
            *delivery = Delivery {
                message: content,
                ..back
            };
        }
        bytes
    }

    /// An entry was added.
    #[must_use]
    pub fn entry_added(&self, event: EventId, shown_at: Moment, record: &EntryRecord) -> Bytes {
        let head = encode(&self.event(None));
        let entry = encode(&entry(self.home, event, shown_at, record));
        let entry_length = entry.len() + field_length(EVENT, record.event.len());
        let added_length = field_length(ENTRY, entry_length);
        let mut out = BytesMut::with_capacity(head.len() + added_length + 16);
        out.extend_from_slice(&head);
        open_field(&mut out, ENTRY_ADDED, added_length);
        open_field(&mut out, ENTRY, entry_length);
        out.extend_from_slice(&entry);
        open_field(&mut out, EVENT, record.event.len());
        out.extend_from_slice(&record.event);
        out.freeze()
    }
}

fn encode(message: &impl prost::Message) -> Bytes {
    message.encode_to_vec().into()
}

fn field_length(field: u32, length: usize) -> usize {
    prost::encoding::key_len(field) + prost::encoding::encoded_len_varint(as_u64(length)) + length
}

fn open_field(out: &mut BytesMut, field: u32, length: usize) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(as_u64(length), out);
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Field numbers and names of the kinds of CustomerEvents, from the contract itself.
static KINDS: LazyLock<BTreeMap<u32, String>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(omnigate_proto::DESCRIPTORS).unwrap_or_default();
    let messages = files.file.into_iter().flat_map(|file| file.message_type);
    let event = messages.filter(|message| message.name() == "CustomerEvent");
    let fields = event.flat_map(|message| message.field);
    let kinds = fields.filter(|field| field.oneof_index.is_some());
    kinds
        .filter_map(|field| Some((u32::try_from(field.number()).ok()?, field.name().to_owned())))
        .collect()
});

/// Names of the kinds of CustomerEvents, as their fields in the contract are called.
pub fn kind_names() -> impl Iterator<Item = &'static str> {
    KINDS.values().map(String::as_str)
}

/// Name of the kind of an encoded CustomerEvent; `unsupported` for one that this version does not know.
#[must_use]
pub fn kind_name(mut event: &[u8]) -> &'static str {
    while let Ok((field, wire_type)) = decode_key(&mut event) {
        if let Some(name) = KINDS.get(&field) {
            return name;
        }
        if skip_field(wire_type, field, &mut event, DecodeContext::default()).is_err() {
            break;
        }
    }
    "unsupported"
}

/// A CustomerEvent in an entry of the events log.
#[derive(Clone, PartialEq, Debug)]
pub struct InEntry {
    /// Its place in the entry, counted from 0.
    pub index: u32,
    /// As it travelled.
    pub bytes: Bytes,
    /// It, as readers see it.
    pub event: CustomerEvent,
}

/// A tenant's CustomerEvents in an entry of the events log; none in one that cannot be read.
#[must_use]
pub fn of_tenant(entry: &LogEntry, tenant_id: &str) -> Vec<InEntry> {
    let Ok(batch) = CustomerEventBatch::decode(entry.body.clone()) else {
        tracing::error!(offset = entry.offset, "an entry of the events log cannot be read");
        return Vec::new();
    };
    let read = (0..).zip(batch.events).filter_map(|(index, bytes)| {
        let event = read(bytes.clone()).ok()?;
        Some(InEntry { index, bytes, event })
    });
    read.filter(|found| found.event.tenant_id == tenant_id).collect()
}

/// True for what took effect at a moment or later, and for everything without a moment.
#[must_use]
pub fn is_since(event: &CustomerEvent, moment: Option<Moment>) -> bool {
    let at = event.at.as_ref().map(Moment::from_timestamp);
    at.zip(moment).is_none_or(|(at, moment)| at >= moment)
}

/// The thread a CustomerEvent is about, or its home where it is about none.
#[must_use]
pub fn thread(event: &CustomerEvent) -> &str {
    let thread = match &event.kind {
        Some(Kind::EntryAdded(added)) => {
            let event = added.entry.as_ref().and_then(|entry| entry.event.as_ref());
            event.map(|event| &event.thread_id)
        }
        Some(Kind::DeliveryChanged(changed)) => changed.delivery.as_ref().map(|delivery| &delivery.thread_id),
        Some(Kind::ConversationChanged(changed)) => {
            let conversation = changed.conversation.as_ref();
            conversation.and_then(|conversation| conversation.thread_ids.first())
        }
        _ => None,
    };
    thread.filter(|thread| !thread.is_empty()).unwrap_or(&event.customer_id)
}

/// An event as readers see it. A kind that this version does not know is shown as unsupported, with its bytes.
#[must_use]
pub fn readable(bytes: &Bytes) -> Event {
    let mut read = Event::decode(bytes.clone()).unwrap_or_default();
    if read.kind.is_none() {
        read.kind = Some(event::Kind::Unsupported(Unsupported {
            type_name: "newer".to_owned(),
            raw: bytes.clone(),
            ..Unsupported::default()
        }));
    }
    read
}

/// A CustomerEvent as readers see it, with its event [`readable`].
pub fn read(bytes: Bytes) -> Result<CustomerEvent, DecodeError> {
    let mut read = CustomerEvent::decode(bytes.clone())?;
    if let Some(Kind::EntryAdded(added)) = &mut read.kind
        && let Some(entry) = &mut added.entry
        && entry.event.as_ref().is_some_and(|event| event.kind.is_none())
    {
        let AroundAdded { added } = AroundAdded::decode(bytes)?;
        let event = added.and_then(|added| added.entry).map(|entry| entry.event);
        entry.event = event.map(|event| readable(&event));
    }
    Ok(read)
}

/// A CustomerEvent of which nothing is read but the bytes of its event.
#[derive(Clone, PartialEq, prost::Message)]
struct AroundAdded {
    #[prost(message, optional, tag = "12")]
    added: Option<AroundEntry>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AroundEntry {
    #[prost(message, optional, tag = "1")]
    entry: Option<AroundEvent>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AroundEvent {
    #[prost(bytes = "bytes", tag = "2")]
    event: Bytes,
}

/// An entry as readers see it, without its event.
#[must_use]
pub fn entry(home: CustomerId, event: EventId, shown_at: Moment, record: &EntryRecord) -> Entry {
    let timestamp = |ms: i64| (ms != 0).then(|| Moment(ms).to_timestamp());
    Entry {
        entry_id: EntryId::new(home, event).to_string(),
        event: None,
        current: record.current.clone(),
        revision: record.revision,
        edited_at: timestamp(record.edited_at_ms),
        deleted: record.deleted,
        reactions: record
            .reactions
            .iter()
            .filter(|reaction| !reaction.emojis.is_empty())
            .map(|reaction| EntryReaction {
                actor: reaction.actor.clone(),
                emojis: reaction.emojis.clone(),
            })
            .collect(),
        thread_seq: record.thread_seq,
        home_seq: record.home_seq,
        shown_at: Some(shown_at.to_timestamp()),
        arrived_late: record.arrived_late,
        target_entry_id: EventId::from_bytes(&record.target)
            .map(|target| EntryId::new(home, target).to_string())
            .unwrap_or_default(),
        message_id: MessageId::from_bytes(&record.message_id)
            .map(|id| id.to_string())
            .unwrap_or_default(),
        follows_gap: record.follows_gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Shard;

    #[test]
    fn every_kind_has_its_field_s_name() {
        let names: Vec<&str> = kind_names().collect();
        assert!(names.len() >= 4 && names.contains(&"customer_created"), "{names:?}");
        let of = |kind| {
            let event = CustomerEvent {
                event_id: "cus_1/7".into(),
                at: Some(Moment(9).to_timestamp()),
                kind,
                ..CustomerEvent::default()
            };
            kind_name(&event.encode_to_vec())
        };
        assert_eq!(
            of(Some(Kind::CustomerCreated(CustomerCreated::default()))),
            "customer_created"
        );
        assert_eq!(
            of(Some(Kind::DeliveryChanged(DeliveryChanged::default()))),
            "delivery_changed"
        );
        assert_eq!((of(None), kind_name(b"\xff")), ("unsupported", "unsupported"));
        let mut newer = BytesMut::new();
        open_field(&mut newer, 90, 0);
        assert_eq!(kind_name(&newer), "unsupported");
    }

    #[test]
    fn an_event_belongs_to_its_thread_or_else_to_its_home() {
        let of = |kind| CustomerEvent {
            customer_id: "cus_1".into(),
            kind,
            ..CustomerEvent::default()
        };
        let entry = Entry {
            event: Some(Event {
                thread_id: "thr_1".into(),
                ..Event::default()
            }),
            ..Entry::default()
        };
        let added = of(Some(Kind::EntryAdded(omnigate_proto::v1::EntryAdded {
            entry: Some(entry),
        })));
        assert_eq!(thread(&added), "thr_1");
        let changed = of(Some(Kind::DeliveryChanged(DeliveryChanged {
            delivery: Some(Delivery {
                thread_id: "thr_2".into(),
                ..Delivery::default()
            }),
        })));
        assert_eq!(thread(&changed), "thr_2");
        let created = of(Some(Kind::CustomerCreated(CustomerCreated::default())));
        assert_eq!(thread(&created), "cus_1");
    }

    #[test]
    fn the_event_inside_keeps_fields_this_version_does_not_know() {
        let home = CustomerId::new(Moment(5), Shard::new(7), [1; 16]);
        let mut event = Event {
            account_id: "bot".into(),
            ..Event::default()
        }
        .encode_to_vec();
        let mut unknown = BytesMut::new();
        open_field(&mut unknown, 900, 3);
        unknown.extend_from_slice(b"new");
        event.extend_from_slice(&unknown);
        let record = EntryRecord {
            event: event.clone().into(),
            thread_seq: 3,
            ..EntryRecord::default()
        };
        let happened = Happened {
            tenant_id: "t",
            home,
            home_seq: 4,
            at: Moment(9),
            trace_id: "x",
        };
        let bytes = happened.entry_added(EventId([2; 16]), Moment(8), &record);
        let read = CustomerEvent::decode(bytes.clone()).unwrap();
        let Some(Kind::EntryAdded(added)) = read.kind else {
            panic!("an entry was added")
        };
        let entry = added.entry.unwrap();
        assert_eq!((entry.thread_seq, entry.event.unwrap().account_id.as_str()), (3, "bot"));
        assert!(
            bytes.windows(event.len()).any(|window| window == event),
            "the event's bytes travel unchanged"
        );
    }

    #[test]
    fn a_kind_this_version_does_not_know_is_read_with_its_bytes() {
        let home = CustomerId::new(Moment(5), Shard::new(7), [1; 16]);
        let mut event = BytesMut::from(
            &Event {
                account_id: "bot".into(),
                ..Event::default()
            }
            .encode_to_vec()[..],
        );
        open_field(&mut event, 57, 3);
        event.extend_from_slice(b"new");
        let record = EntryRecord {
            event: event.clone().freeze(),
            ..EntryRecord::default()
        };
        let happened = Happened {
            tenant_id: "t",
            home,
            home_seq: 4,
            at: Moment(9),
            trace_id: "x",
        };
        let read = read(happened.entry_added(EventId([2; 16]), Moment(8), &record)).unwrap();
        let Some(Kind::EntryAdded(added)) = read.kind else {
            panic!("an entry was added")
        };
        let shown = added.entry.unwrap().event.unwrap();
        assert_eq!(shown.account_id, "bot");
        let Some(event::Kind::Unsupported(unsupported)) = shown.kind else {
            panic!("shown as unsupported")
        };
        assert_eq!(unsupported.raw, event);
    }
}
