//! Messages into calls.

use super::settings::{BRANDNAME, SpeedsmsSettings};
use crate::settings::invalid;
use crate::texting::Recipient;
use crate::texting::{Planned, Rules, TextSettings, content_error, error, not_answered, plan, recipient, redacted};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use omnigate_core::port::adapter::{Channel, ChannelHost, HttpBody, HttpRequest, HttpResponse, Invalid, Outgoing};
use omnigate_proto::v1::{
    Capabilities, ErrorClass, Message, Purpose, ReceiptState, RecipientFault, SendAccepted, SendError,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Docs, "Rate limit": 60 requests in 60 seconds.
const REQUESTS_PER_SECOND: f64 = 1.0;
/// Longest text: ten SMS segments.
const MAX_TEXT: u32 = 1530;
/// Longest wait that an answer may ask for, in seconds.
const LONGEST_WAIT_S: u64 = 3_600;

/// One account, ready for sending.
pub(super) struct SpeedsmsChannel {
    text: TextSettings,
    own: SpeedsmsSettings,
    authorization: String,
    secret: String,
}

/// What SpeedSMS answers; numbers come as text or not.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    status: Value,
    code: Value,
    message: Value,
    data: Value,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

impl SpeedsmsChannel {
    pub(super) fn new(text: TextSettings, own: SpeedsmsSettings) -> Result<Self, Invalid> {
        let token = own.access_token.clone();
        let token = token.ok_or_else(|| invalid("access_token", "is needed; the console shows it"))?;
        if own.sms_type == BRANDNAME && text.sender.is_none() {
            return Err(invalid("sender", "is needed: the registered brandname"));
        }
        Ok(Self {
            // Docs, "Authentication": the token is the user, the password is not looked at.
            authorization: format!("Basic {}", STANDARD.encode(format!("{token}:x"))),
            text,
            own,
            secret: token,
        })
    }

    fn planned<'a>(&self, message: &'a Message) -> Result<Planned<'a>, SendError> {
        plan(message, &self.text, Rules::default())
    }

    fn request(&self, outgoing: &Outgoing) -> Result<HttpRequest, SendError> {
        let content = self.planned(&outgoing.message)?.plan.text;
        let to = recipient(outgoing, &self.text)?;
        let Recipient::Number(number) = &to else {
            return Err(error(
                ErrorClass::RecipientPermanent,
                "SpeedSMS reaches phone numbers only",
            ));
        };
        let advertises = outgoing.message.purpose() == Purpose::Marketing;
        let body = json!({
            "to": [to.digits()],
            "content": content,
            "sms_type": if advertises { self.own.advertising_sms_type } else { self.own.sms_type },
            "sender": self.text.sender_to(Some(number)).map(|sender| sender.address()).unwrap_or_default(),
        });
        Ok(HttpRequest {
            method: "POST",
            url: format!("{}/sms/send", self.own.api_url),
            headers: vec![("authorization", self.authorization.clone())],
            body: HttpBody::Json(Bytes::from(body.to_string())),
            time_limit: outgoing.time_limit,
        })
    }

    fn outcome(&self, response: &HttpResponse) -> Result<SendAccepted, SendError> {
        let answer: Option<Answer> = serde_json::from_slice(&response.body).ok();
        let answer = answer.filter(|answer| matches!(text(&answer.status).as_str(), "success" | "error"));
        // Docs, "Rate limit": 429 has a body of another shape. A failing server may have taken the message whatever it
        // says.
        let Some(answer) = answer.filter(|_| response.status < 500 && response.status != 429) else {
            return Err(self.unreadable(response));
        };
        let succeeded = text(&answer.status) == "success";
        let code = text(&answer.code);
        let is_invalid = answer
            .data
            .get("invalidPhone")
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty());
        if succeeded && is_invalid {
            return Err(SendError {
                provider_code: code,
                recipient_fault: RecipientFault::NoSuchAddress.into(),
                ..error(ErrorClass::RecipientPermanent, "SpeedSMS calls the number invalid")
            });
        }
        if succeeded {
            let id = answer.data.get("tranId").map(text).unwrap_or_default();
            if id.is_empty() {
                return Err(error(
                    ErrorClass::Ambiguous,
                    "SpeedSMS accepted without naming the message",
                ));
            }
            return Ok(SendAccepted {
                provider_message_id: id.chars().take(256).collect(),
                state: ReceiptState::Accepted.into(),
                ..SendAccepted::default()
            });
        }
        Err(SendError {
            provider_code: code.chars().take(32).collect(),
            recipient_fault: fault(&code).into(),
            ..error(class(&code), redacted(&text(&answer.message), &[&self.secret]))
        })
    }

    fn unreadable(&self, response: &HttpResponse) -> SendError {
        let class = match response.status {
            429 => ErrorClass::Throttled,
            300..=399 | 401 | 403 | 404 => ErrorClass::Account,
            413 => ErrorClass::Content,
            _ => ErrorClass::Ambiguous,
        };
        let wait = if class == ErrorClass::Throttled {
            retry_after(response)
        } else {
            0
        };
        SendError {
            provider_code: response.status.to_string(),
            retry_after_ms: wait,
            ..error(class, "the answer is not SpeedSMS's")
        }
    }
}

/// Docs, table of codes. What is not in it proves nothing; 500 is a failure of theirs.
fn class(code: &str) -> ErrorClass {
    match code {
        // Address locked; account blocked; no access to the API; no balance.
        "007" | "008" | "009" | "300" => ErrorClass::Account,
        // Parameter invalid or missing; encoding; length.
        "101" | "110" | "113" => ErrorClass::Content,
        "105" => ErrorClass::RecipientPermanent,
        _ => ErrorClass::Ambiguous,
    }
}

/// What a code says about the number itself: that it is none.
fn fault(code: &str) -> RecipientFault {
    match code {
        "105" => RecipientFault::NoSuchAddress,
        _ => RecipientFault::Unspecified,
    }
}

/// Docs, "Rate limit": seconds until requests are taken again, in milliseconds.
fn retry_after(response: &HttpResponse) -> u64 {
    let names = ["x-rate-limit-reset", "retry-after"];
    let header = |name: &&str| response.headers.iter().find(|(known, _)| known == *name);
    let value = names.iter().find_map(header);
    let seconds = value
        .and_then(|(_, value)| value.trim().parse::<u64>().ok())
        .unwrap_or(0);
    seconds.min(LONGEST_WAIT_S) * 1000
}

#[async_trait::async_trait]
impl Channel for SpeedsmsChannel {
    /// SpeedSMS takes no send keys and tells of past sends by its own id only.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            channel: "sms".to_owned(),
            max_text: MAX_TEXT,
            text_unit: "septets".to_owned(),
            receipts: if self.own.guard.is_closed() {
                Vec::new()
            } else {
                vec![
                    ReceiptState::Sent.into(),
                    ReceiptState::Delivered.into(),
                    ReceiptState::Failed.into(),
                ]
            },
            messages_per_second: REQUESTS_PER_SECOND,
            ..Capabilities::default()
        }
    }

    fn piece_count(&self, message: &Message) -> Result<u32, SendError> {
        self.planned(message).map(|_| 1)
    }

    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError> {
        if outgoing.piece > 0 {
            return Err(content_error("the message has no such piece"));
        }
        let response = host.transport().call(self.request(outgoing)?).await;
        self.outcome(&response.map_err(|problem| not_answered(&problem))?)
    }
}
