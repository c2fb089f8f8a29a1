//! Receipts: they only move a recipient forward, in whatever order they come.

use super::answer::{all, bit, cause_of, is_proven, why};
use super::{end_step, left, next_piece, past, settle, state};
use crate::campaign::plan::Plan;
use crate::delivery::receipt::{further, state_of_receipt};
use crate::time::Moment;
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, Receipt, RecipientReason};

/// Applies a receipt to a piece of a step. `None` when it says nothing new.
#[must_use]
pub fn receipt(
    row: &RecipientRow,
    plan: &Plan,
    (step, piece): (u32, u32),
    receipt: &Receipt,
    now: Moment,
) -> Option<RecipientRow> {
    let said = state_of_receipt(receipt.state())?;
    if step < row.step {
        return past::late(row, plan, step, said);
    }
    // Only what was attempted can have a receipt.
    let attempted = is_proven(row, piece) || (piece == row.piece && row.attempts > 0);
    if step > row.step || !attempted {
        return None;
    }
    let mut next = row.clone();
    next.proven |= bit(piece);
    let next = if said == DeliveryState::Failed {
        let why = receipt.error.as_ref().map_or(RecipientReason::Temporary, why);
        failed(next, plan, piece, why, now)?
    } else {
        if has_arrived(said) {
            next.reached |= bit(piece);
        }
        went_on(next, plan, piece, said, now)
    };
    (next != *row).then_some(next)
}

const fn has_arrived(said: DeliveryState) -> bool {
    matches!(said, DeliveryState::Delivered | DeliveryState::Read)
}

/// The provider says that a piece is on its way, or there.
fn went_on(mut row: RecipientRow, plan: &Plan, piece: u32, said: DeliveryState, now: Moment) -> RecipientRow {
    match state(&row) {
        DeliveryState::Failed if has_arrived(said) => {
            row.contradicted = true;
            let reached = furthest(&row, said);
            settle(row, reached, RecipientReason::Unspecified)
        }
        // What was to be repeated, or not any more, has arrived: whoever has it for that loses it.
        DeliveryState::Unknown | DeliveryState::Planned | DeliveryState::Deferred | DeliveryState::Claimed
            if row.in_doubt && is_proven(&row, row.piece) =>
        {
            // How many pieces there are may have died with the worker: as many as are known.
            row.pieces = row.pieces.max(piece + 1);
            if next_piece(&row) < row.pieces {
                return goes_on(row);
            }
            moved(row, plan, said, now)
        }
        DeliveryState::Accepted | DeliveryState::Sent | DeliveryState::Delivered => moved(row, plan, said, now),
        // A worker has it, or other pieces are still to go: what is known is kept, and whoever ends it looks at that.
        _ => row,
    }
}

/// What there is of it has arrived; the rest follows, unless the recipient has ended.
fn goes_on(mut row: RecipientRow) -> RecipientRow {
    if !row.settled {
        row.state = DeliveryState::Planned as u32;
        row.in_doubt = false;
        row.attempts = 0;
        row.reason = 0;
        row.until_ms = 0;
        row.lease.clear();
    }
    row
}

fn moved(row: RecipientRow, plan: &Plan, said: DeliveryState, now: Moment) -> RecipientRow {
    let before = state(&row);
    let reached = furthest(&row, said);
    if reached == before {
        return row;
    }
    let (settled, until) = (row.settled, row.until_ms);
    let waits = matches!(
        before,
        DeliveryState::Accepted | DeliveryState::Sent | DeliveryState::Delivered
    );
    let mut next = left(row, plan, reached, now);
    // How long success is waited for was said at acceptance, and who had ended does not begin anew.
    if !next.settled && (settled || waits) {
        next.settled = settled;
        next.until_ms = until;
    }
    next
}

/// How far the message is: as far as the piece that is least far.
fn furthest(row: &RecipientRow, said: DeliveryState) -> DeliveryState {
    let before = match state(row) {
        known @ (DeliveryState::Accepted | DeliveryState::Sent | DeliveryState::Delivered) => known,
        _ => DeliveryState::Accepted,
    };
    let whole = row.reached & all(row) == all(row);
    match said {
        DeliveryState::Delivered | DeliveryState::Read if whole => further(before, said),
        DeliveryState::Sent if row.pieces <= 1 => further(before, said),
        _ => before,
    }
}

/// A piece will not arrive, and with it the message. `None` where that says nothing.
fn failed(mut row: RecipientRow, plan: &Plan, piece: u32, why: RecipientReason, now: Moment) -> Option<RecipientRow> {
    if row.reached & bit(piece) != 0 {
        return None;
    }
    match state(&row) {
        DeliveryState::Claimed | DeliveryState::Submitting => {
            row.early_failure = why as u32;
            Some(row)
        }
        DeliveryState::Planned
        | DeliveryState::Deferred
        | DeliveryState::Accepted
        | DeliveryState::Sent
        | DeliveryState::Unknown => {
            row.in_doubt = false;
            // Whoever had ended without success does not begin anew.
            if row.settled {
                return Some(settle(row, DeliveryState::Failed, why));
            }
            Some(end_step(row, plan, cause_of(why), (DeliveryState::Failed, why), now))
        }
        _ => None,
    }
}
