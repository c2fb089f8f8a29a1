//! Looks after the accounts whose providers rotate tokens and keep templates: fetches pairs ahead of time, copies templates,
//! and gives out access tokens.
//!
//! Every scheduler looks after every account; the store lets one of them fetch at a time. Templates are copied beside that:
//! however long a provider takes to list them, tokens are fetched in time.

use crate::{shared::Shared, waiting};
use futures_util::{
    FutureExt as _,
    future::{join_all, join3},
};
use omnigate_core::{
    credential::{self, FETCH_TIME, Need, Standing},
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
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Longest wait between two looks at an account: somebody may have handed something in at another process.
const LOOK: Duration = Duration::from_secs(5);
/// Shortest wait between two looks.
const LEAST: Duration = Duration::from_millis(200);
/// First pause between tries to write a fetched pair down, which doubles; it is tried until the process ends.
const WRITE_AGAIN: Duration = Duration::from_millis(250);
/// Longest pause between them.
const WRITE_AGAIN_AT_MOST: Duration = Duration::from_secs(2);
/// Longest time that copying the templates of an account may take.
const COPY_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How often templates are copied.
const COPY_EVERY: Duration = Duration::from_secs(15 * 60);
/// How soon after a failure.
const COPY_AGAIN: Duration = Duration::from_secs(60);
/// How long until it is looked again whether there is a token to copy templates with; only the store is asked.
const TOKEN_SOON: Duration = Duration::from_millis(500);
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
    /// Rung when an account has a token that had none.
    revived: BTreeMap<String, Notify>,
    /// Accounts of which was said that they wait for a person.
    waiting: Mutex<BTreeSet<String>>,
}

impl Custody {
    pub(crate) fn new(shared: Arc<Shared>, custodians: Custodians, transport: Arc<dyn Transport>) -> Self {
        Self {
            owner: data_encoding::HEXLOWER.encode(&shared.ports.entropy.bytes()),
            bells: bells(&custodians),
            revived: bells(&custodians),
            waiting: Mutex::default(),
            shared,
            custodians,
            transport,
        }
    }

    /// Looks after all accounts until stopped. A fetch that has begun is finished and written down.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let each = self.custodians.iter();
        join_all(each.map(|(account, custodian)| {
            let copying = stop.run_until_cancelled(self.keep_templates(account, custodian.as_ref()));
            let waking = stop.run_until_cancelled(self.let_go(account));
            join3(self.keep_tokens(account, custodian.as_ref(), stop), copying, waking)
        }))
        .await;
    }

    async fn keep_tokens(&self, account: &str, custodian: &dyn Custodian, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let wait = self.tokens(account, custodian).await;
            let rung = async {
                match self.bells.get(account) {
                    Some(bell) => bell.notified().await,
                    None => std::future::pending().await,
                }
            };
            let rest = async {
                tokio::time::sleep(LEAST).await;
                tokio::select! {
                    () = tokio::time::sleep(wait.min(LOOK).saturating_sub(LEAST)) => {}
                    () = rung => {}
                }
            };
            stop.run_until_cancelled(rest).await;
        }
    }

    async fn keep_templates(&self, account: &str, custodian: &dyn Custodian) {
        loop {
            let copied = AssertUnwindSafe(self.copy(account, custodian)).catch_unwind();
            let again = match timeout(COPY_WITHIN, copied).await {
                Ok(Ok(again)) => again,
                Ok(Err(_)) => {
                    tracing::error!(account, "the adapter failed while copying templates");
                    COPY_EVERY
                }
                Err(_) => {
                    tracing::warn!(account, "templates not copied in time");
                    COPY_EVERY
                }
            };
            tokio::time::sleep(again).await;
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
                self.complain(account);
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
            Err(NoTokens::Dead(problem)) => tracing::warn!(account, problem, "a grant was refused"),
            Err(NoTokens::Unavailable(problem)) => {
                tracing::warn!(account, problem, "no tokens fetched, trying again");
            }
        }
        self.write_down(account, &begun, &grant, &answer).await;
        if answer.is_ok()
            && credential::usable(&begun, now).is_none()
            && let Some(revived) = self.revived.get(account)
        {
            revived.notify_one();
        }
        Duration::ZERO
    }

    async fn let_go(&self, account: &str) {
        if let Some(revived) = self.revived.get(account) {
            waiting::let_go(&self.shared, account, revived).await;
        }
    }

    async fn fetch(&self, custodian: &dyn Custodian, grant: &Grant) -> Result<TokenPair, NoTokens> {
        // One adapter that fails must not end what all accounts share.
        let fetched = AssertUnwindSafe(custodian.fetch(grant, self.transport.as_ref())).catch_unwind();
        match timeout(FETCH_TIME, fetched).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(NoTokens::Unavailable("the adapter failed while fetching".to_owned())),
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
        let mut pause = WRITE_AGAIN;
        while let Err(error) = pairs::settle(&self.shared.context(), account, begun, grant, answer).await {
            tracing::warn!(account, %error, "answer to a fetch of tokens not written down, trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(WRITE_AGAIN_AT_MOST);
        }
    }

    /// Copies the templates; how long until the next time.
    async fn copy(&self, account: &str, custodian: &dyn Custodian) -> Duration {
        if !self.has_token(account).await {
            return TOKEN_SOON;
        }
        let host = Host { custody: self, account };
        match custodian.templates(&host).await {
            Ok(None) => COPY_EVERY,
            Ok(Some(copied)) => {
                let count = copied.len();
                if count > templates::MAX_TEMPLATES {
                    tracing::warn!(
                        account,
                        count,
                        kept = templates::MAX_TEMPLATES,
                        "too many templates to copy all"
                    );
                }
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
                // The first ones are wanted soon.
                match templates::read(&self.shared.context(), account).await {
                    Ok(Some(copied)) if copied.synced_at.is_some() => COPY_AGAIN,
                    _ => LOOK,
                }
            }
        }
    }

    async fn has_token(&self, account: &str) -> bool {
        let record = pairs::read(&self.shared.context(), account).await;
        record.is_ok_and(|record| self.token_of(account, record.as_ref()).is_ok())
    }

    /// Says that an account waits for a person, once until it has tokens again.
    fn complain(&self, account: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.insert(account.to_owned()) {
            tracing::error!(
                account,
                "the account gets no tokens until somebody authorises it: `omnigate accounts status` says why"
            );
        }
    }

    fn content(&self, account: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(account);
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
                .map_err(|error| away(&error))?;
            let missing = match self.token_of(account, record.as_ref()) {
                Ok(()) => return Ok(record.unwrap_or_default()),
                Err(NoAccessToken::Unauthorized(why)) => {
                    return Err(Problem::failed_precondition("ACCOUNT_UNAUTHORIZED", why));
                }
                Err(NoAccessToken::NotReady(why)) => why,
            };
            if let Some(bell) = self.bells.get(account) {
                bell.notify_one();
            }
            if Instant::now() >= until {
                return Err(Problem::unavailable("TOKEN_NOT_READY", format!("{missing}; ask again")));
            }
            tokio::time::sleep(LEAST).await;
        }
    }

    /// Whether the record holds a token that can be used now, or why it does not.
    fn token_of(&self, account: &str, record: Option<&CredentialRecord>) -> Result<(), NoAccessToken> {
        let now = self.shared.ports.clock.now();
        if record.is_some_and(|record| credential::usable(record, now).is_some()) {
            return Ok(());
        }
        let custodian = self.custodians.get(account);
        let seed = custodian.and_then(|custodian| custodian.first_refresh_token());
        Err(match credential::standing(record, seed, now) {
            Standing::Person(why) => NoAccessToken::Unauthorized(why.to_owned()),
            Standing::Failing(why) => NoAccessToken::NotReady(format!("the provider hands out no token: {why}")),
            Standing::Good | Standing::Tried | Standing::Coming => {
                NoAccessToken::NotReady("a token is being fetched".to_owned())
            }
        })
    }
}

fn bells(custodians: &Custodians) -> BTreeMap<String, Notify> {
    let each = custodians.keys();
    each.map(|account| (account.clone(), Notify::new())).collect()
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
        self.custody.token_of(self.account, record.as_ref())?;
        Ok(AccessToken(record.unwrap_or_default().access_token))
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
