//! Access tokens of accounts, asked of the scheduler and kept while they last.

use omnigate_core::{
    port::{
        Clock,
        adapter::{AccessToken, ChannelHost, NoAccessToken, Transport},
    },
    time::Moment,
};
use omnigate_proto::v1::GetAccessTokenRequest;
use omnigate_rpc::CredentialPort;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tonic::{Code, Request, Status};

/// Longest wait for an answer.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// A token that ends sooner is not used any more: the scheduler has a newer one by then.
const LAST_MOMENTS: Duration = Duration::from_secs(60);
/// A token whose end nobody knows is asked for again after this long.
const KEPT: Duration = Duration::from_secs(300);

/// Access tokens by account.
pub(crate) struct Credentials {
    service: Option<CredentialPort>,
    clock: Arc<dyn Clock>,
    kept: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Clone)]
struct Kept {
    token: String,
    until: Moment,
}

impl Credentials {
    pub(crate) fn new(service: Option<CredentialPort>, clock: Arc<dyn Clock>) -> Self {
        Self {
            service,
            clock,
            kept: Mutex::default(),
        }
    }

    fn kept(&self, account: &str) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(account).filter(|kept| kept.until > self.clock.now())?;
        Some(found.token.clone())
    }

    async fn token(&self, account: &str, refused: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        if let Some(token) = self.kept(account).filter(|token| Some(token.as_str()) != refused) {
            return Ok(AccessToken(token));
        }
        let not_ready = |problem: &str| NoAccessToken::NotReady(problem.to_owned());
        let service = self.service.as_ref().ok_or_else(|| {
            not_ready("this process is connected to no scheduler, which fetches them: set connect.sessions")
        })?;
        let mut asked = Request::new(GetAccessTokenRequest {
            account_id: account.to_owned(),
            refused_token_sha256: refused
                .map(|token| Sha256::digest(token.as_bytes()).to_vec().into())
                .unwrap_or_default(),
        });
        asked.set_timeout(CALL_WITHIN);
        let answer = tokio::time::timeout(CALL_WITHIN, service.get_access_token(asked)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return Err(missing(&status)),
            Err(_) => return Err(not_ready("the scheduler did not answer in time")),
        };
        let now = self.clock.now();
        let until = answer
            .expires_at
            .as_ref()
            .map_or(now + KEPT, |end| Moment::from_timestamp(end) - LAST_MOMENTS);
        let kept = Kept {
            token: answer.access_token.clone(),
            until,
        };
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(account.to_owned(), kept);
        Ok(AccessToken(answer.access_token))
    }
}

fn missing(status: &Status) -> NoAccessToken {
    match status.code() {
        Code::FailedPrecondition => NoAccessToken::Unauthorized(status.message().to_owned()),
        _ => NoAccessToken::NotReady(status.message().to_owned()),
    }
}

/// The host of one account's calls.
pub(crate) struct Host<'a> {
    pub(crate) account: &'a str,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) credentials: &'a Credentials,
}

#[async_trait::async_trait]
impl ChannelHost for Host<'_> {
    fn transport(&self) -> &dyn Transport {
        self.transport
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    async fn access_token(&self, refused: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        self.credentials.token(self.account, refused).await
    }
}
