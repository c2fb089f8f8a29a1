//! Delivery receipts: what an SMSC says about a message of ours, as text (SMPP 3.4, appendix B, "vendor specific"), as
//! optional parameters, or both. Where both speak, the parameters are right.

use super::pdu::{ShortMessage, tag};
use jiff::{civil::DateTime, tz::Offset};
use std::collections::BTreeMap;

/// Kind of message (`esm_class`, bits 5 to 2).
const TYPE_MASK: u8 = 0x3c;
const TYPE_RECEIPT: u8 = 0x04;
const TYPE_INTERMEDIATE: u8 = 0x20;
/// Longest value of a field that is looked at.
const MAX_VALUE: usize = 65;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// On its way.
    Enroute,
    /// On the device.
    Delivered,
    /// Its time passed.
    Expired,
    /// Somebody removed it.
    Deleted,
    /// It cannot be delivered.
    Undeliverable,
    /// Taken, or read by hand for the recipient.
    Accepted,
    /// The SMSC does not know.
    Unknown,
    /// Refused on its way.
    Rejected,
}

/// States that an account gives to its provider's own words.
pub(super) type Words = BTreeMap<String, State>;

/// What a receipt says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Report {
    /// Id of the message, and whether it stood in `receipted_message_id`.
    pub(super) message_id: Option<(Vec<u8>, bool)>,
    /// What became of it; `None` when nothing is said.
    pub(super) state: Option<State>,
    /// The network's or provider's code, as text; empty when there is none.
    pub(super) code: String,
    /// The time as it is written, empty when there is none.
    pub(super) done_date: String,
}

/// Whether a message is a receipt. Some SMSCs do not say so in `esm_class`, but send both parameters of one; others leave
/// it to the text, which is believed when the account says so.
pub(super) fn is_receipt(message: &ShortMessage<'_>, believes_text: bool) -> bool {
    if matches!(message.esm_class & TYPE_MASK, TYPE_RECEIPT | TYPE_INTERMEDIATE) {
        return true;
    }
    let told = message.tlvs.get(tag::RECEIPTED_MESSAGE_ID).is_some() && message.tlvs.get(tag::MESSAGE_STATE).is_some();
    told || (believes_text && {
        let fields = Fields::of(message.content);
        fields.get("id").is_some() && fields.get("stat").is_some()
    })
}

/// Reads a receipt.
pub(super) fn read(message: &ShortMessage<'_>, words: &Words) -> Report {
    let fields = Fields::of(message.content);
    let tlvs = message.tlvs;
    let word = fields.get("stat").unwrap_or_default();
    let said = state_of_word(word, words);
    let told = tlvs.number(tag::MESSAGE_STATE).and_then(state_of_number);
    let from_tlv = tlvs.text(tag::RECEIPTED_MESSAGE_ID).map(|id| (id.to_vec(), true));
    let from_text = fields.get("id").map(|id| (id.as_bytes().to_vec(), false));
    // A word that the account knows says more than the number beside it.
    let own = words.get(&word.to_ascii_uppercase()).copied();
    let state = own.or(told).or(said);
    let network = tlvs.get(tag::NETWORK_ERROR_CODE).and_then(network_error);
    let code = fields.get("err").map(str::to_owned).or(network);
    // A word outside the standard is the only reason there may be.
    let is_standard = word.is_empty() || STANDARD.contains(&word.to_ascii_uppercase().as_str());
    let code = match code {
        Some(code) if !code.bytes().all(|byte| byte == b'0') || is_standard => code,
        Some(_) | None if !is_standard => word.to_owned(),
        code => code.unwrap_or_default(),
    };
    Report {
        message_id: from_tlv.or(from_text),
        state,
        code,
        done_date: fields.get("done date").unwrap_or_default().to_owned(),
    }
}

/// Words of the standard.
const STANDARD: &[&str] = &[
    "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "ENROUTE",
];

fn state_of_word(word: &str, own: &Words) -> Option<State> {
    let word = word.to_ascii_uppercase();
    if let Some(state) = own.get(&word) {
        return Some(*state);
    }
    Some(match word.as_str() {
        "" => return None,
        "DELIVRD" | "DELIVERED" | "DELIVERD" | "DELIVER" => State::Delivered,
        "EXPIRED" => State::Expired,
        "DELETED" => State::Deleted,
        "UNDELIV" | "UNDELIVERABLE" | "UNDELIVERED" | "FAILED" | "FAIL" => State::Undeliverable,
        "ACCEPTD" | "ACCEPTED" => State::Accepted,
        "ENROUTE" | "SENT" | "BUFFERED" | "BUFFERD" | "SCHEDULED" => State::Enroute,
        word if word.contains("REJECT") => State::Rejected,
        _ => State::Unknown,
    })
}

/// A state by the name that the configuration gives it.
pub(super) fn state_named(name: &str) -> Option<State> {
    Some(match name {
        "enroute" => State::Enroute,
        "delivered" => State::Delivered,
        "expired" => State::Expired,
        "deleted" => State::Deleted,
        "undeliverable" => State::Undeliverable,
        "accepted" => State::Accepted,
        "unknown" => State::Unknown,
        "rejected" => State::Rejected,
        _ => return None,
    })
}

/// SMPP 3.4, 5.2.28.
const fn state_of_number(number: u32) -> Option<State> {
    Some(match number {
        1 => State::Enroute,
        2 => State::Delivered,
        3 => State::Expired,
        4 => State::Deleted,
        5 => State::Undeliverable,
        6 => State::Accepted,
        7 => State::Unknown,
        8 => State::Rejected,
        _ => return None,
    })
}

/// Type of network and code as `3/11`. Some write three digits instead, which are the code of the text.
fn network_error(value: &[u8]) -> Option<String> {
    let text = value.split(|octet| *octet == 0).next().unwrap_or_default();
    if !value.is_empty() && value.iter().all(u8::is_ascii_alphanumeric) {
        return String::from_utf8(value.to_vec()).ok();
    }
    match value {
        [network, high, low] => {
            let code = u16::from_be_bytes([*high, *low]);
            (code != 0).then(|| format!("{network}/{code}"))
        }
        _ if !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric) => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    }
}

/// The fields of a text, names in lower case and without the space that some leave out.
struct Fields(Vec<(&'static str, String)>);

/// Names as they are found in a text; the longer one first where one ends another.
const NAMES: &[(&str, &str)] = &[
    ("submit date:", "submit date"),
    ("submitdate:", "submit date"),
    ("submit_date:", "submit date"),
    ("done date:", "done date"),
    ("donedate:", "done date"),
    ("done_date:", "done date"),
    ("dlvrd:", "dlvrd"),
    ("stat:", "stat"),
    ("text:", "text"),
    ("sub:", "sub"),
    ("err:", "err"),
    ("id:", "id"),
];

impl Fields {
    fn of(content: &[u8]) -> Self {
        let mut fields = Vec::new();
        let mut at = 0;
        let mut is_start = true;
        while let Some(octet) = content.get(at) {
            let name = NAMES.iter().find(|(written, _)| {
                let found = content.get(at..at + written.len());
                is_start && found.is_some_and(|found| found.eq_ignore_ascii_case(written.as_bytes()))
            });
            let Some((written, name)) = name else {
                is_start = matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b',' | b';' | 0);
                at += 1;
                continue;
            };
            // What follows is of the message itself and may look like anything.
            if *name == "text" {
                break;
            }
            at += written.len();
            let rest = content.get(at..).unwrap_or_default();
            let skipped = rest.iter().take_while(|octet| **octet == b' ').count();
            let value = rest.get(skipped..).unwrap_or_default();
            let ends = |octet: &u8| octet.is_ascii_whitespace() || *octet == 0;
            let length = value.iter().position(ends).unwrap_or(value.len());
            let value = value.get(..length).unwrap_or_default();
            // A space after the colon belongs to the value, unless the next field follows.
            let is_next = NAMES.iter().any(|(written, _)| {
                value.len() >= written.len() && value[..written.len()].eq_ignore_ascii_case(written.as_bytes())
            });
            if is_next || skipped > 1 {
                is_start = true;
                continue;
            }
            at += skipped + length;
            is_start = false;
            if (1..=MAX_VALUE).contains(&value.len()) && !fields.iter().any(|(known, _)| known == name) {
                fields.push((*name, String::from_utf8_lossy(value).into_owned()));
            }
        }
        Self(fields)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The moment of a date as receipts write it, YYMMDDhhmm or with seconds, in seconds since 1970.
pub(super) fn moment(date: &str, offset: Offset) -> Option<i64> {
    if !matches!(date.len(), 10 | 12) || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| date.get(at..at + 2).and_then(|digits| digits.parse::<i8>().ok());
    let second = if date.len() == 12 { two(10)? } else { 0 };
    let year = 2000 + i16::from(two(0)?);
    let local = DateTime::new(year, two(2)?, two(4)?, two(6)?, two(8)?, second, 0).ok()?;
    Some(offset.to_timestamp(local).ok()?.as_second())
}

#[cfg(test)]
mod tests;
