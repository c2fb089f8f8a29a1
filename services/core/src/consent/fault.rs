//! What a failure says about an address itself.

use crate::id::EventId;
use crate::time::Moment;
use omnigate_proto::state::v1::SuppressionCause;
use omnigate_proto::v1::{RecipientFault, SendError, SuppressionReason};

/// What is suppressed is said to come from here.
const SOURCE: &str = "provider";

/// What a failure puts onto the list, before it is known on which channel. `None` for one that is about the message, may
/// pass, or is somebody's wish: a class alone puts nobody there.
#[must_use]
pub fn fault(error: &SendError, (at, event): (Moment, Option<EventId>)) -> Option<SuppressionCause> {
    let reason = match error.recipient_fault() {
        RecipientFault::NoSuchAddress => SuppressionReason::HardBounce,
        RecipientFault::Complained => SuppressionReason::Complaint,
        RecipientFault::Unspecified => return None,
    };
    Some(SuppressionCause {
        reason: reason.into(),
        at_ms: at.0,
        source: SOURCE.to_owned(),
        events: event.map(EventId::to_bytes).into_iter().collect(),
        ..SuppressionCause::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::ErrorClass;

    #[test]
    fn no_class_alone_puts_anybody_on_the_list() {
        for class in 0..=10 {
            let error = SendError {
                class: ErrorClass::try_from(class).unwrap().into(),
                ..SendError::default()
            };
            assert_eq!(fault(&error, (Moment(1), None)), None);
        }
    }

    #[test]
    fn a_fault_names_its_reason() {
        let of = |fault_: RecipientFault| {
            let error = SendError {
                recipient_fault: fault_.into(),
                ..SendError::default()
            };
            fault(&error, (Moment(7), Some(EventId([1; 16])))).unwrap()
        };
        let bounced = of(RecipientFault::NoSuchAddress);
        assert_eq!(bounced.reason(), SuppressionReason::HardBounce);
        assert_eq!(
            (bounced.at_ms, bounced.marketing_only, bounced.events.len()),
            (7, false, 1)
        );
        assert_eq!(of(RecipientFault::Complained).reason(), SuppressionReason::Complaint);
    }
}
