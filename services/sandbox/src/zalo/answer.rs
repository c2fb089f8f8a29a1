//! Answers in Zalo's envelopes: whatever goes wrong, the HTTP status is 200 and the body says so.

use super::codes;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// An error of the OA API.
    pub(super) fn oa(code: i32) -> Self {
        Self::new(code, codes::oa(code))
    }

    /// An error of the ZNS API.
    pub(super) fn zns(code: i32) -> Self {
        Self::new(code, codes::zns(code))
    }

    /// `-201`.
    pub(super) fn invalid(field: &str) -> Self {
        Self::new(-201, format!("{field} is invalid!"))
    }

    /// The same, naming what is at fault.
    pub(super) fn about(mut self, what: &str) -> Self {
        self.message = format!("{}: {what}", self.message);
        self
    }
}

/// What a call answers beside `error` and `message`; mostly only `data`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reply(pub(super) Map<String, Value>);

impl Reply {
    pub(super) fn data(data: Value) -> Self {
        Self::default().with("data", data)
    }

    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

/// A call's outcome.
pub(super) type Outcome = Result<Reply, Refused>;

/// The envelope of the OA and ZNS APIs.
pub(super) fn envelope(outcome: &Outcome) -> Response {
    let body = match outcome {
        Ok(reply) => {
            let mut body = reply.0.clone();
            body.insert("error".to_owned(), json!(0));
            body.insert("message".to_owned(), json!("Success"));
            Value::Object(body)
        }
        Err(refused) => json!({"error": refused.code, "message": refused.message}),
    };
    raw(200, "application/json;charset=utf-8", body.to_string())
}

/// OAuth has no envelope when it succeeds, and one with other words when it fails.
pub(super) fn oauth(outcome: &Outcome) -> Response {
    let body = match outcome {
        Ok(reply) => Value::Object(reply.0.clone()),
        Err(refused) => json!({
            "error": refused.code, "error_name": refused.message, "error_reason": refused.message,
            "error_description": refused.message,
            "ref_doc": "https://developers.zalo.me/docs/api/official-account-api",
        }),
    };
    raw(200, "application/json;charset=utf-8", body.to_string())
}

/// Any answer at all.
pub(super) fn raw(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
