//! A transport that plays a script, and requests and answers as JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use omnigate_core::port::adapter::{FormPart, HttpBody, HttpRequest, HttpResponse, TransportError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a provider does with a call.
#[derive(Deserialize, Serialize, Clone)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Answers with JSON.
    Json {
        status: u16,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        headers: Map<String, Value>,
        body: Value,
    },
    /// Answers with anything.
    Text { status: u16, body: String },
    /// Cannot be reached.
    NotSent(String),
    /// Does not answer.
    Ambiguous(String),
    /// Must not be called.
    Forbidden(String),
}

impl Answer {
    /// As the transport gives it.
    pub(crate) fn play(&self) -> Result<HttpResponse, TransportError> {
        let response = |status: u16, headers: &Map<String, Value>, body: String| HttpResponse {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: Bytes::from(body),
        };
        match self {
            Self::Json { status, headers, body } => Ok(response(*status, headers, body.to_string())),
            Self::Text { status, body } => Ok(response(*status, &Map::new(), body.clone())),
            Self::NotSent(text) => Err(TransportError::NotSent(text.clone())),
            Self::Ambiguous(text) => Err(TransportError::Ambiguous(text.clone())),
            Self::Forbidden(text) => Err(TransportError::Forbidden(text.clone())),
        }
    }
}

/// A call as JSON.
pub(crate) fn shown(request: &HttpRequest) -> Value {
    let mut value = json!({ "method": request.method, "url": request.url });
    if !request.headers.is_empty() {
        let headers = request
            .headers
            .iter()
            .map(|(name, text)| ((*name).to_owned(), json!(text)));
        value["headers"] = Value::Object(headers.collect());
    }
    match &request.body {
        HttpBody::Empty => {}
        HttpBody::Json(body) => value["json"] = serde_json::from_slice(body).expect("the body is JSON"),
        HttpBody::Form(fields) => {
            value["fields"] = fields.iter().map(|(name, text)| json!([name, text])).collect();
        }
        HttpBody::Multipart(parts) => value["form"] = parts.iter().map(shown_part).collect(),
    }
    value
}

fn shown_part(part: &FormPart) -> Value {
    let mut value = json!({ "name": part.name });
    if let Some(name) = &part.file_name {
        value["file_name"] = json!(name);
    }
    if let Some(kind) = &part.mime_type {
        value["mime_type"] = json!(kind);
    }
    match std::str::from_utf8(&part.content) {
        Ok(text) => value["text"] = json!(text),
        Err(_) => value["base64"] = json!(STANDARD.encode(&part.content)),
    }
    value
}
