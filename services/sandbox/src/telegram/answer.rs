//! Answers in the Bot API's envelope, and its error strings.
//!
//! The strings are those of `fail_query_with_error` in the Bot API server's source: adapters decide on them, so they are
//! written here word for word.

use axum::{
    body::Body,
    http::{StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use bytes::Bytes;
use serde_json::{Value, json};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) code: u16,
    pub(super) description: String,
    pub(super) parameters: Option<Parameters>,
}

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameters {
    RetryAfter(u32),
    MigrateTo(i64),
}

impl ApiError {
    pub(super) fn new(code: u16, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
            parameters: None,
        }
    }

    pub(super) fn bad_request(what: impl AsRef<str>) -> Self {
        Self::new(400, format!("Bad Request: {}", what.as_ref()))
    }

    pub(super) fn forbidden(what: impl AsRef<str>) -> Self {
        Self::new(403, format!("Forbidden: {}", what.as_ref()))
    }

    pub(super) fn conflict(what: &str) -> Self {
        Self::new(409, format!("Conflict: {what}"))
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized")
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    pub(super) fn too_large() -> Self {
        Self::new(413, "Request Entity Too Large")
    }

    pub(super) fn retry_after(seconds: u32) -> Self {
        Self {
            code: 429,
            description: format!("Too Many Requests: retry after {seconds}"),
            parameters: Some(Parameters::RetryAfter(seconds)),
        }
    }

    pub(super) fn migrated(to: i64) -> Self {
        let mut error = Self::bad_request("group chat was upgraded to a supergroup chat");
        error.parameters = Some(Parameters::MigrateTo(to));
        error
    }

    fn body(&self) -> Value {
        let mut body = json!({"ok": false, "error_code": self.code, "description": self.description});
        match self.parameters {
            Some(Parameters::RetryAfter(seconds)) => body["parameters"] = json!({"retry_after": seconds}),
            Some(Parameters::MigrateTo(chat)) => body["parameters"] = json!({"migrate_to_chat_id": chat}),
            None => {}
        }
        body
    }

    pub(super) fn into_response(self) -> Response {
        raw(self.code, "application/json", self.body().to_string())
    }
}

/// 200 with `result`.
pub(super) fn success(result: &Value) -> Response {
    raw(200, "application/json", format!(r#"{{"ok":true,"result":{result}}}"#))
}

/// 200 with `true` and what was done.
pub(super) fn success_with(description: &str) -> Response {
    raw(
        200,
        "application/json",
        json!({"ok": true, "result": true, "description": description}).to_string(),
    )
}

/// Any answer at all.
pub(super) fn raw(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(content_type));
    response
}
