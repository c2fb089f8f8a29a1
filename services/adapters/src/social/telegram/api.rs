//! Calls to the Bot API.

use super::settings::BotToken;
use bytes::Bytes;
use omnigate_core::port::adapter::{FormPart, HttpBody, HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use std::time::Duration;

/// The Bot API as one bot sees it.
pub(super) struct Api {
    bot: BotToken,
    url: String,
}

/// Parameters of a call, in the order they are written.
pub(super) type Parameters = Vec<(&'static str, Value)>;

/// A file to upload with a call.
pub(super) struct Upload {
    /// Parameter it is the value of.
    pub(super) parameter: &'static str,
    /// Name shown to the receiver.
    pub(super) file_name: String,
    /// MIME type, when known.
    pub(super) mime_type: Option<String>,
    /// Content.
    pub(super) content: Bytes,
}

/// What the Bot API answered.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    pub(super) ok: bool,
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
    pub(super) error_code: Option<i64>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) parameters: ResponseParameters,
}

/// `ResponseParameters`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ResponseParameters {
    pub(super) retry_after: Option<u64>,
    pub(super) migrate_to_chat_id: Option<i64>,
}

impl Api {
    pub(super) fn new(bot: BotToken, url: String) -> Self {
        Self { bot, url }
    }

    /// A call with JSON parameters.
    pub(super) fn call(&self, method: &str, parameters: Parameters, time_limit: Duration) -> HttpRequest {
        let object: Map<String, Value> = parameters
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let body = HttpBody::Json(Bytes::from(Value::Object(object).to_string()));
        self.request(method, body, time_limit)
    }

    /// A call that uploads a file. Objects among the parameters become JSON text (Bot API, "Making requests").
    pub(super) fn upload(
        &self,
        method: &str,
        parameters: Parameters,
        upload: Upload,
        time_limit: Duration,
    ) -> HttpRequest {
        let mut form: Vec<FormPart> = parameters
            .into_iter()
            .map(|(name, value)| FormPart {
                name: name.to_owned(),
                file_name: None,
                mime_type: None,
                content: match value {
                    Value::String(text) => Bytes::from(text),
                    other => Bytes::from(other.to_string()),
                },
            })
            .collect();
        form.push(FormPart {
            name: upload.parameter.to_owned(),
            file_name: Some(upload.file_name),
            mime_type: upload.mime_type,
            content: upload.content,
        });
        self.request(method, HttpBody::Multipart(form), time_limit)
    }

    /// A provider's text without the token, should it ever repeat it.
    pub(super) fn redacted(&self, text: &str) -> String {
        text.replace(self.bot.expose(), "***")
    }

    fn request(&self, method: &str, body: HttpBody, time_limit: Duration) -> HttpRequest {
        HttpRequest {
            method: "POST",
            url: format!("{}/bot{}/{method}", self.url, self.bot.expose()),
            headers: Vec::new(),
            body,
            time_limit,
        }
    }
}

impl Answer<'_> {
    /// Reads an answer; `None` when it is none of the Bot API's.
    pub(super) fn read(response: &HttpResponse) -> Option<Answer<'_>> {
        serde_json::from_slice(&response.body).ok()
    }

    /// The API's code of a failure; the same as the HTTP status unless something stands in between.
    pub(super) fn code(&self, response: &HttpResponse) -> i64 {
        self.error_code.unwrap_or_else(|| i64::from(response.status))
    }

    /// Words of a failure.
    pub(super) fn words(&self) -> &str {
        self.description.as_deref().unwrap_or_default()
    }
}

/// How long a 429 asks to wait: by its parameter, else by the `Retry-After` header.
pub(super) fn retry_after(answer: Option<&Answer<'_>>, response: &HttpResponse) -> Option<Duration> {
    let header = || {
        let header = response.headers.iter().find(|(name, _)| name == "retry-after");
        header.and_then(|(_, value)| value.trim().parse().ok())
    };
    let seconds = answer.and_then(|answer| answer.parameters.retry_after).or_else(header);
    // A day bounds what a broken answer can ask for.
    seconds.map(|seconds: u64| Duration::from_secs(seconds.min(86_400)))
}
