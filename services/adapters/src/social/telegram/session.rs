//! Long polling.
//!
//! The cursor is the next offset. Asking with an offset confirms everything before it to Telegram, so an offset is used
//! only after its updates were pushed and the cursor stored.

use super::api::{Answer, Api, retry_after};
use super::inbound::Translator;
use super::limits::MAX_UPDATES;
use super::settings::{BotSettings, BotToken};
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt as _};
use omnigate_core::account::Account;
use omnigate_core::port::adapter::{HttpResponse, PushFailed, Session, SessionError, SessionHost, TransportError};
use omnigate_proto::v1::Event;
use prost::Message as _;
use serde_json::{json, value::RawValue};
use std::time::Duration;

/// Added to the poll's own time before the answer counts as lost.
const POLL_GRACE: Duration = Duration::from_secs(10);
const ACKNOWLEDGE_TIME: Duration = Duration::from_secs(5);
const ACKNOWLEDGE_AT_ONCE: usize = 8;
/// After an answer that is Telegram's fault or the network's.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// After being displaced by another poller: it may be our own predecessor, whose poll ends soon.
const CONFLICT_AFTER: Duration = Duration::from_secs(5);
/// Before asking again a server that does not wait, or that repeats itself.
const PAUSE: Duration = Duration::from_secs(1);
/// What one push holds at most; well within the contract's 1,000 events and 4 MiB.
const MAX_EVENTS: usize = 500;
const MAX_BYTES: usize = 1024 * 1024;

/// The poll of one bot.
pub(super) struct BotSession {
    account: Account,
    bot_id: i64,
    api: Api,
    poll_timeout_s: u64,
    allowed_updates: Vec<String>,
}

/// What a batch of updates comes to.
#[derive(Default)]
struct Batch {
    pushes: Vec<Vec<Event>>,
    callback_ids: Vec<String>,
    next_offset: Option<i64>,
}

impl BotSession {
    pub(super) fn new(account: Account, bot: BotToken, settings: BotSettings) -> Self {
        Self {
            account,
            bot_id: bot.id,
            api: Api::new(bot, settings.api_url),
            poll_timeout_s: settings.poll_timeout_s,
            allowed_updates: settings.allowed_updates,
        }
    }

    /// One poll; `None` when the session was told to stop meanwhile.
    async fn poll(&self, host: &dyn SessionHost, offset: Option<i64>) -> Option<Result<HttpResponse, TransportError>> {
        let mut parameters = vec![
            ("timeout", json!(self.poll_timeout_s)),
            ("limit", json!(MAX_UPDATES)),
            ("allowed_updates", json!(self.allowed_updates)),
        ];
        if let Some(offset) = offset {
            parameters.push(("offset", json!(offset)));
        }
        let time_limit = Duration::from_secs(self.poll_timeout_s) + POLL_GRACE;
        let request = self.api.call("getUpdates", parameters, time_limit);
        match select(host.stopped(), host.transport().call(request)).await {
            Either::Left(_) => None,
            Either::Right((answer, _)) => Some(answer),
        }
    }

    fn translate(&self, updates: &[&RawValue], host: &dyn SessionHost) -> Batch {
        let translator = Translator {
            account: &self.account,
            bot_id: Some(self.bot_id),
            received_at: host.now(),
        };
        let mut batch = Batch::default();
        let mut events = Vec::new();
        for update in updates {
            // The bytes are JSON: they were just cut out of JSON.
            let Ok(translated) = translator.update(update.get().as_bytes()) else {
                continue;
            };
            let next = translated.update_id.map(|id| id.saturating_add(1));
            batch.next_offset = batch.next_offset.max(next);
            batch.callback_ids.extend(translated.callback_id);
            events.extend(translated.events);
        }
        batch.pushes = pushes(events);
        batch
    }

    /// Acknowledges presses of buttons. A lost acknowledgement leaves a spinner on the button, nothing more, so failures
    /// are not retried; the events are durable already.
    async fn acknowledge(&self, host: &dyn SessionHost, callback_ids: Vec<String>) {
        let answers = stream::iter(callback_ids).for_each_concurrent(ACKNOWLEDGE_AT_ONCE, |id| async move {
            let parameters = vec![("callback_query_id", json!(id))];
            let request = self.api.call("answerCallbackQuery", parameters, ACKNOWLEDGE_TIME);
            if let Err(error) = host.transport().call(request).await {
                tracing::debug!(account_id = self.account.id, %error, "button press was not acknowledged");
            }
        });
        select(host.stopped(), Box::pin(answers)).await;
    }

    /// Why there are no updates in an answer.
    fn failure(&self, response: &HttpResponse) -> SessionError {
        let answer = Answer::read(response);
        let code = answer
            .as_ref()
            .map_or_else(|| i64::from(response.status), |answer| answer.code(response));
        let words = answer.as_ref().map_or("", Answer::words);
        let told = self.api.redacted(words);
        match code {
            401 | 404 => SessionError::Misconfigured(format!("telegram does not know this bot_token ({code} {told})")),
            409 if words.contains("webhook") => SessionError::Misconfigured(
                "a webhook is active for this bot: call deleteWebhook, or set mode = \"webhook\" with its secret_token"
                    .to_owned(),
            ),
            409 => retry("another process polls with this bot_token", CONFLICT_AFTER),
            429 => {
                let after = retry_after(answer.as_ref(), response).unwrap_or(RETRY_AFTER);
                retry("telegram asks to wait", after)
            }
            300..=399 => SessionError::Misconfigured(format!("api_url answers with a redirect ({code})")),
            400..=499 if answer.is_some() => {
                SessionError::Misconfigured(format!("telegram refuses to be polled: {told}"))
            }
            _ => retry(&format!("telegram answered {code} without updates"), RETRY_AFTER),
        }
    }
}

#[async_trait::async_trait]
impl Session for BotSession {
    async fn run(&self, host: &dyn SessionHost) -> Result<(), SessionError> {
        let mut offset = read_cursor(&host.cursor());
        loop {
            let asked_at = host.now();
            let Some(answered) = self.poll(host, offset).await else {
                return Ok(());
            };
            let response = answered.map_err(lost)?;
            let Some(updates) = updates(&response) else {
                return Err(self.failure(&response));
            };
            // Numbers restart at random after a week without updates (Bot API, `Update`), and a stored offset may be of
            // another server, so the offset follows the last batch up or down and is never compared with an older one.
            // An empty answer to an offset confirms all before it; asking without one from then on returns whatever
            // comes next, also under lower numbers.
            if updates.is_empty() {
                offset = None;
                if host.now().since(asked_at) < PAUSE {
                    pause(host).await;
                }
                continue;
            }
            let batch = self.translate(&updates, host);
            for events in batch.pushes {
                host.push(events).await.map_err(|error| not_durable(&error))?;
            }
            let Some(next) = batch.next_offset else {
                return Err(retry("telegram sent updates without numbers", Duration::from_secs(30)));
            };
            let cursor = Bytes::from(next.to_string());
            host.checkpoint(cursor).await.map_err(|error| not_durable(&error))?;
            self.acknowledge(host, batch.callback_ids).await;
            if offset == Some(next) {
                tracing::warn!(
                    account_id = self.account.id,
                    "telegram repeats updates that were confirmed"
                );
                pause(host).await;
            }
            offset = Some(next);
        }
    }
}

/// A cursor that cannot be read costs nothing: Telegram keeps what was not confirmed.
fn read_cursor(cursor: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(cursor).ok()?;
    let offset = text.parse().ok();
    if offset.is_none() && !text.is_empty() {
        tracing::warn!("stored offset is not a number, asking for all unconfirmed updates");
    }
    offset
}

/// Events divided into pushes, in order.
fn pushes(events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut pushes = Vec::new();
    let (mut push, mut bytes) = (Vec::new(), 0);
    for event in events {
        let size = event.encoded_len();
        if push.len() >= MAX_EVENTS || (bytes + size > MAX_BYTES && !push.is_empty()) {
            pushes.push(std::mem::take(&mut push));
            bytes = 0;
        }
        bytes += size;
        push.push(event);
    }
    if !push.is_empty() {
        pushes.push(push);
    }
    pushes
}

fn updates(response: &HttpResponse) -> Option<Vec<&RawValue>> {
    let answer = Answer::read(response).filter(|answer| answer.ok && response.status == 200)?;
    serde_json::from_str(answer.result?.get()).ok()
}

fn lost(error: TransportError) -> SessionError {
    match error {
        TransportError::Forbidden(_) => SessionError::Misconfigured(format!("api_url: {error}")),
        TransportError::NotSent(_) | TransportError::Ambiguous(_) => retry(&error.to_string(), RETRY_AFTER),
    }
}

async fn pause(host: &dyn SessionHost) {
    select(host.stopped(), host.sleep(PAUSE)).await;
}

fn not_durable(error: &PushFailed) -> SessionError {
    retry(&error.to_string(), RETRY_AFTER)
}

fn retry(problem: &str, after: Duration) -> SessionError {
    SessionError::Retry {
        problem: problem.to_owned(),
        after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize, size: usize) -> Event {
        Event {
            stable_key: number.to_string(),
            provider_time: "x".repeat(size),
            ..Event::default()
        }
    }

    fn sizes(events: Vec<Event>) -> Vec<usize> {
        let all = events.clone();
        let pushes = pushes(events);
        assert_eq!(pushes.concat(), all);
        pushes.iter().map(Vec::len).collect()
    }

    #[test]
    fn pushes_are_bounded_and_keep_the_order() {
        assert_eq!(sizes(Vec::new()), Vec::<usize>::new());
        assert_eq!(
            sizes((0..1_001).map(|number| event(number, 0)).collect()),
            [500, 500, 1]
        );
        assert_eq!(sizes((0..5).map(|number| event(number, 400_000)).collect()), [2, 2, 1]);
        assert_eq!(sizes((0..2).map(|number| event(number, 2_000_000)).collect()), [1, 1]);
    }
}
