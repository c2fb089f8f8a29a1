//! Checks of single settings.

use super::{LongMessages, Written};
use crate::settings::invalid;
use omnigate_core::{
    port::adapter::Invalid,
    sms::alphabet::{Language, National},
};
use std::{collections::BTreeMap, fmt, time::Duration};

/// Most entries of a map.
const MAX_MAP: usize = 256;
/// Longest list of certificates.
const MAX_PEM: usize = 256 * 1024;
/// The longest validity that a relative time of SMPP can say within its days.
const MAX_VALIDITY_S: u64 = 30 * 24 * 3600;

/// A relative time (SMPP 3.4, 7.1.1.2).
pub(super) fn validity(seconds: u64) -> Result<String, Invalid> {
    if !(60..=MAX_VALIDITY_S).contains(&seconds) {
        return Err(invalid("validity_s", "must be 60 to 2592000"));
    }
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    Ok(format!("0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"))
}

/// Whether it can be read is said where it is used: adapters know no certificates.
pub(super) fn authority(pem: Option<String>, tls: Option<bool>) -> Result<Option<String>, Invalid> {
    match pem {
        Some(_) if tls != Some(true) => Err(invalid("authority", "is for tls = true only")),
        Some(pem) if pem.len() > MAX_PEM || !pem.contains("-----BEGIN CERTIFICATE-----") => Err(invalid(
            "authority",
            "must be certificates as PEM, or { file = \"path\" } of them",
        )),
        pem => Ok(pem),
    }
}

/// They are named in a header, so only long messages that have one go with them, and only septets have tables.
pub(super) fn national(written: &Written) -> Result<National, Invalid> {
    let named = |key: &str, name: Option<&String>| {
        let Some(name) = name else { return Ok(None) };
        match name.trim() {
            "turkish" => Ok(Some(Language::Turkish)),
            "portuguese" => Ok(Some(Language::Portuguese)),
            "spanish" if key == "national_single" => Ok(Some(Language::Spanish)),
            _ => Err(invalid(
                key,
                "must be turkish or portuguese; spanish for national_single only",
            )),
        }
    };
    let national = National {
        locking: named("national_locking", written.national_locking.as_ref())?,
        single: named("national_single", written.national_single.as_ref())?,
    };
    let has_header = matches!(
        written.long_messages.unwrap_or_default(),
        LongMessages::Udh | LongMessages::Udh16
    );
    let is_gsm = written
        .default_alphabet
        .as_deref()
        .is_none_or(|name| name.trim() == "gsm7");
    if national != National::default() && !(has_header && is_gsm) {
        let key = if national.locking.is_some() {
            "national_locking"
        } else {
            "national_single"
        };
        return Err(invalid(
            key,
            "goes only with long_messages udh or udh16 and default_alphabet gsm7",
        ));
    }
    Ok(national)
}

/// `0x401` or `1025`.
pub(super) fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A map, each of whose entries `read` understands.
pub(super) fn map<K: Ord, V>(
    key: &str,
    written: Option<BTreeMap<String, String>>,
    read: impl Fn(&str, &str) -> Option<(K, V)>,
) -> Result<BTreeMap<K, V>, Invalid> {
    let written = written.unwrap_or_default();
    if written.len() > MAX_MAP {
        return Err(invalid(
            key,
            format!("has {} entries, at most {MAX_MAP} are taken", written.len()),
        ));
    }
    let entry = |(name, value): (&String, &String)| {
        let shown: String = format!("{name} = {value}").chars().take(60).collect();
        read(name, value).ok_or_else(|| invalid(key, format!("{shown:?} has no meaning here")))
    };
    written.iter().map(entry).collect()
}

/// A C-octet string of so many characters at most.
pub(super) fn c_string(key: &str, text: String, longest: usize) -> Result<String, Invalid> {
    let fits = text.len() <= longest && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if fits {
        Ok(text)
    } else {
        Err(invalid(key, format!("must be at most {longest} characters of ASCII")))
    }
}

/// A number of one octet.
pub(super) fn octet(key: &str, value: Option<u8>, highest: u8) -> Result<Option<u8>, Invalid> {
    match value {
        Some(value) if value > highest => Err(invalid(key, format!("must be 0 to {highest}"))),
        value => Ok(value),
    }
}

/// A time between `least` and `most` seconds.
pub(super) fn seconds(key: &str, value: Option<u64>, default: u64, least: u64, most: u64) -> Result<Duration, Invalid> {
    within(key, value, default, least, most).map(Duration::from_secs)
}

/// A value between `least` and `most`.
pub(super) fn within<T: PartialOrd + fmt::Display + Copy>(
    key: &str,
    value: Option<T>,
    default: T,
    least: T,
    most: T,
) -> Result<T, Invalid> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(key, format!("must be {least} to {most}")))
    }
}
