//! What made a customer what it is: a chain of events in its own shard, each with a hash over the one before. It names no
//! person: identifiers are told by their reservation tokens.

use crate::id::{CustomerId, TransactionId, hash};
use crate::keys;
use crate::port::store::Write;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{CustomerRecord, IdentityEventRecord};
use omnigate_proto::v1::IdentityEventKind;
use prost::Message as _;

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

/// Numbers a note and chains it; the write that keeps it.
#[must_use]
pub fn note(record: &mut CustomerRecord, id: CustomerId, note: Note, now: Moment) -> Write {
    let event = IdentityEventRecord {
        kind: note.kind.into(),
        at_ms: now.0,
        cause: note.cause,
        transaction: note.transaction.map(TransactionId::to_bytes).unwrap_or_default(),
        other: note.other.map(CustomerId::to_bytes).unwrap_or_default(),
        births: note.births,
        rules: note.rules,
        previous: record.log_hash.clone(),
    };
    let value: Bytes = event.encode_to_vec().into();
    record.log_number += 1;
    record.log_hash = hash_of(&value);
    Write::Insert {
        key: keys::identity_log(id),
        member: Bytes::copy_from_slice(&record.log_number.to_be_bytes()),
        value,
    }
}

/// Hash of an event; it covers the one before, whose hash it holds.
#[must_use]
pub fn hash_of(value: &Bytes) -> Bytes {
    Bytes::copy_from_slice(&hash("identity event", &[value]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_is_chained_to_the_one_before() {
        let id = CustomerId([7; 16]);
        let mut record = CustomerRecord::default();
        let mut values = Vec::new();
        for cause in ["one", "two", "three"] {
            let write = note(
                &mut record,
                id,
                Note::new(IdentityEventKind::Attached, cause),
                Moment(5),
            );
            let Write::Insert { member, value, .. } = write else {
                panic!("a note is inserted");
            };
            values.push((member, value));
        }
        let mut previous = Bytes::new();
        for (number, (member, value)) in values.iter().enumerate() {
            let event = IdentityEventRecord::decode(value.clone()).unwrap();
            assert_eq!(event.previous, previous);
            assert_eq!(member.as_ref(), u64::try_from(number + 1).unwrap().to_be_bytes());
            previous = hash_of(value);
        }
        assert_eq!((record.log_number, record.log_hash), (3, previous));
    }
}
