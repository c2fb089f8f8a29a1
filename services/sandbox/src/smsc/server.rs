//! Starting the sandbox, and what its parts share.

use super::{
    center::Center, connection, control, handle::SmscHandle, journal::Counters, null::NullCounts, options::Options,
};
use crate::telegram::Now;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) struct Shared {
    pub(super) options: Arc<Options>,
    pub(super) cancel: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) address: SocketAddr,
    pub(super) control: Option<SocketAddr>,
    pub(super) null: Arc<NullCounts>,
    center: Mutex<Center>,
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Center> {
        // A test that panicked in a condition must not take the fake down with it.
        self.center.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Now {
        self.options.clock.now()
    }

    /// Wakes whoever waits for a condition.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The counts, with those that are kept beside the lock.
    pub(super) fn counters(&self, center: &Center) -> Counters {
        let mut counters = center.journal.counters;
        self.null.add_to(&mut counters);
        counters
    }
}

/// The fake SMSC.
pub struct Smsc;

impl Smsc {
    /// Serves SMPP on `listener`, and `/control` over HTTP on `control` where there is one, until the last handle is dropped
    /// or stopped.
    ///
    /// # Errors
    /// When a listener has no address, or the options name no account.
    pub fn start(listener: TcpListener, control: Option<TcpListener>, options: Options) -> io::Result<SmscHandle> {
        if options.accounts.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no account"));
        }
        let options = Arc::new(options);
        let shared = Arc::new(Shared {
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            address: listener.local_addr()?,
            control: control.as_ref().map(TcpListener::local_addr).transpose()?,
            null: Arc::default(),
            center: Mutex::new(Center::new(Arc::clone(&options), Instant::now())),
            changes: watch::Sender::new(0),
            options,
        });
        shared.tasks.spawn(accept(listener, Arc::clone(&shared)));
        if let Some(control) = control {
            shared.tasks.spawn(control::serve(control, Arc::clone(&shared)));
        }
        let guard = Arc::new(shared.cancel.clone().drop_guard());
        Ok(SmscHandle::outer(shared, guard))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let cancel = shared.cancel.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cancel.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                shared.tasks.spawn(connection::serve(stream, Arc::clone(&shared)));
            }
            Err(error) => {
                // Out of descriptors is the usual cause, and it passes.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
