//! Twilio's error codes (errors) in the contract's vocabulary.

use omnigate_proto::v1::{ErrorClass, RecipientFault};

/// What a code means, whether it answers a send or explains a message that was accepted and then failed. `None` for codes
/// that say nothing about it.
pub(super) const fn class(code: i64) -> Option<ErrorClass> {
    Some(match code {
        // Wrong credentials or SIDs; sender not ours, not registered or not fit; account suspended, capped or too dear.
        20003 | 20404 | 21212 | 21603 | 21606 | 21659 | 30002 | 30010 | 30032 | 30034 | 63038 => ErrorClass::Account,
        // Too fast, or the queue is full.
        14107 | 20429 | 21611 | 30001 | 30022 | 63017 | 63018 => ErrorClass::Throttled,
        // Unsubscribed by STOP; blocked.
        21610 | 30004 => ErrorClass::Refused,
        // No number, not reachable from the sender, no mobile, unknown, landline.
        21211 | 21214 | 21612 | 21614 | 30005 | 30006 | 63024 => ErrorClass::RecipientPermanent,
        // Switched off; unknown failure of a carrier; carrier does not answer.
        30003 | 30008 | 30410 => ErrorClass::RecipientTemporary,
        // Filtered; empty; too long; too many media.
        21602 | 21617 | 21623 | 30007 => ErrorClass::Content,
        // Country not enabled; number not verified during trial; window closed.
        21408 | 21608 | CLOSED_WINDOW => ErrorClass::Policy,
        _ => return None,
    })
}

/// What a code says about the number itself: none at all, no mobile, no longer there. That a carrier does not reach it, or
/// not from this sender, may pass.
pub(super) const fn fault(code: i64) -> RecipientFault {
    match code {
        21211 | 21614 | 30005 => RecipientFault::NoSuchAddress,
        _ => RecipientFault::Unspecified,
    }
}

/// A free message outside the reply window.
pub(super) const CLOSED_WINDOW: i64 = 63016;
