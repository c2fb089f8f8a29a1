//! One recipient of a campaign: what may happen next, and what each answer changes.
//!
//! `PLANNED → CLAIMED → SUBMITTING → ACCEPTED → SENT → DELIVERED → READ` for each step, with `DEFERRED`, `SKIPPED`, `FAILED`,
//! `UNKNOWN`, `EXPIRED` and `CANCELLED`. A row is *settled* when nothing more happens by itself; receipts may still move it
//! forward. Whoever changes a row expects it as it was read, so of two who decide about it one begins anew.

mod answer;
mod intended;
mod past;
mod receipt;
mod retry;
mod time;

pub use answer::{Attempt, answered, cause_of};
pub use intended::intended;
pub use past::{Past, past};
pub use receipt::receipt;
pub use retry::retry;
pub use time::{Recovery, lapse, wakes_at};

use super::plan::Plan;
use crate::delivery::LEASE_TIME;
use crate::delivery::receipt::further;
use crate::time::Moment;
use bytes::Bytes;
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, FallbackCause, RecipientReason};
use std::time::Duration;

/// Most steps of a campaign.
pub const MAX_STEPS: usize = 5;
/// Most pieces of one message of a campaign: a bit each.
pub const MAX_PIECES: u32 = 64;

/// Token of a worker that has a row; fresh and random for every claim.
pub type Lease = [u8; 8];

/// A new recipient.
#[must_use]
pub fn planned(customer: Bytes) -> RecipientRow {
    RecipientRow {
        customer,
        state: DeliveryState::Planned as u32,
        ..RecipientRow::default()
    }
}

/// State of the present step.
#[must_use]
pub fn state(row: &RecipientRow) -> DeliveryState {
    let state = i32::try_from(row.state).ok();
    state
        .and_then(|state| DeliveryState::try_from(state).ok())
        .unwrap_or_default()
}

/// Why it stands there.
#[must_use]
pub fn reason(row: &RecipientRow) -> RecipientReason {
    reason_of(row.reason)
}

fn reason_of(kept: u32) -> RecipientReason {
    let reason = i32::try_from(kept).ok();
    reason
        .and_then(|reason| RecipientReason::try_from(reason).ok())
        .unwrap_or_default()
}

/// The piece that goes next: pieces go one after the other.
#[must_use]
pub const fn next_piece(row: &RecipientRow) -> u32 {
    row.proven.trailing_ones()
}

/// True when no attempt of the present step may have left.
#[must_use]
pub const fn is_untouched(row: &RecipientRow) -> bool {
    row.proven == 0 && !row.in_doubt
}

/// Whether a recipient may be worked on.
#[derive(Clone, PartialEq, Debug)]
pub enum Claim {
    /// Yes, as soon as this row is durable.
    Taken(RecipientRow),
    /// Not before this moment.
    NotYet(Moment),
    /// Somebody else has it, or it waits for receipts.
    Held,
    /// The campaign's time is over; write this row.
    Over(RecipientRow),
    /// Nothing is left to do.
    Ended,
}

/// What is to happen to a claimed recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The next piece is submitted.
    Send,
    /// The step ends: this forbids it.
    Refuse(RecipientReason),
    /// Not before this moment.
    PutOff(Moment, RecipientReason),
    /// They are given back as they were.
    Release,
}

/// Decides whether a worker may have the recipient. Asked again with the same lease, the answer is the same.
#[must_use]
pub fn claim(row: &RecipientRow, plan: &Plan, lease: Lease, now: Moment) -> Claim {
    match state(row) {
        _ if row.settled => Claim::Ended,
        DeliveryState::Claimed if row.lease.as_ref() == lease => Claim::Taken(row.clone()),
        DeliveryState::Planned | DeliveryState::Deferred => {
            if now >= plan.send_until {
                return Claim::Over(expired(row));
            }
            if Moment(row.until_ms) > now {
                return Claim::NotYet(Moment(row.until_ms));
            }
            let mut next = row.clone();
            next.state = DeliveryState::Claimed as u32;
            next.lease = Bytes::copy_from_slice(&lease);
            next.until_ms = (now + LEASE_TIME).0;
            Claim::Taken(next)
        }
        _ => Claim::Held,
    }
}

/// A worker's own row, or nobody's.
fn claimed(row: &RecipientRow, lease: Lease) -> Option<RecipientRow> {
    let is_theirs = state(row) == DeliveryState::Claimed && row.lease.as_ref() == lease;
    is_theirs.then(|| row.clone())
}

/// The row as it must stand before the provider is called. `None` when the worker has lost it.
#[must_use]
pub fn submitting(row: &RecipientRow, lease: Lease, now: Moment) -> Option<RecipientRow> {
    let mut next = claimed(row, lease).filter(|_| now < Moment(row.until_ms))?;
    next.state = DeliveryState::Submitting as u32;
    next.attempts += 1;
    next.piece = next_piece(row);
    next.reason = 0;
    next.until_ms = (now + LEASE_TIME).0;
    Some(next)
}

/// Puts a claimed recipient off. `None` when the worker has lost it.
#[must_use]
pub fn put_off(
    row: &RecipientRow,
    plan: &Plan,
    lease: Lease,
    (until, why): (Moment, RecipientReason),
) -> Option<RecipientRow> {
    let mut next = claimed(row, lease)?;
    if until >= plan.send_until {
        return Some(settle(next, DeliveryState::Expired, why));
    }
    wait(&mut next, until, why);
    Some(next)
}

/// Refuses to send to a claimed recipient: the step ends, and with it the recipient unless they cannot be reached this way
/// and there is another one. `None` when the worker has lost it.
#[must_use]
pub fn refuse(
    row: &RecipientRow,
    plan: &Plan,
    lease: Lease,
    why: RecipientReason,
    now: Moment,
) -> Option<RecipientRow> {
    let next = claimed(row, lease)?;
    let end = (DeliveryState::Skipped, why);
    Some(end_step(next, plan, answer::cause_of(why), end, now))
}

/// Gives a claimed recipient back as they were. `None` when the worker has lost them.
#[must_use]
pub fn release(row: &RecipientRow, lease: Lease) -> Option<RecipientRow> {
    claimed(row, lease).map(given_back)
}

/// Ends a recipient whom nothing has been sent, because the campaign was cancelled; of others only stops what would follow.
/// `None` when there is nothing to stop, or a worker has them.
#[must_use]
pub fn cancel(row: &RecipientRow) -> Option<RecipientRow> {
    if row.settled {
        return None;
    }
    let state = state(row);
    match state {
        DeliveryState::Planned | DeliveryState::Deferred => Some(settle(
            row.clone(),
            DeliveryState::Cancelled,
            RecipientReason::Cancelled,
        )),
        DeliveryState::Claimed | DeliveryState::Submitting => None,
        // It has left: what its receipts say is still heard, and nothing follows.
        _ => Some(settle(row.clone(), state, reason(row))),
    }
}

/// True when the campaign may have sent nothing more to them because its time was over.
fn expired(row: &RecipientRow) -> RecipientRow {
    let why = match reason(row) {
        RecipientReason::Unspecified => RecipientReason::Deadline,
        why => why,
    };
    settle(row.clone(), DeliveryState::Expired, why)
}

fn given_back(mut row: RecipientRow) -> RecipientRow {
    row.state = DeliveryState::Planned as u32;
    row.lease.clear();
    row.until_ms = 0;
    row
}

fn wait(row: &mut RecipientRow, until: Moment, why: RecipientReason) {
    row.state = DeliveryState::Deferred as u32;
    row.reason = why as u32;
    row.until_ms = until.0;
    row.lease.clear();
}

/// Nothing more happens by itself. What may have left did not simply end, whatever forbids its repetition.
fn settle(mut row: RecipientRow, state: DeliveryState, why: RecipientReason) -> RecipientRow {
    let nothing_arrived = matches!(
        state,
        DeliveryState::Skipped | DeliveryState::Failed | DeliveryState::Expired | DeliveryState::Cancelled
    );
    let (state, why) = match row.in_doubt && nothing_arrived {
        true => (DeliveryState::Unknown, RecipientReason::Ambiguous),
        false => (state, why),
    };
    row.state = state as u32;
    row.reason = why as u32;
    row.until_ms = 0;
    row.settled = true;
    if state != DeliveryState::Unknown {
        row.lease.clear();
    }
    row
}

/// The present step has ended so: on to the next one where the plan says so, else the recipient has ended with it.
fn end_step(
    row: RecipientRow,
    plan: &Plan,
    cause: Option<FallbackCause>,
    (state, why): (DeliveryState, RecipientReason),
    now: Moment,
) -> RecipientRow {
    let (cause, state, why) = match row.in_doubt {
        true => (
            Some(FallbackCause::Unknown),
            DeliveryState::Unknown,
            RecipientReason::Ambiguous,
        ),
        false => (cause, state, why),
    };
    match cause.filter(|cause| plan.falls_back(row.step, *cause, now)) {
        Some(_) => past::step_on(row, state, why),
        None => settle(row, state, why),
    }
}

/// Nobody knows whether it left: receipts may settle it for as long as the step waits.
fn in_the_dark(mut row: RecipientRow, plan: &Plan, now: Moment) -> RecipientRow {
    row.in_doubt = true;
    row.state = DeliveryState::Unknown as u32;
    row.reason = RecipientReason::Ambiguous as u32;
    row.until_ms = awaits_until(&row, plan, now).0;
    row
}

/// The provider has all of it: success is waited for, unless it is there.
fn left(mut row: RecipientRow, plan: &Plan, state: DeliveryState, now: Moment) -> RecipientRow {
    row.in_doubt = false;
    row.reason = 0;
    row.lease.clear();
    if is_success(plan, row.step, state) {
        return settle(row, state, RecipientReason::Unspecified);
    }
    row.state = state as u32;
    row.until_ms = awaits_until(&row, plan, now).0;
    row
}

fn is_success(plan: &Plan, step: u32, state: DeliveryState) -> bool {
    let wanted = plan.step(step).map_or(DeliveryState::Accepted, |step| step.success);
    further(wanted, state) == state
}

fn awaits_until(row: &RecipientRow, plan: &Plan, now: Moment) -> Moment {
    now + plan.step(row.step).map_or(Duration::ZERO, |step| step.wait)
}

#[cfg(test)]
mod tests;
