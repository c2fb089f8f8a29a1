//! A call's parameters: Zalo takes JSON bodies, multipart uploads, OAuth's form, plain queries (ZNS), and queries whose
//! one parameter `data` is itself JSON (OA).

use super::answer::Refused;
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, Multipart},
    http::{HeaderMap, Request, header::CONTENT_TYPE},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The largest request: 5 MB of file, and room to be told that it was too much.
pub(super) const REQUEST_LIMIT: usize = 12 << 20;

/// A file that came inside a multipart request.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) mime_type: Option<String>,
    pub(super) bytes: Bytes,
}

/// The body, whatever it is.
#[derive(Clone, Debug, Default)]
pub(super) enum Content {
    #[default]
    Empty,
    Json(Value),
    Fields(Map<String, Value>),
    Unreadable,
}

/// What a call came with.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    pub(super) query: Map<String, Value>,
    pub(super) content: Content,
    pub(super) file: Option<Upload>,
}

/// What the journal does not show.
const SECRETS: [&str; 5] = ["access_token", "refresh_token", "code", "code_verifier", "secret_key"];

impl Params {
    pub(super) async fn read(request: Request<Body>) -> Self {
        let query = fields(request.uri().query().unwrap_or_default().as_bytes());
        let kind = header(request.headers(), CONTENT_TYPE.as_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if kind.starts_with("multipart/form-data") {
            let mut params = Self {
                query,
                ..Self::default()
            };
            if params.read_multipart(request).await.is_none() {
                params.content = Content::Unreadable;
            }
            return params;
        }
        let content = match to_bytes(request.into_body(), REQUEST_LIMIT).await {
            Err(_) => Content::Unreadable,
            Ok(body) if body.is_empty() => Content::Empty,
            Ok(body) if kind.starts_with("application/x-www-form-urlencoded") => Content::Fields(fields(&body)),
            Ok(body) => serde_json::from_slice(&body).map_or(Content::Unreadable, Content::Json),
        };
        Self {
            query,
            content,
            file: None,
        }
    }

    async fn read_multipart(&mut self, request: Request<Body>) -> Option<()> {
        let mut form = Multipart::from_request(request, &()).await.ok()?;
        let mut fields = Map::new();
        while let Some(field) = form.next_field().await.ok()? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let mime_type = field.content_type().map(str::to_owned);
            let bytes = field.bytes().await.ok()?;
            match file_name {
                Some(file_name) if name == "file" => {
                    self.file = Some(Upload {
                        name: file_name,
                        mime_type,
                        bytes,
                    });
                }
                _ => {
                    fields.insert(name, json!(String::from_utf8_lossy(&bytes)));
                }
            }
        }
        self.content = Content::Fields(fields);
        Some(())
    }

    /// The JSON body of an OA call.
    pub(super) fn oa_body(&self) -> Result<&Value, Refused> {
        match &self.content {
            Content::Json(body) if body.is_object() => Ok(body),
            _ => Err(Refused::invalid("body")),
        }
    }

    /// The JSON in the query parameter `data` of an OA call; `{}` where there is none.
    pub(super) fn oa_query(&self) -> Result<Value, Refused> {
        match self.query.get("data").and_then(Value::as_str) {
            None => Ok(json!({})),
            Some(data) => serde_json::from_str(data)
                .ok()
                .filter(Value::is_object)
                .ok_or_else(|| Refused::invalid("data")),
        }
    }

    /// The JSON body of a ZNS call.
    pub(super) fn zns_body(&self) -> Result<&Value, Refused> {
        match &self.content {
            Content::Json(body) if body.is_object() => Ok(body),
            Content::Empty => Err(Refused::zns(-121)),
            _ => Err(Refused::zns(-122)),
        }
    }

    /// A field of OAuth's form.
    pub(super) fn form(&self, name: &str) -> Option<&str> {
        match &self.content {
            Content::Fields(fields) => fields.get(name)?.as_str(),
            _ => None,
        }
    }

    /// What the journal keeps of it.
    pub(super) fn in_journal(&self) -> Value {
        let mut shown = self.query.clone();
        match &self.content {
            Content::Json(Value::Object(fields)) | Content::Fields(fields) => shown.extend(fields.clone()),
            Content::Json(other) => {
                shown.insert("body".to_owned(), other.clone());
            }
            Content::Empty | Content::Unreadable => {}
        }
        if let Some(Value::String(data)) = shown.get("data")
            && let Ok(data) = serde_json::from_str(data)
        {
            shown.insert("data".to_owned(), data);
        }
        if let Some(file) = &self.file {
            shown.insert("file".to_owned(), json!({"name": file.name, "size": file.bytes.len()}));
        }
        for secret in SECRETS {
            if shown.contains_key(secret) {
                shown.insert(secret.to_owned(), json!("…"));
            }
        }
        Value::Object(shown)
    }
}

fn fields(form: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(form)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

/// One header's text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A value that is text, or a number taken as text: clients write ids both ways.
pub(super) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// A value that is a number, or text taken as one.
pub(super) fn integer(value: &Value) -> Option<i64> {
    text(value)?.trim().parse().ok()
}
