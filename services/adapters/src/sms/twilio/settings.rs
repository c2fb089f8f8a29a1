//! What an operator configures for Twilio, beside what all SMS accounts share.

use crate::settings::invalid;
use crate::texting::{TextSettings, callback::base_url, read};
use omnigate_core::{account::Settings, port::adapter::Invalid};
use serde::Deserialize;
use std::fmt;

/// Settings that hold secrets.
pub(super) const SECRET: &[&str] = &["auth_token", "auth_token_secondary", "api_key_secret"];

const KNOWN: &[&str] = &[
    "account_sid",
    "auth_token",
    "auth_token_secondary",
    "api_key_sid",
    "api_key_secret",
    "messaging_service_sid",
    "public_url",
    "api_url",
    "validity_period_s",
];

const DEFAULT_API_URL: &str = "https://api.twilio.com";
/// API, `ValidityPeriod`: 1 to 36,000 seconds.
const MAX_VALIDITY_S: u32 = 36_000;
const MAX_SECRET: usize = 256;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    account_sid: Option<String>,
    auth_token: Option<String>,
    auth_token_secondary: Option<String>,
    api_key_sid: Option<String>,
    api_key_secret: Option<String>,
    messaging_service_sid: Option<String>,
    public_url: Option<String>,
    api_url: Option<String>,
    validity_period_s: Option<u32>,
}

/// Validated settings of a Twilio account.
#[derive(Clone)]
pub(super) struct TwilioSettings {
    /// `account_sid`: `AC` and 32 hexadecimal digits.
    pub(super) account_sid: Option<String>,
    /// `auth_token` and `auth_token_secondary`: both sign during a rotation, the first one also authenticates calls.
    pub(super) auth_tokens: Vec<String>,
    /// `api_key_sid` and `api_key_secret`: authenticate calls instead of the token.
    api_key: Option<(String, String)>,
    /// `messaging_service_sid`: chooses the sender; goes before `sender`.
    pub(super) messaging_service_sid: Option<String>,
    /// `public_url`: where the Internet reaches this gateway, without the path of webhooks.
    pub(super) public_url: Option<String>,
    /// `api_url`: address of the API, without a slash at the end.
    pub(super) api_url: String,
    /// `validity_period_s`: how long Twilio may keep a message in its queue; default is Twilio's own.
    pub(super) validity_period_s: Option<u32>,
}

impl fmt::Debug for TwilioSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TwilioSettings")
            .field("account_sid", &self.account_sid)
            .finish_non_exhaustive()
    }
}

impl TwilioSettings {
    /// Reads and checks settings.
    pub(super) fn read(settings: &Settings) -> Result<(TextSettings, Self), Invalid> {
        let (text, written): (TextSettings, Written) = read(settings, KNOWN, SECRET)?;
        let api_key = match (written.api_key_sid, written.api_key_secret) {
            (Some(key), Some(value)) => Some((sid("api_key_sid", "SK", key)?, secret("api_key_secret", value)?)),
            (None, None) => None,
            (Some(_), None) => return Err(invalid("api_key_secret", "is needed beside api_key_sid")),
            (None, Some(_)) => return Err(invalid("api_key_sid", "is needed beside api_key_secret")),
        };
        let tokens = [
            ("auth_token", written.auth_token),
            ("auth_token_secondary", written.auth_token_secondary),
        ];
        let auth_tokens = tokens.into_iter().filter_map(|(key, token)| Some((key, token?)));
        if written
            .validity_period_s
            .is_some_and(|period| !(1..=MAX_VALIDITY_S).contains(&period))
        {
            return Err(invalid("validity_period_s", "must be 1 to 36000"));
        }
        let own = Self {
            account_sid: written
                .account_sid
                .map(|text| sid("account_sid", "AC", text))
                .transpose()?,
            auth_tokens: auth_tokens
                .map(|(key, token)| secret(key, token))
                .collect::<Result<_, _>>()?,
            api_key,
            messaging_service_sid: written
                .messaging_service_sid
                .map(|text| sid("messaging_service_sid", "MG", text))
                .transpose()?,
            public_url: written
                .public_url
                .map(|text| base_url("public_url", &text))
                .transpose()?,
            api_url: base_url("api_url", written.api_url.as_deref().unwrap_or(DEFAULT_API_URL))?,
            validity_period_s: written.validity_period_s,
        };
        Ok((text, own))
    }

    /// User and password of calls.
    pub(super) fn credentials(&self) -> Result<(String, String), Invalid> {
        let account = self
            .account_sid
            .clone()
            .ok_or_else(|| invalid("account_sid", "is needed; the console shows it"))?;
        if let Some(key) = &self.api_key {
            return Ok(key.clone());
        }
        let token = self.auth_tokens.first().cloned();
        let token = token.ok_or_else(|| invalid("auth_token", "or api_key_sid with api_key_secret is needed"))?;
        Ok((account, token))
    }
}

/// Becomes part of an address, so nothing else may stand in it.
fn sid(key: &str, prefix: &str, text: String) -> Result<String, Invalid> {
    let rest = text.strip_prefix(prefix).filter(|rest| rest.len() == 32);
    if rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        Ok(text)
    } else {
        Err(invalid(key, format!("must be {prefix} and 32 hexadecimal digits")))
    }
}

fn secret(key: &str, text: String) -> Result<String, Invalid> {
    if (1..=MAX_SECRET).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(invalid(key, "must be 1 to 256 characters without space"))
    }
}
