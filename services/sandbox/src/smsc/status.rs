//! The `command_status` values that the sandbox answers with or understands.

/// No error.
pub const ROK: u32 = 0x00;
/// Message length is invalid.
pub const RINVMSGLEN: u32 = 0x01;
/// Command length is invalid.
pub const RINVCMDLEN: u32 = 0x02;
/// Invalid command id.
pub const RINVCMDID: u32 = 0x03;
/// Incorrect bind status for the command.
pub const RINVBNDSTS: u32 = 0x04;
/// Already in bound state.
pub const RALYBND: u32 = 0x05;
/// Invalid priority flag.
pub const RINVPRTFLG: u32 = 0x06;
/// Invalid registered delivery flag.
pub const RINVREGDLVFLG: u32 = 0x07;
/// System error.
pub const RSYSERR: u32 = 0x08;
/// Invalid source address.
pub const RINVSRCADR: u32 = 0x0A;
/// Invalid destination address.
pub const RINVDSTADR: u32 = 0x0B;
/// Bind failed.
pub const RBINDFAIL: u32 = 0x0D;
/// Invalid password.
pub const RINVPASWD: u32 = 0x0E;
/// Invalid system id.
pub const RINVSYSID: u32 = 0x0F;
/// Message queue full.
pub const RMSGQFUL: u32 = 0x14;
/// Invalid service type.
pub const RINVSERTYP: u32 = 0x15;
/// Invalid source type of number.
pub const RINVSRCTON: u32 = 0x48;
/// Invalid source numbering plan.
pub const RINVSRCNPI: u32 = 0x49;
/// Invalid destination type of number.
pub const RINVDSTTON: u32 = 0x50;
/// Invalid destination numbering plan.
pub const RINVDSTNPI: u32 = 0x51;
/// Invalid system type.
pub const RINVSYSTYP: u32 = 0x53;
/// Invalid replace-if-present flag.
pub const RINVREPFLAG: u32 = 0x54;
/// The ESME has exceeded its limits.
pub const RTHROTTLED: u32 = 0x58;
/// Invalid scheduled delivery time.
pub const RINVSCHED: u32 = 0x61;
/// Invalid validity period.
pub const RINVEXPIRY: u32 = 0x62;
/// The receiving ESME's temporary error.
pub const RX_T_APPN: u32 = 0x64;
/// Error in the optional part of the body.
pub const RINVOPTPARSTREAM: u32 = 0xC0;
/// Optional parameter not allowed.
pub const ROPTPARNOTALLWD: u32 = 0xC1;
/// Invalid parameter length.
pub const RINVPARLEN: u32 = 0xC2;
/// An expected optional parameter is missing.
pub const RMISSINGOPTPARAM: u32 = 0xC3;

/// Whether an ESME that answers a `deliver_sm` with `status` asks for it again later.
pub(super) fn asks_for_retry(status: u32) -> bool {
    matches!(status, RX_T_APPN | RMSGQFUL | RTHROTTLED)
}
