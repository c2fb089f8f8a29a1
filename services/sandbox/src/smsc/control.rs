//! The same control over HTTP, for gateways that run in another process.

use super::{
    fault::FaultRule,
    flood::Flood,
    handle::SmscHandle,
    people::{Malformed, Writes},
    receipt::ReceiptRule,
    server::Shared,
};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No account with this `system_id`.
    #[error("unknown account")]
    UnknownAccount,
    /// The account has no bind that receives.
    #[error("not bound")]
    NotBound,
    /// It makes no sense.
    #[error("impossible: {0}")]
    Impossible(&'static str),
    /// A condition did not come to hold.
    #[error("{0}")]
    DeadlinePassed(String),
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownAccount => StatusCode::NOT_FOUND,
            Self::NotBound | Self::Impossible(_) => StatusCode::CONFLICT,
            Self::DeadlinePassed(_) => StatusCode::REQUEST_TIMEOUT,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

type Answer = Result<Json<Value>, ControlError>;
type Here = State<Arc<Shared>>;

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let cancel = shared.cancel.clone();
    let router = Router::new().nest("/control", router()).with_state(shared);
    tokio::select! {
        served = axum::serve(listener, router) => {
            if let Err(error) = served {
                tracing::error!(%error, "the smsc sandbox stopped serving its control");
            }
        }
        () = cancel.cancelled() => {}
    }
}

fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/write", post(write))
        .route("/flood", post(flood))
        .route("/alert", post(alert))
        .route("/malformed", post(malformed))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/receipts", post(add_receipts).delete(clear_receipts))
        .route("/limits", post(limits))
        .route("/unbind", post(unbind))
        .route("/disconnect", post(disconnect))
        .route("/away", post(away))
        .route("/submissions", get(submissions))
        .route("/texts", get(texts))
        .route("/settled", get(settled))
        .route("/journal", get(journal).delete(clear_journal))
        .route("/counters", get(counters))
        .route("/state", get(state))
        .route("/wait", post(wait))
}

async fn write(State(shared): Here, Json(writes): Json<Writes>) -> Answer {
    SmscHandle::inner(&shared)
        .write(&writes)
        .map(|written| Json(json!(written)))
}

async fn flood(State(shared): Here, Json(flood): Json<Flood>) -> Answer {
    SmscHandle::inner(&shared).flood(flood).map(|()| Json(json!({})))
}

#[derive(Deserialize)]
struct Alert {
    #[serde(flatten)]
    of: Of,
    from: String,
    to: String,
}

async fn alert(State(shared): Here, Json(alert): Json<Alert>) -> Answer {
    let smsc = SmscHandle::inner(&shared);
    let delivery = smsc.alert(alert.of.account.as_deref(), &alert.from, &alert.to)?;
    Ok(Json(json!({"delivery": delivery})))
}

/// Of which account; of the first one when absent.
#[derive(Deserialize)]
struct Of {
    account: Option<String>,
}

#[derive(Deserialize)]
struct Speech {
    #[serde(flatten)]
    of: Of,
    #[serde(flatten)]
    malformed: Malformed,
}

async fn malformed(State(shared): Here, Json(speech): Json<Speech>) -> Answer {
    SmscHandle::inner(&shared).malformed(speech.of.account.as_deref(), &speech.malformed)?;
    Ok(Json(json!({})))
}

async fn add_fault(State(shared): Here, Json(rule): Json<FaultRule>) -> Json<Value> {
    SmscHandle::inner(&shared).fault(rule);
    Json(json!({}))
}

async fn clear_faults(State(shared): Here) -> Json<Value> {
    SmscHandle::inner(&shared).clear_faults();
    Json(json!({}))
}

async fn add_receipts(State(shared): Here, Json(rule): Json<ReceiptRule>) -> Json<Value> {
    SmscHandle::inner(&shared).receipts(rule);
    Json(json!({}))
}

async fn clear_receipts(State(shared): Here) -> Json<Value> {
    SmscHandle::inner(&shared).clear_receipts();
    Json(json!({}))
}

#[derive(Deserialize)]
struct Limits {
    #[serde(flatten)]
    of: Of,
    #[serde(default)]
    window: usize,
    #[serde(default)]
    throughput: u32,
}

async fn limits(State(shared): Here, Json(limits): Json<Limits>) -> Answer {
    let smsc = SmscHandle::inner(&shared);
    smsc.limits(limits.of.account.as_deref(), limits.window, limits.throughput)?;
    Ok(Json(json!({})))
}

async fn unbind(State(shared): Here, Query(of): Query<Of>) -> Answer {
    let told = SmscHandle::inner(&shared).unbind(of.account.as_deref())?;
    Ok(Json(json!({"binds": told})))
}

async fn disconnect(State(shared): Here) -> Json<Value> {
    Json(json!({"connections": SmscHandle::inner(&shared).disconnect()}))
}

#[derive(Deserialize)]
struct Away {
    on: bool,
}

async fn away(State(shared): Here, Json(away): Json<Away>) -> Json<Value> {
    SmscHandle::inner(&shared).away(away.on);
    Json(json!({}))
}

async fn submissions(State(shared): Here) -> Json<Value> {
    Json(json!({"submissions": SmscHandle::inner(&shared).submissions()}))
}

#[derive(Deserialize)]
struct To {
    to: Option<String>,
    #[serde(default)]
    repeated: bool,
}

async fn texts(State(shared): Here, Query(query): Query<To>) -> Json<Value> {
    let smsc = SmscHandle::inner(&shared);
    let mut texts = match &query.to {
        Some(number) => smsc.texts_to(number),
        None => smsc.texts(),
    };
    texts.retain(|text| !query.repeated || text.copies > 1);
    Json(json!({"texts": texts}))
}

async fn settled(State(shared): Here) -> Json<Value> {
    Json(json!({"settled": SmscHandle::inner(&shared).settled()}))
}

async fn journal(State(shared): Here) -> Json<Value> {
    Json(json!({"journal": SmscHandle::inner(&shared).journal()}))
}

async fn clear_journal(State(shared): Here) -> Json<Value> {
    SmscHandle::inner(&shared).clear_journal();
    Json(json!({}))
}

async fn counters(State(shared): Here) -> Json<Value> {
    Json(json!(SmscHandle::inner(&shared).counters()))
}

async fn state(State(shared): Here) -> Json<Value> {
    SmscHandle::inner(&shared).look(|view| {
        Json(json!({
            "bound": view.bound(),
            "connected": view.connected(),
            "pending": view.pending(),
            "incomplete": view.incomplete(),
        }))
    })
}

#[derive(Deserialize)]
struct Wait {
    /// A counter's name.
    counter: String,
    at_least: u64,
    #[serde(default = "ten_seconds")]
    deadline_ms: u64,
}

fn ten_seconds() -> u64 {
    10_000
}

async fn wait(State(shared): Here, Json(wait): Json<Wait>) -> Answer {
    let smsc = SmscHandle::inner(&shared);
    if json!(smsc.counters()).get(&wait.counter).is_none() {
        return Err(ControlError::Impossible("unknown counter"));
    }
    let reached = |value: &Value| value[&wait.counter].as_u64() >= Some(wait.at_least);
    smsc.wait_for(
        |view| reached(&json!(view.counters())),
        Duration::from_millis(wait.deadline_ms),
    )
    .await
    .map_err(|error| ControlError::DeadlinePassed(error.to_string()))?;
    Ok(Json(json!(smsc.counters())))
}
