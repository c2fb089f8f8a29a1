//! What an operator configures for eSMS, beside what all SMS accounts share.

use crate::settings::invalid;
use crate::texting::{
    TextSettings,
    callback::{self, Guard, base_url},
    read,
};
use omnigate_core::{account::Settings, port::adapter::Invalid};
use serde::Deserialize;
use std::fmt;

/// Settings that hold secrets.
pub(super) const SECRET: &[&str] = &["api_key", "secret_key", "mo_private_key", "callback_token"];

const KNOWN: &[&str] = &[
    "api_key",
    "secret_key",
    "mo_private_key",
    "sms_type",
    "sandbox",
    "campaign_id",
    "api_url",
    "public_url",
    "callback_token",
    "allowed_addresses",
];

const DEFAULT_API_URL: &str = "https://rest.esms.vn/MainService.svc/json";
/// Docs, `SmsType`: customer care under a brandname.
pub(super) const CARE: u8 = 2;
/// Docs, `SmsType`: from a fixed number of eSMS.
const FIXED_NUMBER: u8 = 8;
const MAX_SECRET: usize = 256;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    api_key: Option<String>,
    secret_key: Option<String>,
    mo_private_key: Option<String>,
    sms_type: Option<u8>,
    sandbox: Option<bool>,
    campaign_id: Option<String>,
    api_url: Option<String>,
    public_url: Option<String>,
    callback_token: Option<String>,
    allowed_addresses: Option<Vec<String>>,
}

/// Validated settings of an eSMS account.
#[derive(Clone)]
pub(super) struct EsmsSettings {
    /// `api_key` and `secret_key`, when both are given.
    pub(super) keys: Option<(String, String)>,
    /// `mo_private_key`: signs what people write to a short code.
    pub(super) mo_private_key: Option<String>,
    /// `sms_type`: 2 for customer care under a brandname (default), 8 for a fixed number.
    pub(super) sms_type: u8,
    /// `sandbox`: eSMS checks messages and neither delivers nor charges them; default false.
    pub(super) sandbox: bool,
    /// `campaign_id`: under which eSMS lists the messages.
    pub(super) campaign_id: Option<String>,
    /// `api_url`: address of the API, without a slash at the end.
    pub(super) api_url: String,
    /// `public_url`: where the Internet reaches this gateway, without the path of webhooks.
    pub(super) public_url: Option<String>,
    /// `callback_token` and `allowed_addresses`.
    pub(super) guard: Guard,
}

impl fmt::Debug for EsmsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EsmsSettings")
            .field("sms_type", &self.sms_type)
            .finish_non_exhaustive()
    }
}

impl EsmsSettings {
    /// Reads and checks settings.
    pub(super) fn read(settings: &Settings) -> Result<(TextSettings, Self), Invalid> {
        let (text, written): (TextSettings, Written) = read(settings, KNOWN, SECRET)?;
        let keys = match (written.api_key, written.secret_key) {
            (Some(key), Some(value)) => Some((secret("api_key", key)?, secret("secret_key", value)?)),
            (None, None) => None,
            (Some(_), None) => return Err(invalid("secret_key", "is needed beside api_key")),
            (None, Some(_)) => return Err(invalid("api_key", "is needed beside secret_key")),
        };
        let sms_type = written.sms_type.unwrap_or(CARE);
        if !matches!(sms_type, CARE | FIXED_NUMBER) {
            return Err(invalid("sms_type", "must be 2 (customer care) or 8 (fixed number)"));
        }
        if written
            .campaign_id
            .as_ref()
            .is_some_and(|id| id.is_empty() || id.len() > 256)
        {
            return Err(invalid("campaign_id", "must be 1 to 256 bytes"));
        }
        let own = Self {
            keys,
            mo_private_key: written
                .mo_private_key
                .map(|key| secret("mo_private_key", key))
                .transpose()?,
            sms_type,
            sandbox: written.sandbox.unwrap_or(false),
            campaign_id: written.campaign_id,
            api_url: base_url("api_url", written.api_url.as_deref().unwrap_or(DEFAULT_API_URL))?,
            public_url: written
                .public_url
                .map(|text| base_url("public_url", &text))
                .transpose()?,
            guard: Guard::of(&callback::Written {
                callback_token: written.callback_token,
                allowed_addresses: written.allowed_addresses,
            })?,
        };
        Ok((text, own))
    }
}

fn secret(key: &str, text: String) -> Result<String, Invalid> {
    if (1..=MAX_SECRET).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(invalid(key, "must be 1 to 256 characters without space"))
    }
}
