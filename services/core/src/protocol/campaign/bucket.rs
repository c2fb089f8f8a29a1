//! Rows of a bucket: reading them, and what a change of some of them writes.

use super::control::{control, rows};
use crate::campaign::ledger::wakes_at;
use crate::campaign::place::{Bucket, Place};
use crate::campaign::plan::Plan;
use crate::campaign::tally::Moves;
use crate::keys::{self, Timer};
use crate::port::store::{Expect, Query, Stamp, StoreError, Write};
use crate::protocol::context::{Context, as_fields};
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::{ControlRecord, RecipientRow};
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;

/// Timers of a bucket stand on multiples of this, so that rows that wait for about the same moment share one.
const GRAIN: Duration = Duration::from_secs(5);
/// A row that may go at once is looked at again after this long, in case its hint was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// A recipient as they stand.
#[derive(Clone, PartialEq, Debug)]
pub struct Recipient {
    /// Where.
    pub place: Place,
    /// How.
    pub row: RecipientRow,
    /// The row as it is stored, which is what a change expects.
    pub(super) stored: Bytes,
}

/// A bucket as it was read.
pub(super) struct Rows {
    pub(super) control: ControlRecord,
    pub(super) stamp: Option<Stamp>,
    pub(super) recipients: Vec<Recipient>,
}

/// The recipients of a bucket, by number.
pub async fn recipients(context: &Context<'_>, bucket: Bucket) -> Result<Vec<Recipient>, StoreError> {
    let read = read(context, bucket).await?;
    Ok(read.map(|rows| rows.recipients).unwrap_or_default())
}

/// A bucket; `None` when the shard knows nothing of its campaign.
pub(super) async fn read(context: &Context<'_>, bucket: Bucket) -> Result<Option<Rows>, StoreError> {
    let loaded = control(context, bucket.shard, bucket.campaign).await?;
    let Some(control) = loaded.value else {
        return Ok(None);
    };
    let numbers: Vec<u16> = (0..rows(&control, bucket)).collect();
    let recipients = some(context, bucket, &numbers).await?;
    Ok(Some(Rows {
        control,
        stamp: loaded.stamp,
        recipients,
    }))
}

/// Some rows of a bucket; those that exist.
pub(super) async fn some(context: &Context<'_>, bucket: Bucket, numbers: &[u16]) -> Result<Vec<Recipient>, StoreError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let query = Query::Fields {
        key: keys::campaign::ledger(bucket),
        fields: numbers.iter().map(|number| keys::campaign::row(*number)).collect(),
    };
    let fields = as_fields(context.store.read(bucket.shard, vec![query]).await?.into_iter().next())?;
    let found = numbers
        .iter()
        .zip(fields)
        .filter_map(|(number, field)| Some((*number, field?)));
    found
        .map(|(row, stored)| {
            let decoded = RecipientRow::decode(stored.clone());
            Ok(Recipient {
                place: Place { bucket, row },
                row: decoded.map_err(|error| StoreError::Corrupt(format!("row of a campaign: {error}")))?,
                stored,
            })
        })
        .collect()
}

/// A row that is to be written.
pub(super) struct Change {
    number: u16,
    before: Option<(Bytes, RecipientRow)>,
    after: RecipientRow,
}

impl Change {
    /// A row that is not there yet.
    pub(super) const fn new(number: u16, after: RecipientRow) -> Self {
        Self {
            number,
            before: None,
            after,
        }
    }

    /// Number of the row.
    pub(super) const fn number(&self) -> u16 {
        self.number
    }

    /// The row as it was stored; `None` for one that is not there yet.
    pub(super) fn before(&self) -> Option<Bytes> {
        self.before.as_ref().map(|(stored, _)| stored.clone())
    }

    /// A row in the place of the one that was read.
    pub(super) fn of(recipient: &Recipient, after: RecipientRow) -> Self {
        Self {
            number: recipient.place.row,
            before: Some((recipient.stored.clone(), recipient.row.clone())),
            after,
        }
    }
}

/// What changes of rows of one bucket expect and write: each row as it was read, the counters, and timers for all that waits
/// now. Without a plan nothing waits yet.
pub(super) fn writes(
    context: &Context<'_>,
    bucket: Bucket,
    changes: &[Change],
    plan: Option<&Plan>,
) -> (Vec<Expect>, Vec<Write>) {
    let key = keys::campaign::ledger(bucket);
    let mut expect = Vec::with_capacity(changes.len() + 1);
    let mut write = Vec::with_capacity(changes.len() + 8);
    let mut moves = Moves::default();
    let mut wakes = BTreeSet::new();
    for change in changes {
        let field = keys::campaign::row(change.number);
        moves.row(change.before.as_ref().map(|(_, row)| row), &change.after);
        expect.push(Expect::Field {
            key: key.clone(),
            field: field.clone(),
            value: change.before.as_ref().map(|(stored, _)| stored.clone()),
        });
        write.push(Write::SetField {
            key: key.clone(),
            field,
            value: change.after.encode_to_vec().into(),
        });
        wakes.extend(
            plan.and_then(|plan| wakes_at(&change.after, plan))
                .map(|at| timer_at(at, context.now())),
        );
    }
    write.extend(moves.deltas().map(|(cell, delta)| Write::Add {
        key: keys::campaign::tally(bucket.campaign, cell),
        delta,
    }));
    let open = Some(moves.open()).filter(|delta| *delta != 0);
    write.extend(open.map(|delta| Write::Add {
        key: keys::campaign::open(bucket.campaign),
        delta,
    }));
    write.extend(wakes.into_iter().map(|at| timer(bucket, at)));
    (expect, write)
}

/// When a bucket is looked at for a row that wants to be looked at then.
pub(super) fn timer_at(wanted: Moment, now: Moment) -> Moment {
    let at = if wanted <= now { now + LOOK_AGAIN } else { wanted };
    let grain = i64::try_from(GRAIN.as_millis()).unwrap_or(1);
    Moment(at.0.saturating_add(grain - 1).div_euclid(grain).saturating_mul(grain))
}

/// Lets a bucket be looked at.
pub(super) fn timer(bucket: Bucket, at: Moment) -> Write {
    Write::Insert {
        key: keys::timers(),
        member: keys::timer_member(at, Timer::Bucket(bucket.campaign, bucket.number)),
        value: Bytes::new(),
    }
}
