//! The same control over HTTP, for gateways that run in another process.
//!
//! Every path may be asked of another bot with `?bot=<bot id>`.

use super::{
    fault::FaultRule,
    handle::TelegramHandle,
    people::{ChatKind, NewUser},
    server::Shared,
    user::Act,
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
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Nobody with this id.
    #[error("unknown user")]
    UnknownUser,
    /// No such chat.
    #[error("unknown chat")]
    UnknownChat,
    /// No such message, or it was forgotten.
    #[error("unknown message")]
    UnknownMessage,
    /// No such update, or it was forgotten.
    #[error("unknown update")]
    UnknownUpdate,
    /// No bot with this id.
    #[error("unknown bot")]
    UnknownBot,
    /// The bot has no webhook.
    #[error("no webhook is set")]
    NoWebhook,
    /// The webhook did not answer.
    #[error("no answer from the webhook: {0}")]
    NoAnswer(String),
    /// The act makes no sense where it is done.
    #[error("impossible: {0}")]
    Impossible(&'static str),
    /// A condition did not come to hold.
    #[error("{0}")]
    DeadlinePassed(String),
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownUser | Self::UnknownChat | Self::UnknownMessage | Self::UnknownUpdate | Self::UnknownBot => {
                StatusCode::NOT_FOUND
            }
            Self::NoWebhook | Self::Impossible(_) => StatusCode::CONFLICT,
            Self::NoAnswer(_) => StatusCode::BAD_GATEWAY,
            Self::DeadlinePassed(_) => StatusCode::REQUEST_TIMEOUT,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

type Answer = Result<Json<Value>, ControlError>;

#[derive(Deserialize)]
struct Which {
    bot: Option<i64>,
}

/// The bot that a request is about.
struct About(TelegramHandle);

impl axum::extract::FromRequestParts<Arc<Shared>> for About {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Response> {
        let Query(which) = Query::<Which>::from_request_parts(parts, shared)
            .await
            .map_err(IntoResponse::into_response)?;
        let cell = match which.bot {
            Some(id) => shared.cells.get(&id),
            None => shared.first(),
        };
        cell.map(|cell| Self(TelegramHandle::inner(shared, cell)))
            .ok_or_else(|| ControlError::UnknownBot.into_response())
    }
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/bots", get(bots))
        .route("/users", post(add_user))
        .route("/groups", post(add_group))
        .route("/migrate", post(migrate))
        .route("/act", post(act))
        .route("/burst", post(burst))
        .route("/updates", post(other_update))
        .route("/redeliver", post(redeliver))
        .route("/forge", post(forge))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/settings", post(settings))
        .route("/sent", get(sent))
        .route("/journal", get(journal).delete(clear_journal))
        .route("/counters", get(counters))
        .route("/webhook", get(webhook))
        .route("/wait", post(wait))
}

async fn bots(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let bots: Vec<Value> = shared.cells.values().map(|cell| cell.lock().json(true)).collect();
    Json(json!({"bots": bots}))
}

async fn add_user(About(telegram): About, Json(new): Json<NewUser>) -> Json<Value> {
    Json(json!({"id": telegram.new_user(new).id()}))
}

#[derive(Deserialize)]
struct NewGroup {
    title: String,
    kind: ChatKind,
    #[serde(default)]
    members: BTreeSet<i64>,
}

async fn add_group(About(telegram): About, Json(new): Json<NewGroup>) -> Answer {
    if new.kind == ChatKind::Private {
        return Err(ControlError::Impossible("a private chat is no group"));
    }
    let id = telegram.cell.lock().people.add_group(new.kind, &new.title, new.members);
    Ok(Json(json!({"id": id})))
}

#[derive(Deserialize)]
struct Group {
    chat: i64,
}

async fn migrate(About(telegram): About, Json(group): Json<Group>) -> Answer {
    telegram.migrate(group.chat).map(|id| Json(json!({"id": id})))
}

async fn act(About(telegram): About, Json(act): Json<Act>) -> Answer {
    telegram.act(&act).map(|done| Json(json!(done)))
}

#[derive(Deserialize)]
struct Burst {
    users: Vec<i64>,
    count: u32,
    #[serde(default)]
    text: String,
}

async fn burst(About(telegram): About, Json(burst): Json<Burst>) -> Answer {
    let made = telegram.burst(&burst.users, burst.count, &burst.text).await?;
    Ok(Json(json!({"updates": made})))
}

#[derive(Deserialize)]
struct OtherUpdate {
    name: String,
    content: Value,
}

async fn other_update(About(telegram): About, Json(update): Json<OtherUpdate>) -> Json<Value> {
    Json(json!({"update": telegram.other_update(&update.name, &update.content)}))
}

#[derive(Deserialize)]
struct Redelivery {
    update: u32,
}

async fn redeliver(About(telegram): About, Json(redelivery): Json<Redelivery>) -> Answer {
    telegram
        .redeliver(redelivery.update)
        .await
        .map(|status| Json(json!({"status": status})))
}

#[derive(Deserialize)]
struct Forgery {
    secret: Option<String>,
    body: Value,
}

async fn forge(About(telegram): About, Json(forgery): Json<Forgery>) -> Answer {
    let status = telegram.forge(forgery.secret.as_deref(), &forgery.body).await?;
    Ok(Json(json!({"status": status})))
}

async fn add_fault(About(telegram): About, Json(rule): Json<FaultRule>) -> Json<Value> {
    telegram.fault(rule);
    Json(json!({}))
}

async fn clear_faults(About(telegram): About) -> Json<Value> {
    telegram.clear_faults();
    Json(json!({}))
}

#[derive(Deserialize)]
struct Settings {
    rate_limits: Option<bool>,
    deliver_twice: Option<bool>,
}

async fn settings(About(telegram): About, Json(settings): Json<Settings>) -> Json<Value> {
    if let Some(on) = settings.rate_limits {
        telegram.rate_limits(on);
    }
    if let Some(on) = settings.deliver_twice {
        telegram.deliver_twice(on);
    }
    Json(json!({}))
}

async fn sent(About(telegram): About) -> Json<Value> {
    Json(json!({"sent": telegram.sent()}))
}

async fn journal(About(telegram): About) -> Json<Value> {
    Json(json!({"journal": telegram.journal()}))
}

async fn clear_journal(About(telegram): About) -> Json<Value> {
    telegram.clear_journal();
    Json(json!({}))
}

async fn counters(About(telegram): About) -> Json<Value> {
    Json(json!(telegram.counters()))
}

async fn webhook(About(telegram): About) -> Json<Value> {
    Json(telegram.webhook_info())
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

async fn wait(About(telegram): About, Json(wait): Json<Wait>) -> Answer {
    if json!(telegram.counters()).get(&wait.counter).is_none() {
        return Err(ControlError::Impossible("unknown counter"));
    }
    let reached = |value: &Value| value[&wait.counter].as_u64() >= Some(wait.at_least);
    telegram
        .wait_for(
            |view| reached(&json!(view.counters())),
            Duration::from_millis(wait.deadline_ms),
        )
        .await
        .map_err(|error| ControlError::DeadlinePassed(error.to_string()))?;
    Ok(Json(json!(telegram.counters())))
}
