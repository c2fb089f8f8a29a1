//! A gateway in which nothing but the dispatcher is real.

use crate::fakes::{FakeBroker, FakeStore, TestClock, TestEntropy};
use omnigate_core::account::{Account, AdapterRef, Directory, Limits, Settings as AccountSettings};
use omnigate_core::id::MessageId;
use omnigate_core::identity::Named;
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::send::{self, Request, Target};
use omnigate_core::protocol::{self, Context, Ports, publish};
use omnigate_core::tenant::TenantRules;
use omnigate_dispatch::{Dispatch, Metrics, Parts, Settings};
use omnigate_proto::state::v1::DeliveryRecord;
use omnigate_proto::v1::{
    DeliveryState, Evidence, Identifier, Lane, Message, Part, Purpose, SendRequest, Text, UnknownPolicy, part,
};
use omnigate_rpc::v1::adapter_service_server::AdapterService;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Gateway {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) broker: FakeBroker,
    pub(crate) clock: Arc<TestClock>,
    entropy: Arc<TestEntropy>,
    tenants: TenantRules,
    /// Of a process beside those under test.
    ports: Ports,
}

/// A dispatcher that runs.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops it and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
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
            tenants: TenantRules::default(),
        }
    }

    /// The same with something said of tenants.
    pub(crate) fn with_tenants(self, tenants: TenantRules) -> Self {
        let ports = Ports::new(self.store.clone(), self.clock.clone(), self.entropy.clone());
        Self {
            ports: ports.with_tenants(tenants.clone()),
            tenants,
            ..self
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.ports.context()
    }

    pub(crate) fn dispatch(&self, adapter: Arc<dyn AdapterService>, limits: Limits) -> Running {
        self.dispatch_with(adapter, limits, Settings::default())
    }

    pub(crate) fn dispatch_with(
        &self,
        adapter: Arc<dyn AdapterService>,
        limits: Limits,
        settings: Settings,
    ) -> Running {
        let directory = Self::directory(limits);
        let ports = Ports::new(self.store.clone(), self.clock.clone(), self.entropy.clone());
        let parts = Parts {
            ports: Arc::new(ports.with_tenants(self.tenants.clone())),
            broker: Arc::new(self.broker.clone()),
            adapters: Arc::new(move |_| Some(Arc::clone(&adapter))),
            metrics: Metrics::new(&prometheus::Registry::new()).unwrap(),
        };
        let dispatch = Dispatch::new(parts, Arc::new(directory), settings);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { dispatch.run(stopped).await });
        Running { stop, task }
    }

    /// The one account that there is.
    pub(crate) fn directory(limits: Limits) -> Directory {
        let account = Account {
            id: "bot".into(),
            tenant_id: "t".into(),
            channel: "telegram".into(),
            provider: String::new(),
            display_name: String::new(),
            adapter: AdapterRef::Builtin,
            app_id: "bot".into(),
            settings: AccountSettings::default(),
            limits,
        };
        let mut directory = Directory::default();
        directory.accounts.insert("bot".into(), account);
        directory
    }

    /// Accepts a message for a peer and hints it.
    pub(crate) async fn send(&self, name: &str, peer: &str) -> MessageId {
        self.send_through(name, peer, Lane::Transactional, UnknownPolicy::Report)
            .await
    }

    pub(crate) async fn send_through(
        &self,
        name: &str,
        peer: &str,
        lane: Lane,
        on_unknown: UnknownPolicy,
    ) -> MessageId {
        let now = self.clock.now();
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
            message: message(name),
            send_at: now,
            expire_at: now + Duration::from_secs(24 * 3600),
            lane,
            on_unknown,
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
        };
        let accepted = send::accept(&self.context(), &request).await.unwrap();
        publish::hint(&self.broker, &accepted.record).await.unwrap();
        id_of(&accepted.record)
    }

    /// Hints a message once more.
    pub(crate) async fn hint(&self, id: MessageId) {
        let record = self.record(id).await;
        publish::hint(&self.broker, &record).await.unwrap();
    }

    pub(crate) async fn record(&self, id: MessageId) -> DeliveryRecord {
        protocol::delivery::get(&self.context(), id).await.unwrap().unwrap()
    }

    /// Waits until a message is in a state.
    pub(crate) async fn until(&self, id: MessageId, state: DeliveryState) {
        eventually(|| async { self.record(id).await.delivery.unwrap().state() == state }).await;
    }
}

/// Waits until something holds; the runtime's clock runs ahead while nothing else happens.
pub(crate) async fn eventually<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A message of one text; one that begins with `ad` advertises.
fn message(text: &str) -> Message {
    let advertises = text.starts_with("ad");
    let text = Text {
        text: text.into(),
        ..Text::default()
    };
    let content = Some(part::Content::Text(text));
    Message {
        parts: vec![Part { content }],
        purpose: if advertises {
            Purpose::Marketing
        } else {
            Purpose::Service
        }
        .into(),
        ..Message::default()
    }
}

/// The words of a submission.
pub(crate) fn text(request: &SendRequest) -> String {
    let message = request.message.as_ref().unwrap();
    match message.parts[0].content.as_ref().unwrap() {
        part::Content::Text(text) => text.text.clone(),
        other => panic!("not a text: {other:?}"),
    }
}

fn id_of(record: &DeliveryRecord) -> MessageId {
    record.delivery.as_ref().unwrap().message_id.parse().unwrap()
}
