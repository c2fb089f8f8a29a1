//! Delivery to the webhook, one task per bot.

use super::{
    api,
    bot::Bot,
    methods::callable_in_answer,
    params::Params,
    server::{Cell, Shared},
    webhook::Failure,
};
use axum::http::{
    HeaderMap, Request,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::{future, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

/// The client that webhooks are called with.
pub(super) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A method call in the body of an answer is small; more than this is not read.
const ANSWER_LIMIT: usize = 1 << 20;

pub(super) fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Where to, and with what headers.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    pub(super) authorization: Option<String>,
}

impl Bot {
    pub(super) fn target_of_webhook(&self) -> Option<Target> {
        self.webhook.as_ref().map(|webhook| Target {
            url: webhook.url.clone(),
            secret: webhook.secret.clone(),
            authorization: webhook.authorization.clone(),
        })
    }
}

/// The webhook's answer, where it accepted the update.
#[derive(Debug)]
pub(super) struct Accepted {
    headers: HeaderMap,
    body: Bytes,
}

struct Delivered {
    generation: u64,
    update: u32,
    outcome: Result<Accepted, Failure>,
}

/// Delivers until the sandbox stops.
pub(super) async fn run(shared: Arc<Shared>, cell: Arc<Cell>) {
    let mut arrivals = cell.arrivals();
    let mut running = JoinSet::new();
    loop {
        arrivals.borrow_and_update();
        let before = running.len();
        let wake = start_due(&shared, &cell, &mut running);
        if running.len() > before {
            cell.changed();
        }
        tokio::select! {
            () = shared.cancel.cancelled() => return,
            changed = arrivals.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(joined) = running.join_next() => match joined {
                Ok(delivered) => settle(&shared, &cell, delivered),
                Err(error) => tracing::error!(%error, "a delivery task failed"),
            },
            () = until(wake) => {}
        }
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => future::pending().await,
    }
}

/// Starts every delivery that is due; answers when the next one will be.
fn start_due(shared: &Arc<Shared>, cell: &Cell, running: &mut JoinSet<Delivered>) -> Option<Instant> {
    let now = shared.now().at;
    let mut guard = cell.lock();
    let generation = guard.webhook_generation;
    let target = guard.target_of_webhook()?;
    let Bot {
        webhook,
        backlog,
        journal,
        deliver_twice,
        ..
    } = &mut *guard;
    let schedule = &mut webhook.as_mut()?.schedule;
    while let Some(update) = schedule.next(backlog, now) {
        let Some(waiting) = backlog.get(update) else {
            // Dropped to make room, or by `drop_pending_updates`, since it was loaded.
            schedule.succeeded(update, now);
            continue;
        };
        let (body, target, shared, twice) = (waiting.body.clone(), target.clone(), Arc::clone(shared), *deliver_twice);
        journal.counters.deliveries += 1 + u64::from(twice);
        running.spawn(async move {
            let timeout = shared.options.webhook_timeout;
            let outcome = post(&shared.client, &target, body.clone(), timeout).await;
            if twice {
                // The answer to the copy is of no account, as when a first answer was lost.
                drop(post(&shared.client, &target, body, timeout).await);
            }
            Delivered {
                generation,
                update,
                outcome,
            }
        });
    }
    schedule.wakes_at()
}

fn settle(shared: &Shared, cell: &Cell, delivered: Delivered) {
    let Delivered {
        generation,
        update,
        outcome,
    } = delivered;
    let now = shared.now();
    let mut bot = cell.lock();
    if bot.webhook_generation != generation {
        return;
    }
    match outcome {
        Ok(accepted) => {
            if let Some(webhook) = &mut bot.webhook {
                webhook.schedule.succeeded(update, now.at);
                webhook.succeeded();
            }
            bot.backlog.forget(update);
            bot.journal.counters.delivered += 1;
            if let Some((method, params)) = call_in(&accepted) {
                let result = bot.call(&method, &params, now);
                api::record(&mut bot, &method, &params, &result, (now.unix, None));
            }
        }
        Err(failure) => {
            bot.journal.counters.failed_deliveries += 1;
            let options = Arc::clone(&bot.options);
            let Some(webhook) = &mut bot.webhook else { return };
            let dropped = webhook.schedule.failed(update, failure.retry_after, now.at);
            let gone = webhook.failed(&failure, now, &options);
            if dropped {
                bot.backlog.forget(update);
                bot.journal.counters.dropped += 1;
            }
            if gone {
                bot.webhook = None;
                bot.webhook_generation += 1;
            }
        }
    }
    drop(bot);
    cell.changed();
}

/// The method call in the answer's body, if it is one that may be made so.
fn call_in(accepted: &Accepted) -> Option<(String, Params)> {
    let mut params = Params::default();
    params
        .add_body(&super::params::content_type(&accepted.headers), &accepted.body)
        .ok()?;
    let method = match params.fields.remove("method")? {
        Value::String(method) => method.to_ascii_lowercase(),
        _ => return None,
    };
    callable_in_answer(&method).then_some((method, params))
}

/// One POST to the webhook.
pub(super) async fn post(
    client: &HttpClient,
    target: &Target,
    body: Bytes,
    limit: Duration,
) -> Result<Accepted, Failure> {
    let failure = |text: &str| Failure {
        status: None,
        text: text.to_owned(),
        retry_after: 0,
    };
    let mut request = Request::post(&target.url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT_ENCODING, "gzip, deflate");
    if let Some(secret) = &target.secret {
        request = request.header("X-Telegram-Bot-Api-Secret-Token", secret);
    }
    if let Some(authorization) = &target.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(Full::new(body)).map_err(|_| failure("URL is too long"))?;
    let exchange = async {
        let response = client.request(request).await.map_err(|error| {
            failure(if error.is_connect() {
                "Connection refused"
            } else {
                "Webhook connection closed"
            })
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT)
            .collect()
            .await
            .map_err(|_| failure("Webhook connection closed"))?;
        Ok((parts, body.to_bytes()))
    };
    let (parts, body) = timeout(limit, exchange)
        .await
        .map_err(|_| failure("Read timeout expired"))??;
    if parts.status.is_success() {
        return Ok(Accepted {
            headers: parts.headers,
            body,
        });
    }
    let retry_after = parts
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let reason = parts.status.canonical_reason().unwrap_or_default();
    Err(Failure {
        status: Some(parts.status.as_u16()),
        text: format!("Wrong response from the webhook: {} {reason}", parts.status.as_u16()),
        retry_after: retry_after.unwrap_or(0),
    })
}
