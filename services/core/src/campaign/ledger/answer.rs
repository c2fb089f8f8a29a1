//! What follows from the provider's answer to an attempt.

use super::{MAX_PIECES, end_step, in_the_dark, left, next_piece, past, settle, state, wait};
use crate::campaign::plan::Plan;
use crate::delivery::disposition::{Disposition, Failures, disposition};
use crate::delivery::receipt::state_of_receipt;
use crate::time::Moment;
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::{
    DeliveryState, ErrorClass, FallbackCause, RecipientReason, SendAccepted, SendError, WaitReason,
};

/// One attempt at one piece of one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Position of the step.
    pub step: u32,
    /// Piece.
    pub piece: u32,
    /// Attempt at the piece, from 1.
    pub number: u32,
}

impl Attempt {
    /// The attempt that a row was at last.
    #[must_use]
    pub const fn of(row: &RecipientRow) -> Self {
        Self {
            step: row.step,
            piece: row.piece,
            number: row.attempts,
        }
    }
}

/// Takes the provider's answer to an attempt. `None` when the answer is to an attempt that is not the present one, or says
/// nothing new.
#[must_use]
pub fn answered(
    row: &RecipientRow,
    plan: &Plan,
    attempt: Attempt,
    (piece_count, answer): (u32, &Result<SendAccepted, SendError>),
    now: Moment,
    random: u8,
) -> Option<RecipientRow> {
    let said = answer.as_ref().ok().map(said);
    if attempt.step < row.step {
        return past::late(row, plan, attempt.step, said?);
    }
    let is_news = match state(row) {
        DeliveryState::Submitting => true,
        // Given up, or about to be sent again: an acceptance is still news. A failure that late proves nothing.
        DeliveryState::Unknown | DeliveryState::Deferred => said.is_some() && row.in_doubt,
        _ => false,
    };
    if !is_news || Attempt::of(row) != attempt {
        return None;
    }
    let mut next = row.clone();
    next.lease.clear();
    Some(match answer {
        Ok(accepted) => accept(next, plan, piece_count, self::said(accepted), now),
        // A receipt was faster: the provider has it, whatever became of its answer.
        Err(_) if is_proven(row, row.piece) => accept(next, plan, piece_count, DeliveryState::Accepted, now),
        Err(error) => failed(next, plan, error, now, random),
    })
}

fn said(accepted: &SendAccepted) -> DeliveryState {
    state_of_receipt(accepted.state()).unwrap_or(DeliveryState::Accepted)
}

/// The mask of a piece; nought for one that no message has.
pub(super) fn bit(piece: u32) -> u64 {
    1_u64.checked_shl(piece).unwrap_or_default()
}

/// The mask of all pieces of a message.
pub(super) fn all(row: &RecipientRow) -> u64 {
    u64::MAX
        .checked_shr(u64::BITS - row.pieces.clamp(1, MAX_PIECES))
        .unwrap_or(u64::MAX)
}

/// True when the provider is known to have the piece.
pub(super) fn is_proven(row: &RecipientRow, piece: u32) -> bool {
    row.proven & bit(piece) != 0
}

/// The provider has the piece that was attempted.
pub(super) fn accept(
    mut row: RecipientRow,
    plan: &Plan,
    piece_count: u32,
    said: DeliveryState,
    now: Moment,
) -> RecipientRow {
    row.proven |= bit(row.piece);
    if matches!(said, DeliveryState::Delivered | DeliveryState::Read) {
        row.reached |= bit(row.piece);
    }
    row.pieces = row.pieces.max(piece_count).max(row.piece + 1).min(MAX_PIECES);
    row.attempts = 0;
    row.failures = 0;
    row.unsent = 0;
    row.in_doubt = false;
    if row.early_failure != 0 {
        let why = super::reason_of(row.early_failure);
        let cause = cause_of(why);
        return end_step(row, plan, cause, (DeliveryState::Failed, why), now);
    }
    if next_piece(&row) < row.pieces {
        row.state = DeliveryState::Planned as u32;
        row.reason = 0;
        row.until_ms = 0;
        return row;
    }
    let whole = row.reached & all(&row) == all(&row);
    let state = match said {
        _ if whole && said != DeliveryState::Read => DeliveryState::Delivered,
        _ if row.pieces > 1 && !whole => DeliveryState::Accepted,
        said => said,
    };
    left(row, plan, state, now)
}

/// The attempt failed.
pub(super) fn failed(mut row: RecipientRow, plan: &Plan, error: &SendError, now: Moment, random: u8) -> RecipientRow {
    let failures = Failures {
        at_recipient: row.failures,
        unsent: row.unsent,
    };
    let may_repeat = plan.may_repeat && !row.possible_duplicate;
    let why = why(error);
    match disposition(error, failures, may_repeat, random) {
        Disposition::Again {
            after,
            failures,
            possible_duplicate,
        } => {
            row.failures = failures.at_recipient;
            row.unsent = failures.unsent;
            row.possible_duplicate |= possible_duplicate;
            row.in_doubt |= possible_duplicate;
            let until = now + after;
            if until < plan.send_until {
                wait(&mut row, until, why);
                return row;
            }
            // Nothing more can be sent, but what has left may still be heard of.
            match row.in_doubt {
                true => in_the_dark(row, plan, now),
                false => settle(row, DeliveryState::Expired, why),
            }
        }
        Disposition::End(DeliveryState::Unknown) => in_the_dark(row, plan, now),
        Disposition::End(_) if row.in_doubt => in_the_dark(row, plan, now),
        Disposition::End(state) => end_step(row, plan, cause_of(why), (state, why), now),
    }
}

/// What the end of a step means for the next one. The content is no recipient's fault, and the campaign stops for it; a
/// deadline holds for every step.
#[must_use]
pub const fn cause_of(why: RecipientReason) -> Option<FallbackCause> {
    match why {
        RecipientReason::Permanent
        | RecipientReason::Temporary
        | RecipientReason::NoAddress
        | RecipientReason::WindowClosed => Some(FallbackCause::Unreachable),
        RecipientReason::Refused => Some(FallbackCause::Refused),
        _ => None,
    }
}

/// An error as a row keeps it.
pub(super) fn why(error: &SendError) -> RecipientReason {
    match (error.class(), error.wait_reason()) {
        (ErrorClass::RecipientTemporary | ErrorClass::Throttled, WaitReason::Hours) => RecipientReason::QuietHours,
        (ErrorClass::RecipientTemporary, WaitReason::RecipientQuota) => RecipientReason::Cap,
        (ErrorClass::Throttled, _) => RecipientReason::Throttled,
        (ErrorClass::NotSent, _) => RecipientReason::NotSent,
        (ErrorClass::Ambiguous | ErrorClass::Unspecified, _) => RecipientReason::Ambiguous,
        (ErrorClass::RecipientPermanent, _) => RecipientReason::Permanent,
        (ErrorClass::RecipientTemporary, _) => RecipientReason::Temporary,
        (ErrorClass::Refused, _) => RecipientReason::Refused,
        (ErrorClass::Content, _) => RecipientReason::Content,
        (ErrorClass::Account, _) => RecipientReason::Account,
        (ErrorClass::Policy, _) if error.outside_window => RecipientReason::WindowClosed,
        (ErrorClass::Policy, _) => RecipientReason::Policy,
        (ErrorClass::Expired, _) => RecipientReason::Deadline,
    }
}
