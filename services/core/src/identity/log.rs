//! What made a customer what it is: a chain of events in its own shard, each with a hash over the one before. It names no
//! person: identifiers are told by their reservation tokens.

use crate::id::{CustomerId, TransactionId, hash};
use crate::keys;
use crate::port::store::Write;
use crate::time::Moment;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use omnigate_proto::state::v1::{CustomerRecord, IdentityEventRecord};
use omnigate_proto::v1::IdentityEventKind;
use prost::{DecodeError, Message as _};

/// Bytes of a trace id.
const TRACE: usize = 16;

/// Something that is noted in the same commit.
#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    /// Kind.
    pub kind: IdentityEventKind,
    /// Trace id of what caused it.
    pub cause: String,
    /// Merge or split.
    pub transaction: Option<TransactionId>,
    /// The other customer.
    pub other: Option<CustomerId>,
    /// Reservation tokens of the identifiers it is about.
    pub births: Vec<Bytes>,
    /// Names of the rules that forbade a merge.
    pub rules: Vec<String>,
}

impl Note {
    /// A note without particulars.
    #[must_use]
    pub fn new(kind: IdentityEventKind, cause: &str) -> Self {
        Self {
            kind,
            cause: cause.to_owned(),
            transaction: None,
            other: None,
            births: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// Every so many events one holds the hash of the event before it, from which the chain can be followed. The first ones hold
/// none, so that the log of most customers stays small.
const ANCHORED: u64 = 32;

/// Numbers a note and chains it; the write that keeps it.
#[must_use]
pub fn note(record: &mut CustomerRecord, id: CustomerId, note: Note, now: Moment) -> Write {
    let number = record.log_number + 1;
    let before = std::mem::take(&mut record.log_hash);
    let trace_id = HEXLOWER
        .decode(note.cause.as_bytes())
        .ok()
        .filter(|id| id.len() == TRACE);
    let event = IdentityEventRecord {
        kind: note.kind.into(),
        at_ms: now.0,
        cause: if trace_id.is_some() { String::new() } else { note.cause },
        trace_id: trace_id.unwrap_or_default().into(),
        transaction: note.transaction.map(TransactionId::to_bytes).unwrap_or_default(),
        other: note.other.map(CustomerId::to_bytes).unwrap_or_default(),
        births: note.births,
        rules: note.rules,
        previous: if number.is_multiple_of(ANCHORED) {
            before.clone()
        } else {
            Bytes::new()
        },
    };
    let value: Bytes = event.encode_to_vec().into();
    record.log_number = number;
    record.log_hash = hash_of(&before, &value);
    Write::SetField {
        key: keys::identity_log(id),
        field: field(number),
        value,
    }
}

/// Field of an event in its map.
#[must_use]
pub fn field(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Hash of an event and, through the hash before it, of all that came before.
fn hash_of(before: &[u8], value: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&hash("identity event", &[before, value]))
}

/// Follows a chain from its first event that is read.
#[derive(Debug, Default)]
pub struct Chain {
    /// Hash of the event before; `None` while that cannot be known.
    before: Option<Bytes>,
    broken: bool,
}

impl Chain {
    /// The next event of the chain, with its hash where that can be known.
    pub fn next(&mut self, number: u64, value: Option<Bytes>) -> Result<Option<Link>, DecodeError> {
        let Some(value) = value else {
            self.broken = true;
            return Ok(None);
        };
        let mut event = IdentityEventRecord::decode(value.clone())?;
        if number == 1 {
            self.before = Some(Bytes::new());
        }
        if number.is_multiple_of(ANCHORED) {
            self.broken |= self.before.as_ref().is_some_and(|before| *before != event.previous);
            self.before = Some(event.previous.clone());
        }
        let hash = self.before.as_ref().map(|before| hash_of(before, &value));
        self.before.clone_from(&hash);
        if !event.trace_id.is_empty() {
            event.cause = HEXLOWER.encode(&event.trace_id);
        }
        Ok(Some(Link { event, hash }))
    }

    /// True when the chain holds up to the hash that the customer's record has.
    #[must_use]
    pub fn holds(&self, newest: &Bytes) -> bool {
        !self.broken && self.before.as_ref().is_none_or(|hash| hash == newest)
    }
}

/// An event in its chain, with its cause as it was noted.
#[derive(Clone, PartialEq, Debug)]
pub struct Link {
    /// It.
    pub event: IdentityEventRecord,
    /// Its hash; `None` for one so old that the chain before it is not read.
    pub hash: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn log(events: u64) -> (CustomerRecord, Vec<(u64, Bytes)>) {
        let mut record = CustomerRecord::default();
        let values = (1..=events).map(|number| {
            let cause = if number == 3 { "minh" } else { TRACE_ID };
            let note_of = Note {
                births: vec![Bytes::from_static(&[1; 16])],
                ..Note::new(IdentityEventKind::Attached, cause)
            };
            let Write::SetField { field: kept, value, .. } =
                note(&mut record, CustomerId([7; 16]), note_of, Moment(1 << 40))
            else {
                panic!("a note is a field");
            };
            assert_eq!(kept, field(number));
            (number, value)
        });
        let values = values.collect();
        (record, values)
    }

    fn follow(values: &[(u64, Bytes)], newest: &Bytes) -> bool {
        let mut chain = Chain::default();
        for (number, value) in values {
            let link = chain.next(*number, Some(value.clone())).unwrap().unwrap();
            assert_eq!(link.event.cause, if *number == 3 { "minh" } else { TRACE_ID });
        }
        chain.holds(newest)
    }

    #[test]
    fn a_chain_holds_from_its_beginning_and_from_anywhere_else() {
        let (record, values) = log(100);
        assert_eq!(record.log_number, 100);
        for from in [0, 1, 30, 31, 32, 99] {
            assert!(follow(&values[from..], &record.log_hash), "{from}");
        }
    }

    #[test]
    fn whoever_changes_an_event_or_takes_one_away_is_found_out() {
        let (record, values) = log(100);
        for place in [0, 40, 63, 64, 99] {
            let mut changed = values.clone();
            let mut event = IdentityEventRecord::decode(changed[place].1.clone()).unwrap();
            event.at_ms += 1;
            changed[place].1 = event.encode_to_vec().into();
            assert!(!follow(&changed, &record.log_hash), "{place}");
        }
        assert!(!follow(&values[..99], &record.log_hash), "the newest one is gone");
        let mut chain = Chain::default();
        assert_eq!(chain.next(1, None).unwrap(), None);
        assert!(!chain.holds(&record.log_hash));
    }

    #[test]
    fn an_ordinary_event_is_small_enough_for_the_compact_form_of_a_map() {
        let (_, values) = log(31);
        assert!(values.iter().all(|(_, value)| value.len() <= 64));
    }
}
