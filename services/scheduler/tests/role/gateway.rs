//! A gateway in which nothing but schedulers is real.

use crate::fakes::{FakeBroker, FakeStore, TestClock, TestEntropy};
use bytes::Bytes;
use omnigate_core::account::{Account, AdapterRef, Directory, Limits, Settings as AccountSettings};
use omnigate_core::event_webhook::Endpoint;
use omnigate_core::id::MessageId;
use omnigate_core::identity::Named;
use omnigate_core::keyring::Keyring;
use omnigate_core::port::Clock as _;
use omnigate_core::port::adapter::{HttpRequest, HttpResponse, Transport, TransportError};
use omnigate_core::port::broker::{Broker as _, Publication};
use omnigate_core::protocol::send::{self, Request, Target};
use omnigate_core::protocol::submit::{self, Answer, Begun};
use omnigate_core::protocol::{self, Context, Ports};
use omnigate_core::time::Moment;
use omnigate_core::topology;
use omnigate_proto::state::v1::{Hint, Parked};
use omnigate_proto::v1::{
    DeliveryState, ErrorClass, Evidence, Identifier, Lane, Message, ParkedItem, SendError, UnknownPolicy,
};
use omnigate_scheduler::{Care, Credentials, Custodians, Metrics, Parts, Scheduler, Sessions, Settings};
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Gateway {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) broker: FakeBroker,
    pub(crate) clock: Arc<TestClock>,
    entropy: Arc<TestEntropy>,
    /// Of a process beside those under test.
    ports: Ports,
    /// Keys of the operator, the present one first, that schedulers have.
    pub(crate) keys: Vec<[u8; 32]>,
}

/// A scheduler that runs.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    registry: prometheus::Registry,
    pub(crate) credentials: Arc<Credentials>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.ask_to_stop();
        self.task.await.unwrap();
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it without a word.
    pub(crate) fn kill(self) {
        self.task.abort();
    }

    /// The sum of a counter over its labels.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        metrics
            .iter()
            .map(|metric| metric.get_counter().get_value() as u64)
            .sum()
    }

    /// Groups of shards it holds.
    pub(crate) fn groups(&self) -> usize {
        self.gauge("omnigate_scheduler_groups")
    }

    /// What one of its gauges shows.
    pub(crate) fn gauge(&self, name: &str) -> usize {
        let families = self.registry.gather();
        let shown = families.iter().find(|family| family.name() == name);
        shown.map_or(0, |family| family.get_metric()[0].get_gauge().get_value() as usize)
    }
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let (store, clock, entropy): (Arc<FakeStore>, _, Arc<TestEntropy>) =
            (Arc::default(), Arc::new(TestClock::new()), Arc::default());
        Self {
            ports: Ports::new(store.clone(), clock.clone(), entropy.clone()),
            store,
            broker: FakeBroker::default(),
            clock,
            entropy,
            keys: Vec::new(),
        }
    }

    /// A keyring of these keys.
    pub(crate) fn keyring(keys: &[[u8; 32]]) -> Keyring {
        let (present, former) = keys.split_first().unwrap();
        Keyring::new(present, former).unwrap()
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.ports.context()
    }

    fn process(&self) -> Arc<Ports> {
        let ports = Ports::new(self.store.clone(), self.clock.clone(), self.entropy.clone());
        Arc::new(match self.keys.is_empty() {
            true => ports,
            false => ports.sealed_with(Self::keyring(&self.keys)),
        })
    }

    fn parts(&self, registry: &prometheus::Registry) -> Parts {
        Parts {
            ports: self.process(),
            broker: Arc::new(self.broker.clone()),
            metrics: Metrics::new(registry).unwrap(),
        }
    }

    pub(crate) fn schedule(&self) -> Running {
        self.schedule_for(directory(), Custodians::new())
    }

    pub(crate) fn schedule_without_accounts(&self) -> Running {
        self.schedule_for(Directory::default(), Custodians::new())
    }

    /// In an environment of another name.
    pub(crate) fn schedule_in(&self, environment: &str) -> Running {
        let settings = Settings {
            environment: environment.to_owned(),
            ..Settings::default()
        };
        self.begin_scheduler(directory(), Custodians::new(), settings, |scheduler| scheduler)
    }

    pub(crate) fn schedule_with(&self, custodians: Custodians) -> Running {
        self.schedule_for(directory(), custodians)
    }

    /// Sweeps so often, or with zero only after a failover, and looks at nothing else.
    pub(crate) fn schedule_sweeps(&self, every: Duration) -> Running {
        let settings = Settings {
            lease: Duration::from_mins(10),
            busy_pause: Duration::from_hours(10),
            idle_pause: Duration::from_hours(10),
            repair_every: every,
            ..Settings::default()
        };
        self.begin_scheduler(directory(), Custodians::new(), settings, |scheduler| scheduler)
    }

    /// Schedules outgoing webhooks, and looks at nothing else.
    pub(crate) fn schedule_webhooks(&self, endpoints: Vec<Endpoint>, receiver: Arc<dyn Transport>) -> Running {
        self.schedule_webhooks_with(endpoints, receiver, Settings::default())
    }

    /// The same for days, which are long with a beat of seconds.
    pub(crate) fn schedule_webhooks_for_days(&self, endpoints: Vec<Endpoint>, receiver: Arc<dyn Transport>) -> Running {
        let settings = Settings {
            lease: Duration::from_mins(10),
            webhook_tick: Duration::from_mins(1),
            ..Settings::default()
        };
        self.schedule_webhooks_with(endpoints, receiver, settings)
    }

    pub(crate) fn schedule_webhooks_with(
        &self,
        endpoints: Vec<Endpoint>,
        receiver: Arc<dyn Transport>,
        settings: Settings,
    ) -> Running {
        let settings = Settings {
            busy_pause: Duration::from_hours(10),
            idle_pause: Duration::from_hours(10),
            ..settings
        };
        let begin = |scheduler: Scheduler| scheduler.with_event_webhooks(endpoints, receiver);
        self.begin_scheduler(Directory::default(), Custodians::new(), settings, begin)
    }

    fn schedule_for(&self, directory: Directory, custodians: Custodians) -> Running {
        self.begin_scheduler(directory, custodians, Settings::default(), |scheduler| scheduler)
    }

    fn begin_scheduler(
        &self,
        directory: Directory,
        custodians: Custodians,
        settings: Settings,
        begin: impl FnOnce(Scheduler) -> Scheduler,
    ) -> Running {
        let registry = prometheus::Registry::new();
        let care = Care {
            custodians,
            transport: Arc::new(NoTransport),
        };
        let scheduler = begin(Scheduler::new(
            self.parts(&registry),
            care,
            Arc::new(directory),
            settings,
        ));
        let credentials = scheduler.credentials();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            futures_util::future::join(scheduler.run(stopped.clone()), scheduler.look_after(stopped)).await;
        });
        Running {
            stop,
            task,
            registry,
            credentials,
        }
    }

    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::new(self.process(), Arc::new(directory()), &Settings::default())
    }

    /// Accepts a message; its hint gets lost.
    pub(crate) async fn send(&self, name: &str, peer: &str, after: Duration) -> MessageId {
        let send_at = self.clock.now() + after;
        let named = Named {
            identifier: Identifier {
                r#type: "tg_chat".into(),
                scope: "bot".into(),
                value: peer.into(),
            },
            evidence: Evidence::Stated,
            provider_form: String::new(),
        };
        let request = Request {
            tenant_id: "t".into(),
            request_id: name.into(),
            body_hash: [0; 32],
            target: Target::Identifier {
                named,
                account_id: "bot".into(),
                channel: "telegram".into(),
            },
            message: Message::default(),
            send_at,
            expire_at: send_at + Duration::from_secs(240),
            lane: Lane::Transactional,
            on_unknown: UnknownPolicy::Report,
            traceparent: String::new(),
            trace_id: String::new(),
        };
        let accepted = send::accept(&self.context(), &request).await.unwrap();
        accepted.record.delivery.as_ref().unwrap().message_id.parse().unwrap()
    }

    /// Begins a submission that nobody will report on.
    pub(crate) async fn begin(&self, id: MessageId) {
        let begun = submit::begin(&self.context(), id, &submit::Rules::default(), &[1; 16])
            .await
            .unwrap();
        assert!(matches!(begun, Begun::Go(..)));
    }

    /// Begins a submission that the provider refuses.
    pub(crate) async fn fail(&self, id: MessageId, class: ErrorClass) {
        let begun = submit::begin(&self.context(), id, &submit::Rules::default(), &[2; 16]).await;
        let Begun::Go(_, submission) = begun.unwrap() else {
            panic!("must go");
        };
        let answer = Answer {
            piece_count: 1,
            outcome: Err(SendError {
                class: class.into(),
                ..SendError::default()
            }),
        };
        submit::answer(&self.context(), &submission, &answer, 128)
            .await
            .unwrap();
    }

    /// Messages that were hinted.
    pub(crate) fn hints(&self) -> Vec<MessageId> {
        let bodies = self.broker.waiting(&topology::outbound("bot", Lane::Transactional));
        let hints = bodies.into_iter().map(|body| Hint::decode(body).unwrap());
        let each = hints.flat_map(|mut hint| std::mem::take(&mut hint.others).into_iter().chain([hint]));
        each.map(|hint| hint.message_id.parse().unwrap()).collect()
    }

    /// When a message that waits may go.
    pub(crate) async fn waits_until(&self, id: MessageId) -> Moment {
        let record = protocol::delivery::get(&self.context(), id).await.unwrap().unwrap();
        Moment::from_timestamp(record.delivery.unwrap().deferred_until.as_ref().unwrap())
    }

    pub(crate) async fn state(&self, id: MessageId) -> DeliveryState {
        let record = protocol::delivery::get(&self.context(), id).await.unwrap().unwrap();
        record.delivery.unwrap().state()
    }

    pub(crate) async fn park(&self, item: &ParkedItem) {
        let item = item.encode_to_vec().into();
        self.park_body(Parked { item }.encode_to_vec().into()).await;
    }

    pub(crate) async fn park_body(&self, body: Bytes) {
        let publication = Publication {
            queue: topology::parked(),
            body,
            traceparent: String::new(),
        };
        self.broker.publish(vec![publication]).await;
    }
}

fn directory() -> Directory {
    let account = Account {
        id: "bot".into(),
        tenant_id: "t".into(),
        channel: "telegram".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "bot".into(),
        settings: AccountSettings::default(),
        limits: Limits::default(),
    };
    let mut directory = Directory::default();
    directory.accounts.insert("bot".into(), account);
    directory
}

/// Waits until something holds; the runtime's clock runs ahead while nothing else happens.
pub(crate) async fn eventually<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(600);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct NoTransport;

#[async_trait::async_trait]
impl Transport for NoTransport {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        Err(TransportError::Forbidden("nothing is called here".to_owned()))
    }
}
