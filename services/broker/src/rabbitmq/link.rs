//! The supervisor: one task owns the connections, builds them up and tears them down.
//!
//! The client library's own recovery is off: it was seen to hang after a broker was killed. Any sign that something broke
//! ends the whole session and begins the next one: connections, topology, confirms.

use super::{
    Options,
    declare::{declare, declare_limit},
    failure::failure,
    lane::{self, Job},
};
use lapin::{Channel, Connection, ConnectionProperties, options::ConfirmSelectOptions, uri::AMQPUri};
use omnigate_core::port::broker::{BrokerError, LogName, LogSpec, QueueName, QueueSpec, Topology};
use rand::Rng as _;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// A session that is not up by then is begun anew.
const OPEN_LIMIT: Duration = Duration::from_secs(30);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How often a session is looked at when nobody complains.
const LOOK: Duration = Duration::from_millis(250);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Publications waiting for a lane, beside those it has in flight.
const LANE_QUEUE: usize = 256;

/// Connections and channels that live and die together.
pub(super) struct Session {
    /// Publications have a connection of their own, so that a broker that holds them back does not hold back settlements.
    publishing: Connection,
    pub(super) consuming: Connection,
    channels: Vec<Channel>,
    lanes: Vec<mpsc::Sender<Job>>,
}

impl Session {
    async fn open(uri: &AMQPUri, options: &Options, topology: &Topology) -> Result<Self, BrokerError> {
        let publishing = connect(uri, "omnigate publishing").await?;
        let consuming = connect(uri, "omnigate consuming").await?;
        declare(&consuming, &options.namespace, topology).await?;
        let (mut channels, mut lanes) = (Vec::new(), Vec::new());
        for _ in 0..options.lanes.max(1) {
            let channel = publishing
                .create_channel()
                .await
                .map_err(|error| failure("opening a channel", &error))?;
            let confirming = channel.confirm_select(ConfirmSelectOptions::default()).await;
            confirming.map_err(|error| failure("asking for confirms", &error))?;
            let (sender, jobs) = mpsc::channel(LANE_QUEUE);
            tokio::spawn(lane::run(channel.clone(), jobs));
            channels.push(channel);
            lanes.push(sender);
        }
        Ok(Self {
            publishing,
            consuming,
            channels,
            lanes,
        })
    }

    /// The lane of a queue or stream: always the same, so that order is kept.
    pub(super) fn lane(&self, name: &str) -> &mpsc::Sender<Job> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let count = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
        &self.lanes[usize::try_from(hasher.finish() % count).unwrap_or(0)]
    }

    pub(super) fn is_up(&self) -> bool {
        self.publishing.status().connected()
            && self.consuming.status().connected()
            && self.channels.iter().all(|channel| channel.status().connected())
            && self.lanes.iter().all(|lane| !lane.is_closed())
    }

    async fn close(&self) {
        let closing = futures_util::future::join(
            self.publishing.close(200, "done".into()),
            self.consuming.close(200, "done".into()),
        );
        // Whatever comes of it, the session is dropped.
        drop(timeout(CLOSE_LIMIT, closing).await);
    }
}

async fn connect(uri: &AMQPUri, name: &str) -> Result<Connection, BrokerError> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    match timeout(CONNECT_LIMIT, Connection::connect_uri(uri.clone(), properties)).await {
        Ok(connected) => connected.map_err(|error| failure("connecting", &error)),
        Err(_elapsed) => Err(BrokerError::Unavailable("connecting: no answer".to_owned())),
    }
}

#[derive(Clone)]
enum State {
    Up(Arc<Session>),
    Down(BrokerError),
}

/// Everything declared by this process.
#[derive(Default)]
pub(super) struct Declared {
    pub(super) queues: BTreeMap<QueueName, QueueSpec>,
    logs: BTreeMap<LogName, LogSpec>,
}

impl Declared {
    /// Adds a topology; what is declared again is as it was declared last.
    pub(super) fn add(&mut self, topology: Topology) {
        self.queues
            .extend(topology.queues.into_iter().map(|spec| (spec.name.clone(), spec)));
        self.logs
            .extend(topology.logs.into_iter().map(|spec| (spec.name.clone(), spec)));
    }

    fn topology(&self) -> Topology {
        Topology {
            queues: self.queues.values().cloned().collect(),
            logs: self.logs.values().cloned().collect(),
        }
    }
}

/// The way to the present session.
pub(super) struct Link {
    state: watch::Receiver<State>,
    declared: Arc<Mutex<Declared>>,
    doubt: Arc<Notify>,
    stop: CancellationToken,
}

impl Link {
    /// Starts the supervisor.
    pub(super) fn start(uri: AMQPUri, options: Options) -> Self {
        let (sender, state) = watch::channel(State::Down(BrokerError::Unavailable("not connected yet".to_owned())));
        let link = Self {
            state,
            declared: Arc::default(),
            doubt: Arc::default(),
            stop: CancellationToken::new(),
        };
        let supervisor = Supervisor {
            uri,
            options,
            declared: Arc::clone(&link.declared),
            doubt: Arc::clone(&link.doubt),
            state: sender,
        };
        let stop = link.stop.clone();
        tokio::spawn(async move { supervisor.run(&stop).await });
        link
    }

    /// The present session, or the next one that is up before the deadline.
    pub(super) async fn session(&self, deadline: Instant) -> Result<Arc<Session>, BrokerError> {
        let mut state = self.state.clone();
        loop {
            let reason = match &*state.borrow_and_update() {
                State::Up(session) if session.is_up() => return Ok(Arc::clone(session)),
                State::Up(_) => BrokerError::Unavailable("connection lost".to_owned()),
                State::Down(reason) => reason.clone(),
            };
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_stopped)) => return Err(BrokerError::Unavailable("closed".to_owned())),
                Err(_elapsed) => return Err(reason),
            }
        }
    }

    /// The first session, or why there never will be one, or why there was none before the deadline.
    pub(super) async fn first(&self, deadline: Instant) -> Result<(), BrokerError> {
        let mut state = self.state.clone();
        loop {
            let reason = match &*state.borrow_and_update() {
                State::Up(_) => return Ok(()),
                State::Down(reason @ BrokerError::Unusable(_)) => return Err(reason.clone()),
                State::Down(reason) => reason.clone(),
            };
            if !matches!(timeout_at(deadline, state.changed()).await, Ok(Ok(()))) {
                return Err(reason);
            }
        }
    }

    /// True when a session is up.
    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(session) if session.is_up())
    }

    /// Says that something broke: the supervisor looks at once.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// What is declared after every reconnect.
    pub(super) fn declared(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session and begins no other.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Supervisor {
    uri: AMQPUri,
    options: Options,
    declared: Arc<Mutex<Declared>>,
    doubt: Arc<Notify>,
    state: watch::Sender<State>,
}

impl Supervisor {
    async fn run(self, stop: &CancellationToken) {
        let mut pause = SHORTEST_PAUSE;
        while !stop.is_cancelled() {
            match self.open(stop).await {
                Ok(session) => {
                    tracing::info!("connected to rabbitmq");
                    pause = SHORTEST_PAUSE;
                    self.watch(session, stop).await;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no connection to rabbitmq");
                    self.state.send_replace(State::Down(error));
                }
            }
            // Jitter, so that a fleet does not come back all at once.
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.5));
            drop(timeout(jittered, stop.cancelled()).await);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self, stop: &CancellationToken) -> Result<Session, BrokerError> {
        let topology = self.declared.lock().unwrap_or_else(PoisonError::into_inner).topology();
        let limit = OPEN_LIMIT + declare_limit(&topology);
        let open = Session::open(&self.uri, &self.options, &topology);
        tokio::select! {
            opened = timeout(limit, open) => {
                opened.unwrap_or_else(|_elapsed| Err(BrokerError::Unavailable("no session in time".to_owned())))
            }
            () = stop.cancelled() => Err(BrokerError::Unavailable("closed".to_owned())),
        }
    }

    /// Offers a session to everybody until it breaks or is not needed any more.
    async fn watch(&self, session: Session, stop: &CancellationToken) {
        let session = Arc::new(session);
        self.state.send_replace(State::Up(Arc::clone(&session)));
        while session.is_up() && !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.doubt.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        let lost = BrokerError::Unavailable("connection lost".to_owned());
        if !stop.is_cancelled() {
            tracing::warn!("lost the connection to rabbitmq");
        }
        self.state.send_replace(State::Down(lost));
        session.close().await;
    }
}
