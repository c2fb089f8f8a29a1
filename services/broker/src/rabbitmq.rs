//! The broker port on RabbitMQ 3.10 or newer.
//!
//! Queues are quorum queues, ordered ones with a single active consumer; logs are streams. A queue and its journal are bound
//! to one exchange, named like the journal, so that one publication with one confirm reaches both. What is delayed waits on
//! a ladder of queues; what is parked, by us or by the broker, is on one queue.

mod declare;
mod failure;
mod ladder;
mod lane;
mod link;
mod message;
mod probe;
mod publisher;
mod settler;
mod stream;
mod subscription;

use crate::topology::{MAX_NAME, check_names};
use bytes::Bytes;
use failure::{failure, own};
use lapin::{
    Channel,
    types::ShortString,
    uri::{AMQPScheme, AMQPUri},
};
use link::{Link, Session};
use omnigate_core::port::{
    Clock,
    broker::{
        Broker, BrokerError, From, LogName, LogReader, Publication, PublishError, QueueName, Subscription, Topology,
    },
};
use publisher::{Outcome, Outgoing, Publisher};
use std::{sync::Arc, time::Duration};
use stream::Reader;
use subscription::{Subscribed, Surroundings};
use tokio::time::{Instant, timeout};

/// Seconds between signs of life: a peer that is silent for twice this is gone.
const HEARTBEAT: u16 = 10;
/// One step on an open connection.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// How to use a RabbitMQ.
#[derive(Clone)]
pub struct Options {
    /// Tells when a delayed message is due.
    pub clock: Arc<dyn Clock>,
    /// Prefix of the queues that belong to the broker itself: what is parked and what waits. All that use the same queues
    /// must have the same.
    pub namespace: String,
    /// How long the first connection is waited for, and calls wait for the next one.
    pub connect_limit: Duration,
    /// After this a publication counts as unconfirmed.
    pub publish_limit: Duration,
    /// Channels for publications. All messages of one queue go over the same.
    pub lanes: usize,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            namespace: "omnigate".to_owned(),
            connect_limit: Duration::from_secs(30),
            publish_limit: Duration::from_secs(10),
            lanes: 4,
        }
    }
}

/// A RabbitMQ.
pub struct RabbitBroker {
    around: Arc<Surroundings>,
    connect_limit: Duration,
}

impl RabbitBroker {
    /// Connects to a RabbitMQ: `amqp://user:password@host:port/vhost`, or `amqps://…` for TLS.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unusable`] when the server is none, too old, or refuses us or our queues;
    /// [`BrokerError::Unavailable`] when it is not reached within the limit. No error contains the password.
    pub async fn connect(url: &str, options: Options) -> Result<Self, BrokerError> {
        let uri = parse(url)?;
        let deadline = Instant::now() + options.connect_limit;
        greet(&uri, deadline).await?;
        let link = Link::start(uri, options.clone());
        link.first(deadline).await?;
        let around = Surroundings {
            publisher: Publisher {
                link,
                limit: options.publish_limit,
            },
            parked: QueueName(declare::parked_queue(&options.namespace)),
            namespace: options.namespace,
            clock: options.clock,
        };
        Ok(Self {
            around: Arc::new(around),
            connect_limit: options.connect_limit,
        })
    }

    fn link(&self) -> &Link {
        &self.around.publisher.link
    }

    async fn session(&self) -> Result<Arc<Session>, BrokerError> {
        self.link().session(Instant::now() + self.connect_limit).await
    }

    async fn channel(&self) -> Result<Channel, BrokerError> {
        let session = self.session().await?;
        within(async {
            let opened = session.consuming.create_channel().await;
            opened.map_err(|error| failure("opening a channel", &error))
        })
        .await
    }

    /// The way of a message to its queue, through the exchange that its journal is bound to as well.
    fn route(&self, queue: &QueueName) -> ShortString {
        let declared = self.link().declared();
        let journal = declared.queues.get(queue).and_then(|spec| spec.journal.as_ref());
        journal.map(|journal| own(&journal.0)).unwrap_or_default()
    }
}

fn parse(url: &str) -> Result<AMQPUri, BrokerError> {
    let mut uri: AMQPUri = url
        .parse()
        .map_err(|error: String| BrokerError::Unusable(format!("broker.url is no amqp url: {error}")))?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    if uri.scheme == AMQPScheme::AMQPS {
        // Fails when there is one already, which is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    Ok(uri)
}

/// Greets the server until it answers.
async fn greet(uri: &AMQPUri, deadline: Instant) -> Result<(), BrokerError> {
    const PAUSE: Duration = Duration::from_millis(250);
    loop {
        let greeted = tokio::time::timeout_at(deadline, probe::check_server(uri)).await;
        let greeted =
            greeted.unwrap_or_else(|_elapsed| Err(BrokerError::Unavailable("greeting: no answer".to_owned())));
        match greeted {
            Err(BrokerError::Unavailable(_)) if Instant::now() + PAUSE < deadline => tokio::time::sleep(PAUSE).await,
            greeted => return greeted,
        }
    }
}

async fn within<T>(step: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    let late = |_elapsed| Err(BrokerError::Unavailable("no answer in time".to_owned()));
    timeout(STEP_LIMIT, step).await.unwrap_or_else(late)
}

#[async_trait::async_trait]
impl Broker for RabbitBroker {
    async fn declare(&self, topology: Topology) -> Result<(), BrokerError> {
        check_names(&topology)?;
        let session = self.session().await?;
        let declaring = declare::declare(&session.consuming, &self.around.namespace, &topology);
        let late = |_elapsed| Err(BrokerError::Unavailable("not declared in time".to_owned()));
        timeout(declare::declare_limit(&topology), declaring)
            .await
            .unwrap_or_else(late)?;
        self.link().declared().add(topology);
        Ok(())
    }

    async fn publish(&self, messages: Vec<Publication>) -> Vec<Result<(), PublishError>> {
        let outgoing = messages
            .iter()
            .map(
                |Publication {
                     queue,
                     body,
                     traceparent,
                 }| {
                    let key = ShortString::try_new(queue.0.as_str()).ok()?;
                    Some(message::plain(self.route(queue), key, body.clone(), traceparent))
                },
            )
            .collect();
        let outcomes = self.send(outgoing).await;
        let answers = outcomes.into_iter().zip(&messages);
        answers
            .map(|(outcome, message)| answer(outcome, &message.queue.0, true))
            .collect()
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Subscription>, BrokerError> {
        let channel = self.channel().await?;
        let ordered = self
            .link()
            .declared()
            .queues
            .get(queue)
            .is_some_and(|spec| spec.ordered);
        let around = Arc::clone(&self.around);
        let subscribed = within(Subscribed::new(channel, queue.clone(), ordered, prefetch, around)).await?;
        Ok(Box::new(subscribed))
    }

    async fn append(&self, log: &LogName, entries: Vec<Bytes>) -> Vec<Result<(), PublishError>> {
        let key = ShortString::try_new(log.0.as_str()).ok();
        let outgoing = entries
            .into_iter()
            .map(|entry| Some(message::plain(ShortString::default(), key.clone()?, entry, "")))
            .collect();
        self.send(outgoing)
            .await
            .into_iter()
            .map(|outcome| answer(outcome, &log.0, false))
            .collect()
    }

    async fn read(&self, log: &LogName, from: From) -> Result<Box<dyn LogReader>, BrokerError> {
        let channel = self.channel().await?;
        Ok(Box::new(within(Reader::new(channel, log, from)).await?))
    }

    fn is_connected(&self) -> bool {
        self.link().is_up()
    }
}

impl Drop for RabbitBroker {
    /// Ends subscriptions and readers and closes the connections.
    fn drop(&mut self) {
        self.link().stop();
    }
}

impl RabbitBroker {
    /// Publishes what has a way; the rest, whose names are too long for any queue, counts as returned.
    async fn send(&self, outgoing: Vec<Option<Outgoing>>) -> Vec<Outcome> {
        let has_way: Vec<bool> = outgoing.iter().map(Option::is_some).collect();
        let mut outcomes = self
            .around
            .publisher
            .publish(outgoing.into_iter().flatten().collect())
            .await
            .into_iter();
        let outcome = |has_way| {
            if has_way {
                outcomes.next()
            } else {
                Some(Outcome::Returned)
            }
        };
        has_way.into_iter().filter_map(outcome).collect()
    }
}

fn answer(outcome: Outcome, name: &str, limited: bool) -> Result<(), PublishError> {
    let short = || name.chars().take(MAX_NAME).collect::<String>();
    match outcome {
        Outcome::Stored => Ok(()),
        Outcome::Returned => Err(PublishError::Unroutable(short())),
        Outcome::Refused if limited => Err(PublishError::Full(short())),
        Outcome::Refused => Err(PublishError::Unconfirmed(format!("{} refused it", short()))),
        Outcome::Unknown(reason) => Err(PublishError::Unconfirmed(reason)),
    }
}
