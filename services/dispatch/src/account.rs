//! One account: takes hints as fast as pace, places and the adapter allow.

use crate::{
    calls::Calls,
    inbox::Inbox,
    pacing::{Offer, Pacing, Token},
    script::Scripts,
    shared::{Pauses, Shared},
    submission,
};
use omnigate_core::account::Account;
use omnigate_core::delivery::disposition::account_rests;
use omnigate_core::protocol::submit::Rules;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Capabilities, GetCapabilitiesRequest, SendError};
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

/// A longer wait than this is spent without holding hints, which the broker would miss.
const LONG_WAIT: Duration = Duration::from_secs(5);
/// A closed account is looked at again after this long, because somebody may have opened it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Hints that a message of the broker brings under load, about.
const HINTS_A_MESSAGE: usize = 8;
/// Longest wait for an adapter's capabilities.
const ASK_WITHIN: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One account's way out.
pub(crate) struct Line {
    pub(crate) shared: Arc<Shared>,
    pub(crate) adapter: Arc<dyn AdapterService>,
    pub(crate) pacing: Pacing,
    pub(crate) calls: Calls,
    account: Account,
    places: Arc<Semaphore>,
    /// What campaigns say through it.
    pub(crate) scripts: Scripts,
    /// Messages that may wait in place for their time.
    pub(crate) waiting: Semaphore,
    /// `None` while nobody knows whether the adapter is there.
    limits: Mutex<Option<Limits>>,
}

/// How fast the account may send.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Limits {
    /// Messages a second through the account; `None` for no limit known.
    pub(crate) per_second: Option<f64>,
    /// What each thread's messages are measured against.
    pub(crate) rules: Rules,
}

/// Why an account stops taking hints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Stopping,
    /// Not before this long.
    For(Duration),
    /// Until the adapter answers.
    AdapterAway,
    /// Until the store answers.
    StoreAway,
}

/// Places of one message.
type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Line {
    pub(crate) fn new(shared: Arc<Shared>, account: Account, adapter: Arc<dyn AdapterService>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(shared.settings.in_flight_per_account)),
            waiting: Semaphore::new(shared.settings.in_flight_per_account / 2),
            pacing: Pacing::new(&account.id),
            calls: Calls::new(shared.settings.calls_at_least, shared.settings.calls_at_most),
            limits: Mutex::default(),
            scripts: Scripts::default(),
            shared,
            adapter,
            account,
        }
    }

    pub(crate) const fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn account_id(&self) -> &str {
        &self.account.id
    }

    pub(crate) fn limits(&self) -> Limits {
        self.known().unwrap_or_default()
    }

    /// What each message is measured against. The operator's word on consent holds also while nobody knows the adapter's.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            marketing: self.shared.settings.marketing.of(&self.account.channel),
            ..self.limits().rules
        }
    }

    fn known(&self) -> Option<Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, limits: Option<Limits>) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// The adapter may be away: nothing more is begun until it answers again.
    pub(crate) fn doubt(&self) {
        self.learn(None);
    }

    /// Sends until stopped; then finishes what is under way, for as long as the settings allow.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        loop {
            let mut inbox = None;
            let rest = stop
                .run_until_cancelled(self.serve(&mut inbox, &mut tasks, &stop))
                .await;
            match rest.unwrap_or(Rest::Stopping) {
                Rest::Stopping => {
                    // The inbox lives on, so that what is under way can settle its hints.
                    self.drain(tasks).await;
                    return;
                }
                Rest::For(wait) => {
                    drop(inbox);
                    stop.run_until_cancelled(tokio::time::sleep(wait.min(LOOK_AGAIN))).await;
                }
                Rest::AdapterAway => {}
                Rest::StoreAway => {
                    drop(inbox);
                    stop.run_until_cancelled(self.until_store_answers()).await;
                }
            }
        }
    }

    async fn serve(
        self: &Arc<Self>,
        inbox: &mut Option<Inbox>,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Rest {
        self.until_adapter_answers().await;
        // A message of the broker brings several hints.
        let prefetch = self.shared.settings.in_flight_per_account.div_ceil(HINTS_A_MESSAGE);
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX);
        let inbox = inbox.insert(Inbox::open(&self.shared.broker, self.account_id(), prefetch));
        loop {
            reap(tasks);
            if self.known().is_none() {
                return Rest::AdapterAway;
            }
            // An account without hints holds no place.
            inbox.wait().await;
            let Some(place) = self.place().await else {
                return Rest::Stopping;
            };
            let token = match self.token().await {
                Ok(token) => token,
                Err(rest) => return rest,
            };
            self.shared.intents.healthy().await;
            if let Some(task) = inbox.take() {
                let carried_out = submission::carry_out(Arc::clone(self), task, token, stop.clone());
                let gauge = self.shared.metrics.clone();
                tasks.spawn(async move {
                    gauge.in_flight(1);
                    carried_out.await;
                    gauge.in_flight(-1);
                    drop(place);
                });
            }
        }
    }

    async fn place(&self) -> Option<Place> {
        let own = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let common = Arc::clone(&self.shared.places).acquire_owned().await.ok()?;
        Some((own, common))
    }

    async fn token(&self) -> Result<Token, Rest> {
        loop {
            match self.pacing.token(&self.shared, self.limits().per_second).await {
                Ok(Offer::Token(token)) => return Ok(token),
                Ok(Offer::After(wait)) if wait > LONG_WAIT => return Err(Rest::For(wait)),
                Ok(Offer::After(wait)) => tokio::time::sleep(wait).await,
                Err(error) => {
                    tracing::warn!(account = self.account_id(), %error, "no pace, nothing is sent");
                    return Err(Rest::StoreAway);
                }
            }
        }
    }

    /// A token, if one is there soon.
    pub(crate) async fn token_within(&self, wait: Duration) -> Option<Token> {
        let deadline = Instant::now() + wait;
        loop {
            match self.pacing.token(&self.shared, self.limits().per_second).await.ok()? {
                Offer::Token(token) => return Some(token),
                Offer::After(wait) if Instant::now() + wait > deadline => return None,
                Offer::After(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Slows the account down where an answer asks for it.
    pub(crate) async fn heed(&self, error: Option<&SendError>) {
        let Some(pause) = error.and_then(account_rests) else {
            return;
        };
        let until: Moment = self.shared.ports.clock.now() + pause;
        if let Err(error) = self.pacing.close(&self.shared, until).await {
            tracing::warn!(%error, "account not paused for all dispatchers");
        }
    }

    /// Asks for the account's capabilities until somebody knows them.
    async fn until_adapter_answers(&self) {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        while self.known().is_none() {
            match self.ask().await {
                Ok(capabilities) => self.learn(Some(limits(&self.account, &capabilities))),
                Err(status) => {
                    let (code, problem) = (status.code(), status.message());
                    tracing::warn!(
                        account = self.account_id(),
                        ?code,
                        problem,
                        "adapter is away, nothing is sent"
                    );
                    pauses.wait().await;
                }
            }
        }
    }

    async fn ask(&self) -> Result<Capabilities, Status> {
        let mut request = Request::new(GetCapabilitiesRequest {
            account_id: self.account.id.clone(),
        });
        request.set_timeout(ASK_WITHIN);
        match tokio::time::timeout(ASK_WITHIN, self.adapter.get_capabilities(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner().capabilities.unwrap_or_default()),
            // It is there and has nothing to say.
            Ok(Err(status)) if status.code() == Code::Unimplemented => Ok(Capabilities::default()),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }

    async fn until_store_answers(&self) {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        while let Err(error) = self.shared.ports.store.probe().await {
            tracing::warn!(account = self.account_id(), %error, "store is away, nothing is sent");
            pauses.wait().await;
        }
    }

    async fn drain(&self, mut tasks: JoinSet<()>) {
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.shared.settings.drain_within, all)
            .await
            .is_err()
        {
            let messages = tasks.len();
            tracing::warn!(
                account = self.account_id(),
                messages,
                "stopped while calls were under way"
            );
        }
    }
}

/// Forgets tasks that have ended. One that panicked gave its hint back, and recovery settles what it had begun.
fn reap(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.try_join_next() {
        if let Err(error) = ended {
            tracing::error!(%error, "sending a message failed in a way nobody foresaw");
        }
    }
}

/// The tighter of what the operator and the provider allow.
fn limits(account: &Account, capabilities: &Capabilities) -> Limits {
    let known = |rate: f64| (rate > 0.0 && rate.is_finite()).then_some(rate);
    let tighter = |ours: Option<f64>, theirs: f64| match (ours.and_then(known), known(theirs)) {
        (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
        (ours, theirs) => ours.or(theirs),
    };
    let ours = account.limits;
    let per_thread = tighter(
        ours.messages_per_second_per_thread,
        capabilities.messages_per_second_per_thread,
    );
    Limits {
        per_second: tighter(ours.messages_per_second, capabilities.messages_per_second),
        rules: Rules {
            interval: per_thread.map_or(Duration::ZERO, |rate| Duration::from_secs_f64((1.0 / rate).min(3600.0))),
            window: capabilities.reply_window.clone(),
            ..Rules::default()
        },
    }
}
