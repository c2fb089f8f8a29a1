//! Calls to Zalo and what comes back. Failures come with HTTP 200 too: only `error` says.

use super::wire::{Text, object, said};
use bytes::Bytes;
use omnigate_core::port::adapter::{AccessToken, HttpBody, HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::time::Duration;

/// The header of the token; Zalo knows no `Authorization`.
const TOKEN_HEADER: &str = "access_token";

/// Which of Zalo's two programming interfaces is called; their error codes differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Server {
    /// The Open API.
    OpenApi,
    /// Templates by phone number.
    Zns,
}

/// What both answer.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    error: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

impl<'a> Answer<'a> {
    /// Reads an answer; `None` when it is none of Zalo's.
    pub(super) fn read(response: &'a HttpResponse) -> Option<Self> {
        let answer: Self = object(&response.body).ok()?;
        answer.error.is_some().then_some(answer)
    }

    /// The error code, 0 for success; `None` when it is no number.
    pub(super) fn code(&self) -> Option<i64> {
        said(self.error.as_ref()).parse().ok()
    }

    /// Zalo's words.
    pub(super) fn words(&self) -> &str {
        said(self.message.as_ref())
    }

    /// What a successful answer carries.
    pub(super) fn data<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.data?.get()).ok()
    }
}

/// True for codes of both servers that say that the token is not taken: invalid, expired or removed.
pub(super) const fn refuses_token(code: i64) -> bool {
    matches!(code, -124 | -216 | -220)
}

/// A call with JSON.
pub(super) fn post(url: String, token: &AccessToken, body: &Value, time_limit: Duration) -> HttpRequest {
    call(
        "POST",
        url,
        token,
        HttpBody::Json(Bytes::from(body.to_string())),
        time_limit,
    )
}

/// A call of any sort.
pub(super) fn call(
    method: &'static str,
    url: String,
    token: &AccessToken,
    body: HttpBody,
    time_limit: Duration,
) -> HttpRequest {
    HttpRequest {
        method,
        url,
        headers: vec![(TOKEN_HEADER, token.0.clone())],
        body,
        time_limit,
    }
}
