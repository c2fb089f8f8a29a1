//! Delivery to the webhooks, one task per app.

use super::{
    schedule::{Event, Failed},
    server::Shared,
    world::World,
};
use axum::http::{
    Request,
    header::{CONTENT_TYPE, USER_AGENT},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{future, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

/// The client that webhooks are called with.
pub(super) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Zalo reads nothing of an answer but its status; more than this is not taken off the wire.
const ANSWER_LIMIT: usize = 64 << 10;

pub(super) fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// One request to a webhook.
#[derive(Clone, Debug, Default)]
pub(super) struct Post {
    pub(super) url: String,
    pub(super) server: Option<&'static str>,
    pub(super) signature: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) num_retry: usize,
    pub(super) body: Bytes,
}

impl World {
    /// `event` as it goes to the webhook of `app`, which has one.
    pub(super) fn post_of(&self, app: usize, event: &Event, num_retry: usize) -> Option<Post> {
        let app = &self.apps[app];
        Some(Post {
            url: app.webhook.target()?.to_owned(),
            server: Some(event.server.header()),
            signature: Some(self.signature(app, event)),
            timestamp: self.switches.timestamp_header.then(|| event.timestamp.clone()),
            num_retry,
            body: Bytes::copy_from_slice(event.body.as_bytes()),
        })
    }
}

struct Delivered {
    generation: u64,
    event: u64,
    outcome: Result<u16, String>,
}

/// Delivers until the sandbox stops.
pub(super) async fn run(shared: Arc<Shared>, app: usize) {
    let mut arrivals = shared.arrivals();
    let mut running = JoinSet::new();
    loop {
        arrivals.borrow_and_update();
        let before = running.len();
        let wake = start_due(&shared, app, &mut running);
        if running.len() > before {
            shared.changed();
        }
        tokio::select! {
            () = shared.cancel.cancelled() => return,
            changed = arrivals.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(joined) = running.join_next() => match joined {
                Ok(delivered) => settle(&shared, app, delivered),
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
fn start_due(shared: &Arc<Shared>, app: usize, running: &mut JoinSet<Delivered>) -> Option<Instant> {
    let mut world = shared.lock();
    let now = world.now().at;
    let twice = world.switches.deliver_twice;
    let generation = world.apps[app].webhook.generation;
    while let Some((event, failures)) = world.apps[app].webhook.schedule.next(now) {
        let Some(post) = world.post_of(app, &event, failures) else {
            break;
        };
        world.journal.counters.deliveries += 1 + u64::from(twice);
        let (shared, number) = (Arc::clone(shared), event.number);
        running.spawn(async move {
            let limit = shared.options.webhook_timeout;
            let outcome = send(&shared.client, post.clone(), limit).await;
            if twice {
                // The answer to the copy is of no account, as when a first answer was lost.
                drop(send(&shared.client, post, limit).await);
            }
            Delivered {
                generation,
                event: number,
                outcome,
            }
        });
    }
    world.apps[app].webhook.schedule.wakes_at()
}

fn settle(shared: &Shared, app: usize, delivered: Delivered) {
    let mut world = shared.lock();
    let now = world.now().at;
    let World {
        apps, journal, options, ..
    } = &mut *world;
    let webhook = &mut apps[app].webhook;
    if webhook.generation != delivered.generation {
        return;
    }
    let why = match delivered.outcome {
        Ok(200) => {
            webhook.schedule.succeeded(delivered.event, now);
            journal.counters.delivered += 1;
            drop(world);
            return shared.changed();
        }
        Ok(status) => format!("answered {status}"),
        Err(why) => why,
    };
    journal.counters.failed_deliveries += 1;
    webhook.last_error = Some(why);
    let ladder: &[Duration] = if webhook.toggles.retry {
        &options.retry_ladder
    } else {
        &[]
    };
    match webhook.schedule.failed(delivered.event, ladder, options.speed, now) {
        Failed::Retried => {}
        Failed::Dropped => journal.counters.dropped += 1,
        Failed::Exhausted => {
            journal.counters.dropped += 1 + webhook.cancel();
            journal.counters.cancelled += 1;
        }
    }
    drop(world);
    shared.changed();
}

/// One POST; answers the HTTP status, or why there was none.
pub(super) async fn send(client: &HttpClient, post: Post, limit: Duration) -> Result<u16, String> {
    let mut request = Request::post(&post.url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "ZaloWebhook");
    let headers = [
        ("X-ZEvent-Server", post.server.map(str::to_owned)),
        ("X-ZEvent-Signature", post.signature),
        ("X-ZEvent-Timestamp", post.timestamp),
        ("num_retry", (post.num_retry > 0).then(|| post.num_retry.to_string())),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let request = request
        .body(Full::new(post.body))
        .map_err(|_| "the address is malformed".to_owned())?;
    let exchange = async {
        let response = client.request(request).await.map_err(|error| {
            if error.is_connect() {
                "connection refused"
            } else {
                "connection closed"
            }
        })?;
        let status = response.status().as_u16();
        // Read to its end, so that the connection can be used again.
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        body.map(|_| status).map_err(|_| "connection closed")
    };
    match timeout(limit, exchange).await {
        Ok(outcome) => outcome.map_err(str::to_owned),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
