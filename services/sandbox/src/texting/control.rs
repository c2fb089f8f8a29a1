//! The same control over HTTP, for gateways that run in another process.

use super::{
    callback::Forgery,
    desk::{Fate, Incoming},
    fault::FaultRule,
    handle::{ControlError, SmsHandle},
    server::Shared,
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownCallback => StatusCode::NOT_FOUND,
            Self::Impossible(_) => StatusCode::CONFLICT,
            Self::NoAnswer => StatusCode::BAD_GATEWAY,
            Self::DeadlinePassed(_) => StatusCode::REQUEST_TIMEOUT,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

type Answer = Result<Json<Value>, ControlError>;
type Of = State<Arc<Shared>>;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/messages", post(receive))
        .route("/fates", post(fate))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/settings", post(settings))
        .route("/sent", get(sent))
        .route("/journal", get(journal).delete(clear_journal))
        .route("/callbacks", get(callbacks))
        .route("/counters", get(counters))
        .route("/redeliver", post(redeliver))
        .route("/forge", post(forge))
        .route("/wait", post(wait))
}

async fn receive(State(shared): Of, Json(incoming): Json<Incoming>) -> Json<Value> {
    Json(json!({"id": SmsHandle::inner(&shared).receive(&incoming)}))
}

#[derive(Deserialize)]
struct NewFate {
    number: String,
    fate: Fate,
}

async fn fate(State(shared): Of, Json(new): Json<NewFate>) -> Json<Value> {
    SmsHandle::inner(&shared).set_fate(&new.number, new.fate);
    Json(json!({}))
}

async fn add_fault(State(shared): Of, Json(rule): Json<FaultRule>) -> Json<Value> {
    SmsHandle::inner(&shared).fault(rule);
    Json(json!({}))
}

async fn clear_faults(State(shared): Of) -> Json<Value> {
    SmsHandle::inner(&shared).clear_faults();
    Json(json!({}))
}

#[derive(Deserialize)]
struct Settings {
    rate_limits: Option<bool>,
    deliver_twice: Option<bool>,
    webhook: Option<String>,
}

async fn settings(State(shared): Of, Json(settings): Json<Settings>) -> Json<Value> {
    let handle = SmsHandle::inner(&shared);
    if let Some(on) = settings.rate_limits {
        handle.rate_limits(on);
    }
    if let Some(on) = settings.deliver_twice {
        handle.deliver_twice(on);
    }
    if let Some(url) = settings.webhook {
        handle.set_webhook(Some(url).filter(|url| !url.is_empty()));
    }
    Json(json!({}))
}

async fn sent(State(shared): Of) -> Json<Value> {
    Json(json!({"sent": SmsHandle::inner(&shared).sent()}))
}

async fn journal(State(shared): Of) -> Json<Value> {
    Json(json!({"journal": SmsHandle::inner(&shared).journal()}))
}

async fn clear_journal(State(shared): Of) -> Json<Value> {
    SmsHandle::inner(&shared).clear_journal();
    Json(json!({}))
}

async fn callbacks(State(shared): Of) -> Json<Value> {
    Json(json!({"callbacks": SmsHandle::inner(&shared).callbacks()}))
}

async fn counters(State(shared): Of) -> Json<Value> {
    Json(json!(SmsHandle::inner(&shared).counters()))
}

#[derive(Deserialize)]
struct Redelivery {
    callback: u64,
}

async fn redeliver(State(shared): Of, Json(redelivery): Json<Redelivery>) -> Answer {
    let status = SmsHandle::inner(&shared).redeliver(redelivery.callback).await?;
    Ok(Json(json!({"status": status})))
}

async fn forge(State(shared): Of, Json(forged): Json<Forgery>) -> Answer {
    let status = SmsHandle::inner(&shared).forge(&forged).await?;
    Ok(Json(json!({"status": status})))
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

async fn wait(State(shared): Of, Json(wait): Json<Wait>) -> Answer {
    let handle = SmsHandle::inner(&shared);
    if json!(handle.counters()).get(&wait.counter).is_none() {
        return Err(ControlError::Impossible("unknown counter"));
    }
    let reached = |handle: &SmsHandle| json!(handle.counters())[&wait.counter].as_u64() >= Some(wait.at_least);
    handle
        .wait_for(reached, Duration::from_millis(wait.deadline_ms))
        .await
        .map_err(|error| ControlError::DeadlinePassed(error.to_string()))?;
    Ok(Json(json!(handle.counters())))
}
