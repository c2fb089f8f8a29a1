//! Hosts the sessions of accounts that hold a connection or a cursor: one owner at a time among all edges.
//!
//! A lease says who the owner is. It is prolonged at a third of its time; when it is lost, or when its end comes before
//! it could be prolonged, the session is stopped at once and in the middle of whatever it does: somebody else may run it.

mod host;
mod lease;

use crate::{
    catalog::Catalog,
    metrics::{Metrics, SessionGauge, SessionState},
    pushes::Pushes,
    settings::Settings,
};
use futures_util::FutureExt as _;
use host::Host;
use lease::{Lease, NotAcquired};
use omnigate_core::{
    id::hash,
    port::{
        Clock, Entropy,
        adapter::{Dialer, Session, SessionError, Transport},
    },
};
use omnigate_rpc::v1::session_service_server::SessionService;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// First pause after a failure; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a lease is asked for that somebody else holds.
const HELD_PAUSE: Duration = Duration::from_secs(5);
/// How often a session is tried that somebody has to put right.
const MISCONFIGURED_PAUSE: Duration = Duration::from_secs(60);
/// A session that ran this long has recovered: its pauses start anew.
const RECOVERED: Duration = Duration::from_secs(60);

/// What hosting needs.
pub(crate) struct Sessions {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) service: Arc<dyn SessionService>,
    pub(crate) pushes: Arc<Pushes>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) metrics: Metrics,
    pub(crate) settings: Settings,
    /// Random id of this process.
    pub(crate) owner: String,
    /// Where other edges reach the sends of this process.
    pub(crate) address: String,
}

/// One session to host.
#[derive(Clone, Copy)]
struct Hosted<'a> {
    account: &'a str,
    /// Which of the account's sessions.
    name: &'a str,
    session: &'a dyn Session,
}

/// How a turn of a session ended.
enum Ended {
    Stopped,
    LeaseLost,
    HeldElsewhere,
    Failed(SessionError),
}

impl Sessions {
    /// Hosts all sessions until stopped.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let sessions = &self.catalog.sessions;
        let hosted = sessions.iter().map(|((account, name), session)| {
            self.host(
                Hosted {
                    account,
                    name,
                    session: session.as_ref(),
                },
                stop,
            )
        });
        futures_util::future::join_all(hosted).await;
    }

    /// Hosts one session until stopped.
    async fn host(&self, hosted: Hosted<'_>, stop: &CancellationToken) {
        let Hosted { account, name, .. } = hosted;
        let mut gauge = self.metrics.session();
        let mut backoff = FIRST_PAUSE;
        let mut last_complaint = String::new();
        while !stop.is_cancelled() {
            gauge.set(SessionState::Waiting);
            let begun = tokio::time::Instant::now();
            let ended = self.turn(hosted, &mut gauge, stop).await;
            if begun.elapsed() > RECOVERED {
                backoff = FIRST_PAUSE;
                last_complaint.clear();
            }
            let (state, pause) = match ended {
                Ended::Stopped => break,
                Ended::HeldElsewhere => (SessionState::HeldElsewhere, HELD_PAUSE),
                Ended::LeaseLost => {
                    tracing::warn!(account, session = name, "session lost its lease and was stopped");
                    (SessionState::Waiting, FIRST_PAUSE)
                }
                Ended::Failed(SessionError::Misconfigured(problem)) => {
                    if problem != last_complaint {
                        tracing::error!(
                            account,
                            session = name,
                            problem,
                            "session cannot run until this is put right"
                        );
                        last_complaint = problem;
                    }
                    (SessionState::Misconfigured, MISCONFIGURED_PAUSE)
                }
                Ended::Failed(SessionError::Retry { problem, after }) => {
                    let pause = backoff.max(after);
                    backoff = (backoff * 2).min(LONGEST_PAUSE);
                    tracing::warn!(
                        account,
                        session = name,
                        problem,
                        pause_ms = pause.as_millis(),
                        "session starts again"
                    );
                    (SessionState::Pausing, pause)
                }
            };
            gauge.set(state);
            tokio::select! {
                () = tokio::time::sleep(self.jittered(account, pause)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One turn: takes the lease, runs the session under it, gives the lease back.
    async fn turn(&self, hosted: Hosted<'_>, gauge: &mut SessionGauge, stop: &CancellationToken) -> Ended {
        let Hosted { account, name, .. } = hosted;
        let lease = tokio::select! {
            lease = Lease::acquire(self.service.as_ref(), (account, name), (&self.owner, &self.address)) => lease,
            () = stop.cancelled() => return Ended::Stopped,
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(NotAcquired::Held) => return Ended::HeldElsewhere,
            Err(NotAcquired::Unavailable(problem)) => {
                let after = FIRST_PAUSE;
                return Ended::Failed(SessionError::Retry { problem, after });
            }
        };
        gauge.set(SessionState::Running);
        tracing::info!(account, session = name, epoch = lease.epoch(), "session runs here");
        let ended = self.under(&lease, hosted, stop).await;
        if !matches!(ended, Ended::LeaseLost) {
            lease.release().await;
        }
        ended
    }

    async fn under(&self, lease: &Lease<'_>, hosted: Hosted<'_>, stop: &CancellationToken) -> Ended {
        let Hosted { account, session, .. } = hosted;
        let host = Host {
            account,
            lease,
            pushes: &self.pushes,
            transport: self.transport.as_ref(),
            dialer: self.dialer.as_ref(),
            clock: self.clock.as_ref(),
            stop,
        };
        let run = AssertUnwindSafe(session.run(&host)).catch_unwind();
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(self.settings.drain_within).await;
        };
        let outcome = tokio::select! {
            // A lost lease is looked at first, so that nothing runs on beside it.
            biased;
            () = lease.keep() => return Ended::LeaseLost,
            () = overdue => {
                tracing::warn!(account, "session did not stop in time and was cut");
                return Ended::Stopped;
            }
            outcome = run => outcome,
        };
        let again = |problem: &str| SessionError::Retry {
            problem: problem.to_owned(),
            after: FIRST_PAUSE,
        };
        match outcome {
            _ if stop.is_cancelled() => Ended::Stopped,
            Ok(Ok(())) => Ended::Failed(again("it ended by itself")),
            Ok(Err(error)) => Ended::Failed(error),
            Err(_) => Ended::Failed(again("the adapter failed in a way nobody foresaw")),
        }
    }

    /// The pause and up to a quarter more, so that many accounts do not come back in the same instant.
    fn jittered(&self, account: &str, pause: Duration) -> Duration {
        let dice = hash("jitter", &[account.as_bytes(), &self.entropy.bytes()])[0];
        pause + pause.mul_f64(f64::from(dice) / 1024.0)
    }
}
