//! Another turn, because somebody says so.

use super::{is_success, is_untouched, past, reason, state};
use crate::campaign::plan::Plan;
use crate::time::Moment;
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{DeliveryState, RecipientReason};

/// A recipient who is to have another turn. Of those whose message provably did not leave nothing can be sent twice; who is
/// UNKNOWN has one only where `include_unknown` says so, and is marked. `None` for everybody else, and for whoever has had
/// it: they wait already.
#[must_use]
pub fn retry(row: &RecipientRow, plan: &Plan, include_unknown: bool, now: Moment) -> Option<RecipientRow> {
    let reached_before = (0..).zip(past(row)).any(|(step, past)| {
        let heard = past.late.unwrap_or(past.state);
        is_success(plan, step, heard)
    });
    if now >= plan.send_until || plan.step(row.step).is_none() || reached_before {
        return None;
    }
    let may_have_left = match state(row) {
        DeliveryState::Expired => false,
        DeliveryState::Failed if did_not_leave(reason(row)) => false,
        DeliveryState::Unknown if include_unknown => true,
        _ => return None,
    };
    let has_ended_untouched = row.settled && is_untouched(row);
    if !(may_have_left || has_ended_untouched) {
        return None;
    }
    let mut next = row.clone();
    next.settled = false;
    next.failures = 0;
    next.unsent = 0;
    next.lease.clear();
    if may_have_left {
        // As a repetition by itself waits: should it fail, the first may have arrived all the same, and late news of it counts.
        next.state = DeliveryState::Deferred as u32;
        next.reason = RecipientReason::Ambiguous as u32;
        next.until_ms = now.0;
        next.in_doubt = true;
        next.possible_duplicate = true;
    } else {
        next.state = DeliveryState::Planned as u32;
        next.reason = 0;
        next.until_ms = 0;
    }
    Some(next)
}

/// What can be put right, and left nothing behind. A refusal and an address that is no good stay what they are.
const fn did_not_leave(why: RecipientReason) -> bool {
    matches!(
        why,
        RecipientReason::NotSent
            | RecipientReason::Throttled
            | RecipientReason::Account
            | RecipientReason::Content
            | RecipientReason::Temporary
    )
}
