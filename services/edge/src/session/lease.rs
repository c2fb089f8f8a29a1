//! The lease on one account's session.

use bytes::Bytes;
use omnigate_proto::v1::{AcquireRequest, CheckpointRequest, ReleaseRequest, RenewRequest};
use omnigate_rpc::v1::session_service_server::SessionService;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

/// Longest wait for an answer about a lease.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Pause before a failed renewal is tried again.
const RETRY_RENEWAL: Duration = Duration::from_millis(200);
/// Shortest lease that is believed; guards against a server that says 0.
const SHORTEST: Duration = Duration::from_millis(50);

/// A held lease. Its end is counted on our monotonic clock from before the request was sent, so it is never later than
/// the server's.
pub(super) struct Lease<'a> {
    service: &'a dyn SessionService,
    account: &'a str,
    session: &'a str,
    owner: &'a str,
    epoch: u64,
    state: Mutex<State>,
    lost: CancellationToken,
}

#[derive(Debug)]
struct State {
    cursor: Bytes,
    ends: Instant,
    lasts: Duration,
}

/// Why there is no lease.
#[derive(Debug)]
pub(super) enum NotAcquired {
    /// Another process has it.
    Held,
    /// Nobody answered, or not well.
    Unavailable(String),
}

/// The lease is not ours any more, or nobody knows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotDone(String);

impl<'a> Lease<'a> {
    /// Takes the lease for a process, which says where it can be reached.
    pub(super) async fn acquire(
        service: &'a dyn SessionService,
        (account, session): (&'a str, &'a str),
        (owner, address): (&'a str, &str),
    ) -> Result<Self, NotAcquired> {
        let asked = Instant::now();
        let request = AcquireRequest {
            account_id: account.to_owned(),
            owner_id: owner.to_owned(),
            session: session.to_owned(),
            address: address.to_owned(),
        };
        match within(service.acquire(Request::new(request))).await {
            Ok(answer) => {
                let lasts = Duration::from_millis(answer.lease_ms).max(SHORTEST);
                Ok(Self {
                    service,
                    account,
                    session,
                    owner,
                    epoch: answer.epoch,
                    state: Mutex::new(State {
                        cursor: answer.cursor,
                        ends: asked + lasts,
                        lasts,
                    }),
                    lost: CancellationToken::new(),
                })
            }
            Err(status) if status.code() == Code::FailedPrecondition => Err(NotAcquired::Held),
            Err(status) => Err(NotAcquired::Unavailable(described(&status))),
        }
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn cursor(&self) -> Bytes {
        self.state().cursor.clone()
    }

    /// True while nobody else can hold it.
    pub(super) fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < self.state().ends
    }

    /// Completes when the lease is lost.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Prolongs the lease again and again; completes when it is lost.
    pub(super) async fn keep(&self) {
        while self.is_held() {
            let third = self.state().lasts / 3;
            tokio::select! {
                () = tokio::time::sleep(third) => {}
                () = self.lost.cancelled() => return,
            }
            while self.is_held() && self.renew().await.is_err() {
                tokio::time::sleep(RETRY_RENEWAL).await;
            }
        }
        self.lost.cancel();
    }

    async fn renew(&self) -> Result<(), NotDone> {
        let asked = Instant::now();
        let request = RenewRequest {
            account_id: self.account.to_owned(),
            owner_id: self.owner.to_owned(),
            session: self.session.to_owned(),
            epoch: self.epoch,
        };
        let ends = self.state().ends;
        let renewed = tokio::time::timeout_at(ends, within(self.service.renew(Request::new(request))));
        match renewed.await {
            Ok(answer) => self.prolonged(asked, answer.map(|answer| answer.lease_ms)),
            Err(_) => Err(NotDone("no answer before the lease ended".to_owned())),
        }
    }

    /// Makes the cursor durable.
    pub(super) async fn checkpoint(&self, cursor: Bytes) -> Result<(), NotDone> {
        let asked = Instant::now();
        let request = CheckpointRequest {
            account_id: self.account.to_owned(),
            owner_id: self.owner.to_owned(),
            session: self.session.to_owned(),
            epoch: self.epoch,
            cursor: cursor.clone(),
        };
        let answer = within(self.service.checkpoint(Request::new(request))).await;
        self.prolonged(asked, answer.map(|answer| answer.lease_ms))?;
        self.state().cursor = cursor;
        Ok(())
    }

    /// Gives the lease up, so that the next owner need not wait for its end.
    pub(super) async fn release(&self) {
        let request = ReleaseRequest {
            account_id: self.account.to_owned(),
            owner_id: self.owner.to_owned(),
            session: self.session.to_owned(),
            epoch: self.epoch,
        };
        if let Err(status) = within(self.service.release(Request::new(request))).await {
            tracing::debug!(
                account = self.account,
                problem = described(&status),
                "session not released"
            );
        }
    }

    fn prolonged(&self, asked: Instant, answer: Result<u64, Status>) -> Result<(), NotDone> {
        match answer {
            Ok(lease_ms) => {
                let mut state = self.state();
                state.lasts = Duration::from_millis(lease_ms).max(SHORTEST);
                state.ends = state.ends.max(asked + state.lasts);
                Ok(())
            }
            Err(status) => {
                if matches!(status.code(), Code::Aborted | Code::FailedPrecondition | Code::NotFound) {
                    self.lost.cancel();
                }
                Err(NotDone(described(&status)))
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for an answer, but not for ever.
async fn within<T>(call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(CALL_WITHIN, call).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

fn described(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
