//! A client and a webhook for the tests of the fakes.

use super::server::request;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

const PATIENCE: Duration = Duration::from_secs(10);

/// A request that came to the webhook.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Came {
    /// Parameters of the query and of a form, decoded once.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let query = self
            .path_and_query
            .split_once('?')
            .map(|(_, query)| query)
            .unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let form = url::form_urlencoded::parse(self.body.as_bytes()).into_owned();
        pairs.chain(form).collect()
    }
}

#[derive(Default)]
struct Seen {
    came: Vec<Came>,
    answers: VecDeque<u16>,
}

/// A webhook that records.
pub(crate) struct Hook {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    count: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = (Arc<Mutex<Seen>>, watch::Sender<usize>);

async fn take(
    State((seen, count)): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut seen = seen.lock().unwrap();
    seen.came.push(Came {
        method,
        path_and_query: uri.to_string(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    count.send_modify(|count| *count += 1);
    let answer = seen.answers.pop_front().unwrap_or(200);
    StatusCode::from_u16(answer).unwrap()
}

impl Hook {
    /// Answers these statuses in order, then 200.
    pub(crate) async fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen {
            came: Vec::new(),
            answers: answers.iter().copied().collect(),
        }));
        let count = watch::Sender::new(0);
        let router = Router::new()
            .fallback(take)
            .with_state((Arc::clone(&seen), count.clone()));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { url, seen, count, task }
    }

    /// Waits until so many requests came.
    pub(crate) async fn until(&self, count: usize) -> Vec<Came> {
        let mut counts = self.count.subscribe();
        let waited = timeout(PATIENCE, counts.wait_for(|came| *came >= count)).await;
        waited.expect("the callbacks come").unwrap();
        self.seen.lock().unwrap().came.clone()
    }
}

/// Makes a request; status and JSON of the answer, or why there was none.
pub(crate) async fn call(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(u16, Value), String> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = request(method, url, headers.iter().copied(), body).unwrap();
    let response = client.request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// A listener on a port of its own.
pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}
