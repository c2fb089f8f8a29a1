//! eSMS's codes (docs, table of codes) in the contract's vocabulary.

use omnigate_proto::v1::{ErrorClass, RecipientFault};

/// The request was accepted; says nothing about delivery.
pub(super) const ACCEPTED: &str = "100";
/// A request with this `RequestId` came within the last 24 hours.
pub(super) const REPEATED: &str = "124";

/// What a code says about the number itself: that there is none of this form.
pub(super) fn fault(code: &str) -> RecipientFault {
    match code {
        "108" => RecipientFault::NoSuchAddress,
        _ => RecipientFault::Unspecified,
    }
}

/// What a code means that answers a send. What is not in the table proves nothing.
pub(super) fn class(code: &str) -> ErrorClass {
    match code {
        // Number blocked on the platform.
        "99" => ErrorClass::Refused,
        // Wrong keys; no price list; no balance; no such brandname; type not supported; address not listed; account
        // locked; message type missing or unsupported.
        "101" | "102" | "103" | "104" | "118" | "140" | "143" | "300" | "301" => ErrorClass::Account,
        // Format of the number; network not registered for the brandname.
        "108" | "177" => ErrorClass::RecipientPermanent,
        // Data wrong; not the registered template; forbidden word.
        "110" | "146" | "201" => ErrorClass::Content,
        "160" => ErrorClass::Throttled,
        // Counts of numbers that only lists can have.
        "107" | "120" | "163" => ErrorClass::Policy,
        _ => ErrorClass::Ambiguous,
    }
}
