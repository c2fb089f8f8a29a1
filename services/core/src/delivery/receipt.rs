//! Receipts: they only move a delivery forward, in whatever order they come.

use super::{note, of};
use crate::time::Moment;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{DeliveryPiece, DeliveryState, Receipt, ReceiptState};

/// The delivery state that a receipt proves; `None` for one that says nothing.
#[must_use]
pub const fn state_of_receipt(state: ReceiptState) -> Option<DeliveryState> {
    match state {
        ReceiptState::Unspecified => None,
        ReceiptState::Accepted => Some(DeliveryState::Accepted),
        ReceiptState::Sent => Some(DeliveryState::Sent),
        ReceiptState::Delivered => Some(DeliveryState::Delivered),
        ReceiptState::Read => Some(DeliveryState::Read),
        ReceiptState::Failed => Some(DeliveryState::Failed),
    }
}

/// How far a state is; failure counts as far as delivery, so that neither replaces the other by coming later, except that
/// what reached a device has reached it.
const fn rank(state: DeliveryState) -> u8 {
    match state {
        DeliveryState::Accepted => 1,
        DeliveryState::Sent => 2,
        DeliveryState::Delivered | DeliveryState::Failed => 3,
        DeliveryState::Read => 4,
        _ => 0,
    }
}

/// The further of two states of one piece. Delivery after a failure is believed: providers with several devices report
/// both.
#[must_use]
pub const fn further(before: DeliveryState, said: DeliveryState) -> DeliveryState {
    let reached = matches!(said, DeliveryState::Delivered | DeliveryState::Read);
    if rank(said) > rank(before) || (matches!(before, DeliveryState::Failed) && reached) {
        said
    } else {
        before
    }
}

/// True when the provider is known to have the piece.
#[must_use]
pub fn is_proven(piece: &DeliveryPiece) -> bool {
    rank(piece.state()) > 0
}

/// True when one of the pieces failed.
#[must_use]
pub fn has_failed(pieces: &[DeliveryPiece]) -> bool {
    pieces.iter().any(|piece| piece.state() == DeliveryState::Failed)
}

/// State of a message from the states of its pieces: failed if one failed, else as far as the one that is least far.
#[must_use]
pub fn of_pieces(pieces: &[DeliveryPiece]) -> DeliveryState {
    if has_failed(pieces) {
        return DeliveryState::Failed;
    }
    let states = pieces.iter().map(DeliveryPiece::state);
    states
        .min_by_key(|state| rank(*state))
        .unwrap_or(DeliveryState::Accepted)
}

/// Applies a receipt to one piece, or to all that were accepted. `None` when it says nothing new.
#[must_use]
pub fn apply(record: &DeliveryRecord, piece: Option<u32>, receipt: &Receipt, now: Moment) -> Option<DeliveryRecord> {
    let said = state_of_receipt(receipt.state())?;
    let mut next = record.clone();
    let delivery = of(&mut next);
    let before = delivery.state();
    let had_failed = has_failed(&delivery.pieces);
    let mut changed = false;
    for (number, of_piece) in delivery.pieces.iter_mut().enumerate() {
        let named = piece.map_or(!of_piece.provider_message_id.is_empty(), |piece| {
            usize::try_from(piece) == Ok(number)
        });
        let meant = named && of_piece.attempts > 0;
        let state = further(of_piece.state(), said);
        if meant && state != of_piece.state() {
            delivery.contradicted |= of_piece.state() == DeliveryState::Failed;
            of_piece.state = state.into();
            changed = true;
        }
        // A provider that reports on a piece has it, also when our own record of its answer was lost.
        if meant && of_piece.provider_message_id.is_empty() && !receipt.provider_message_id.is_empty() {
            of_piece.provider_message_id.clone_from(&receipt.provider_message_id);
        }
    }
    if !changed {
        return None;
    }
    // The first failure says why; receipts of other pieces, and an answer that comes later, do not take that back.
    if said == DeliveryState::Failed && !had_failed {
        delivery.error.clone_from(&receipt.error);
    }
    let settled = delivery.pieces.iter().all(is_proven);
    // How many pieces there are is known from the answer to the first one. While that is under way, the answer or its
    // recovery ends it: a receipt that ended it would forget the other pieces.
    let first_under_way = before == DeliveryState::Submitting && delivery.pieces.len() == 1;
    if settled && !first_under_way {
        let state = of_pieces(&delivery.pieces);
        delivery.state = state.into();
        delivery.deferred_until = None;
        if state != DeliveryState::Failed {
            delivery.error = None;
        }
        next.timer_ms = 0;
        next.lease.clear();
        next.lease_until_ms = 0;
    }
    of(&mut next).updated_at = Some(now.to_timestamp());
    note(
        &mut next,
        now,
        "unify",
        "receipted",
        receipt.state().as_str_name().to_owned(),
    );
    Some(next)
}
