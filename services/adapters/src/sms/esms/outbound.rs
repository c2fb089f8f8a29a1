//! Messages into calls.

use super::{
    code,
    settings::{CARE, EsmsSettings},
};
use crate::settings::invalid;
use crate::texting::{
    Planned, Recipient, Rules, TextSettings, content_error, error, not_answered, plan, recipient, redacted,
};
use bytes::Bytes;
use omnigate_core::port::adapter::{Channel, ChannelHost, HttpBody, HttpRequest, HttpResponse, Invalid, Outgoing};
use omnigate_proto::v1::{Capabilities, ErrorClass, Message, Purpose, ReceiptState, SendAccepted, SendError};
use serde::Deserialize;
use serde_json::{Value, json};

/// Docs, `SendMultipleMessage_V4_post_json`: one number, customer care or fixed number.
const SEND: &str = "/SendMultipleMessage_V4_post_json/";
/// Longest text: what operators bill as one message, ten SMS segments (docs, "Độ dài tin nhắn", tell of three to ten).
const MAX_TEXT: u32 = 1530;

/// One account, ready for sending.
pub(super) struct EsmsChannel {
    text: TextSettings,
    own: EsmsSettings,
    api_key: String,
    secret_key: String,
    callback: Option<String>,
}

/// What eSMS answers; numbers come as text or not.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "CodeResult", alias = "CodeResponse")]
    code: Value,
    #[serde(rename = "SMSID", default)]
    id: Value,
    #[serde(rename = "ErrorMessage", default)]
    words: Value,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

impl EsmsChannel {
    pub(super) fn new(text: TextSettings, own: EsmsSettings, callback: Option<&str>) -> Result<Self, Invalid> {
        let Some((api_key, secret_key)) = own.keys.clone() else {
            return Err(invalid("api_key", "and secret_key are needed; the console shows them"));
        };
        if own.sms_type == CARE && text.sender.is_none() {
            return Err(invalid("sender", "is needed: the registered brandname"));
        }
        Ok(Self {
            callback: callback.and_then(|base| own.guard.address(base)),
            text,
            own,
            api_key,
            secret_key,
        })
    }

    fn planned<'a>(&self, message: &'a Message) -> Result<Planned<'a>, SendError> {
        plan(message, &self.text, Rules::default())
    }

    fn request(&self, outgoing: &Outgoing) -> Result<HttpRequest, SendError> {
        let content = self.planned(&outgoing.message)?.plan.text;
        if outgoing.message.purpose() == Purpose::Marketing {
            return Err(error(
                ErrorClass::Policy,
                "eSMS takes advertising only as lists of 30 to 5000 numbers, not to one recipient",
            ));
        }
        let Recipient::Number(number) = recipient(outgoing, &self.text)? else {
            return Err(error(ErrorClass::RecipientPermanent, "eSMS reaches phone numbers only"));
        };
        let flag = |on: bool| if on { "1" } else { "0" };
        let mut body = json!({
            "ApiKey": self.api_key,
            "SecretKey": self.secret_key,
            "Phone": local_form(&number),
            "Content": content,
            "SmsType": self.own.sms_type.to_string(),
            // What is GSM-7 and yet no ASCII (é, à) is safe only as Unicode: gateways behind it transliterate.
            "IsUnicode": flag(!content.is_ascii()),
            "Sandbox": flag(self.own.sandbox),
            "RequestId": outgoing.send_key,
        });
        if let Some(sender) = self.text.sender_to(Some(&number)) {
            body["Brandname"] = json!(sender.address());
        }
        if let Some(id) = &self.own.campaign_id {
            body["campaignid"] = json!(id);
        }
        if let Some(callback) = &self.callback {
            body["CallbackUrl"] = json!(callback);
        }
        Ok(HttpRequest {
            method: "POST",
            url: format!("{}{SEND}", self.own.api_url),
            headers: Vec::new(),
            body: HttpBody::Json(Bytes::from(body.to_string())),
            time_limit: outgoing.time_limit,
        })
    }

    fn outcome(&self, response: &HttpResponse) -> Result<SendAccepted, SendError> {
        let answer: Option<Answer> = serde_json::from_slice(&response.body).ok();
        // A failing server may have taken the message whatever it says.
        let readable = answer.filter(|answer| response.status < 500 && !text(&answer.code).is_empty());
        let Some(answer) = readable else {
            let class = match response.status {
                429 => ErrorClass::Throttled,
                300..=399 | 401 | 403 | 404 => ErrorClass::Account,
                413 => ErrorClass::Content,
                _ => ErrorClass::Ambiguous,
            };
            return Err(SendError {
                provider_code: response.status.to_string(),
                ..error(class, "the answer is not eSMS's")
            });
        };
        let code = text(&answer.code);
        if code == code::ACCEPTED || code == code::REPEATED {
            // A repeated request names no message; its receipts name our send key.
            return Ok(SendAccepted {
                provider_message_id: text(&answer.id).chars().take(256).collect(),
                state: ReceiptState::Accepted.into(),
                ..SendAccepted::default()
            });
        }
        let secrets = [self.api_key.as_str(), self.secret_key.as_str(), self.own.guard.secret()];
        Err(SendError {
            provider_code: code.chars().take(32).collect(),
            recipient_fault: code::fault(&code).into(),
            ..error(code::class(&code), redacted(&text(&answer.words), &secrets))
        })
    }
}

/// Docs: numbers of Vietnam as they are dialled there, others with their country code.
fn local_form(number: &omnigate_core::sms::phone::Number) -> String {
    if number.country_code() == 84 {
        number.national_digits()
    } else {
        number.international_digits().to_owned()
    }
}

#[async_trait::async_trait]
impl Channel for EsmsChannel {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            channel: "sms".to_owned(),
            max_text: MAX_TEXT,
            text_unit: "septets".to_owned(),
            // Docs, `RequestId`: a second request within 24 hours is not sent.
            idempotent_send: true,
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
