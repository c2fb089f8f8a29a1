//! What a row makes of a member of a list: decided by what stands there, so that a row takes effect once however often it
//! comes.

use super::row::{Row, Said};
use crate::id::{IdentifierKey, hash};
use crate::identifier;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{MemberRecord, RowOutcome, WrittenRow};

/// Bytes of the hashes that a member holds.
const SHORT: usize = 8;

/// What came of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It put the customer into the list.
    Created,
    /// It changed what stood there.
    Updated,
    /// It said what stood there, or a later import or row had the word.
    Unchanged,
}

/// The import that a row belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Importing {
    /// When it began. Of two imports the one that began later has the word.
    pub began: Moment,
    /// Names it among those that began in the same millisecond.
    pub name: Bytes,
    /// Rows below this number are counted, and come no more.
    pub counted_to: u64,
}

impl Importing {
    /// An import by the hash of its place.
    #[must_use]
    pub fn new(began: Moment, place: [u8; 32], counted_to: u64) -> Self {
        Self {
            began,
            name: Bytes::copy_from_slice(&place[..SHORT]),
            counted_to,
        }
    }
}

/// Hash of a row's identifiers, whatever their order in the file.
#[must_use]
pub fn identifiers(tenant_id: &str, row: &Row) -> Bytes {
    let keys: Vec<IdentifierKey> = row
        .identifiers
        .iter()
        .map(|(_, named)| identifier::key(tenant_id, &named.identifier))
        .collect();
    let parts: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
    Bytes::copy_from_slice(&hash("row", &parts)[..SHORT])
}

/// What a row makes of what stands; nothing to write where it came before, or was overtaken.
#[must_use]
pub fn take(
    stands: Option<&MemberRecord>,
    (row, identifiers): (&Row, &Bytes),
    importing: &Importing,
    now: Moment,
) -> (Outcome, Option<MemberRecord>) {
    let Some(stands) = stands else {
        let rows = vec![written(row.number, Outcome::Created)];
        return (Outcome::Created, Some(record(row, identifiers, importing, rows, now)));
    };
    let of_it = (Moment(stands.import_began_ms), &stands.import);
    if of_it > (importing.began, &importing.name) {
        return (Outcome::Unchanged, None);
    }
    let mut rows = Vec::new();
    if of_it == (importing.began, &importing.name) {
        if let Some(known) = stands.rows.iter().find(|known| known.row == row.number) {
            return (outcome(known), None);
        }
        if stands.rows.iter().any(|later| later.row > row.number) {
            return (Outcome::Unchanged, None);
        }
        rows.extend(stands.rows.iter().filter(|known| known.row >= importing.counted_to));
    }
    let is_same = said(stands) == row.said && stands.identifiers == *identifiers;
    let outcome = if is_same { Outcome::Unchanged } else { Outcome::Updated };
    rows.push(written(row.number, outcome));
    let mut next = record(row, identifiers, importing, rows, now);
    if is_same {
        next.updated_at_ms = stands.updated_at_ms;
    }
    (outcome, Some(next))
}

/// What a member says of its customer.
#[must_use]
pub fn said(record: &MemberRecord) -> Said {
    Said {
        variables: record.variables.clone(),
        locale: record.locale.clone(),
        time_zone: record.time_zone.clone(),
        display_name: record.display_name.clone(),
    }
}

fn record(row: &Row, identifiers: &Bytes, importing: &Importing, rows: Vec<WrittenRow>, now: Moment) -> MemberRecord {
    let said = row.said.clone();
    MemberRecord {
        variables: said.variables,
        locale: said.locale,
        time_zone: said.time_zone,
        display_name: said.display_name,
        identifiers: identifiers.clone(),
        import_began_ms: importing.began.0,
        import: importing.name.clone(),
        rows,
        updated_at_ms: now.0,
    }
}

fn written(row: u64, outcome: Outcome) -> WrittenRow {
    let outcome = match outcome {
        Outcome::Created => RowOutcome::Created,
        Outcome::Updated => RowOutcome::Updated,
        Outcome::Unchanged => RowOutcome::Unchanged,
    };
    WrittenRow {
        row,
        outcome: outcome.into(),
    }
}

fn outcome(known: &WrittenRow) -> Outcome {
    match known.outcome() {
        RowOutcome::Created => Outcome::Created,
        RowOutcome::Updated => Outcome::Updated,
        RowOutcome::Unchanged | RowOutcome::Unspecified => Outcome::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::check;
    use super::*;
    use crate::tenant::Rules;
    use omnigate_proto::v1::{Identifier, ImportRow};

    const NOW: Moment = Moment(1_000);

    fn row(number: u64, name: &str) -> Row {
        let given = ImportRow {
            row: number,
            identifiers: vec![Identifier {
                r#type: "phone".to_owned(),
                scope: String::new(),
                value: "+84912345678".to_owned(),
            }],
            display_name: name.to_owned(),
            ..ImportRow::default()
        };
        check(&given, &Rules::DEFAULT).unwrap()
    }

    fn import(began: i64, counted_to: u64) -> Importing {
        Importing::new(Moment(began), [7; 32], counted_to)
    }

    fn taken(stands: Option<&MemberRecord>, row: &Row, importing: &Importing) -> (Outcome, Option<MemberRecord>) {
        take(stands, (row, &identifiers("t", row)), importing, NOW)
    }

    #[test]
    fn a_row_takes_effect_once() {
        let (outcome, first) = taken(None, &row(1, "An"), &import(1, 1));
        assert_eq!(outcome, Outcome::Created);
        let first = first.unwrap();
        assert_eq!(
            taken(Some(&first), &row(1, "An"), &import(1, 1)),
            (Outcome::Created, None)
        );
        let (outcome, second) = taken(Some(&first), &row(2, "Bình"), &import(1, 1));
        assert_eq!(outcome, Outcome::Updated);
        let second = second.unwrap();
        // The first comes again: what came of it is known, and the second keeps the word.
        assert_eq!(
            taken(Some(&second), &row(1, "An"), &import(1, 1)),
            (Outcome::Created, None)
        );
        assert_eq!(
            taken(Some(&second), &row(2, "Bình"), &import(1, 1)),
            (Outcome::Updated, None)
        );
        let (outcome, third) = taken(Some(&second), &row(3, "Bình"), &import(1, 1));
        assert_eq!(outcome, Outcome::Unchanged);
        assert_eq!(
            taken(third.as_ref(), &row(3, "Bình"), &import(1, 1)),
            (Outcome::Unchanged, None)
        );
    }

    #[test]
    fn rows_that_are_counted_are_forgotten_but_not_overtaken() {
        let (_, first) = taken(None, &row(1, "An"), &import(1, 1));
        let (_, second) = taken(first.as_ref(), &row(5, "Bình"), &import(1, 5));
        let second = second.unwrap();
        assert_eq!(second.rows.len(), 1);
        // A process that slept meanwhile.
        assert_eq!(
            taken(Some(&second), &row(1, "An"), &import(1, 1)),
            (Outcome::Unchanged, None)
        );
    }

    #[test]
    fn the_import_that_began_later_has_the_word() {
        let (_, first) = taken(None, &row(1, "An"), &import(2, 1));
        let (outcome, none) = taken(first.as_ref(), &row(1, "Bình"), &import(1, 1));
        assert_eq!((outcome, none), (Outcome::Unchanged, None));
        let (outcome, later) = taken(first.as_ref(), &row(1, "An"), &import(3, 1));
        assert_eq!(outcome, Outcome::Unchanged);
        // Also where it said the same.
        let (outcome, none) = taken(later.as_ref(), &row(9, "Bình"), &import(2, 1));
        assert_eq!((outcome, none), (Outcome::Unchanged, None));
    }

    #[test]
    fn other_identifiers_are_a_change() {
        let (_, first) = taken(None, &row(1, "An"), &import(1, 1));
        let mut more = row(1, "An");
        let mut mail = more.identifiers[0].clone();
        mail.1.identifier.r#type = "email".to_owned();
        more.identifiers.push(mail);
        assert_eq!(taken(first.as_ref(), &more, &import(2, 1)).0, Outcome::Updated);
    }
}
