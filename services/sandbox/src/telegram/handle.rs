//! Starting the sandbox, and the side that whoever runs it holds.

use super::{
    answer::ApiError,
    api,
    backlog::Kind,
    bot::Bot,
    clock::Now,
    connection::{Cut, CuttableListener},
    control::{self, ControlError},
    delivery::{self, HttpClient, Target},
    fault::FaultRule,
    journal::{Counters, JournalEntry, SentMessage},
    options::{BotOptions, Options},
    params::REQUEST_LIMIT,
    people::{ChatKind, NewUser},
    user::{Act, Done, UserHandle},
};
use axum::{Router, extract::DefaultBodyLimit};
use bytes::Bytes;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// A bot, its lock, and who is to be woken.
pub(super) struct Cell {
    identity: BotOptions,
    bot: Mutex<Bot>,
    arrivals: watch::Sender<u64>,
    changes: watch::Sender<u64>,
}

impl Cell {
    pub(super) fn lock(&self) -> MutexGuard<'_, Bot> {
        // A test that panicked in a condition must not take the fake down with it.
        self.bot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the delivery and the long poll: there are updates, or another webhook.
    pub(super) fn arrived(&self) {
        self.arrivals.send_modify(|count| *count = count.wrapping_add(1));
        self.changed();
    }

    /// Wakes whoever waits for a condition.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }
}

pub(super) struct Shared {
    pub(super) options: Arc<Options>,
    pub(super) cancel: CancellationToken,
    pub(super) client: HttpClient,
    pub(super) cells: BTreeMap<i64, Arc<Cell>>,
    first: i64,
    address: SocketAddr,
    tasks: TaskTracker,
}

impl Shared {
    pub(super) fn now(&self) -> Now {
        self.options.clock.now()
    }

    pub(super) fn first(&self) -> Option<&Arc<Cell>> {
        self.cells.get(&self.first)
    }

    /// The bot of `token`: 404 for what cannot be a token, 401 for one that is nobody's.
    pub(super) fn cell(&self, token: &str) -> Result<Arc<Cell>, ApiError> {
        let id = bot_id(token).ok_or_else(ApiError::not_found)?;
        let cell = self.cells.get(&id).filter(|cell| cell.identity.token == token);
        cell.cloned().ok_or_else(ApiError::unauthorized)
    }
}

/// The id in `<id>:<secret>`.
fn bot_id(token: &str) -> Option<i64> {
    let (id, secret) = token.split_once(':')?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if secret.is_empty() || !secret.bytes().all(legal) || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    id.parse().ok().filter(|id| *id > 0)
}

/// The fake Bot API server.
pub struct Telegram;

impl Telegram {
    /// Serves on `listener` until the last handle is dropped or stopped.
    ///
    /// # Errors
    /// When the listener has no address, or the options name no bot or one whose token is malformed.
    pub fn start(listener: TcpListener, options: Options) -> io::Result<TelegramHandle> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
        let options = Arc::new(options);
        let mut cells = BTreeMap::new();
        for identity in &options.bots {
            let id = bot_id(&identity.token).ok_or_else(|| invalid("malformed bot token"))?;
            let cell = Cell {
                identity: identity.clone(),
                bot: Mutex::new(Bot::new(id, identity.clone(), Arc::clone(&options))),
                arrivals: watch::Sender::new(0),
                changes: watch::Sender::new(0),
            };
            cells.insert(id, Arc::new(cell));
        }
        let first = options
            .bots
            .first()
            .and_then(|bot| bot_id(&bot.token))
            .ok_or_else(|| invalid("no bot"))?;
        let shared = Arc::new(Shared {
            address: listener.local_addr()?,
            client: delivery::client(),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            options,
            cells,
            first,
        });
        let cell = shared.first().cloned().ok_or_else(|| invalid("no bot"))?;
        for cell in shared.cells.values() {
            shared.tasks.spawn(delivery::run(Arc::clone(&shared), Arc::clone(cell)));
        }
        shared.tasks.spawn(serve(listener, Arc::clone(&shared)));
        let guard = Arc::new(shared.cancel.clone().drop_guard());
        Ok(TelegramHandle {
            shared,
            cell,
            guard: Some(guard),
        })
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let cancel = shared.cancel.clone();
    let mut router = Router::new();
    if shared.options.control {
        router = router.nest("/control", control::router());
    }
    let service = router
        .fallback(api::serve)
        .layer(DefaultBodyLimit::max(REQUEST_LIMIT))
        .with_state(shared)
        .into_make_service_with_connect_info::<Cut>();
    tokio::select! {
        served = axum::serve(CuttableListener(listener), service) => {
            if let Err(error) = served {
                tracing::error!(%error, "the telegram sandbox stopped serving");
            }
        }
        // No grace: a provider that vanishes does so in the middle of an answer.
        () = cancel.cancelled() => {}
    }
}

/// One bot as whoever runs the sandbox sees it. Clones speak of the same one.
#[derive(Clone)]
pub struct TelegramHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) cell: Arc<Cell>,
    /// Absent in handles that the sandbox makes for itself, which must not keep it alive.
    guard: Option<Arc<DropGuard>>,
}

impl TelegramHandle {
    pub(super) fn inner(shared: &Arc<Shared>, cell: &Arc<Cell>) -> Self {
        Self {
            shared: Arc::clone(shared),
            cell: Arc::clone(cell),
            guard: None,
        }
    }

    /// Where the sandbox listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://127.0.0.1:PORT`: put this where `https://api.telegram.org` would stand.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// The bot's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.cell.identity.token
    }

    /// The bot's id.
    #[must_use]
    pub fn bot_id(&self) -> i64 {
        self.cell.lock().id
    }

    /// The same sandbox's bot of `token`.
    #[must_use]
    pub fn for_bot(&self, token: &str) -> Option<Self> {
        let cell = self.shared.cell(token).ok()?;
        Some(Self {
            shared: Arc::clone(&self.shared),
            cell,
            guard: self.guard.clone(),
        })
    }

    /// A person who has written to the bot before.
    #[must_use]
    pub fn user(&self, first_name: &str) -> UserHandle {
        self.new_user(NewUser {
            first_name: first_name.to_owned(),
            ..NewUser::default()
        })
    }

    /// A person as described.
    #[must_use]
    pub fn new_user(&self, new: NewUser) -> UserHandle {
        let id = self.cell.lock().people.add_user(new);
        UserHandle::new(self.clone(), id)
    }

    /// A group with `members` and the bot; answers its id.
    #[must_use]
    pub fn group(&self, kind: ChatKind, title: &str, members: &[&UserHandle]) -> i64 {
        let members: BTreeSet<i64> = members.iter().map(|user| user.id()).collect();
        self.cell.lock().people.add_group(kind, title, members)
    }

    /// Turns a group into a supergroup; answers its new id.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn migrate(&self, group: i64) -> Result<i64, ControlError> {
        let migrated = self.cell.lock().migrate(group, self.shared.now());
        self.cell.arrived();
        migrated
    }

    /// Lets somebody do something.
    ///
    /// # Errors
    /// When the person, the chat or the message is not there, or the act is impossible.
    pub fn act(&self, act: &Act) -> Result<Done, ControlError> {
        let done = self.cell.lock().act(act, self.shared.now());
        self.cell.arrived();
        done
    }

    /// Makes an update with exactly this content, such as one of a kind that Telegram has yet to invent. None where the bot
    /// did not ask for its kind.
    pub fn other_update(&self, name: &str, content: &Value) -> Option<u32> {
        let update = self
            .cell
            .lock()
            .named_update(name, Kind::Other, content, 0, self.shared.now());
        self.cell.arrived();
        update
    }

    /// Adds a fault.
    pub fn fault(&self, rule: FaultRule) {
        self.cell.lock().faults.add(rule);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.cell.lock().faults.clear();
    }

    /// Switches the rates on or off.
    pub fn rate_limits(&self, on: bool) {
        self.cell.lock().rate_limits = on;
    }

    /// Whether every update goes to the webhook twice.
    pub fn deliver_twice(&self, on: bool) {
        self.cell.lock().deliver_twice = on;
    }

    /// Forgets what was recorded, counts too.
    pub fn clear_journal(&self) {
        self.cell.lock().journal.clear();
        self.cell.changed();
    }

    /// Delivers an update, waiting or past, once more, out of turn. Answers the webhook's HTTP status.
    ///
    /// # Errors
    /// When the update is forgotten, there is no webhook, or it did not answer.
    pub async fn redeliver(&self, update: u32) -> Result<u16, ControlError> {
        let (body, target) = {
            let bot = self.cell.lock();
            let body = bot.backlog.body(update).ok_or(ControlError::UnknownUpdate)?;
            (body, bot.target_of_webhook().ok_or(ControlError::NoWebhook)?)
        };
        self.deliver(target, body).await
    }

    /// Sends `body` to the webhook's address as somebody would who is not Telegram, with `secret` in the header or with
    /// none. Answers the HTTP status.
    ///
    /// # Errors
    /// When there is no webhook, or it did not answer.
    pub async fn forge(&self, secret: Option<&str>, body: &Value) -> Result<u16, ControlError> {
        let mut target = self.cell.lock().target_of_webhook().ok_or(ControlError::NoWebhook)?;
        target.secret = secret.map(str::to_owned);
        self.deliver(target, Bytes::from(body.to_string())).await
    }

    async fn deliver(&self, target: Target, body: Bytes) -> Result<u16, ControlError> {
        let limit = self.shared.options.webhook_timeout;
        match delivery::post(&self.shared.client, &target, body, limit).await {
            Ok(_) => Ok(200),
            Err(failure) => failure.status.ok_or(ControlError::NoAnswer(failure.text)),
        }
    }

    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.cell.lock().journal.counters
    }

    /// The messages that the bot sent, oldest first, as far as they are remembered.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.cell.lock().journal.sent.iter().cloned().collect()
    }

    /// The calls that the bot made, oldest first, as far as they are remembered. Polls are only counted.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.cell.lock().journal.calls.iter().cloned().collect()
    }

    /// What `getWebhookInfo` answers.
    #[must_use]
    pub fn webhook_info(&self) -> Value {
        self.cell.lock().webhook_info()
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn wait_for(
        &self,
        condition: impl Fn(&View<'_>) -> bool,
        deadline: Duration,
    ) -> Result<(), DeadlinePassed> {
        let mut changes = self.cell.changes.subscribe();
        let holds = || condition(&View { bot: &self.cell.lock() });
        let waited = timeout(deadline, async {
            while !holds() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        match waited.await {
            Ok(()) => Ok(()),
            Err(_) if holds() => Ok(()),
            Err(_) => Err(DeadlinePassed {
                after: deadline,
                counters: Box::new(self.counters()),
            }),
        }
    }

    /// Stops serving, at once.
    pub async fn stop(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// A condition did not come to hold.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the condition did not hold within {after:?}; counters: {counters:?}")]
pub struct DeadlinePassed {
    after: Duration,
    counters: Box<Counters>,
}

/// What a condition may look at.
pub struct View<'a> {
    bot: &'a Bot,
}

impl View<'_> {
    /// The counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.bot.journal.counters
    }

    /// The messages that the bot sent, oldest first.
    pub fn sent(&self) -> impl DoubleEndedIterator<Item = &SentMessage> {
        self.bot.journal.sent.iter()
    }

    /// The calls that the bot made, oldest first.
    pub fn journal(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.bot.journal.calls.iter()
    }

    /// How often the bot sent `text` to `chat`, as far as messages are remembered.
    #[must_use]
    pub fn copies(&self, chat: i64, text: &str) -> usize {
        self.sent()
            .filter(|sent| sent.chat_id == chat && sent.text.as_deref() == Some(text))
            .count()
    }

    /// Updates that were neither accepted nor confirmed.
    #[must_use]
    pub fn pending_updates(&self) -> usize {
        self.bot.backlog.len()
    }

    /// Webhook requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.bot
            .webhook
            .as_ref()
            .map_or(0, |webhook| webhook.schedule.in_flight())
    }

    /// The webhook's address.
    #[must_use]
    pub fn webhook_url(&self) -> Option<&str> {
        self.bot.webhook.as_ref().map(|webhook| webhook.url.as_str())
    }
}

#[cfg(test)]
mod tests;
