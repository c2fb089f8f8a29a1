//! Sessions of accounts that hold a connection or a cursor: one owner at a time, and the place where it goes on.

use crate::settings::Settings;
use omnigate_core::{
    account::Directory,
    lease::is_held,
    protocol::{
        Context, Ports,
        lease::{self, COMMON, LeaseError, Wish},
    },
};
use omnigate_proto::v1::{
    AcquireRequest, AcquireResponse, CheckpointRequest, CheckpointResponse, LocateRequest, LocateResponse,
    ReleaseRequest, ReleaseResponse, RenewRequest, RenewResponse,
};
use omnigate_rpc::{
    auth::{Caller, Scope},
    error::Problem,
    v1::session_service_server::SessionService,
};
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status};

/// Longest owner id.
const MAX_OWNER: usize = 128;
/// Longest name of a session.
const MAX_SESSION: usize = 64;
/// Longest address.
const MAX_ADDRESS: usize = 256;
/// Most sessions that are looked for at once.
const MAX_LOCATED: usize = 256;

/// Answers for sessions. Any number of them may run: the store decides.
pub struct Sessions {
    ports: Arc<Ports>,
    directory: Arc<Directory>,
    ttl: Duration,
}

impl Sessions {
    /// Prepares the service.
    #[must_use]
    pub fn new(ports: Arc<Ports>, directory: Arc<Directory>, settings: &Settings) -> Self {
        Self {
            ports,
            directory,
            ttl: settings.session_lease,
        }
    }

    fn context(&self) -> Context<'_> {
        self.ports.context()
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// Name of the account's lease, for a caller who may ask for it.
    fn name<T>(
        &self,
        request: &Request<T>,
        account_id: &str,
        owner_id: &str,
        session: &str,
    ) -> Result<String, Problem> {
        let caller = Caller::of(request)?;
        caller.check_account(account_id)?;
        if owner_id.is_empty() || owner_id.len() > MAX_OWNER {
            return Err(Problem::invalid(
                "owner_id",
                format!("must have 1 to {MAX_OWNER} bytes"),
            ));
        }
        if session.len() > MAX_SESSION || session.contains('/') {
            return Err(Problem::invalid(
                "session",
                format!("must have at most {MAX_SESSION} bytes and no slash"),
            ));
        }
        let missing = || Problem::not_found("ACCOUNT_NOT_FOUND", "no such account is configured");
        let account = self.directory.accounts.get(account_id).ok_or_else(missing)?;
        match caller.tenant.as_deref() {
            Some(tenant) if tenant != account.tenant_id => Err(missing()),
            _ if session.is_empty() => Ok(format!("session/{account_id}")),
            _ => Ok(format!("session/{account_id}/{session}")),
        }
    }
}

const fn wish<'a>(name: &'a str, owner: &'a str) -> Wish<'a> {
    Wish {
        shard: COMMON,
        name,
        owner,
        address: "",
    }
}

/// Sends, and the token that they show, go to the address: nobody may name one but our own edges.
fn check_address<T>(request: &Request<T>, address: &str) -> Result<(), Problem> {
    if address.is_empty() {
        return Ok(());
    }
    if !Caller::of(request)?.scopes.contains(Scope::Internal) {
        let text = "only the gateway's own edges are handed sends";
        return Err(Problem::denied("ADDRESS_FORBIDDEN", text));
    }
    match address.len() <= MAX_ADDRESS {
        true => Ok(()),
        false => Err(Problem::invalid(
            "address",
            format!("must have at most {MAX_ADDRESS} bytes"),
        )),
    }
}

/// What a caller is told; who holds a session is not for others to know.
fn problem(error: LeaseError) -> Problem {
    match error {
        LeaseError::Held { until, .. } => {
            let held = Problem::failed_precondition("SESSION_HELD", "another owner holds the session");
            held.with("until_ms", until.0.to_string())
        }
        LeaseError::Lost(_) => Problem::aborted("SESSION_LOST", "the session is no longer yours"),
        LeaseError::CursorTooLong(bytes) => Problem::invalid("cursor", format!("{bytes} bytes are too many")),
        LeaseError::Stop(stop) => {
            tracing::warn!(error = %stop, "session not decided");
            Problem::unavailable("STORE_UNAVAILABLE", "the store did not decide; ask again")
        }
    }
}

#[async_trait::async_trait]
impl SessionService for Sessions {
    async fn acquire(&self, request: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        let asked = request.get_ref();
        let name = self.name(&request, &asked.account_id, &asked.owner_id, &asked.session)?;
        check_address(&request, &asked.address)?;
        let wish = Wish {
            address: &asked.address,
            ..wish(&name, &asked.owner_id)
        };
        let held = lease::acquire(&self.context(), wish, self.ttl).await.map_err(problem)?;
        Ok(Response::new(AcquireResponse {
            epoch: held.epoch,
            cursor: held.cursor,
            lease_ms: self.lease_ms(),
        }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let asked = request.get_ref();
        let name = self.name(&request, &asked.account_id, &asked.owner_id, &asked.session)?;
        let wish = wish(&name, &asked.owner_id);
        let renewed = lease::renew(&self.context(), wish, asked.epoch, self.ttl).await;
        renewed.map_err(problem)?;
        Ok(Response::new(RenewResponse {
            lease_ms: self.lease_ms(),
        }))
    }

    async fn checkpoint(&self, request: Request<CheckpointRequest>) -> Result<Response<CheckpointResponse>, Status> {
        let asked = request.get_ref();
        let name = self.name(&request, &asked.account_id, &asked.owner_id, &asked.session)?;
        let (wish, cursor) = (wish(&name, &asked.owner_id), asked.cursor.clone());
        let kept = lease::checkpoint(&self.context(), wish, asked.epoch, cursor, self.ttl).await;
        kept.map_err(problem)?;
        Ok(Response::new(CheckpointResponse {
            lease_ms: self.lease_ms(),
        }))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        let asked = request.get_ref();
        let name = self.name(&request, &asked.account_id, &asked.owner_id, &asked.session)?;
        let released = lease::release(&self.context(), wish(&name, &asked.owner_id), asked.epoch).await;
        released.map_err(problem)?;
        Ok(Response::new(ReleaseResponse {}))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        let asked = request.get_ref();
        if asked.sessions.len() > MAX_LOCATED {
            let text = format!("must be at most {MAX_LOCATED}");
            return Err(Problem::invalid("sessions", text).into());
        }
        let names = asked.sessions.iter();
        let names = names.map(|session| self.name(&request, &asked.account_id, &asked.owner_id, session));
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        let context = self.context();
        let found = lease::look(&context, COMMON, &names).await;
        let found = found.map_err(|error| problem(error.into()))?;
        let now = context.now();
        let held = found
            .into_iter()
            .filter(|record| is_held(record, now) && record.owner != asked.owner_id);
        let mut addresses: Vec<String> = held.map(|record| record.address).collect();
        addresses.retain(|address| !address.is_empty());
        addresses.sort_unstable();
        addresses.dedup();
        Ok(Response::new(LocateResponse { addresses }))
    }
}
