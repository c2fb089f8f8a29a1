//! Starting the sandbox, and what its parts share.

use super::{
    api, control,
    delivery::{self, HttpClient},
    handle::ZaloHandle,
    options::Options,
    params::REQUEST_LIMIT,
    world::World,
};
use crate::connection::{Cut, CuttableListener};
use axum::{Router, extract::DefaultBodyLimit};
use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) struct Shared {
    pub(super) options: Arc<Options>,
    world: Mutex<World>,
    arrivals: watch::Sender<u64>,
    changes: watch::Sender<u64>,
    pub(super) cancel: CancellationToken,
    pub(super) client: HttpClient,
    pub(super) address: SocketAddr,
    pub(super) tasks: TaskTracker,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        // A test that panicked in a condition must not take the fake down with it.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the deliveries: there are events, or another webhook.
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

/// The fake Zalo.
pub struct Zalo;

impl Zalo {
    /// Serves on `listener` until the last handle is dropped or stopped.
    ///
    /// # Errors
    /// When the listener has no address, or the options name no OA or one id twice.
    pub fn start(listener: TcpListener, options: Options) -> io::Result<ZaloHandle> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
        let mut ids = BTreeSet::new();
        for app in &options.apps {
            if !ids.insert(&app.app_id) || !app.oas.iter().all(|oa| ids.insert(&oa.oa_id)) {
                return Err(invalid("two apps or OAs have one id"));
            }
        }
        let options = Arc::new(options);
        let address = listener.local_addr()?;
        let world = World::new(Arc::clone(&options), format!("http://{address}"));
        let apps = world.apps.len();
        if world.oas.is_empty() {
            return Err(invalid("no OA"));
        }
        let shared = Arc::new(Shared {
            options,
            world: Mutex::new(world),
            arrivals: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            client: delivery::client(),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            address,
        });
        for app in 0..apps {
            shared.tasks.spawn(delivery::run(Arc::clone(&shared), app));
        }
        shared.tasks.spawn(serve(listener, Arc::clone(&shared)));
        let guard = Arc::new(shared.cancel.clone().drop_guard());
        Ok(ZaloHandle::outer(shared, guard))
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
                tracing::error!(%error, "the zalo sandbox stopped serving");
            }
        }
        // No grace: a provider that vanishes does so in the middle of an answer.
        () = cancel.cancelled() => {}
    }
}
