//! What tells the providers apart.

use super::{
    callback::Callback,
    desk::{Desk, Incoming},
    fault::Fault,
};
use crate::clock::Now;
use axum::http::{HeaderMap, Method, header::AUTHORIZATION};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::Value;

/// One call of the API.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// Parameters of the body, a form.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// A parameter of the query.
    pub(crate) fn in_query(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
    /// The provider's code of an error.
    pub(crate) error: Option<String>,
}

impl Reply {
    pub(crate) fn ok(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            error: None,
        }
    }

    pub(crate) fn error(status: u16, code: impl Into<String>, body: Value) -> Self {
        Self {
            error: Some(code.into()),
            ..Self::ok(status, body)
        }
    }
}

/// A provider.
pub(crate) trait Face: Send + 'static {
    /// Whether a call sends a message: only such calls meet faults.
    fn sends(&self, call: &Call) -> bool;

    /// Answers a call.
    fn call(&mut self, desk: &mut Desk, call: &Call, now: Now) -> Reply;

    /// A fault in the provider's envelope.
    fn spoiled(&self, fault: &Fault) -> Reply;

    /// What is told of a message that somebody wrote; `None` when nothing is. Answers its id too.
    fn incoming(&mut self, desk: &mut Desk, incoming: &Incoming, now: Now) -> (String, Option<Callback>);
}

/// User and password of basic authentication.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Whether an address can be called back: plain HTTP, as everything here.
pub(crate) fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.scheme() == "http" && url.host_str().is_some())
}
