//! Looks after the accounts whose providers rotate tokens and keep templates: fetches pairs ahead of time, copies templates,
//! and gives out access tokens.
//!
//! Every scheduler looks after every account; the store lets one of them fetch at a time.

use crate::shared::Shared;
use futures_util::future::join_all;
use omnigate_core::{
    credential::{self, FETCH_TIME, Need},
    port::adapter::{AccessToken, ChannelHost, Custodian, Grant, NoAccessToken, NoTokens, TokenPair, Transport},
    protocol::{
        credential::{self as pairs, Turn},
        templates,
    },
    time::Moment,
};
use omnigate_proto::state::v1::CredentialRecord;
use omnigate_proto::v1::{GetAccessTokenRequest, GetAccessTokenResponse};
use omnigate_rpc::{auth::Caller, error::Problem, v1::credential_service_server::CredentialService};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Longest wait between two looks at an account: somebody may have handed something in at another process.
const LOOK: Duration = Duration::from_secs(5);
/// Shortest wait between two looks.
const LEAST: Duration = Duration::from_millis(200);
/// Pause between tries to write a fetched pair down; it is tried until the process ends.
const WRITE_AGAIN: Duration = Duration::from_millis(250);
/// How often templates are copied.
const COPY_EVERY: Duration = Duration::from_secs(15 * 60);
/// How soon after a failure.
const COPY_AGAIN: Duration = Duration::from_secs(60);
/// How long a caller waits here for a token that is being fetched.
const PATIENCE: Duration = Duration::from_secs(4);

/// Custodians by account.
pub type Custodians = BTreeMap<String, Box<dyn Custodian>>;

/// The accounts that are looked after.
pub(crate) struct Custody {
    shared: Arc<Shared>,
    owner: String,
    custodians: Custodians,
    transport: Arc<dyn Transport>,
    /// Rung when somebody misses a token.
    bells: BTreeMap<String, Notify>,
    complaints: Mutex<BTreeMap<String, String>>,
}

impl Custody {
    pub(crate) fn new(shared: Arc<Shared>, custodians: Custodians, transport: Arc<dyn Transport>) -> Self {
        Self {
            owner: data_encoding::HEXLOWER.encode(&shared.ports.entropy.bytes()),
            bells: custodians
                .keys()
                .map(|account| (account.clone(), Notify::new()))
                .collect(),
            complaints: Mutex::default(),
            shared,
            custodians,
            transport,
        }
    }

    /// Looks after all accounts until stopped. A fetch that has begun is finished and written down.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let each = self.custodians.iter();
        join_all(each.map(|(account, custodian)| self.look_after(account, custodian.as_ref(), stop))).await;
    }

    async fn look_after(&self, account: &str, custodian: &dyn Custodian, stop: &CancellationToken) {
        let mut copy_at = Instant::now();
        while !stop.is_cancelled() {
            let wait = self.tokens(account, custodian).await;
            if Instant::now() >= copy_at {
                let again = self.copy(account, custodian).await;
                copy_at = Instant::now() + again;
            }
            let rung = async {
                match self.bells.get(account) {
                    Some(bell) => bell.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait.clamp(LEAST, LOOK)) => {}
                () = rung => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Fetches a pair if one is needed; how long nothing more has to be done.
    async fn tokens(&self, account: &str, custodian: &dyn Custodian) -> Duration {
        let now = self.shared.ports.clock.now();
        let context = self.shared.context();
        let turn = pairs::begin(&context, account, custodian.first_refresh_token(), &self.owner).await;
        let (begun, grant) = match turn {
            Ok(Turn::Fetch(begun, grant)) => (begun, grant),
            Ok(Turn::Wait(Need::Nothing(at) | Need::Held(at))) => return at.since(now),
            Ok(Turn::Wait(_)) => {
                self.complain(account, "has to be authorised: see `omnigate accounts list`");
                return LOOK;
            }
            Err(error) => {
                tracing::warn!(account, %error, "tokens not looked after, trying again");
                return LOOK;
            }
        };
        let answer = self.fetch(custodian, &grant).await;
        match &answer {
            Ok(_) => {
                self.content(account);
                tracing::info!(account, "fetched a pair of tokens");
            }
            Err(NoTokens::Dead(problem)) => self.complain(account, problem),
            Err(NoTokens::Unavailable(problem)) => {
                tracing::warn!(account, problem, "no tokens fetched, trying again");
            }
        }
        self.write_down(account, &begun, &grant, &answer).await;
        Duration::ZERO
    }

    async fn fetch(&self, custodian: &dyn Custodian, grant: &Grant) -> Result<TokenPair, NoTokens> {
        let fetched = custodian.fetch(grant, self.transport.as_ref());
        match tokio::time::timeout(FETCH_TIME, fetched).await {
            Ok(answer) => answer,
            Err(_) => Err(NoTokens::Unavailable("no answer in time".to_owned())),
        }
    }

    /// However long the store is away: nobody else knows the pair.
    async fn write_down(
        &self,
        account: &str,
        begun: &CredentialRecord,
        grant: &Grant,
        answer: &Result<TokenPair, NoTokens>,
    ) {
        while let Err(error) = pairs::settle(&self.shared.context(), account, begun, grant, answer).await {
            tracing::warn!(account, %error, "fetched tokens not written down, trying again");
            tokio::time::sleep(WRITE_AGAIN).await;
        }
    }

    /// Copies the templates; how long until the next time.
    async fn copy(&self, account: &str, custodian: &dyn Custodian) -> Duration {
        let host = Host { custody: self, account };
        match custodian.templates(&host).await {
            Ok(None) => COPY_EVERY,
            Ok(Some(copied)) => {
                let count = copied.len();
                match templates::replace(&self.shared.context(), account, copied).await {
                    Ok(()) => {
                        tracing::debug!(account, count, "templates copied");
                        COPY_EVERY
                    }
                    Err(error) => {
                        tracing::warn!(account, %error, "templates not written down");
                        COPY_AGAIN
                    }
                }
            }
            Err(error) => {
                tracing::debug!(account, problem = error.text, "templates not copied");
                // While there is no token there are no templates either; the first ones are wanted soon.
                match templates::read(&self.shared.context(), account).await {
                    Ok(Some(_)) => COPY_AGAIN,
                    _ => LOOK,
                }
            }
        }
    }

    /// Says what is wrong with an account, once.
    fn complain(&self, account: &str, problem: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.get(account).map(String::as_str) != Some(problem) {
            tracing::error!(
                account,
                problem,
                "the account cannot get tokens until somebody authorises it"
            );
            complaints.insert(account.to_owned(), problem.to_owned());
        }
    }

    fn content(&self, account: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.remove(account);
    }

    /// A token that can be used now; waits a little for one that is being fetched.
    async fn token(&self, account: &str, refused_sha256: &[u8]) -> Result<CredentialRecord, Problem> {
        let until = Instant::now() + PATIENCE;
        let away = |error: &dyn std::fmt::Display| {
            tracing::warn!(account, %error, "token not read");
            Problem::unavailable("STORE_UNAVAILABLE", "the store did not answer; ask again")
        };
        if !refused_sha256.is_empty() {
            pairs::refuse(&self.shared.context(), account, refused_sha256)
                .await
                .map_err(|error| away(&error))?;
        }
        loop {
            let record = pairs::read(&self.shared.context(), account)
                .await
                .map_err(|error| away(&error))?
                .unwrap_or_default();
            if credential::usable(&record, self.shared.ports.clock.now()).is_some() {
                return Ok(record);
            }
            if !record.dead.is_empty() && record.authorization_code.is_empty() {
                return Err(Problem::failed_precondition("ACCOUNT_UNAUTHORIZED", record.dead));
            }
            if let Some(bell) = self.bells.get(account) {
                bell.notify_one();
            }
            if Instant::now() >= until {
                return Err(Problem::unavailable(
                    "TOKEN_NOT_READY",
                    "a token is being fetched; ask again",
                ));
            }
            tokio::time::sleep(LEAST).await;
        }
    }
}

/// What a custodian calls its provider with.
struct Host<'a> {
    custody: &'a Custody,
    account: &'a str,
}

#[async_trait::async_trait]
impl ChannelHost for Host<'_> {
    fn transport(&self) -> &dyn Transport {
        self.custody.transport.as_ref()
    }

    fn now(&self) -> Moment {
        self.custody.shared.ports.clock.now()
    }

    async fn access_token(&self, refused: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        let context = self.custody.shared.context();
        if let Some(refused) = refused {
            let noted = pairs::refuse(&context, self.account, &credential::digest(refused)).await;
            noted.map_err(|error| NoAccessToken::NotReady(error.to_string()))?;
        }
        let record = pairs::read(&context, self.account).await;
        let record = record.map_err(|error| NoAccessToken::NotReady(error.to_string()))?;
        let record = record.unwrap_or_default();
        match credential::usable(&record, self.now()) {
            Some(token) => Ok(AccessToken(token.to_owned())),
            None if !record.dead.is_empty() => Err(NoAccessToken::Unauthorized(record.dead)),
            None => Err(NoAccessToken::NotReady("it is being fetched".to_owned())),
        }
    }
}

/// Answers for access tokens.
pub struct Credentials(pub(crate) Arc<Custody>);

#[async_trait::async_trait]
impl CredentialService for Credentials {
    async fn get_access_token(
        &self,
        request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        Caller::of(&request)?.check_account(&request.get_ref().account_id)?;
        let asked = request.into_inner();
        if !self.0.custodians.contains_key(&asked.account_id) {
            let problem = "the account has no tokens to give out";
            return Err(Problem::not_found("NO_TOKENS", problem).into());
        }
        let record = self.0.token(&asked.account_id, &asked.refused_token_sha256).await?;
        Ok(Response::new(GetAccessTokenResponse {
            expires_at: (record.access_until_ms > 0).then(|| Moment(record.access_until_ms).to_timestamp()),
            access_token: record.access_token,
        }))
    }
}
