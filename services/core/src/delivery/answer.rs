//! What follows from an answer to an attempt, and from the lack of one.

use super::disposition::{Disposition, Failures, disposition};
use super::{
    LOOK_AGAIN, MAX_PIECES, RECOVERY_MARGIN, Submission, end, moment, note, of, policy, receipt, state_of, under_way,
};
use crate::time::Moment;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{DeliveryPiece, DeliveryState, ErrorClass, SendAccepted, SendError, UnknownPolicy};
use std::time::Duration;

/// What follows from an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The next piece may go at once.
    Piece,
    /// Try again at this moment.
    At(Moment),
    /// The message left, or will not: the next message of the thread may go.
    Ended,
}

/// Takes the provider's answer to an attempt. `None` when the answer is to an attempt that is not the present one, or
/// says nothing new.
#[must_use]
pub fn answered(
    record: &DeliveryRecord,
    submission: &Submission,
    piece_count: u32,
    answer: &Result<SendAccepted, SendError>,
    now: Moment,
    random: u8,
) -> Option<(DeliveryRecord, Next)> {
    let position = usize::try_from(submission.piece).ok()?;
    let pieces = &record.delivery.as_ref()?.pieces;
    let piece = pieces.get(position)?;
    let news = match state_of(record) {
        // A receipt and a recovery may have moved on to the next piece.
        DeliveryState::Submitting => under_way(pieces) == Some(position),
        // Given up, or about to be sent again: an acceptance is still news. A failure that late proves nothing.
        DeliveryState::Unknown | DeliveryState::Deferred => answer.is_ok() && !receipt::is_proven(piece),
        _ => false,
    };
    if !news || piece.attempts != submission.attempt {
        return None;
    }
    let mut next = record.clone();
    next.lease.clear();
    next.lease_until_ms = 0;
    of(&mut next).updated_at = Some(now.to_timestamp());
    Some(match answer {
        Ok(accepted) => take_acceptance(next, position, piece_count, accepted, now),
        // A receipt was faster: the provider has it, whatever became of its answer.
        Err(_) if receipt::is_proven(piece) => {
            let proven = SendAccepted::default();
            take_acceptance(next, position, piece_count, &proven, now)
        }
        Err(error) => take_error(next, position, error, now, random),
    })
}

/// Gives up a submission whose worker is gone: nobody knows whether it left, unless a receipt said so. `None` when there is
/// nothing to give up.
#[must_use]
pub fn recover(record: &DeliveryRecord, now: Moment) -> Option<(DeliveryRecord, Next)> {
    let given_up = Moment(record.lease_until_ms) + RECOVERY_MARGIN;
    if state_of(record) != DeliveryState::Submitting || now < given_up {
        return None;
    }
    let pieces = &record.delivery.as_ref()?.pieces;
    let position = under_way(pieces)?;
    let proven = receipt::is_proven(&pieces[position]);
    let mut next = record.clone();
    next.lease.clear();
    next.lease_until_ms = 0;
    of(&mut next).updated_at = Some(now.to_timestamp());
    if proven {
        // How many pieces it has died with the worker when this was the first one: as many as are known.
        return Some(take_acceptance(next, position, 0, &SendAccepted::default(), now));
    }
    let error = SendError {
        class: ErrorClass::Ambiguous.into(),
        text: "the process that submitted it did not report back".into(),
        ..SendError::default()
    };
    Some(take_error(next, position, &error, now, 0))
}

fn take_acceptance(
    mut next: DeliveryRecord,
    position: usize,
    piece_count: u32,
    accepted: &SendAccepted,
    now: Moment,
) -> (DeliveryRecord, Next) {
    let delivery = of(&mut next);
    let count = usize::try_from(piece_count.clamp(1, MAX_PIECES))
        .unwrap_or(1)
        .max(position + 1);
    delivery
        .pieces
        .resize_with(count.max(delivery.pieces.len()), DeliveryPiece::default);
    let piece = &mut delivery.pieces[position];
    if !accepted.provider_message_id.is_empty() {
        piece.provider_message_id.clone_from(&accepted.provider_message_id);
    }
    let proven = receipt::state_of_receipt(accepted.state()).unwrap_or(DeliveryState::Accepted);
    piece.state = receipt::further(piece.state(), proven).into();
    // A receipt that overtook the answer may have said that it failed, and why.
    if !receipt::has_failed(&delivery.pieces) {
        delivery.error = None;
    }
    delivery.deferred_until = None;
    set_failures(&mut next, Failures::default());
    let detail = format!("piece {position} accepted");
    note(&mut next, now, "dispatch", "answered", detail);
    let delivery = of(&mut next);
    if !delivery.pieces.iter().all(receipt::is_proven) {
        delivery.state = DeliveryState::Planned.into();
        next.timer_ms = (now + LOOK_AGAIN).0;
        return (next, Next::Piece);
    }
    let state = receipt::of_pieces(&delivery.pieces);
    delivery.state = state.into();
    next.timer_ms = 0;
    (next, Next::Ended)
}

fn take_error(
    mut next: DeliveryRecord,
    position: usize,
    error: &SendError,
    now: Moment,
    random: u8,
) -> (DeliveryRecord, Next) {
    let may_repeat = of(&mut next).on_unknown() == UnknownPolicy::ResendOnce && !of(&mut next).possible_duplicate;
    let instead = error.outside_window && position == 0 && next.delivery.as_ref().is_some_and(policy::has_alternative);
    let failures = Failures {
        at_recipient: next.failures,
        unsent: next.unsent,
    };
    let decided = if instead {
        policy::use_alternative(&mut next, now, "the provider says that the reply window is closed");
        Disposition::Again {
            after: Duration::ZERO,
            failures,
            possible_duplicate: false,
        }
    } else {
        disposition(error, failures, may_repeat, random)
    };
    let class = error.class();
    of(&mut next).error = Some(error.clone());
    let detail = format!("piece {position}: {} {}", class.as_str_name(), error.text);
    note(&mut next, now, "dispatch", "answered", detail);
    // An earlier attempt may have left: no failure of this one makes that known.
    let in_doubt = of(&mut next).pieces[position].state() == DeliveryState::Unknown;
    match decided {
        Disposition::Again {
            after,
            failures,
            possible_duplicate,
        } => {
            set_failures(&mut next, failures);
            let until = now + after;
            let delivery = of(&mut next);
            let lapses = moment(delivery.expire_at.as_ref());
            delivery.possible_duplicate |= possible_duplicate;
            let doubtful = in_doubt || possible_duplicate;
            let state = if doubtful {
                DeliveryState::Unknown
            } else {
                DeliveryState::Deferred
            };
            delivery.pieces[position].state = state.into();
            delivery.state = DeliveryState::Deferred.into();
            delivery.deferred_until = Some(until.to_timestamp());
            next.timer_ms = until.min(lapses).0;
            (next, Next::At(until))
        }
        Disposition::End(state) => {
            let state = if in_doubt { DeliveryState::Unknown } else { state };
            of(&mut next).pieces[position].state = state.into();
            end(&mut next, state, now, "dispatch", "");
            (next, Next::Ended)
        }
    }
}

fn set_failures(record: &mut DeliveryRecord, failures: Failures) {
    record.failures = failures.at_recipient;
    record.unsent = failures.unsent;
}
