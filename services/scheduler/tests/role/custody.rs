//! Looking after accounts whose provider takes every refresh token once.

use crate::gateway::{Gateway, Running, eventually};
use crate::{asked, why};
use futures_util::future::join_all;
use omnigate_core::credential::{FETCH_TIME, digest};
use omnigate_core::port::Clock as _;
use omnigate_core::port::adapter::{ChannelHost, Custodian, Grant, NoTokens, TokenPair, Transport};
use omnigate_core::protocol::{credential, pace, templates};
use omnigate_proto::v1::{ErrorClass, GetAccessTokenRequest, ProviderTemplate, SendError};
use omnigate_rpc::v1::credential_service_server::CredentialService as _;
use omnigate_scheduler::Custodians;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::{Code, Status};

const SEED: &str = "seed";
/// Of an access token; a new one is due when a fifth of it is left.
const LIFE: Duration = Duration::from_secs(600);

/// What the provider does when asked.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Mood {
    #[default]
    Answers,
    Away,
    /// Hands a pair out, but the answer takes until `go`.
    Slow,
    Panics,
}

/// A provider that hands out pairs and takes every grant once.
#[derive(Default)]
struct Provider {
    mood: Mutex<Mood>,
    go: Notify,
    /// Everything it was asked for, in order.
    grants: Mutex<Vec<String>>,
    /// The only refresh token that lives.
    living: Mutex<String>,
    pairs: Mutex<u32>,
    templates: Mutex<Vec<ProviderTemplate>>,
    templates_hang: Mutex<bool>,
    /// Tokens with which templates were asked for.
    listed_with: Mutex<Vec<String>>,
}

impl Provider {
    fn new() -> Arc<Self> {
        let provider = Self::default();
        SEED.clone_into(&mut provider.living.lock().unwrap());
        Arc::new(provider)
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn grants(&self) -> Vec<String> {
        self.grants.lock().unwrap().clone()
    }

    fn hand_out(&self, grant: &str) -> Result<TokenPair, NoTokens> {
        let mut living = self.living.lock().unwrap();
        if *living != grant && grant != "code" {
            return Err(NoTokens::Dead(
                "the refresh token is used up: authorise the account".into(),
            ));
        }
        let mut pairs = self.pairs.lock().unwrap();
        *pairs += 1;
        *living = format!("r{pairs}");
        Ok(TokenPair {
            access_token: format!("a{pairs}"),
            access_for: Some(LIFE),
            refresh_token: living.clone(),
            refresh_for: None,
        })
    }
}

struct FakeCustodian {
    provider: Arc<Provider>,
    seed: Option<&'static str>,
}

#[async_trait::async_trait]
impl Custodian for FakeCustodian {
    fn first_refresh_token(&self) -> Option<&str> {
        self.seed
    }

    fn authorization_url(&self) -> Option<String> {
        None
    }

    async fn fetch(&self, grant: &Grant, _: &dyn Transport) -> Result<TokenPair, NoTokens> {
        let grant = match grant {
            Grant::RefreshToken(token) => token.clone(),
            Grant::AuthorizationCode { code, .. } => code.clone(),
        };
        self.provider.grants.lock().unwrap().push(grant.clone());
        let mood = *self.provider.mood.lock().unwrap();
        match mood {
            Mood::Answers => self.provider.hand_out(&grant),
            Mood::Away => Err(NoTokens::Unavailable("503 Service Unavailable".into())),
            Mood::Slow => {
                let pair = self.provider.hand_out(&grant);
                self.provider.go.notified().await;
                pair
            }
            Mood::Panics => panic!("as the test asked"),
        }
    }

    async fn templates(&self, host: &dyn ChannelHost) -> Result<Option<Vec<ProviderTemplate>>, SendError> {
        let token = host.access_token(None).await.map_err(|missing| SendError {
            text: missing.to_string(),
            ..SendError::default()
        })?;
        self.provider.listed_with.lock().unwrap().push(token.0);
        if *self.provider.templates_hang.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        Ok(Some(self.provider.templates.lock().unwrap().clone()))
    }
}

fn custodians(provider: &Arc<Provider>, seed: Option<&'static str>) -> Custodians {
    let custodian = FakeCustodian {
        provider: Arc::clone(provider),
        seed,
    };
    Custodians::from([("bot".to_owned(), Box::new(custodian) as Box<dyn Custodian>)])
}

fn look_after(gateway: &Gateway, provider: &Arc<Provider>) -> Running {
    gateway.schedule_with(custodians(provider, Some(SEED)))
}

async fn token(running: &Running, refused: &str) -> Result<String, Status> {
    let request = GetAccessTokenRequest {
        account_id: "bot".into(),
        refused_token_sha256: match refused {
            "" => bytes::Bytes::new(),
            refused => digest(refused).to_vec().into(),
        },
    };
    let answer = running.credentials.get_access_token(asked(request)).await?;
    Ok(answer.into_inner().access_token)
}

async fn eventually_token(running: &Running, wanted: &str) {
    eventually(|| async { token(running, "").await.is_ok_and(|token| token == wanted) }).await;
}

async fn eventually_unauthorized(running: &Running) {
    eventually(|| async {
        token(running, "")
            .await
            .is_err_and(|status| status.code() == Code::FailedPrecondition)
    })
    .await;
}

/// What somebody hands in who agreed.
fn authorization() -> Grant {
    Grant::AuthorizationCode {
        code: "code".into(),
        verifier: String::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_on_however_many_schedulers_every_pair_is_fetched_once() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    let schedulers = [look_after(&gateway, &provider), look_after(&gateway, &provider)];
    let callers = (0..200).map(|caller| token(&schedulers[caller % 2], ""));
    let tokens = join_all(callers).await;
    assert!(
        tokens.iter().all(|token| token.as_deref().unwrap() == "a1"),
        "{tokens:?}"
    );
    // Ahead of its end the pair is replaced, by one of the two; nobody ever has to wait.
    for number in 2..6 {
        eventually(|| async { provider.grants().len() == number }).await;
        let callers = (0..20).map(|caller| token(&schedulers[caller % 2], ""));
        for token in join_all(callers).await {
            assert!(token.unwrap().starts_with('a'));
        }
    }
    assert_eq!(provider.grants(), [SEED, "r1", "r2", "r3", "r4"], "each was used once");
    let [first, second] = schedulers;
    first.stop().await;
    eventually(|| async { provider.grants().len() == 6 }).await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once_however_many_say_so() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    let running = look_after(&gateway, &provider);
    eventually_token(&running, "a1").await;
    let callers = (0..50).map(|_| token(&running, "a1"));
    for refused in join_all(callers).await {
        let status = refused.unwrap_err();
        assert_eq!(
            why(&status),
            (Code::Unavailable, "TOKEN_NOT_READY".into()),
            "not before it is half a minute old"
        );
    }
    eventually_token(&running, "a2").await;
    // A late refusal of the former one costs nothing.
    assert_eq!(token(&running, "a1").await.unwrap(), "a2");
    assert_eq!(provider.grants(), [SEED, "r1"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_is_asked_again_with_the_same_token() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    provider.is(Mood::Away);
    let running = look_after(&gateway, &provider);
    eventually(|| async { provider.grants().len() > 2 }).await;
    let status = token(&running, "").await.unwrap_err();
    assert_eq!(why(&status), (Code::Unavailable, "TOKEN_NOT_READY".into()));
    let record = credential::read(&gateway.context(), "bot").await.unwrap().unwrap();
    assert_eq!(record.problem, "503 Service Unavailable");
    provider.is(Mood::Answers);
    eventually_token(&running, "a1").await;
    assert!(provider.grants().iter().all(|grant| grant == SEED));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_account_without_living_tokens_says_why_until_somebody_authorises_it() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    "another".clone_into(&mut provider.living.lock().unwrap());
    let running = look_after(&gateway, &provider);
    eventually_unauthorized(&running).await;
    let begun = Instant::now();
    let status = token(&running, "").await.unwrap_err();
    assert_eq!(why(&status), (Code::FailedPrecondition, "ACCOUNT_UNAUTHORIZED".into()));
    assert!(status.message().contains("used up"), "{}", status.message());
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for a person");
    let code = authorization();
    credential::hand_in(&gateway.context(), "bot", &code, "1")
        .await
        .unwrap();
    let status = token(&running, "").await;
    assert!(status.is_ok() || status.unwrap_err().code() == Code::Unavailable);
    eventually_token(&running, "a1").await;
    assert_eq!(provider.grants(), [SEED, "code"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_account_goes_as_soon_as_somebody_authorised_it() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    "another".clone_into(&mut provider.living.lock().unwrap());
    let running = look_after(&gateway, &provider);
    eventually_unauthorized(&running).await;
    let waiting = [
        gateway.send("one", "1", Duration::ZERO).await,
        gateway.send("two", "2", Duration::ZERO).await,
    ];
    let throttled = gateway.send("three", "3", Duration::ZERO).await;
    for id in waiting {
        gateway.fail(id, ErrorClass::Account).await;
    }
    gateway.fail(throttled, ErrorClass::RecipientTemporary).await;
    let (begun, told) = (gateway.clock.now(), gateway.waits_until(throttled).await);
    pace::close(&gateway.context(), "bot", begun + Duration::from_secs(15))
        .await
        .unwrap();
    assert!(gateway.waits_until(waiting[0]).await > begun + Duration::from_secs(45));
    let code = authorization();
    credential::hand_in(&gateway.context(), "bot", &code, "1")
        .await
        .unwrap();
    eventually(|| async {
        let hints = gateway.hints();
        waiting.iter().all(|id| hints.contains(id))
    })
    .await;
    let took = gateway.clock.now().since(begun);
    assert!(took < Duration::from_secs(10), "{took:?}");
    for id in waiting {
        assert!(gateway.waits_until(id).await <= gateway.clock.now());
    }
    assert_eq!(gateway.waits_until(throttled).await, told, "it waits for its recipient");
    let paced = pace::take(&gateway.context(), "bot", 10.0, 1).await.unwrap();
    let opens = paced.map_or_else(|at| at, |_| begun);
    assert!(
        opens < begun + Duration::from_secs(2),
        "nor is the account kept closed: {opens}"
    );
    // A call that was under way meanwhile, and took its time to fail.
    let late = gateway.send("four", "4", Duration::ZERO).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    gateway.fail(late, ErrorClass::Account).await;
    let failed = gateway.clock.now();
    assert!(gateway.waits_until(late).await > failed + Duration::from_secs(45));
    eventually(|| async { gateway.waits_until(late).await <= gateway.clock.now() }).await;
    let took = gateway.clock.now().since(failed);
    assert!(took < Duration::from_secs(30), "{took:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_nobody_authorised_says_so_at_once() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    let running = gateway.schedule_with(custodians(&provider, None));
    let status = token(&running, "").await.unwrap_err();
    assert_eq!(why(&status), (Code::FailedPrecondition, "ACCOUNT_UNAUTHORIZED".into()));
    assert!(
        status.message().contains("nobody has authorised"),
        "{}",
        status.message()
    );
    running.stop().await;
    let stranger = gateway.schedule();
    let status = token(&stranger, "").await.unwrap_err();
    assert_eq!(why(&status), (Code::NotFound, "NO_TOKENS".into()));
    stranger.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_fetch_under_way_and_for_the_store() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    provider.is(Mood::Slow);
    let running = look_after(&gateway, &provider);
    eventually(|| async { provider.grants().len() == 1 }).await;
    running.ask_to_stop();
    gateway.store.away.store(true, Ordering::SeqCst);
    provider.go.notify_one();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!running.has_ended(), "the pair is in nobody else's hands");
    gateway.store.away.store(false, Ordering::SeqCst);
    eventually(|| async { running.has_ended() }).await;
    let record = credential::read(&gateway.context(), "bot").await.unwrap().unwrap();
    assert_eq!(
        (record.access_token.as_str(), record.refresh_token.as_str()),
        ("a1", "r1")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_and_a_process_that_dies_leave_the_token_to_the_next() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    let first = look_after(&gateway, &provider);
    eventually_token(&first, "a1").await;
    provider.is(Mood::Away);
    eventually(|| async { provider.grants().len() == 2 }).await;
    first.kill();
    provider.is(Mood::Answers);
    let second = look_after(&gateway, &provider);
    eventually_token(&second, "a2").await;
    assert_eq!(provider.grants()[1..], ["r1", "r1"]);
    // One that dies in the middle keeps the others off for a while.
    provider.is(Mood::Slow);
    eventually(|| async { provider.grants().len() == 4 }).await;
    second.kill();
    provider.is(Mood::Answers);
    let begun = Instant::now();
    let third = look_after(&gateway, &provider);
    eventually(|| async { provider.grants().len() == 5 }).await;
    assert!(
        begun.elapsed() + Duration::from_secs(2) > FETCH_TIME,
        "{:?}",
        begun.elapsed()
    );
    // The provider had answered, so the token is used up. The access token lives on while a person is called.
    assert_eq!(provider.grants()[3..], ["r2", "r2"]);
    assert_eq!(token(&third, "").await.unwrap(), "a2");
    eventually(|| async {
        let record = credential::read(&gateway.context(), "bot").await.unwrap().unwrap();
        record.dead.contains("used up")
    })
    .await;
    third.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_fails_takes_nothing_else_down() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    provider.is(Mood::Panics);
    let running = look_after(&gateway, &provider);
    eventually(|| async { provider.grants().len() > 1 }).await;
    eventually(|| async { running.groups() == 16 }).await;
    assert!(!running.has_ended());
    provider.is(Mood::Answers);
    eventually_token(&running, "a1").await;
    running.stop().await;
}

fn template(id: &str) -> ProviderTemplate {
    ProviderTemplate {
        template_id: id.to_owned(),
        ..ProviderTemplate::default()
    }
}

async fn copied(gateway: &Gateway) -> Option<Vec<String>> {
    let copied = templates::read(&gateway.context(), "bot").await.unwrap()?;
    Some(copied.templates.into_iter().map(|one| one.template_id).collect())
}

#[tokio::test(start_paused = true)]
async fn templates_are_copied_as_soon_as_there_is_a_token_and_then_regularly() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    *provider.templates.lock().unwrap() = vec![template("2"), template("1")];
    provider.is(Mood::Away);
    let running = look_after(&gateway, &provider);
    eventually(|| async { provider.grants().len() > 1 }).await;
    assert_eq!(copied(&gateway).await, None);
    provider.is(Mood::Answers);
    eventually(|| async { copied(&gateway).await == Some(vec!["1".into(), "2".into()]) }).await;
    provider.templates.lock().unwrap().push(template("3"));
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(800)).await;
    eventually(|| async { copied(&gateway).await.is_some_and(|copied| copied.len() == 3) }).await;
    assert!(begun.elapsed() <= Duration::from_secs(905), "{:?}", begun.elapsed());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_templates_that_never_ends_keeps_no_token_waiting() {
    let gateway = Gateway::new();
    let provider = Provider::new();
    *provider.templates_hang.lock().unwrap() = true;
    let running = look_after(&gateway, &provider);
    eventually(|| async { !provider.listed_with.lock().unwrap().is_empty() }).await;
    eventually_token(&running, "a2").await;
    running.stop().await;
}
