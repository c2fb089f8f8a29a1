//! The same control over HTTP, for gateways that run in another process.
//!
//! Every path may be asked of another OA with `?oa=<oa id>`.

use super::{
    act::{Act, AdminAct, ConsoleAction},
    fault::FaultRule,
    handle::ZaloHandle,
    options::Switches,
    person::NewPerson,
    schedule::EventServer,
    server::Shared,
    webhook::WebhookToggles,
};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Nobody with this number.
    #[error("unknown person")]
    UnknownPerson,
    /// No such group.
    #[error("unknown group")]
    UnknownGroup,
    /// No such message of this person, or it was forgotten; or no button with this payload.
    #[error("unknown message")]
    UnknownMessage,
    /// No such event, or it was forgotten.
    #[error("unknown event")]
    UnknownEvent,
    /// The OA has no such template.
    #[error("unknown template")]
    UnknownTemplate,
    /// No OA with this id.
    #[error("unknown OA")]
    UnknownOa,
    /// The app has no webhook, or its subscription was cancelled.
    #[error("no webhook is set")]
    NoWebhook,
    /// The webhook did not answer, or not as it must.
    #[error("no good answer from the webhook: {0}")]
    NoAnswer(String),
    /// The act makes no sense where it is done.
    #[error("impossible: {0}")]
    Impossible(&'static str),
    /// What was asked for cannot be read.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// A condition did not come to hold.
    #[error("{0}")]
    DeadlinePassed(String),
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownPerson
            | Self::UnknownGroup
            | Self::UnknownMessage
            | Self::UnknownEvent
            | Self::UnknownTemplate
            | Self::UnknownOa => StatusCode::NOT_FOUND,
            Self::NoWebhook | Self::Impossible(_) => StatusCode::CONFLICT,
            Self::NoAnswer(_) => StatusCode::BAD_GATEWAY,
            Self::Unreadable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::DeadlinePassed(_) => StatusCode::REQUEST_TIMEOUT,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

type Answer = Result<Json<Value>, ControlError>;

#[derive(Deserialize)]
struct Which {
    oa: Option<String>,
}

/// The OA that a request is about.
struct About(ZaloHandle);

impl axum::extract::FromRequestParts<Arc<Shared>> for About {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Response> {
        let Query(which) = Query::<Which>::from_request_parts(parts, shared)
            .await
            .map_err(IntoResponse::into_response)?;
        let oa = match which.oa {
            Some(id) => shared.lock().oa_index(&id),
            None => Some(0),
        };
        oa.map(|oa| Self(ZaloHandle::inner(shared, oa)))
            .ok_or_else(|| ControlError::UnknownOa.into_response())
    }
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/oas", get(oas))
        .route("/people", post(add_person))
        .route("/groups", post(add_group))
        .route("/act", post(act))
        .route("/admin", post(admin))
        .route("/console", post(console))
        .route("/burst", post(burst))
        .route("/events", get(events).post(other_event))
        .route("/redeliver", post(redeliver))
        .route("/release", post(release))
        .route("/forge", post(forge))
        .route("/webhook", get(webhook).post(set_webhook).delete(remove_webhook))
        .route("/webhook/enable", post(enable_webhook))
        .route("/webhook/toggles", post(webhook_toggles))
        .route("/authorize", post(authorize))
        .route("/revoke", post(revoke))
        .route("/expire", post(expire))
        .route("/advance", post(advance))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/settings", get(settings).post(change_settings))
        .route("/sent", get(sent))
        .route("/journal", get(journal).delete(clear_journal))
        .route("/counters", get(counters))
        .route("/wait", post(wait))
}

async fn oas(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let count = shared.lock().oas.len();
    let oas: Vec<Value> = (0..count)
        .map(|oa| {
            let zalo = ZaloHandle::inner(&shared, oa);
            let tokens = zalo.tokens().unzip();
            json!({
                "oa_id": zalo.oa_id(), "app_id": zalo.app_id(), "app_secret": zalo.app_secret(),
                "oa_secret_key": zalo.oa_secret_key(), "access_token": tokens.0, "refresh_token": tokens.1,
            })
        })
        .collect();
    Json(json!({"oas": oas}))
}

async fn add_person(About(zalo): About, Json(new): Json<NewPerson>) -> Json<Value> {
    let person = zalo.new_person(new);
    Json(json!({
        "id": person.id(), "user_id": person.user_id(), "user_id_by_app": person.user_id_by_app(),
        "conversation_id": person.conversation_id(),
    }))
}

#[derive(Deserialize)]
struct NewGroup {
    name: String,
    #[serde(default)]
    members: BTreeSet<u64>,
}

async fn add_group(About(zalo): About, Json(new): Json<NewGroup>) -> Json<Value> {
    Json(json!({"id": zalo.add_group(&new.name, new.members)}))
}

async fn act(About(zalo): About, Json(act): Json<Act>) -> Answer {
    zalo.act(&act).map(|done| Json(json!(done)))
}

async fn admin(About(zalo): About, Json(act): Json<AdminAct>) -> Answer {
    zalo.admin(&act).map(|done| Json(json!(done)))
}

async fn console(About(zalo): About, Json(action): Json<ConsoleAction>) -> Answer {
    zalo.console(&action).map(|done| Json(json!(done)))
}

#[derive(Deserialize)]
struct Burst {
    people: Vec<u64>,
    count: u32,
    #[serde(default)]
    text: String,
}

async fn burst(About(zalo): About, Json(burst): Json<Burst>) -> Answer {
    let made = zalo.burst(&burst.people, burst.count, &burst.text).await?;
    Ok(Json(json!({"events": made})))
}

async fn events(About(zalo): About) -> Json<Value> {
    Json(json!({"events": zalo.events()}))
}

#[derive(Deserialize)]
struct OtherEvent {
    name: String,
    #[serde(default)]
    server: EventServer,
    body: Map<String, Value>,
}

async fn other_event(About(zalo): About, Json(event): Json<OtherEvent>) -> Json<Value> {
    let made = zalo.other_event(&event.name, event.server, Value::Object(event.body));
    Json(json!({"event": made}))
}

#[derive(Deserialize)]
struct Redelivery {
    event: u64,
}

async fn redeliver(About(zalo): About, Json(redelivery): Json<Redelivery>) -> Answer {
    let status = zalo.redeliver(redelivery.event).await?;
    Ok(Json(json!({"status": status})))
}

async fn release(About(zalo): About) -> Json<Value> {
    zalo.release();
    Json(json!({}))
}

#[derive(Deserialize)]
struct Forgery {
    key: Option<String>,
    body: String,
}

async fn forge(About(zalo): About, Json(forgery): Json<Forgery>) -> Answer {
    let status = zalo.forge(forgery.key.as_deref(), &forgery.body).await?;
    Ok(Json(json!({"status": status})))
}

async fn webhook(About(zalo): About) -> Json<Value> {
    Json(zalo.webhook_info())
}

#[derive(Deserialize)]
struct Address {
    url: String,
}

async fn set_webhook(About(zalo): About, Json(address): Json<Address>) -> Answer {
    zalo.set_webhook(&address.url).await?;
    Ok(Json(zalo.webhook_info()))
}

async fn remove_webhook(About(zalo): About) -> Json<Value> {
    zalo.remove_webhook();
    Json(zalo.webhook_info())
}

async fn enable_webhook(About(zalo): About) -> Json<Value> {
    zalo.enable_webhook();
    Json(zalo.webhook_info())
}

async fn webhook_toggles(About(zalo): About, Json(toggles): Json<WebhookToggles>) -> Json<Value> {
    zalo.webhook_toggles(toggles);
    Json(zalo.webhook_info())
}

#[derive(Deserialize)]
struct Authorization {
    challenge: Option<String>,
}

async fn authorize(About(zalo): About, Json(given): Json<Authorization>) -> Json<Value> {
    Json(json!({"code": zalo.authorize(given.challenge.as_deref()), "oa_id": zalo.oa_id()}))
}

async fn revoke(About(zalo): About) -> Json<Value> {
    zalo.revoke();
    Json(json!({}))
}

async fn expire(About(zalo): About) -> Json<Value> {
    zalo.expire_access_tokens();
    Json(json!({}))
}

#[derive(Deserialize)]
struct Advance {
    seconds: u64,
}

async fn advance(About(zalo): About, Json(advance): Json<Advance>) -> Json<Value> {
    zalo.advance(Duration::from_secs(advance.seconds));
    Json(json!({"unix_ms": zalo.unix_ms()}))
}

async fn add_fault(About(zalo): About, Json(rule): Json<FaultRule>) -> Json<Value> {
    zalo.fault(rule);
    Json(json!({}))
}

async fn clear_faults(About(zalo): About) -> Json<Value> {
    zalo.clear_faults();
    Json(json!({}))
}

async fn settings(About(zalo): About) -> Json<Value> {
    Json(json!(zalo.switches()))
}

/// What is not named stays as it is.
async fn change_settings(About(zalo): About, Json(named): Json<Map<String, Value>>) -> Answer {
    let mut all = json!(zalo.switches());
    if let Some(all) = all.as_object_mut() {
        all.extend(named);
    }
    let changed: Switches = serde_json::from_value(all).map_err(|error| ControlError::Unreadable(error.to_string()))?;
    zalo.switch(|switches| *switches = changed);
    Ok(Json(json!(zalo.switches())))
}

async fn sent(About(zalo): About) -> Json<Value> {
    Json(json!({"sent": zalo.sent()}))
}

async fn journal(About(zalo): About) -> Json<Value> {
    Json(json!({"journal": zalo.journal()}))
}

async fn clear_journal(About(zalo): About) -> Json<Value> {
    zalo.clear_journal();
    Json(json!({}))
}

async fn counters(About(zalo): About) -> Json<Value> {
    Json(json!(zalo.counters()))
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

async fn wait(About(zalo): About, Json(wait): Json<Wait>) -> Answer {
    if json!(zalo.counters()).get(&wait.counter).is_none() {
        return Err(ControlError::Impossible("unknown counter"));
    }
    let reached = |value: &Value| value[&wait.counter].as_u64() >= Some(wait.at_least);
    zalo.wait_for(
        |view| reached(&json!(view.counters())),
        Duration::from_millis(wait.deadline_ms),
    )
    .await
    .map_err(|error| ControlError::DeadlinePassed(error.to_string()))?;
    Ok(Json(json!(zalo.counters())))
}
