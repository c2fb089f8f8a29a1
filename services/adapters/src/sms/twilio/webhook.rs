//! Calls from Twilio.

use super::{inbound::Translator, settings::TwilioSettings, signature};
use crate::texting::{
    TextSettings,
    callback::{Parameters, rejected},
};
use bytes::Bytes;
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{Received, Reply, Webhook, WebhookRequest};

/// Webhooks, "Respond with TwiML": an answer without verbs sends nothing.
const TWIML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// The webhook of one account.
pub(super) struct TwilioWebhook {
    account: Account,
    text: TextSettings,
    own: TwilioSettings,
    /// Where Twilio calls; `None` when that is not configured.
    url: Option<String>,
}

impl TwilioWebhook {
    pub(super) fn new(account: Account, text: TextSettings, own: TwilioSettings, url: Option<String>) -> Self {
        Self {
            account,
            text,
            own,
            url,
        }
    }

    fn refuse(&self, request: &WebhookRequest, parameters: &Parameters) -> Option<&'static str> {
        if self.own.auth_tokens.is_empty() {
            return Some("no auth_token is configured, so no call can be told from a forged one");
        }
        let Some(url) = &self.url else {
            return Some("no public_url is configured, so no signature can be verified");
        };
        signature::refuse(request, parameters, url, &self.own.auth_tokens)
    }
}

impl Webhook for TwilioWebhook {
    fn receive(&self, request: &WebhookRequest, verify: bool) -> Received {
        let parameters = if is_form(request) {
            Parameters::of(request)
        } else {
            Parameters::of_query(request)
        };
        if verify && let Some(problem) = self.refuse(request, &parameters) {
            return rejected(401, problem);
        }
        match request.method.as_str() {
            "POST" if request.body.is_empty() => return rejected(400, "the body is empty"),
            "GET" | "POST" => {}
            _ => return rejected(405, "twilio calls with GET or POST"),
        }
        let translator = Translator {
            account: &self.account,
            text: &self.text,
            own: &self.own,
            request,
            parameters: &parameters,
        };
        Received::Events {
            events: translator.events(),
            reply: Reply {
                status: 200,
                content_type: "text/xml",
                body: Bytes::from_static(TWIML.as_bytes()),
            },
        }
    }

    fn secret_headers(&self) -> &'static [&'static str] {
        &[signature::HEADER]
    }
}

/// Twilio posts forms, and JSON to event sinks; where nothing is said it is a form.
fn is_form(request: &WebhookRequest) -> bool {
    let kind = request.header("content-type").unwrap_or_default();
    kind.is_empty() || kind.starts_with(b"application/x-www-form-urlencoded")
}
