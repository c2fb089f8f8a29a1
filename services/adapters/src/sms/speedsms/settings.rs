//! What an operator configures for SpeedSMS, beside what all SMS accounts share.

use crate::settings::invalid;
use crate::texting::{
    TextSettings,
    callback::{self, Guard, base_url},
    read,
};
use omnigate_core::{account::Settings, port::adapter::Invalid};
use serde::Deserialize;
use std::{fmt, time::Duration};

/// Settings that hold secrets.
pub(super) const SECRET: &[&str] = &["access_token", "callback_token"];

const KNOWN: &[&str] = &[
    "access_token",
    "sms_type",
    "advertising_sms_type",
    "api_url",
    "callback_token",
    "allowed_addresses",
    "duplicate_window_s",
];

const DEFAULT_API_URL: &str = "https://api.speedsms.vn/index.php";
/// Docs, `sms_type`: advertising.
const ADVERTISING: u8 = 1;
/// Docs, `sms_type`: customer care from a number of SpeedSMS.
const CARE: u8 = 2;
/// Docs, `sms_type`: under a brandname.
pub(super) const BRANDNAME: u8 = 3;
/// Docs, `sms_type`: through an Android telephone of one's own, which is addressed by a device and not by a sender.
const ANDROID: u8 = 5;
const MAX_SECRET: usize = 256;
const DUPLICATE_WINDOW_S: u64 = 60;
const MAX_DUPLICATE_WINDOW_S: u64 = 3_600;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    access_token: Option<String>,
    sms_type: Option<u8>,
    advertising_sms_type: Option<u8>,
    api_url: Option<String>,
    callback_token: Option<String>,
    allowed_addresses: Option<Vec<String>>,
    duplicate_window_s: Option<u64>,
}

/// Validated settings of a SpeedSMS account.
#[derive(Clone)]
pub(super) struct SpeedsmsSettings {
    /// `access_token`: authenticates calls.
    pub(super) access_token: Option<String>,
    /// `sms_type`: default 2, customer care; 3 for a brandname, 4 for the default one, 6 to 8 for fixed and own numbers.
    pub(super) sms_type: u8,
    /// `advertising_sms_type`: of advertising; default 1.
    pub(super) advertising_sms_type: u8,
    /// `api_url`: address of the API, without a slash at the end.
    pub(super) api_url: String,
    /// `callback_token` and `allowed_addresses`.
    pub(super) guard: Guard,
    /// `duplicate_window_s`: how long a message that was not kept for certain may come again; 60 s, 0 for never through
    /// another edge.
    pub(super) duplicate_window: Duration,
}

impl fmt::Debug for SpeedsmsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SpeedsmsSettings")
            .field("sms_type", &self.sms_type)
            .finish_non_exhaustive()
    }
}

impl SpeedsmsSettings {
    /// Reads and checks settings.
    pub(super) fn read(settings: &Settings) -> Result<(TextSettings, Self), Invalid> {
        let (text, written): (TextSettings, Written) = read(settings, KNOWN, SECRET)?;
        let plausible = |token: &String| {
            (1..=MAX_SECRET).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if written.access_token.as_ref().is_some_and(|token| !plausible(token)) {
            return Err(invalid("access_token", "must be 1 to 256 characters without space"));
        }
        let duplicate_window = written.duplicate_window_s.unwrap_or(DUPLICATE_WINDOW_S);
        if duplicate_window > MAX_DUPLICATE_WINDOW_S {
            return Err(invalid(
                "duplicate_window_s",
                format!("must be at most {MAX_DUPLICATE_WINDOW_S}"),
            ));
        }
        let own = Self {
            access_token: written.access_token,
            sms_type: sms_type("sms_type", written.sms_type.unwrap_or(CARE))?,
            advertising_sms_type: sms_type(
                "advertising_sms_type",
                written.advertising_sms_type.unwrap_or(ADVERTISING),
            )?,
            api_url: base_url("api_url", written.api_url.as_deref().unwrap_or(DEFAULT_API_URL))?,
            guard: Guard::of(&callback::Written {
                callback_token: written.callback_token,
                allowed_addresses: written.allowed_addresses,
            })?,
            duplicate_window: Duration::from_secs(duplicate_window),
        };
        Ok((text, own))
    }
}

fn sms_type(key: &str, value: u8) -> Result<u8, Invalid> {
    match value {
        1..=8 if value != ANDROID => Ok(value),
        _ => Err(invalid(key, "must be 1 to 4 or 6 to 8")),
    }
}
