//! The webhook that a bot has set.

use super::{answer::ApiError, bot::Bot, clock::Now, options::Options, params::Params, schedule::Schedule};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const DEFAULT_CONNECTIONS: i64 = 40;
/// How long 410 must have been answered before the webhook is switched off.
const GONE_AFTER: Duration = Duration::from_hours(23);

#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    /// `Authorization`, where the URL carries user information.
    pub(super) authorization: Option<String>,
    pub(super) schedule: Schedule,
    max_connections: usize,
    last_error: Option<(i64, String)>,
    first_gone: Option<Instant>,
}

/// What came of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// HTTP status, where there was one.
    pub(super) status: Option<u16>,
    pub(super) text: String,
    /// Seconds; 0 when not asked for.
    pub(super) retry_after: u32,
}

impl Webhook {
    fn parse(params: &Params, url: &str, options: &Options) -> Result<Self, ApiError> {
        let (url, authorization) = address(url)?;
        let secret = params.text("secret_token");
        if let Some(secret) = &secret {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if secret.len() > 256 {
                return Err(ApiError::bad_request("secret token is too long"));
            }
            if !secret.bytes().all(legal) {
                return Err(ApiError::bad_request("secret token contains unallowed characters"));
            }
        }
        let asked = params.integer("max_connections").unwrap_or(DEFAULT_CONNECTIONS);
        let max_connections = usize::try_from(asked.clamp(1, 100)).unwrap_or(1);
        Ok(Self {
            url,
            secret,
            authorization,
            schedule: Schedule::new(max_connections, options.speed, options.seed),
            max_connections,
            last_error: None,
            first_gone: None,
        })
    }

    /// Notes a failure; answers whether the webhook has been gone for so long that it is to be switched off.
    pub(super) fn failed(&mut self, failure: &Failure, now: Now, options: &Options) -> bool {
        self.last_error = Some((now.unix, failure.text.clone()));
        if failure.status != Some(410) {
            self.first_gone = None;
            return false;
        }
        let since = *self.first_gone.get_or_insert(now.at);
        now.at.saturating_duration_since(since) > options.scaled(GONE_AFTER)
    }

    pub(super) fn succeeded(&mut self) {
        self.first_gone = None;
    }
}

/// The address without user information, and that information as a header.
fn address(url: &str) -> Result<(String, Option<String>), ApiError> {
    let bad = |why: &str| ApiError::bad_request(format!("bad webhook: {why}"));
    let with_scheme = if url.contains("://") {
        url.to_owned()
    } else {
        format!("https://{url}")
    };
    let mut parsed = url::Url::parse(&with_scheme).map_err(|_| bad("invalid webhook URL specified"))?;
    if parsed.scheme() != "http" {
        return Err(bad("the sandbox delivers over plain HTTP only"));
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(bad("invalid webhook URL specified"));
    }
    let authorization = (!parsed.username().is_empty()).then(|| {
        let user = format!("{}:{}", parsed.username(), parsed.password().unwrap_or_default());
        format!("Basic {}", STANDARD.encode(user))
    });
    // Both only fail for addresses without a host, which were refused above.
    if parsed.set_username("").is_err() || parsed.set_password(None).is_err() {
        return Err(bad("invalid webhook URL specified"));
    }
    parsed.set_fragment(None);
    Ok((parsed.into(), authorization))
}

impl Bot {
    /// `setWebhook` and `deleteWebhook`; answers the description that comes beside `true`.
    pub(super) fn set_webhook(&mut self, params: &Params, delete: bool) -> Result<&'static str, ApiError> {
        let url = if delete { None } else { params.text("url") };
        let webhook = match &url {
            Some(url) => Some(Webhook::parse(params, url, &self.options)?),
            None => None,
        };
        if !delete {
            self.read_allowed_updates(params)?;
        }
        if params.flag("drop_pending_updates") {
            let dropped = self.backlog.forget_before(u32::MAX);
            self.journal.counters.dropped += dropped;
        }
        let had = self.webhook.is_some();
        self.webhook = webhook;
        // Answers to requests of the webhook before are ignored: their updates stay and are delivered anew.
        self.webhook_generation += 1;
        Ok(match (had, self.webhook.is_some()) {
            (_, true) => "Webhook was set",
            (true, false) => "Webhook was deleted",
            (false, false) => "Webhook is already deleted",
        })
    }

    pub(super) fn read_allowed_updates(&mut self, params: &Params) -> Result<(), ApiError> {
        if let Some(allowed) = params.nested("allowed_updates")? {
            let names = allowed
                .as_array()
                .ok_or_else(|| ApiError::bad_request("can't parse allowed_updates: array expected"))?
                .iter()
                .filter_map(|name| name.as_str().map(str::to_lowercase))
                .collect();
            self.backlog.allow(names);
        }
        Ok(())
    }

    pub(super) fn webhook_info(&self) -> Value {
        let mut info = json!({
            "url": self.webhook.as_ref().map_or("", |webhook| webhook.url.as_str()),
            "has_custom_certificate": false,
            "pending_update_count": self.backlog.len(),
        });
        if let Some(webhook) = &self.webhook {
            info["max_connections"] = json!(webhook.max_connections);
            if let Some((unix, text)) = &webhook.last_error {
                info["last_error_date"] = json!(unix);
                info["last_error_message"] = json!(text);
            }
        }
        if !self.backlog.allowed().is_empty() {
            info["allowed_updates"] = json!(self.backlog.allowed());
        }
        info
    }
}
