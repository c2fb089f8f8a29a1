//! What a recipient is where the store has forgotten a submission that was announced.

use super::answer::{Attempt, bit, is_proven};
use super::{past, reason, settle, state};
use crate::campaign::plan::Plan;
use crate::time::Moment;
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, RecipientReason};

/// The row as it has to stand because an attempt was announced: SUBMITTING, by nobody. Time makes of it what it makes of every
/// submission whose worker is gone. Whoever has ended meanwhile does not begin anew: they are UNKNOWN.
///
/// `is_forgotten` says that the store certainly knows nothing of the announcement; else whoever has ended may have done so
/// afterwards, and stays as they are. `None` when the row says as much already.
#[must_use]
pub fn intended(
    row: &RecipientRow,
    plan: &Plan,
    announced: Attempt,
    is_forgotten: bool,
    now: Moment,
) -> Option<RecipientRow> {
    if knows(row, announced) || (row.settled && !is_forgotten) {
        return None;
    }
    let mut next = row.clone();
    while next.step < announced.step {
        let (state, why) = left_as(&next);
        next = past::step_on(next, state, why);
    }
    let (before, has_answer) = match next.piece == announced.piece {
        true => (next.attempts, state(&next) != DeliveryState::Submitting),
        false => (0, true),
    };
    // What became of attempts in between is not known, but that there was one more: any of them may have left.
    if announced.number > before + u32::from(has_answer) {
        next.in_doubt = true;
        next.possible_duplicate |= plan.may_repeat;
    }
    if announced.piece > 0 {
        // Pieces go one after the other: those before it were accepted.
        next.proven |= bit(announced.piece).saturating_sub(1);
        next.pieces = next.pieces.max(announced.piece + 1);
    }
    next.state = DeliveryState::Submitting as u32;
    next.piece = announced.piece;
    next.attempts = announced.number;
    next.reason = 0;
    next.until_ms = now.0;
    next.lease.clear();
    if row.settled {
        next.in_doubt = true;
        return Some(settle(next, DeliveryState::Unknown, RecipientReason::Ambiguous));
    }
    Some(next)
}

fn knows(row: &RecipientRow, announced: Attempt) -> bool {
    if row.step != announced.step {
        return row.step > announced.step;
    }
    is_proven(row, announced.piece) || (row.piece == announced.piece && row.attempts >= announced.number)
}

/// How a step ended of which the store has forgotten that it did: as far as it is known.
fn left_as(row: &RecipientRow) -> (DeliveryState, RecipientReason) {
    let known = state(row);
    match known {
        DeliveryState::Accepted
        | DeliveryState::Sent
        | DeliveryState::Delivered
        | DeliveryState::Failed
        | DeliveryState::Skipped => (known, reason(row)),
        _ => (DeliveryState::Unknown, RecipientReason::Ambiguous),
    }
}
