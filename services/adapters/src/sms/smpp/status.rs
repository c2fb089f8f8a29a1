//! Outcomes of requests (SMPP 3.4, 5.1.3) and what follows from them.

use omnigate_proto::v1::ErrorClass;
use std::collections::BTreeMap;

pub(super) const ESME_ROK: u32 = 0x00;
pub(super) const ESME_RINVCMDLEN: u32 = 0x02;
pub(super) const ESME_RINVCMDID: u32 = 0x03;
pub(super) const ESME_RINVBNDSTS: u32 = 0x04;
pub(super) const ESME_RALYBND: u32 = 0x05;
pub(super) const ESME_RSYSERR: u32 = 0x08;
pub(super) const ESME_RBINDFAIL: u32 = 0x0d;
pub(super) const ESME_RINVPASWD: u32 = 0x0e;
pub(super) const ESME_RINVSYSID: u32 = 0x0f;
pub(super) const ESME_RMSGQFUL: u32 = 0x14;
pub(super) const ESME_RINVSYSTYP: u32 = 0x53;
pub(super) const ESME_RTHROTTLED: u32 = 0x58;
pub(super) const ESME_RX_T_APPN: u32 = 0x64;

/// Classes that an account gives to its provider's own codes.
pub(super) type Classes = BTreeMap<u32, ErrorClass>;

/// What a refused `submit_sm` means. The SMSC did not take the message, so nothing here is ambiguous; what is not known is
/// tried again for a while.
pub(super) fn class(status: u32, vendor: &Classes) -> ErrorClass {
    if let Some(class) = vendor.get(&status) {
        return *class;
    }
    match status {
        ESME_RTHROTTLED | ESME_RMSGQFUL => ErrorClass::Throttled,
        ESME_RSYSERR | ESME_RX_T_APPN | 0xff => ErrorClass::NotSent,
        0x0b | 0x33 | 0x34 | 0x40 | 0x50 | 0x51 => ErrorClass::RecipientPermanent,
        // The sender is the account's, and so is the state of its binds.
        0x04 | 0x05 | 0x0a | 0x0d..=0x0f | 0x48 | 0x49 => ErrorClass::Account,
        0x01..=0x03 | 0x06 | 0x07 | 0x15 | 0x42..=0x44 | 0x53..=0x55 | 0x61..=0x63 | 0x65 | 0x66 | 0xc0..=0xc4 => {
            ErrorClass::Content
        }
        _ => ErrorClass::RecipientTemporary,
    }
}

/// The standard's name of a status.
pub(super) const fn name(status: u32) -> &'static str {
    match status {
        0x00 => "ESME_ROK",
        0x01 => "ESME_RINVMSGLEN",
        0x02 => "ESME_RINVCMDLEN",
        0x03 => "ESME_RINVCMDID",
        0x04 => "ESME_RINVBNDSTS",
        0x05 => "ESME_RALYBND",
        0x06 => "ESME_RINVPRTFLG",
        0x07 => "ESME_RINVREGDLVFLG",
        0x08 => "ESME_RSYSERR",
        0x0a => "ESME_RINVSRCADR",
        0x0b => "ESME_RINVDSTADR",
        0x0c => "ESME_RINVMSGID",
        0x0d => "ESME_RBINDFAIL",
        0x0e => "ESME_RINVPASWD",
        0x0f => "ESME_RINVSYSID",
        0x11 => "ESME_RCANCELFAIL",
        0x13 => "ESME_RREPLACEFAIL",
        0x14 => "ESME_RMSGQFUL",
        0x15 => "ESME_RINVSERTYP",
        0x33 => "ESME_RINVNUMDESTS",
        0x34 => "ESME_RINVDLNAME",
        0x40 => "ESME_RINVDESTFLAG",
        0x42 => "ESME_RINVSUBREP",
        0x43 => "ESME_RINVESMCLASS",
        0x44 => "ESME_RCNTSUBDL",
        0x45 => "ESME_RSUBMITFAIL",
        0x48 => "ESME_RINVSRCTON",
        0x49 => "ESME_RINVSRCNPI",
        0x50 => "ESME_RINVDSTTON",
        0x51 => "ESME_RINVDSTNPI",
        0x53 => "ESME_RINVSYSTYP",
        0x54 => "ESME_RINVREPFLAG",
        0x55 => "ESME_RINVNUMMSGS",
        0x58 => "ESME_RTHROTTLED",
        0x61 => "ESME_RINVSCHED",
        0x62 => "ESME_RINVEXPIRY",
        0x63 => "ESME_RINVDFTMSGID",
        0x64 => "ESME_RX_T_APPN",
        0x65 => "ESME_RX_P_APPN",
        0x66 => "ESME_RX_R_APPN",
        0x67 => "ESME_RQUERYFAIL",
        0xc0 => "ESME_RINVOPTPARSTREAM",
        0xc1 => "ESME_ROPTPARNOTALLWD",
        0xc2 => "ESME_RINVPARLEN",
        0xc3 => "ESME_RMISSINGOPTPARAM",
        0xc4 => "ESME_RINVOPTPARAMVAL",
        0xfe => "ESME_RDELIVERYFAILURE",
        0xff => "ESME_RUNKNOWNERR",
        0x400..=0x4ff => "a code of the provider's own",
        _ => "an unknown code",
    }
}

/// A status as the configuration and errors write it.
pub(super) fn code(status: u32) -> String {
    format!("0x{status:02x}")
}

/// A class by the name that the configuration gives it.
pub(super) fn class_named(name: &str) -> Option<ErrorClass> {
    Some(match name {
        "throttled" => ErrorClass::Throttled,
        "not_sent" => ErrorClass::NotSent,
        "ambiguous" => ErrorClass::Ambiguous,
        "recipient_permanent" => ErrorClass::RecipientPermanent,
        "recipient_temporary" => ErrorClass::RecipientTemporary,
        "refused" => ErrorClass::Refused,
        "content" => ErrorClass::Content,
        "account" => ErrorClass::Account,
        "policy" => ErrorClass::Policy,
        "expired" => ErrorClass::Expired,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_classes() {
        let vendor = Classes::from([(0x401, ErrorClass::Account), (0x45, ErrorClass::Content)]);
        for (status, expected) in [
            (0x58, ErrorClass::Throttled),
            (0x14, ErrorClass::Throttled),
            (0x08, ErrorClass::NotSent),
            (0x64, ErrorClass::NotSent),
            (0x0b, ErrorClass::RecipientPermanent),
            (0x0a, ErrorClass::Account),
            (0x04, ErrorClass::Account),
            (0x01, ErrorClass::Content),
            (0xc4, ErrorClass::Content),
            (0xfe, ErrorClass::RecipientTemporary),
            (0x45, ErrorClass::Content),
            (0x401, ErrorClass::Account),
            (0x40a, ErrorClass::RecipientTemporary),
            (u32::MAX, ErrorClass::RecipientTemporary),
        ] {
            assert_eq!(class(status, &vendor), expected, "{status:#x}");
        }
        assert_eq!(class(0x45, &Classes::new()), ErrorClass::RecipientTemporary);
    }

    #[test]
    fn nothing_refused_is_called_ambiguous() {
        let none = Classes::new();
        assert!((1..=0x1000).all(|status| class(status, &none) != ErrorClass::Ambiguous));
        assert_eq!((code(0x0b).as_str(), name(0x0b)), ("0x0b", "ESME_RINVDSTADR"));
    }
}
