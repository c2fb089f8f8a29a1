//! The brokers under test.

use omnigate_broker::{
    embedded::EmbeddedBroker,
    rabbitmq::{Options, RabbitBroker},
};
use omnigate_core::{
    port::{
        Clock,
        broker::{
            Broker, Delivery, LogName, LogSpec, Publication, QueueName, QueueSpec, Settled, Subscription, Topology,
        },
    },
    time::Moment,
};
use omnigate_servers::{proxy::Proxy, rabbitmq::RabbitMq};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The machine's clock.
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Moment(i64::try_from(since.as_millis()).unwrap())
    }
}

/// A broker of one kind with names of its own.
pub(crate) struct Rig {
    kind: Kind,
    broker: Option<Arc<dyn Broker>>,
}

enum Kind {
    Embedded(TempDir),
    Rabbit {
        /// In front of the server.
        proxy: Proxy,
        url: String,
        /// Prefix of all names, so that tests can share a server.
        namespace: String,
    },
}

impl Rig {
    /// On the embedded broker.
    pub(crate) async fn embedded() -> Option<Self> {
        Some(Self::new(Kind::Embedded(tempfile::tempdir().unwrap())).await)
    }

    /// On the shared RabbitMQ, through a proxy; `None` where RabbitMQ is not installed.
    pub(crate) async fn rabbitmq() -> Option<Self> {
        let server = RabbitMq::shared().await?;
        Some(Self::on(&server).await)
    }

    /// On a RabbitMQ, through a proxy.
    pub(crate) async fn on(server: &RabbitMq) -> Self {
        let proxy = Proxy::start(server.addr()).await.unwrap();
        let url = server.url_through(proxy.addr());
        let namespace = format!("test{:016x}", rand::random::<u64>());
        Self::new(Kind::Rabbit { proxy, url, namespace }).await
    }

    async fn new(kind: Kind) -> Self {
        let mut rig = Self { kind, broker: None };
        rig.broker = Some(rig.open().await);
        rig
    }

    /// The broker.
    pub(crate) fn broker(&self) -> Arc<dyn Broker> {
        Arc::clone(self.broker.as_ref().unwrap())
    }

    /// The proxy in front of RabbitMQ; `None` where there is no connection.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        match &self.kind {
            Kind::Embedded(_) => None,
            Kind::Rabbit { proxy, .. } => Some(proxy),
        }
    }

    async fn open(&self) -> Arc<dyn Broker> {
        match &self.kind {
            Kind::Embedded(folder) => Arc::new(EmbeddedBroker::open(folder.path(), Arc::new(WallClock)).unwrap()),
            Kind::Rabbit { url, namespace, .. } => {
                let namespace = namespace.clone();
                let options = Options {
                    namespace,
                    ..Options::new(Arc::new(WallClock))
                };
                Arc::new(RabbitBroker::connect(url, options).await.unwrap())
            }
        }
    }

    /// Drops the broker, which nobody else may hold any more, and opens it again.
    pub(crate) async fn reopen(&mut self) -> Arc<dyn Broker> {
        let broker = self.broker.take().unwrap();
        assert_eq!(Arc::strong_count(&broker), 1, "somebody still holds the broker");
        drop(broker);
        self.broker = Some(self.open().await);
        self.broker()
    }

    /// Declares a queue of either kind, under different names.
    pub(crate) async fn queue_of(&self, ordered: bool) -> QueueName {
        let name = QueueName(self.name(if ordered { "ordered" } else { "shared" }));
        let queue = QueueSpec {
            name: name.clone(),
            ordered,
            journal: None,
            max_length: 10_000,
        };
        self.broker()
            .declare(Topology {
                queues: vec![queue],
                logs: vec![],
            })
            .await
            .unwrap();
        name
    }

    /// Declares one queue.
    pub(crate) async fn queue(&self, ordered: bool) -> QueueName {
        self.limited_queue(ordered, 10_000).await
    }

    /// Declares one queue with a limit.
    pub(crate) async fn limited_queue(&self, ordered: bool, max_length: u64) -> QueueName {
        let name = QueueName(self.name("queue"));
        let queue = QueueSpec {
            name: name.clone(),
            ordered,
            journal: None,
            max_length,
        };
        self.broker()
            .declare(Topology {
                queues: vec![queue],
                logs: vec![],
            })
            .await
            .unwrap();
        name
    }

    /// Declares one log.
    pub(crate) async fn log(&self, retention: Duration) -> LogName {
        let name = LogName(self.name("log"));
        let log = LogSpec {
            name: name.clone(),
            retention,
        };
        self.broker()
            .declare(Topology {
                queues: vec![],
                logs: vec![log],
            })
            .await
            .unwrap();
        name
    }

    /// A name of this rig's own, the same for the same word.
    pub(crate) fn name(&self, word: &str) -> String {
        match &self.kind {
            Kind::Embedded(_) => format!("test.{word}"),
            Kind::Rabbit { namespace, .. } => format!("{namespace}.{word}"),
        }
    }

    /// The parked queue.
    pub(crate) fn parked(&self) -> QueueName {
        match &self.kind {
            Kind::Embedded(_) => omnigate_core::topology::parked(),
            Kind::Rabbit { namespace, .. } => QueueName(format!("{namespace}.parked")),
        }
    }

    /// Publishes texts, all of which must be confirmed.
    pub(crate) async fn publish(&self, queue: &QueueName, texts: impl IntoIterator<Item = impl Into<String>>) {
        let messages = texts.into_iter().map(|text| publication(queue, text)).collect();
        for confirmed in self.broker().publish(messages).await {
            confirmed.unwrap();
        }
    }
}

/// A publication without a trace.
pub(crate) fn publication(queue: &QueueName, text: impl Into<String>) -> Publication {
    Publication {
        queue: queue.clone(),
        body: text.into().into(),
        traceparent: String::new(),
    }
}

/// The next delivery, which must come.
pub(crate) async fn next(subscription: &mut Box<dyn Subscription>) -> Delivery {
    tokio::time::timeout(PATIENCE, subscription.next())
        .await
        .expect("no delivery in time")
        .expect("subscription ended")
}

/// The next `count` deliveries, which must come.
pub(crate) async fn take(subscription: &mut Box<dyn Subscription>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(next(subscription).await);
    }
    taken
}

/// A delivery's body.
pub(crate) fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.body.to_vec()).unwrap()
}

/// Acknowledges, which must hold.
pub(crate) async fn ack(delivery: Delivery) {
    assert_eq!(delivery.settle.ack().await, Settled::Done);
}

/// Asserts that nothing comes for a while. A failure is real; a pass is as good as the time allowed.
pub(crate) async fn nothing_for(subscription: &mut Box<dyn Subscription>, time: Duration) {
    if let Ok(delivery) = tokio::time::timeout(time, subscription.next()).await {
        panic!(
            "unexpected: {:?}",
            delivery.map(|delivery| (text(&delivery), delivery.attempt))
        );
    }
}
