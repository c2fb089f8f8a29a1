//! Other edges that hold the connections of an account, for sends that come here while none of them is up here.
//!
//! Who holds what is known to the leases, which name the address of every holder. What they say may be stale: a holder may
//! be gone, have lost the lease or have lost its connection. So a holder that is asked submits or answers NOT_SENT and asks
//! nobody else, and only what provably was not submitted there is tried elsewhere.

use crate::{Edges, failure::failure};
use omnigate_core::{port::Clock, time::Moment};
use omnigate_proto::v1::{ErrorClass, LocateRequest, SendRequest, SendResponse, send_response::Outcome};
use omnigate_rpc::{AdapterPort, SessionPort, remote::never_connected, v1::adapter_service_server::AdapterService};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tonic::{Code, Request};

/// How long what the leases said is believed.
const BELIEVED: Duration = Duration::from_secs(2);
/// How long it is believed after a holder did not submit.
const DOUBTED: Duration = Duration::from_millis(200);
/// Longest look at the leases.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// A holder's deadline ends this long before ours, so that its answer still arrives.
const WAY_BACK: Duration = Duration::from_millis(250);

/// What handing on needs.
pub(crate) struct Parts {
    /// Knows the leases; without it nothing is handed on.
    pub(crate) sessions: Option<SessionPort>,
    /// The way to other edges.
    pub(crate) edges: Edges,
    pub(crate) clock: Arc<dyn Clock>,
    /// Random id of this process.
    pub(crate) owner: String,
}

/// The holders of all accounts.
pub(crate) struct Holders {
    parts: Parts,
    accounts: BTreeMap<String, Account>,
    /// One client for each address, whatever the account.
    clients: Mutex<BTreeMap<String, Weak<dyn AdapterService>>>,
}

/// An account that sends through sessions.
struct Account {
    sessions: Vec<String>,
    seen: tokio::sync::Mutex<Seen>,
    /// Which holder is asked first.
    turn: AtomicUsize,
}

/// What the leases said last.
#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    doubted: bool,
    holders: Vec<AdapterPort>,
}

impl Seen {
    fn is_believed(&self) -> bool {
        let lasts = if self.doubted { DOUBTED } else { BELIEVED };
        self.at.is_some_and(|at| at.elapsed() < lasts)
    }
}

impl Holders {
    /// For accounts that send through these sessions.
    pub(crate) fn new(parts: Parts, accounts: impl Iterator<Item = (String, Vec<String>)>) -> Self {
        let account = |(id, sessions)| {
            let account = Account {
                sessions,
                seen: tokio::sync::Mutex::default(),
                turn: AtomicUsize::new(0),
            };
            (id, account)
        };
        Self {
            parts,
            accounts: accounts.map(account).collect(),
            clients: Mutex::default(),
        }
    }

    /// Hands a send on to an edge that holds a session of its account; `None` when there is none, or none that took it.
    /// Nothing is asked of a second holder before the first said that it has not submitted.
    pub(crate) async fn send(&self, request: &SendRequest, pieces: u32, until: Moment) -> Option<SendResponse> {
        let account = self.accounts.get(&request.account_id)?;
        let holders = self.of(&request.account_id, account).await;
        let first = account.turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..holders.len() {
            let holder = holders.get(first.wrapping_add(step) % holders.len())?;
            let left = until.since(self.parts.clock.now());
            let Some(theirs) = left.checked_sub(WAY_BACK).filter(|theirs| !theirs.is_zero()) else {
                return Some(failure(pieces, ErrorClass::NotSent, "no time was left to hand it on"));
            };
            let mut call = Request::new(SendRequest {
                handed_on: true,
                deadline: Some((self.parts.clock.now() + theirs).to_timestamp()),
                ..request.clone()
            });
            call.set_timeout(left);
            let answer = match timeout(left, holder.send(call)).await {
                Ok(Ok(response)) => response.into_inner(),
                Ok(Err(status)) => {
                    tracing::debug!(account = request.account_id, problem = %status, "not handed on");
                    failed(pieces, &status)
                }
                Err(_) => failure(
                    pieces,
                    ErrorClass::Ambiguous,
                    "the edge with the connection did not answer",
                ),
            };
            match &answer.outcome {
                Some(Outcome::Error(error)) if error.class() == ErrorClass::NotSent => self.doubt(account).await,
                _ => return Some(answer),
            }
        }
        None
    }

    /// Who holds sessions of the account; one look serves everybody who waits for it.
    async fn of(&self, id: &str, account: &Account) -> Vec<AdapterPort> {
        let mut seen = account.seen.lock().await;
        if !seen.is_believed() {
            let found = timeout(LOOK_WITHIN, self.look(id, account)).await;
            // Who cannot be asked leaves what was said before.
            if let Ok(Some(holders)) = found {
                seen.holders = holders;
            }
            seen.at = Some(Instant::now());
            seen.doubted = false;
        }
        seen.holders.clone()
    }

    async fn doubt(&self, account: &Account) {
        account.seen.lock().await.doubted = true;
    }

    async fn look(&self, id: &str, account: &Account) -> Option<Vec<AdapterPort>> {
        let request = LocateRequest {
            account_id: id.to_owned(),
            owner_id: self.parts.owner.clone(),
            sessions: account.sessions.clone(),
        };
        match self.parts.sessions.as_ref()?.locate(Request::new(request)).await {
            Ok(found) => {
                let addresses = found.into_inner().addresses;
                Some(addresses.iter().filter_map(|address| self.client(address)).collect())
            }
            Err(status) => {
                tracing::debug!(account = id, problem = %status, "holders of its sessions are not known");
                None
            }
        }
    }

    fn client(&self, address: &str) -> Option<AdapterPort> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| client.strong_count() > 0);
        if let Some(client) = clients.get(address).and_then(Weak::upgrade) {
            return Some(client);
        }
        match (self.parts.edges)(address) {
            Ok(client) => {
                clients.insert(address.to_owned(), Arc::downgrade(&client));
                Some(client)
            }
            Err(error) => {
                tracing::warn!(address, %error, "an edge cannot be called where it says it is");
                None
            }
        }
    }
}

/// What a failed call proves about the message.
fn failed(pieces: u32, status: &tonic::Status) -> SendResponse {
    let class = match status.code() {
        _ if never_connected(status) => ErrorClass::NotSent,
        // Said by a server before it looks at the message.
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => ErrorClass::NotSent,
        _ => ErrorClass::Ambiguous,
    };
    let text = format!(
        "the edge with the connection failed: {:?}: {}",
        status.code(),
        status.message()
    );
    failure(pieces, class, &text)
}
