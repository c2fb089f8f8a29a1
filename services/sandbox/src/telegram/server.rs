//! Starting the sandbox, and what its parts share.

use super::{
    answer::ApiError,
    api,
    bot::Bot,
    clock::Now,
    connection::{Cut, CuttableListener},
    control,
    delivery::{self, HttpClient},
    handle::TelegramHandle,
    options::{BotOptions, Options},
    params::REQUEST_LIMIT,
};
use axum::{Router, extract::DefaultBodyLimit};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A bot, its lock, and who is to be woken.
pub(super) struct Cell {
    pub(super) identity: BotOptions,
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

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

pub(super) struct Shared {
    pub(super) options: Arc<Options>,
    pub(super) cancel: CancellationToken,
    pub(super) client: HttpClient,
    pub(super) cells: BTreeMap<i64, Arc<Cell>>,
    first: i64,
    pub(super) address: SocketAddr,
    pub(super) tasks: TaskTracker,
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
        Ok(TelegramHandle::outer(shared, cell, guard))
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
