//! What happens to a recipient because time passes.

use super::answer::{accept, failed, is_proven};
use super::{end_step, expired, given_back, reason, state};
use crate::campaign::plan::Plan;
use crate::delivery::RECOVERY_MARGIN;
use crate::time::Moment;
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, ErrorClass, FallbackCause, RecipientReason, SendError};

/// Attempts at a piece after which one that was lost is not repeated, whatever the provider promises.
const MAX_REPEATED: u32 = 5;

/// What may be done about a submission whose worker is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recovery {
    /// Nobody can find out whether it left.
    InTheDark,
    /// The provider drops a repeated send key: it is submitted again.
    Repeated,
}

/// What has become of a recipient by now. `None` when nothing has.
#[must_use]
pub fn lapse(row: &RecipientRow, plan: &Plan, recovery: Recovery, now: Moment) -> Option<RecipientRow> {
    if wakes_at(row, plan).is_none_or(|at| at > now) {
        return None;
    }
    match state(row) {
        DeliveryState::Planned | DeliveryState::Deferred => (now >= plan.send_until).then(|| expired(row)),
        DeliveryState::Claimed => Some(given_back(row.clone())),
        DeliveryState::Submitting => Some(recovered(row, plan, recovery, now)),
        DeliveryState::Unknown => {
            let end = (DeliveryState::Unknown, RecipientReason::Ambiguous);
            Some(end_step(row.clone(), plan, Some(FallbackCause::Unknown), end, now))
        }
        state @ (DeliveryState::Accepted | DeliveryState::Sent | DeliveryState::Delivered) => {
            let falls_back = plan.falls_back(row.step, FallbackCause::Timeout, now);
            let why = if falls_back {
                RecipientReason::Timeout
            } else {
                reason(row)
            };
            Some(end_step(
                row.clone(),
                plan,
                Some(FallbackCause::Timeout),
                (state, why),
                now,
            ))
        }
        _ => None,
    }
}

/// When a recipient has to be looked at again, if no answer or receipt comes before. `None` when never.
#[must_use]
pub fn wakes_at(row: &RecipientRow, plan: &Plan) -> Option<Moment> {
    if row.settled {
        return None;
    }
    let until = Moment(row.until_ms);
    Some(match state(row) {
        DeliveryState::Planned | DeliveryState::Deferred if until <= plan.send_until => until,
        DeliveryState::Planned | DeliveryState::Deferred => plan.send_until,
        // Longer than any answer can be late.
        DeliveryState::Submitting => until + RECOVERY_MARGIN,
        _ => until,
    })
}

/// A submission whose worker is gone: nobody knows whether it left, unless a receipt said so.
fn recovered(row: &RecipientRow, plan: &Plan, recovery: Recovery, now: Moment) -> RecipientRow {
    let mut next = row.clone();
    if is_proven(row, row.piece) {
        return accept(next, plan, row.pieces, DeliveryState::Accepted, now);
    }
    if recovery == Recovery::Repeated && now < plan.send_until && row.attempts < MAX_REPEATED {
        // What is answered then says nothing of whether it left before.
        next = given_back(next);
        next.in_doubt = true;
        return next;
    }
    let error = SendError {
        class: ErrorClass::Ambiguous.into(),
        ..SendError::default()
    };
    failed(next, plan, &error, now, 0)
}
