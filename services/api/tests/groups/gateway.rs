//! Processes of the api over one store and one broker, and subscribers that read and acknowledge.

use crate::fakes::{FakeBroker, FakeStore, TestClock, TestEntropy};
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream::{BoxStream, StreamExt as _};
use omnigate_api::{Api, Parts, Settings};
use omnigate_core::event_webhook::Endpoint;
use omnigate_core::port::Clock as _;
use omnigate_core::port::broker::Broker as _;
use omnigate_core::port::store::{Answer, Commit, Outcome, Query, Store, StoreError};
use omnigate_core::protocol::Ports;
use omnigate_core::shard::{Partition, Shard};
use omnigate_core::topology;
use omnigate_proto::state::v1::CustomerEventBatch;
use omnigate_proto::v1::{AcknowledgeRequest, CustomerEvent, SubscribeRequest, SubscribeResponse};
use omnigate_rpc::auth::{Caller, Scopes};
use omnigate_rpc::page;
use omnigate_rpc::v1::event_service_server::EventService as _;
use omnigate_runtime::stop::{Budgets, Stop};
use prost::Message as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Request, Status};

const BUDGETS: Budgets = Budgets {
    intake: PATIENCE,
    in_flight: PATIENCE,
    flush: PATIENCE,
    tokens: PATIENCE,
    close: PATIENCE,
    health: PATIENCE,
};
/// Partitions of inbound queues: as many as make four logs of events.
const PARTITIONS: u16 = 16;
/// Logs of events.
pub(crate) const LOGS: u16 = 4;
/// Longer than anything takes that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Tenant of most tests.
pub(crate) const TENANT: &str = "t";

pub(crate) struct Gateway {
    store: Arc<FakeStore>,
    pub(crate) broker: FakeBroker,
    clock: Arc<TestClock>,
    entropy: Arc<TestEntropy>,
}

/// A process; when it dies it writes nothing any more.
pub(crate) struct Process {
    pub(crate) api: Arc<Api>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) stop: Stop,
    store: Arc<Mortal>,
}

struct Mortal {
    store: Arc<FakeStore>,
    is_dead: AtomicBool,
}

impl Mortal {
    fn check(&self) -> Result<(), StoreError> {
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the process is dead".into()));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Store for Mortal {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.check()?;
        self.store.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.check()?;
        assert!(commit.falsifies_itself(), "{commit:?}");
        self.store.commit(shard, commit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.check()
    }
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::default(),
            broker: FakeBroker::default(),
            clock: Arc::new(TestClock::new()),
            entropy: Arc::default(),
        }
    }

    pub(crate) fn process(&self) -> Process {
        self.process_with(Settings::default())
    }

    pub(crate) fn process_with(&self, settings: Settings) -> Process {
        let store = Arc::new(Mortal {
            store: Arc::clone(&self.store),
            is_dead: AtomicBool::new(false),
        });
        let ports = Ports::new(
            Arc::<Mortal>::clone(&store),
            Arc::<TestClock>::clone(&self.clock),
            Arc::<TestEntropy>::clone(&self.entropy),
        );
        let ports = Arc::new(ports);
        let stop = Stop::new(BUDGETS);
        let api = Api::new(Parts {
            ports: Arc::clone(&ports),
            broker: Arc::new(self.broker.clone()),
            directory: Arc::default(),
            adapters: None,
            authorized: omnigate_api::Authorized::new(),
            partitions: PARTITIONS,
            tokens: page::Tokens::new(b"secret"),
            stop: stop.clone(),
            settings,
            event_webhooks: vec![event_webhook()],
            marketing: omnigate_core::consent::MarketingDefaults::default(),
        });
        Process {
            api: Arc::new(api),
            ports,
            stop,
            store,
        }
    }

    /// Publishes events of a home, numbered on, in one entry of a log.
    pub(crate) async fn publish(&self, log: u16, events: &[(&str, u64)]) {
        self.publish_for(TENANT, log, events).await;
    }

    pub(crate) async fn publish_for(&self, tenant_id: &str, log: u16, events: &[(&str, u64)]) {
        let events: Vec<_> = events
            .iter()
            .map(|(home, number)| {
                let event = CustomerEvent {
                    event_id: format!("{home}/{number}"),
                    tenant_id: tenant_id.to_owned(),
                    customer_id: (*home).to_owned(),
                    home_seq: *number,
                    at: Some(self.clock.now().to_timestamp()),
                    ..CustomerEvent::default()
                };
                event.encode_to_vec().into()
            })
            .collect();
        let body = CustomerEventBatch { events }.encode_to_vec().into();
        let answers = self.broker.append(&topology::events(Partition(log)), vec![body]).await;
        assert!(answers.iter().all(Result::is_ok));
    }
}

fn event_webhook() -> Endpoint {
    Endpoint {
        id: "crm".to_owned(),
        tenant_id: TENANT.to_owned(),
        url: "https://crm.example/hooks?key=secret".to_owned(),
        shown_url: "https://crm.example".to_owned(),
        keys: Vec::new(),
        kinds: std::collections::BTreeSet::new(),
        description: "for people".to_owned(),
    }
}

/// A request of a tenant's program.
pub(crate) fn of<T>(tenant: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .extensions_mut()
        .insert(Caller::new("program", tenant, Scopes::all()));
    request
}

impl Process {
    /// Dies without a word: nothing that it still does reaches the store.
    pub(crate) fn die(&self) {
        self.store.is_dead.store(true, Ordering::SeqCst);
    }

    pub(crate) async fn subscribe(&self, group: &str) -> Subscriber {
        let request = SubscribeRequest {
            group: group.to_owned(),
            from_oldest: true,
            ..SubscribeRequest::default()
        };
        self.subscribe_with(request).await
    }

    pub(crate) async fn subscribe_with(&self, request: SubscribeRequest) -> Subscriber {
        self.subscribe_for(TENANT, request).await
    }

    pub(crate) async fn subscribe_for(&self, tenant: &str, request: SubscribeRequest) -> Subscriber {
        let mut stream = self.api.subscribe(of(tenant, request)).await.unwrap().into_inner();
        let first = timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(first, SubscribeResponse::default(), "it says that it is a member");
        Subscriber(stream)
    }

    pub(crate) async fn acknowledge(&self, group: &str, events: &[Received]) -> Vec<String> {
        let ack_tokens = events.iter().map(|event| event.token.clone()).collect();
        let request = AcknowledgeRequest {
            group: group.to_owned(),
            ack_tokens,
        };
        let answer = self.api.acknowledge(of(TENANT, request)).await.unwrap();
        answer.into_inner().handed_over
    }
}

/// A subscriber with its stream.
pub(crate) struct Subscriber(BoxStream<'static, Result<SubscribeResponse, Status>>);

/// An event that a subscriber got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    pub(crate) home: String,
    pub(crate) number: u64,
    pub(crate) token: String,
}

impl Received {
    /// Log and epoch, which only the gateway should look at.
    pub(crate) fn log_and_epoch(&self) -> (u16, u64) {
        let bytes = BASE64URL_NOPAD.decode(self.token.as_bytes()).unwrap();
        let log = u16::from_be_bytes(bytes[9..11].try_into().unwrap());
        (log, u64::from_be_bytes(bytes[11..19].try_into().unwrap()))
    }
}

impl Subscriber {
    /// The next event.
    pub(crate) async fn next(&mut self) -> Received {
        self.within(PATIENCE).await.expect("an event")
    }

    /// The next event, however long that takes; none when the stream ended.
    pub(crate) async fn more(&mut self) -> Option<Received> {
        let response = self.0.next().await?.ok()?;
        let event = response.event?;
        Some(Received {
            home: event.customer_id,
            number: event.home_seq,
            token: response.ack_token,
        })
    }

    /// The next event within a time.
    pub(crate) async fn within(&mut self, time: Duration) -> Option<Received> {
        let next = timeout(time, self.0.next()).await.ok()?;
        let response = next.expect("goes on").expect("no error");
        let event = response.event.expect("an event");
        assert!(response.resume_token.is_empty());
        Some(Received {
            home: event.customer_id,
            number: event.home_seq,
            token: response.ack_token,
        })
    }

    pub(crate) async fn some(&mut self, count: usize) -> Vec<Received> {
        let mut received = Vec::new();
        while received.len() < count {
            received.push(self.next().await);
        }
        received
    }

    /// Reads until the stream ends, and why it did.
    pub(crate) async fn end(mut self) -> Status {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("it ends") {
                Some(Ok(_)) => {}
                Some(Err(status)) => return status,
                None => panic!("it ends with a reason"),
            }
        }
    }
}

/// What events are, without their tokens.
pub(crate) fn shown(events: &[Received]) -> Vec<(&str, u64)> {
    events.iter().map(|event| (event.home.as_str(), event.number)).collect()
}

/// Waits until something holds.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("it did not happen");
}
