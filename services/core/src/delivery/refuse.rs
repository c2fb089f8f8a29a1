//! Ends a message that must not leave.

use super::{end, of, state_of, under_way};
use crate::time::Moment;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{DeliveryPiece, DeliveryState, SendError};

/// Ends a message that its submitter may not submit, also after it has begun to: `lease` is the submitter's, and nothing
/// has left by it. `None` when somebody else has the message, or it has ended.
#[must_use]
pub fn refuse(record: &DeliveryRecord, lease: &[u8; 16], error: &SendError, now: Moment) -> Option<DeliveryRecord> {
    match state_of(record) {
        DeliveryState::Planned | DeliveryState::Deferred => Some(refused(record.clone(), error.clone(), now)),
        DeliveryState::Submitting if record.lease.as_ref() == lease.as_slice() => {
            Some(refused(withdrawn(record.clone()), error.clone(), now))
        }
        _ => None,
    }
}

/// The message with its refusal.
pub(super) fn refused(mut record: DeliveryRecord, error: SendError, now: Moment) -> DeliveryRecord {
    let detail = format!("{} ({})", error.text, error.provider_code);
    of(&mut record).error = Some(error);
    end(&mut record, DeliveryState::Skipped, now, "dispatch", &detail);
    record
}

/// The message without the attempt that was begun.
fn withdrawn(mut record: DeliveryRecord) -> DeliveryRecord {
    record.history.pop_if(|step| step.what == "attempted");
    let delivery = of(&mut record);
    let Some(position) = under_way(&delivery.pieces) else {
        return record;
    };
    delivery.attempts = delivery.attempts.saturating_sub(1);
    let piece = &mut delivery.pieces[position];
    piece.attempts -= 1;
    if piece.state() == DeliveryState::Submitting {
        piece.state = DeliveryState::Deferred.into();
    }
    let untouched = piece.attempts == 0;
    if untouched {
        *piece = DeliveryPiece::default();
        delivery.pieces.truncate(position);
    }
    record
}
