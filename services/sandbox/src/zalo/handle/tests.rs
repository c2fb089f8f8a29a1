//! Over real connections: the APIs' face, delivery, faults and control.

mod face;
mod hooks;
mod oauth;
mod official;
mod people;
mod template_messages;

use super::*;
use crate::zalo::{Options, Zalo};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Mutex};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::task::TaskTracker;

const SOON: Duration = Duration::from_secs(10);
const CS: &str = "/v3.0/oa/message/cs";
const ZNS: &str = "/message/template";
/// 2026-01-05 10:00 in GMT+7.
const MORNING: Duration = Duration::from_secs(1_767_582_000);

async fn start(options: Options) -> ZaloHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Zalo::start(listener, options).unwrap()
}

fn quick_options() -> Options {
    Options {
        speed: 1_000,
        clock: crate::zalo::Clock::from_fn(|| MORNING),
        ..Options::default()
    }
}

async fn quick() -> ZaloHandle {
    start(quick_options()).await
}

/// One HTTP request.
async fn http(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<(StatusCode, HeaderMap, Bytes), String> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let response = crate::zalo::delivery::client()
        .request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    Ok((parts.status, parts.headers, body))
}

/// A call with the OA's newest token; the HTTP status is 200 whatever comes of it.
async fn called(zalo: &ZaloHandle, method: &str, path: &str, body: Value) -> Value {
    let token = zalo.tokens().unwrap_or_default().0;
    let url = format!("{}{path}", zalo.base_url());
    let headers = [("access_token", token.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let (status, _, body) = http(method, &url, &headers, body).await.unwrap();
    assert_eq!(status, 200, "{path}");
    serde_json::from_slice(&body).unwrap()
}

async fn post(zalo: &ZaloHandle, path: &str, body: Value) -> Value {
    called(zalo, "POST", path, body).await
}

/// A GET of the OA API, whose query is `data` alone.
async fn get(zalo: &ZaloHandle, path: &str, data: Value) -> Value {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("data", &data.to_string())
        .finish();
    called(zalo, "GET", &format!("{path}?{query}"), Value::Null).await
}

fn error(answer: &Value) -> i64 {
    answer["error"].as_i64().unwrap()
}

/// A consultation message; its outcome.
async fn says(zalo: &ZaloHandle, user_id: &str, message: Value) -> Value {
    post(zalo, CS, json!({"recipient": {"user_id": user_id}, "message": message})).await
}

async fn says_hi(zalo: &ZaloHandle, user_id: &str) -> i64 {
    error(&says(zalo, user_id, json!({"text": "chào"})).await)
}

/// An upload of one file; its outcome.
async fn uploads(zalo: &ZaloHandle, path: &str, name: &str, kind: &str, bytes: &[u8]) -> Value {
    let mut body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
    )
    .into_bytes();
    body.extend(bytes);
    body.extend(b"\r\n--x--\r\n");
    let url = format!("{}{path}", zalo.base_url());
    let token = zalo.tokens().unwrap().0;
    let headers = [
        ("access_token", token.as_str()),
        ("content-type", "multipart/form-data; boundary=x"),
    ];
    let (status, _, body) = http("POST", &url, &headers, body).await.unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

async fn control(zalo: &ZaloHandle, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/control{path}", zalo.base_url());
    let headers = [("content-type", "application/json")];
    let (status, _, body) = http(method, &url, &headers, body.to_string()).await.unwrap();
    (status.as_u16(), serde_json::from_slice(&body).unwrap_or_default())
}

/// A gateway that records what it is sent, and answers as scripted, else 200.
#[derive(Clone, Default)]
struct Gateway {
    seen: Arc<Mutex<Vec<(HeaderMap, String, Instant)>>>,
    script: Arc<Mutex<VecDeque<Response>>>,
}

impl Gateway {
    async fn start(script: impl IntoIterator<Item = StatusCode>) -> (Self, String) {
        let script = script.into_iter().map(axum::response::IntoResponse::into_response);
        let gateway = Self {
            script: Arc::new(Mutex::new(script.collect())),
            ..Self::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(Self::take).with_state(gateway.clone());
        drop(TaskTracker::new().spawn(async move { axum::serve(listener, router).await }));
        (gateway, format!("http://{address}/hook"))
    }

    /// One whose address `zalo` has registered, without the probe among what it saw.
    async fn registered(zalo: &ZaloHandle) -> Self {
        let (gateway, url) = Self::start([]).await;
        zalo.set_webhook(&url).await.unwrap();
        gateway.seen.lock().unwrap().clear();
        gateway
    }

    fn then(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        let responses = statuses.into_iter().map(axum::response::IntoResponse::into_response);
        self.script.lock().unwrap().extend(responses);
    }

    async fn take(State(gateway): State<Self>, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        gateway.seen.lock().unwrap().push((parts.headers, body, Instant::now()));
        let scripted = gateway.script.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| StatusCode::OK.into_response())
    }

    fn bodies(&self) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|(_, body, _)| serde_json::from_str(body).unwrap())
            .collect()
    }

    fn texts(&self) -> Vec<String> {
        let text = |body: &Value| body["message"]["text"].as_str().unwrap_or("-").to_owned();
        self.bodies().iter().map(text).collect()
    }
}

async fn delivered(zalo: &ZaloHandle, count: u64) {
    zalo.wait_for(|view| view.counters().delivered >= count, SOON)
        .await
        .unwrap();
}

/// The events since the journal was cleared: names and content.
fn events(zalo: &ZaloHandle) -> Vec<(String, Value)> {
    let read = |record: EventRecord| (record.name, serde_json::from_str(&record.body).unwrap());
    zalo.events().into_iter().map(read).collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}
