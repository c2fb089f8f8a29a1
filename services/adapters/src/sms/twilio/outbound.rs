//! Messages into calls.

use super::{code, inbound::SEND_KEY, settings::TwilioSettings};
use crate::settings::invalid;
use crate::texting::{
    Planned, Recipient, Rules, TextSettings, content_error, error, not_answered, plan, recipient, redacted,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use omnigate_core::{
    port::adapter::{Channel, ChannelHost, HttpBody, HttpRequest, HttpResponse, Invalid, Outgoing},
    sms::sender::Sender,
};
use omnigate_proto::v1::{
    Capabilities, ErrorClass, Message, ReceiptState, SendAccepted, SendError, TemplateRef, part::Content,
};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// API, `Body`.
const MAX_TEXT: usize = 1600;
/// API, `MediaUrl`.
const MAX_MEDIA: usize = 10;
/// Twilio by itself repeats a callback only when it could not connect; this asks it to repeat up to five times after
/// every failure (webhooks, "Connection overrides"). A fragment is not part of what is called or signed.
const REPEAT: &str = "#rc=5&rp=all";
/// Wait while the queue of the sender is full, in milliseconds.
const FULL_QUEUE_WAIT_MS: u64 = 60_000;
/// Longest wait that an answer may ask for, in seconds.
const LONGEST_WAIT_S: u64 = 86_400;

/// One account, ready for sending.
pub(super) struct TwilioChannel {
    text: TextSettings,
    own: TwilioSettings,
    url: String,
    authorization: String,
    secrets: Vec<String>,
    callback: Option<String>,
}

/// What Twilio answers.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    sid: Option<String>,
    status: Option<serde_json::Value>,
    code: Option<i64>,
    error_code: Option<i64>,
    message: Option<String>,
}

/// What a message becomes.
enum Body<'a> {
    Text(Box<Planned<'a>>),
    Template(&'a TemplateRef),
}

impl TwilioChannel {
    pub(super) fn new(text: TextSettings, own: TwilioSettings, callback: Option<String>) -> Result<Self, Invalid> {
        let (user, password) = own.credentials()?;
        if text.sender.is_none() && own.messaging_service_sid.is_none() {
            return Err(invalid("sender", "or messaging_service_sid is needed"));
        }
        let account = own.account_sid.as_deref().unwrap_or_default();
        Ok(Self {
            url: format!("{}/2010-04-01/Accounts/{account}/Messages.json", own.api_url),
            authorization: format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            secrets: vec![password],
            text,
            own,
            callback,
        })
    }

    fn content<'a>(&self, message: &'a Message) -> Result<Body<'a>, SendError> {
        if let [part] = message.parts.as_slice()
            && let Some(Content::Template(template)) = &part.content
        {
            if template.template_id.is_empty() {
                return Err(content_error("the template has no id"));
            }
            return Ok(Body::Template(template));
        }
        let rules = Rules {
            media: MAX_MEDIA,
            ..Rules::default()
        };
        let planned = plan(message, &self.text, rules)?;
        if planned.plan.characters > MAX_TEXT {
            return Err(content_error(format!(
                "the text has {} characters, twilio takes {MAX_TEXT}",
                planned.plan.characters
            )));
        }
        let is_address = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if planned.media.iter().any(|media| !is_address(&media.url)) {
            return Err(content_error(
                "twilio fetches media itself and needs their http or https address",
            ));
        }
        Ok(Body::Text(Box::new(planned)))
    }

    fn fields(&self, outgoing: &Outgoing) -> Result<Vec<(String, String)>, SendError> {
        let content = self.content(&outgoing.message)?;
        let to = recipient(outgoing, &self.text)?;
        let mut fields = vec![("To", to.e164().to_owned())];
        if let Some(service) = &self.own.messaging_service_sid {
            fields.push(("MessagingServiceSid", service.clone()));
        } else {
            let number = match &to {
                Recipient::Number(number) => Some(number),
                Recipient::ShortCode(_) => None,
            };
            let sender = self.text.sender_to(number);
            fields.push(("From", sender.map(from).unwrap_or_default()));
        }
        match content {
            Body::Text(planned) => {
                if !planned.plan.text.is_empty() {
                    fields.push(("Body", planned.plan.text));
                }
                fields.extend(planned.media.iter().map(|media| ("MediaUrl", media.url.clone())));
            }
            Body::Template(template) => {
                fields.push(("ContentSid", template.template_id.clone()));
                if !template.parameters.is_empty() {
                    // A map of the standard library has no order; the call shall be the same every time.
                    let ordered: BTreeMap<_, _> = template.parameters.iter().collect();
                    fields.push(("ContentVariables", json!(ordered).to_string()));
                }
            }
        }
        if let Some(callback) = &self.callback {
            fields.push((
                "StatusCallback",
                format!("{callback}?{SEND_KEY}={}{REPEAT}", outgoing.send_key),
            ));
        }
        if let Some(period) = self.own.validity_period_s {
            fields.push(("ValidityPeriod", period.to_string()));
        }
        Ok(fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }

    fn outcome(&self, response: &HttpResponse) -> Result<SendAccepted, SendError> {
        let answer: Option<Answer> = serde_json::from_slice(&response.body).ok();
        if (200..300).contains(&response.status) {
            let answer = answer.unwrap_or_default();
            let status = answer
                .status
                .as_ref()
                .and_then(|status| status.as_str())
                .unwrap_or_default();
            return match answer.sid.as_deref() {
                Some(_) if matches!(status, "failed" | "undelivered") => {
                    let code = answer.error_code.unwrap_or(0);
                    Err(self.failure(code::class(code).unwrap_or(ErrorClass::Content), Some(code), &answer, 0))
                }
                Some(sid) if !sid.is_empty() => Ok(SendAccepted {
                    provider_message_id: sid.to_owned(),
                    state: ReceiptState::Accepted.into(),
                    ..SendAccepted::default()
                }),
                _ => Err(error(
                    ErrorClass::Ambiguous,
                    "twilio accepted without naming the message",
                )),
            };
        }
        let readable = answer.as_ref().filter(|answer| answer.code.is_some());
        let code = readable.and_then(|answer| answer.code);
        let by_status = match response.status {
            429 => ErrorClass::Throttled,
            300..=399 | 401 | 403 | 404 => ErrorClass::Account,
            413 => ErrorClass::Content,
            400..=499 if readable.is_some() => ErrorClass::Content,
            _ => ErrorClass::Ambiguous,
        };
        // A failing server may have taken the message whatever it says.
        let by_code = code.filter(|_| response.status < 500).and_then(code::class);
        let class = by_code.unwrap_or(by_status);
        let wait = match (class, code) {
            // A queue of hours (errors, 21611) is not empty in a second.
            (ErrorClass::Throttled, Some(21611 | 30001)) => retry_after(response).max(FULL_QUEUE_WAIT_MS),
            (ErrorClass::Throttled, _) => retry_after(response),
            _ => 0,
        };
        Err(match readable {
            Some(answer) => self.failure(class, code, answer, wait),
            None => SendError {
                provider_code: response.status.to_string(),
                retry_after_ms: wait,
                ..error(class, "the answer is not twilio's")
            },
        })
    }

    fn failure(&self, class: ErrorClass, code: Option<i64>, answer: &Answer, wait: u64) -> SendError {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        SendError {
            provider_code: code.map(|code| code.to_string()).unwrap_or_default(),
            retry_after_ms: wait,
            outside_window: code == Some(code::CLOSED_WINDOW),
            recipient_fault: code::fault(code.unwrap_or_default()).into(),
            ..error(class, redacted(answer.message.as_deref().unwrap_or_default(), &secrets))
        }
    }
}

/// As `From` wants it.
fn from(sender: &Sender) -> String {
    match sender {
        Sender::Number(number) => number.e164().to_owned(),
        Sender::ShortCode(text) | Sender::Alphanumeric(text) => text.clone(),
    }
}

fn retry_after(response: &HttpResponse) -> u64 {
    let header = response.headers.iter().find(|(name, _)| name == "retry-after");
    let seconds = header
        .and_then(|(_, value)| value.trim().parse::<u64>().ok())
        .unwrap_or(0);
    seconds.min(LONGEST_WAIT_S) * 1000
}

#[async_trait::async_trait]
impl Channel for TwilioChannel {
    /// Twilio keeps no send keys. It queues what is too fast by itself, up to ten hours.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            channel: "sms".to_owned(),
            max_text: u32::try_from(MAX_TEXT).unwrap_or(u32::MAX),
            text_unit: "chars".to_owned(),
            receipts: if self.callback.is_some() {
                vec![
                    ReceiptState::Accepted.into(),
                    ReceiptState::Sent.into(),
                    ReceiptState::Delivered.into(),
                    ReceiptState::Failed.into(),
                ]
            } else {
                Vec::new()
            },
            ..Capabilities::default()
        }
    }

    fn piece_count(&self, message: &Message) -> Result<u32, SendError> {
        self.content(message).map(|_| 1)
    }

    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError> {
        if outgoing.piece > 0 {
            return Err(content_error("the message has no such piece"));
        }
        let request = HttpRequest {
            method: "POST",
            url: self.url.clone(),
            headers: vec![("authorization", self.authorization.clone())],
            body: HttpBody::Form(self.fields(outgoing)?),
            time_limit: outgoing.time_limit,
        };
        let response = host.transport().call(request).await;
        self.outcome(&response.map_err(|problem| not_answered(&problem))?)
    }
}
