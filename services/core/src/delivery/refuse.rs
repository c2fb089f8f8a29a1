//! Ends a message that must not leave.

use super::receipt::is_proven;
use super::{end, of, state_of, under_way};
use crate::time::Moment;
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{DeliveryPiece, DeliveryState, SendError};

/// Ends a message that its submitter may not submit, also after it has begun to: `lease` is the submitter's, and nothing
/// has left by it. `None` when somebody else has the message, or it has ended.
#[must_use]
pub fn refuse(record: &DeliveryRecord, lease: &[u8; 16], error: &SendError, now: Moment) -> Option<DeliveryRecord> {
    // What has left in part goes on.
    let pieces = record.delivery.iter().flat_map(|delivery| &delivery.pieces);
    if pieces.into_iter().any(is_proven) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use omnigate_proto::state::v1::DeliveryStep;
    use omnigate_proto::v1::Delivery;

    const OURS: [u8; 16] = [7; 16];

    fn submitting(earlier: DeliveryState) -> DeliveryRecord {
        let attempts = if earlier == DeliveryState::Submitting { 1 } else { 2 };
        let piece = DeliveryPiece {
            attempts,
            state: earlier.into(),
            ..DeliveryPiece::default()
        };
        DeliveryRecord {
            delivery: Some(Delivery {
                state: DeliveryState::Submitting.into(),
                attempts,
                pieces: vec![piece],
                ..Delivery::default()
            }),
            lease: Bytes::copy_from_slice(&OURS),
            history: vec![DeliveryStep {
                what: "attempted".to_owned(),
                ..DeliveryStep::default()
            }],
            ..DeliveryRecord::default()
        }
    }

    fn refused_by(record: &DeliveryRecord, lease: [u8; 16]) -> Option<DeliveryRecord> {
        let error = SendError {
            provider_code: "suppressed".to_owned(),
            ..SendError::default()
        };
        refuse(record, &lease, &error, Moment(5))
    }

    #[test]
    fn only_the_submitter_ends_a_submission_and_nothing_ends_twice() {
        let record = submitting(DeliveryState::Submitting);
        assert_eq!(refused_by(&record, [8; 16]), None, "it is in other hands");
        let ended = refused_by(&record, OURS).unwrap();
        let delivery = ended.delivery.as_ref().unwrap();
        assert_eq!(
            (delivery.state(), delivery.attempts, delivery.pieces.len()),
            (DeliveryState::Skipped, 0, 0)
        );
        let told: Vec<&str> = ended.history.iter().map(|step| step.what.as_str()).collect();
        assert_eq!(told, ["refused"]);
        assert_eq!(refused_by(&ended, OURS), None);
    }

    #[test]
    fn what_may_have_left_before_stays_unknown() {
        let ended = refused_by(&submitting(DeliveryState::Unknown), OURS).unwrap();
        let delivery = ended.delivery.as_ref().unwrap();
        assert_eq!((delivery.state(), delivery.attempts), (DeliveryState::Unknown, 1));
        assert_eq!(delivery.pieces[0].state(), DeliveryState::Unknown);
    }
}
