//! Text and numbers of SMS: alphabets, SMS segments, unaccented Vietnamese, words that opt out, phone numbers, senders.
//!
//! Everything here is a function over values, so adapters, previews of campaigns and the command line count, cut and read
//! in the same way.

pub mod alphabet;
pub mod coding;
pub mod opt_out;
pub mod phone;
pub mod price;
pub mod segment;
pub mod sender;
pub mod unaccent;
pub mod vietnam;

/// Label that stands before advertising unless the account says otherwise. Decree 91/2020: advertising begins with `[QC]` or
/// `[AD]`.
pub const ADVERTISING_LABEL: &str = "[QC]";
