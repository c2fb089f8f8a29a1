//! A channel that works with access tokens, which the scheduler gives out.

use crate::fakes::{FakeIngest, FakeKind, NOON, account, parts, peer, text};
use omnigate_core::port::Clock;
use omnigate_edge::{Edge, Parts, Sending, Settings};
use omnigate_proto::v1::{
    ErrorClass, GetAccessTokenRequest, GetAccessTokenResponse, SendRequest, send_response::Outcome,
};
use omnigate_rpc::error::Problem;
use omnigate_rpc::v1::{adapter_service_server::AdapterService as _, credential_service_server::CredentialService};
use omnigate_runtime::clock::ManualClock;
use sha2::{Digest as _, Sha256};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tonic::{Request, Response, Status};

/// What the scheduler says next.
#[derive(Clone)]
enum Says {
    /// A token and for how long it holds; a new one for every refusal of the present one.
    Token(Option<Duration>),
    Problem(Problem),
    Nothing,
}

/// A scheduler that gives out tokens, and what it was asked.
struct FakeScheduler {
    clock: Arc<ManualClock>,
    says: Mutex<Says>,
    number: Mutex<u32>,
    asked: Mutex<Vec<GetAccessTokenRequest>>,
}

impl FakeScheduler {
    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl CredentialService for FakeScheduler {
    async fn get_access_token(
        &self,
        request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        let asked = request.into_inner();
        self.asked.lock().unwrap().push(asked.clone());
        let says = self.says.lock().unwrap().clone();
        match says {
            Says::Token(life) => {
                let mut number = self.number.lock().unwrap();
                let refused = asked.refused_token_sha256;
                if refused == Sha256::digest(format!("token{number}")).as_slice() {
                    *number += 1;
                }
                Ok(Response::new(GetAccessTokenResponse {
                    access_token: format!("token{number}"),
                    expires_at: life.map(|life| (self.clock.now() + life).to_timestamp()),
                }))
            }
            Says::Problem(problem) => Err(problem.into()),
            Says::Nothing => std::future::pending().await,
        }
    }
}

struct World {
    sending: Arc<Sending>,
    scheduler: Arc<FakeScheduler>,
    clock: Arc<ManualClock>,
}

fn given(kind: impl FnOnce(Parts, &Arc<FakeScheduler>) -> Parts) -> World {
    let clock = Arc::new(ManualClock::new(NOON));
    let scheduler = Arc::new(FakeScheduler {
        clock: Arc::clone(&clock),
        says: Mutex::new(Says::Token(Some(Duration::from_secs(3600)))),
        number: Mutex::new(1),
        asked: Mutex::default(),
    });
    let accounts = vec![account("shop"), account("other")];
    let parts = parts(FakeKind::new(), accounts, FakeIngest::open(), Settings::default());
    let parts = Parts {
        clock: Arc::<ManualClock>::clone(&clock),
        ..kind(parts, &scheduler)
    };
    World {
        sending: Edge::new(parts).unwrap().sending(),
        scheduler,
        clock,
    }
}

fn connected() -> World {
    given(|parts, scheduler| Parts {
        credentials: Some(Arc::<FakeScheduler>::clone(scheduler)),
        ..parts
    })
}

impl World {
    /// The token that the channel got, or the class and words of what went wrong.
    async fn send(&self, account: &str, words: &str) -> Result<String, (ErrorClass, String)> {
        let request = SendRequest {
            account_id: account.into(),
            peer: Some(peer()),
            message: Some(text(words)),
            send_key: "key".into(),
            deadline: Some((self.clock.now() + Duration::from_secs(20)).to_timestamp()),
            ..SendRequest::default()
        };
        let response = self.sending.send(Request::new(request)).await.unwrap().into_inner();
        match response.outcome.unwrap() {
            Outcome::Accepted(accepted) => Ok(accepted.provider_message_id),
            Outcome::Error(error) => Err((error.class(), error.text)),
        }
    }

    async fn token(&self) -> String {
        self.send("shop", "token").await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_for_once_and_kept_until_shortly_before_its_end() {
    let world = connected();
    for _ in 0..10 {
        assert_eq!(world.token().await, "token1");
    }
    assert_eq!(world.scheduler.asked(), 1);
    world.clock.advance(Duration::from_secs(3539));
    world.token().await;
    assert_eq!(world.scheduler.asked(), 1);
    world.clock.advance(Duration::from_secs(1));
    world.token().await;
    assert_eq!(
        world.scheduler.asked(),
        2,
        "a minute before its end the scheduler has another one"
    );
    world.send("other", "token").await.unwrap();
    let asked = world.scheduler.asked.lock().unwrap();
    assert_eq!(asked[2].account_id, "other", "every account has its own");
    assert!(asked.iter().all(|asked| asked.refused_token_sha256.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_token_without_an_end_is_kept_for_some_minutes() {
    let world = connected();
    world.scheduler.says(Says::Token(None));
    world.token().await;
    world.clock.advance(Duration::from_secs(299));
    world.token().await;
    assert_eq!(world.scheduler.asked(), 1);
    world.clock.advance(Duration::from_secs(1));
    world.token().await;
    assert_eq!(world.scheduler.asked(), 2);
    // One that ends at once is used and not kept.
    let hasty = connected();
    hasty.scheduler.says(Says::Token(Some(Duration::from_secs(30))));
    assert_eq!(hasty.token().await, "token1");
    hasty.token().await;
    assert_eq!(hasty.scheduler.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_named_by_its_hash_and_replaced_once() {
    let world = connected();
    assert_eq!(world.token().await, "token1");
    assert_eq!(world.send("shop", "refused token1").await.unwrap(), "token2");
    {
        let asked = world.scheduler.asked.lock().unwrap();
        assert_eq!(asked[1].refused_token_sha256, Sha256::digest("token1").as_slice());
    }
    // Others whose call was refused meanwhile get the new one without asking.
    assert_eq!(world.send("shop", "refused token1").await.unwrap(), "token2");
    assert_eq!(world.token().await, "token2");
    assert_eq!(world.scheduler.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent_and_the_reason_is_told() {
    let world = connected();
    world.scheduler.says(Says::Problem(Problem::unavailable(
        "TOKEN_NOT_READY",
        "a token is being fetched",
    )));
    let (class, words) = world.send("shop", "token").await.unwrap_err();
    assert!(
        class == ErrorClass::NotSent && words.contains("being fetched"),
        "{words}"
    );
    let dead = Problem::failed_precondition("ACCOUNT_UNAUTHORIZED", "the refresh token is used up");
    world.scheduler.says(Says::Problem(dead));
    let (class, words) = world.send("shop", "token").await.unwrap_err();
    assert!(class == ErrorClass::Account && words.contains("used up"), "{words}");
    world.scheduler.says(Says::Nothing);
    let begun = tokio::time::Instant::now();
    let (class, words) = world.send("shop", "token").await.unwrap_err();
    assert!(
        class == ErrorClass::NotSent && words.contains("did not answer"),
        "{words}"
    );
    assert!(begun.elapsed() <= Duration::from_secs(5));
    world.scheduler.says(Says::Token(None));
    assert_eq!(world.token().await, "token1", "a failure is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_kept_token_outlives_the_scheduler() {
    let world = connected();
    world.token().await;
    world
        .scheduler
        .says(Says::Problem(Problem::unavailable("UNAVAILABLE", "gone")));
    world.clock.advance(Duration::from_secs(3000));
    assert_eq!(world.token().await, "token1");
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_knows_no_scheduler_says_what_to_configure() {
    let world = given(|parts, _| parts);
    let (class, words) = world.send("shop", "token").await.unwrap_err();
    assert!(
        class == ErrorClass::NotSent && words.contains("connect.sessions"),
        "{words}"
    );
    assert_eq!(
        world.send("shop", "hello").await.unwrap().split(':').next(),
        Some("key"),
        "who needs no token is not concerned"
    );
}
