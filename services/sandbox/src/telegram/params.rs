//! A call's parameters, whichever way they came: query, JSON, urlencoded or multipart.

use super::answer::ApiError;
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, Multipart},
    http::{HeaderMap, Request, header::CONTENT_TYPE},
};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The largest request: 50 MB of file and room for the other fields.
pub(super) const REQUEST_LIMIT: usize = 51 << 20;

/// A file that came inside a multipart request.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) mime_type: Option<String>,
    pub(super) bytes: Bytes,
}

/// Parameters by name. In forms everything is text and nested objects are JSON within it; in JSON they are themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    pub(super) fields: Map<String, Value>,
    pub(super) uploads: HashMap<String, Upload>,
}

impl Params {
    pub(super) async fn read(request: Request<Body>) -> Result<Self, ApiError> {
        let mut params = Self::default();
        params.add_form(request.uri().query().unwrap_or_default().as_bytes());
        let kind = content_type(request.headers());
        if kind.starts_with("multipart/form-data") {
            params.add_multipart(request).await?;
        } else {
            let body = to_bytes(request.into_body(), REQUEST_LIMIT)
                .await
                .map_err(|_| ApiError::too_large())?;
            params.add_body(&kind, &body)?;
        }
        Ok(params)
    }

    /// Adds a body that is not multipart; one of an unknown type is passed over, as the real server does.
    pub(super) fn add_body(&mut self, content_type: &str, body: &[u8]) -> Result<(), ApiError> {
        if body.is_empty() {
            return Ok(());
        }
        if content_type.starts_with("application/json") {
            match serde_json::from_slice(body) {
                Ok(Value::Object(object)) => self.fields.extend(object),
                _ => return Err(ApiError::bad_request("can't parse JSON object")),
            }
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            self.add_form(body);
        }
        Ok(())
    }

    fn add_form(&mut self, form: &[u8]) {
        for (name, value) in url::form_urlencoded::parse(form) {
            self.fields.insert(name.into_owned(), Value::String(value.into_owned()));
        }
    }

    async fn add_multipart(&mut self, request: Request<Body>) -> Result<(), ApiError> {
        let unreadable = |_| ApiError::bad_request("can't parse multipart form");
        let mut form = Multipart::from_request(request, &())
            .await
            .map_err(|_| ApiError::bad_request("can't parse multipart form"))?;
        let mut total = 0;
        while let Some(field) = form.next_field().await.map_err(unreadable)? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let mime_type = field.content_type().map(str::to_owned);
            let bytes = field.bytes().await.map_err(|_| ApiError::too_large())?;
            total += bytes.len();
            if total > REQUEST_LIMIT {
                return Err(ApiError::too_large());
            }
            match file_name {
                Some(file_name) => {
                    self.uploads.insert(
                        name,
                        Upload {
                            name: file_name,
                            mime_type,
                            bytes,
                        },
                    );
                }
                None => {
                    self.fields
                        .insert(name, Value::String(String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
        }
        Ok(())
    }

    /// As text; numbers and booleans too, empty counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.trim().parse().ok()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes"))
    }

    /// A nested object or list.
    pub(super) fn nested(&self, name: &str) -> Result<Option<Value>, ApiError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| ApiError::bad_request(format!("can't parse {} JSON object", name.replace('_', " ")))),
            Some(value) => Ok(Some(value.clone())),
        }
    }
}

pub(super) fn content_type(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase()
}
