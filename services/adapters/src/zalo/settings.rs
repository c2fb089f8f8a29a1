//! What an operator configures for an app and for its Official Accounts.
//!
//! An account that is its own app has the settings of both. An app that carries accounts may hold defaults for them.

use super::signature::Verifier;
use crate::settings::{invalid, read};
use omnigate_core::{
    account::{Account, App, Settings},
    port::adapter::Invalid,
};
use serde::Deserialize;
use std::{fmt, time::Duration};
use url::Url;

/// Settings that hold secrets.
pub(super) const SECRET: &[&str] = &["oa_secret_key", "app_secret", "refresh_token"];

/// Settings of the app.
const OF_APP: &[&str] = &[
    "app_id",
    "oa_secret_key",
    "app_secret",
    "signature_also_oa_id",
    "redirect_url",
    "code_challenge",
    "max_age_s",
];

/// Settings of one account that an app cannot hold for several: a refresh token works once.
const OF_ACCOUNT: &[&str] = &["refresh_token"];

/// Settings of an account for which the app may hold defaults.
const OF_BOTH: &[&str] = &[
    "oa_id",
    "api_url",
    "zns_url",
    "oauth_url",
    "free_window_h",
    "open_window_h",
    "zns_mode",
    "sending_mode",
    "zns_fallback_on_refusal",
    "anonymous_api",
    "submitted_phone",
];

const DEFAULT_API_URL: &str = "https://openapi.zalo.me";
const DEFAULT_ZNS_URL: &str = "https://business.openapi.zalo.me";
const DEFAULT_OAUTH_URL: &str = "https://oauth.zaloapp.com";
/// Open API, consultation messages: free for two days after the person last acted, possible for seven.
const DEFAULT_FREE_WINDOW_H: u64 = 48;
const DEFAULT_OPEN_WINDOW_H: u64 = 168;
const LONGEST_WINDOW_H: u64 = 24 * 366;
/// Zalo repeats a webhook call for up to an hour, so a shorter replay window would refuse genuine repetitions.
const LEAST_MAX_AGE_S: u64 = 3601;
const LONGEST_ID: usize = 32;
const LONGEST_SECRET: usize = 4096;

/// Which endpoint answers visitors of the web widget; sources differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AnonymousApi {
    /// `/v2.0/oa/message`, as the documentation has it.
    V2,
    /// `/v3.0/oa/message/cs`, as the Java SDK has it.
    V3,
}

/// `mode` of a template message by phone number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ZnsMode {
    /// Only to administrators of the app and the OA, and not charged.
    Development,
}

/// `sending_mode` of a template message by phone number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(super) enum SendingMode {
    /// Within the quota.
    #[serde(rename = "1")]
    Normal,
    /// Beyond the quota, for OAs that Zalo allows it.
    #[serde(rename = "3")]
    BeyondQuota,
}

/// How well a phone number is known that a person put into the OA's form.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SubmittedPhone {
    /// Zalo lets people type any number: it is shown, but links nothing.
    #[default]
    Stated,
    /// The operator answers for it: it links the person to the customer of that number.
    Verified,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    app_id: Option<String>,
    oa_secret_key: Option<String>,
    app_secret: Option<String>,
    signature_also_oa_id: Option<bool>,
    redirect_url: Option<String>,
    code_challenge: Option<String>,
    max_age_s: Option<u64>,
    oa_id: Option<String>,
    refresh_token: Option<String>,
    api_url: Option<String>,
    zns_url: Option<String>,
    oauth_url: Option<String>,
    free_window_h: Option<u64>,
    open_window_h: Option<u64>,
    zns_mode: Option<ZnsMode>,
    sending_mode: Option<SendingMode>,
    zns_fallback_on_refusal: Option<bool>,
    anonymous_api: Option<AnonymousApi>,
    submitted_phone: Option<SubmittedPhone>,
}

/// A secret; never printed.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// The secret itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// Validated settings of one Official Account.
#[derive(Clone, Debug)]
pub(super) struct OaSettings {
    /// Id of the OA, when given.
    pub(super) oa_id: Option<String>,
    /// Address of the Open API, without a slash at the end.
    pub(super) api_url: String,
    /// Address of the template API.
    pub(super) zns_url: String,
    /// Address of the OAuth server.
    pub(super) oauth_url: String,
    /// How long messages are free after the person last acted.
    pub(super) free_window: Duration,
    /// How long messages are possible at all.
    pub(super) open_window: Duration,
    /// `mode` of templates by phone number.
    pub(super) zns_mode: Option<ZnsMode>,
    /// `sending_mode` of templates by phone number.
    pub(super) sending_mode: Option<SendingMode>,
    /// Whether a person's refusal of templates counts as not being reachable here, so that another channel is tried.
    pub(super) zns_fallback_on_refusal: bool,
    /// Which endpoint answers visitors of the web widget.
    pub(super) anonymous_api: AnonymousApi,
}

/// What tokens are fetched with.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    /// Id of the app.
    pub(super) app_id: String,
    /// Secret of the app.
    pub(super) app_secret: Secret,
    /// The first refresh token, when given.
    pub(super) refresh_token: Option<Secret>,
    /// Where the browser comes back to after the OA's administrator agreed.
    pub(super) redirect_url: Option<Url>,
    /// The challenge that the console holds, when it holds one.
    pub(super) code_challenge: Option<String>,
}

impl OaSettings {
    /// Reads and checks the settings of an account; what it does not say, its app may say.
    pub(super) fn read(app: &App, account: &Account) -> Result<Self, Invalid> {
        let own = of_account(app, account)?;
        let defaults = of_app(app)?;
        let free_window_h = own.free_window_h.or(defaults.free_window_h);
        let free_window_h = free_window_h.unwrap_or(DEFAULT_FREE_WINDOW_H);
        let open_window_h = own.open_window_h.or(defaults.open_window_h);
        let open_window_h = open_window_h.unwrap_or(DEFAULT_OPEN_WINDOW_H);
        if !(1..=LONGEST_WINDOW_H).contains(&open_window_h) {
            return Err(invalid("open_window_h", "must be 1 to 8784"));
        }
        if free_window_h > open_window_h {
            return Err(invalid("free_window_h", "must not be longer than open_window_h"));
        }
        let address = |key: &str, own: Option<String>, default: Option<String>, otherwise: &str| {
            base_url(key, own.or(default).as_deref().unwrap_or(otherwise))
        };
        Ok(Self {
            oa_id: oa_id(app, account)?,
            api_url: address("api_url", own.api_url, defaults.api_url, DEFAULT_API_URL)?,
            zns_url: address("zns_url", own.zns_url, defaults.zns_url, DEFAULT_ZNS_URL)?,
            oauth_url: address("oauth_url", own.oauth_url, defaults.oauth_url, DEFAULT_OAUTH_URL)?,
            free_window: Duration::from_secs(free_window_h * 3600),
            open_window: Duration::from_secs(open_window_h * 3600),
            zns_mode: own.zns_mode.or(defaults.zns_mode),
            sending_mode: own.sending_mode.or(defaults.sending_mode),
            zns_fallback_on_refusal: own
                .zns_fallback_on_refusal
                .or(defaults.zns_fallback_on_refusal)
                .unwrap_or(false),
            anonymous_api: own.anonymous_api.or(defaults.anonymous_api).unwrap_or(AnonymousApi::V2),
        })
    }
}

#[cfg(test)]
impl OaSettings {
    /// What holds where nothing is configured.
    pub(super) fn for_tests() -> Self {
        let app = tests::app(serde_json::json!({}), true);
        Self::read(&app, &tests::account("oa", serde_json::json!({}))).unwrap()
    }
}

/// Id of an account's OA: its own, else its app's.
pub(super) fn oa_id(app: &App, account: &Account) -> Result<Option<String>, Invalid> {
    let written = of_account(app, account)?.oa_id.or(of_app(app)?.oa_id);
    written.map(|id| digits("oa_id", id)).transpose()
}

/// How well a phone number is known that a person submitted to an account's OA.
pub(super) fn submitted_phone(app: &App, account: &Account) -> Result<SubmittedPhone, Invalid> {
    let own = of_account(app, account)?.submitted_phone;
    Ok(own.or(of_app(app)?.submitted_phone).unwrap_or_default())
}

/// What tells Zalo's calls from others. Only an app of its own must have it: a lone account may only send.
pub(super) fn verifier(app: &App) -> Result<Option<Verifier>, Invalid> {
    let written = of_app(app)?;
    if let Some(seconds) = written.max_age_s.filter(|&seconds| seconds < LEAST_MAX_AGE_S) {
        let problem =
            format!("is {seconds}, but zalo repeats calls for an hour; it must be {LEAST_MAX_AGE_S} at least");
        return Err(invalid("max_age_s", problem));
    }
    let app_id = written.app_id.map(|id| digits("app_id", id)).transpose()?;
    let key = written
        .oa_secret_key
        .map(|key| secret("oa_secret_key", key))
        .transpose()?;
    match (app_id, key) {
        (Some(app_id), Some(key)) => Ok(Some(Verifier {
            app_id,
            key,
            also_oa_id: written.signature_also_oa_id.unwrap_or(false),
            max_age: written.max_age_s.map(Duration::from_secs),
        })),
        (_, None) if app.implicit => Ok(None),
        (_, None) => Err(invalid(
            "oa_secret_key",
            "is needed to tell zalo's calls from others; the console shows it under Webhook",
        )),
        (None, Some(_)) => Err(invalid("app_id", "is needed to verify zalo's calls")),
    }
}

/// What tokens are fetched with; `None` for an account that neither sends nor wants to.
pub(super) fn credentials(app: &App, account: &Account) -> Result<Option<Credentials>, Invalid> {
    let own = of_account(app, account)?;
    let shared = of_app(app)?;
    let refresh_token = own
        .refresh_token
        .map(|token| secret("refresh_token", token))
        .transpose()?;
    let code_challenge = shared.code_challenge.map(code_challenge).transpose()?;
    let redirect_url = shared.redirect_url.map(|url| redirect_url(&url)).transpose()?;
    let Some(app_secret) = shared.app_secret else {
        return match refresh_token {
            None => Ok(None),
            Some(_) => Err(invalid("app_secret", "is needed to use the refresh token")),
        };
    };
    let app_id = shared
        .app_id
        .ok_or_else(|| invalid("app_id", "is needed to fetch tokens"))?;
    Ok(Some(Credentials {
        app_id: digits("app_id", app_id)?,
        app_secret: secret("app_secret", app_secret)?,
        refresh_token,
        redirect_url,
        code_challenge,
    }))
}

fn of_app(app: &App) -> Result<Written, Invalid> {
    let mut known = [OF_APP, OF_BOTH].concat();
    if app.implicit {
        known.extend(OF_ACCOUNT);
    } else {
        refuse(&app.settings, OF_ACCOUNT, "belongs to an account, not to its app")?;
    }
    read(&app.settings, &known, SECRET)
}

fn of_account(app: &App, account: &Account) -> Result<Written, Invalid> {
    let mut known = [OF_ACCOUNT, OF_BOTH].concat();
    if app.implicit {
        known.extend(OF_APP);
    } else {
        refuse(
            &account.settings,
            OF_APP,
            "belongs to the app, not to an account that it carries",
        )?;
    }
    read(&account.settings, &known, SECRET)
}

fn refuse(settings: &Settings, keys: &[&str], problem: &str) -> Result<(), Invalid> {
    match keys.iter().find(|key| settings.0.contains_key(**key)) {
        Some(key) => Err(invalid(key, problem)),
        None => Ok(()),
    }
}

fn digits(key: &str, text: String) -> Result<String, Invalid> {
    if (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(invalid(key, "must be the decimal digits that zalo's console shows"))
    }
}

/// Secrets travel in headers and forms.
fn secret(key: &str, text: String) -> Result<Secret, Invalid> {
    if (1..=LONGEST_SECRET).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret(text))
    } else {
        Err(invalid(key, "must be text without spaces, as zalo shows it"))
    }
}

fn base_url(key: &str, text: &str) -> Result<String, Invalid> {
    let wrong = || invalid(key, "must be an http or https address without query");
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && plain && url.password().is_none() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(wrong())
    }
}

/// OAuth: SHA-256 of the verifier in base64url without padding.
fn code_challenge(text: String) -> Result<String, Invalid> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.len() == 43 && text.bytes().all(allowed) {
        Ok(text)
    } else {
        Err(invalid(
            "code_challenge",
            "must be the 43 characters that zalo's console holds",
        ))
    }
}

fn redirect_url(text: &str) -> Result<Url, Invalid> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            invalid(
                "redirect_url",
                "must be the http or https address that zalo's console holds",
            )
        })
}

#[cfg(test)]
mod tests;
