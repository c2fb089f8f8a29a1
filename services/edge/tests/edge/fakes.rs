//! An ingest, a session service and a channel that do what the test says.

use bytes::Bytes;
use omnigate_core::{
    account::{Account, AdapterRef, App, Directory, Limits, Settings as AdapterSettings},
    port::{
        Clock, Entropy,
        adapter::{
            Channel, ChannelHost, HttpRequest, HttpResponse, Invalid, Kind, NoAccessToken, Opened, Outgoing, Received,
            Reply, Session, Transport, TransportError, Webhook, WebhookRequest,
        },
    },
    time::Moment,
};
use omnigate_edge::{Edge, Parts, Settings};
use omnigate_proto::v1::{
    AcquireRequest, AcquireResponse, Capabilities, CheckpointRequest, CheckpointResponse, ErrorClass, Event,
    Identifier, Message, Part, ProviderTemplate, PushRequest, PushResponse, PushResult, PushStatus, ReceiptState,
    ReleaseRequest, ReleaseResponse, RenewRequest, RenewResponse, SendAccepted, SendError, Text,
    event::Kind as EventKind, part::Content,
};
use omnigate_proto::v1::{LocateRequest, LocateResponse};
use omnigate_rpc::push::Push;
use omnigate_rpc::v1::{ingest_service_server::IngestService, session_service_server::SessionService};
use omnigate_runtime::{
    clock::{ManualClock, SystemEntropy},
    telemetry::metrics::Metrics,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

pub(crate) const NOON: Moment = Moment(1_700_000_000_000);

/// An ingest that answers when the test says so.
pub(crate) struct FakeIngest {
    pub(crate) begun: watch::Sender<usize>,
    pub(crate) calls: Mutex<Vec<PushRequest>>,
    in_flight: AtomicUsize,
    pub(crate) most_in_flight: AtomicUsize,
    pub(crate) traceparents: Mutex<Vec<String>>,
    failures: Mutex<VecDeque<Status>>,
    gate: Semaphore,
}

impl FakeIngest {
    pub(crate) fn open() -> Arc<Self> {
        let ingest = Self::held();
        ingest.release(Semaphore::MAX_PERMITS);
        ingest
    }

    pub(crate) fn held() -> Arc<Self> {
        Arc::new(Self {
            begun: watch::channel(0).0,
            calls: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            traceparents: Mutex::default(),
            failures: Mutex::default(),
            gate: Semaphore::new(0),
        })
    }

    pub(crate) fn release(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    pub(crate) fn fail(&self, status: Status) {
        self.failures.lock().unwrap().push_back(status);
    }

    pub(crate) async fn until_begun(&self, calls: usize) {
        self.begun.subscribe().wait_for(|begun| *begun >= calls).await.unwrap();
    }

    /// Everything that was kept, in order.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .flat_map(|call| call.events.clone())
            .collect()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .map(|event| event.provider_message_id)
            .collect()
    }
}

#[async_trait::async_trait]
impl IngestService for FakeIngest {
    async fn push(&self, request: Request<Push>) -> Result<Response<PushResponse>, Status> {
        let traceparent = request
            .metadata()
            .get("traceparent")
            .map(|text| text.to_str().unwrap().to_owned());
        self.traceparents.lock().unwrap().extend(traceparent);
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        self.begun.send_modify(|begun| *begun += 1);
        self.gate.acquire().await.unwrap().forget();
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if let Some(status) = self.failures.lock().unwrap().pop_front() {
            return Err(status);
        }
        let request = request.into_inner().into_typed().unwrap();
        let results = request.events.iter().map(|event| {
            let refused = event.provider_message_id.starts_with("bad");
            let status = if refused {
                PushStatus::Refused
            } else {
                PushStatus::Accepted
            };
            PushResult {
                status: status.into(),
                problem: if refused {
                    "message.parts: has 99".into()
                } else {
                    String::new()
                },
                ..PushResult::default()
            }
        });
        let results = results.collect();
        self.calls.lock().unwrap().push(request);
        Ok(Response::new(PushResponse { results }))
    }
}

/// A message of a peer, with a provider's id.
pub(crate) fn message(account: &str, id: &str) -> Event {
    Event {
        account_id: account.into(),
        provider_message_id: id.into(),
        peer: Some(peer()),
        kind: Some(EventKind::Message(text("xin chào"))),
        ..Event::default()
    }
}

pub(crate) fn peer() -> Identifier {
    Identifier {
        r#type: "tg_chat".into(),
        scope: "bot".into(),
        value: "42".into(),
    }
}

pub(crate) fn text(words: &str) -> Message {
    Message {
        parts: vec![Part {
            content: Some(Content::Text(Text {
                text: words.into(),
                format: 0,
            })),
        }],
        ..Message::default()
    }
}

/// Stable keys of each request, and whether they were kept.
pub(crate) type Answers = Arc<Mutex<Vec<(Vec<String>, bool)>>>;

/// A channel whose webhook takes one id a line, whose sender does what the text says, and whose session is a script.
pub(crate) struct FakeKind {
    pub(crate) session: Option<Arc<dyn Session>>,
    pub(crate) calls: Arc<Semaphore>,
    /// Whether the session through which it sends is up; `None` where it sends without one.
    pub(crate) connected: Option<Arc<AtomicBool>>,
    /// What the webhook was told about its answers.
    pub(crate) answers: Answers,
}

impl FakeKind {
    pub(crate) fn new() -> Self {
        Self {
            session: None,
            calls: Arc::new(Semaphore::new(0)),
            connected: None,
            answers: Arc::default(),
        }
    }

    /// One that sends through a session.
    pub(crate) fn connected(is_up: bool) -> Self {
        Self {
            connected: Some(Arc::new(AtomicBool::new(is_up))),
            ..Self::new()
        }
    }
}

impl Kind for FakeKind {
    fn channel(&self) -> &'static str {
        "fake"
    }

    fn secret_settings(&self) -> &'static [&'static str] {
        &["secret"]
    }

    fn open_webhook(&self, app: &App, _: &[Account]) -> Result<Option<Box<dyn Webhook>>, Invalid> {
        Ok(Some(Box::new(FakeWebhook(app.id.clone(), Arc::clone(&self.answers)))))
    }

    fn open_account(&self, _: &App, account: &Account) -> Result<Opened, Invalid> {
        if account.settings.0.contains_key("wrong") {
            return Err(Invalid {
                key: "wrong".into(),
                problem: "must not be there".into(),
            });
        }
        let mut opened = Opened::sending(FakeChannel(Arc::clone(&self.calls), self.connected.clone()));
        opened
            .sessions
            .extend(self.session.clone().map(|session| (String::new(), session)));
        Ok(opened)
    }
}

struct FakeWebhook(String, Answers);

impl FakeWebhook {
    /// `key x` is an event without an id.
    fn event(&self, line: &str) -> Event {
        match line.strip_prefix("key ") {
            Some(key) => Event {
                stable_key: key.into(),
                ..message(&self.0, "")
            },
            None => message(&self.0, line),
        }
    }
}

impl Webhook for FakeWebhook {
    fn receive(&self, request: &WebhookRequest, verify: bool) -> Received {
        if verify && request.header("x-secret") != Some(b"s3cret") {
            return Received::Rejected {
                reply: Reply::status(401),
                problem: "secret header is missing or wrong".into(),
            };
        }
        let body = std::str::from_utf8(&request.body).unwrap();
        assert_ne!(body, "panic", "as the test asked");
        assert!(request.remote.is_some_and(|remote| remote.is_loopback()));
        Received::Events {
            events: body.lines().map(|line| self.event(line)).collect(),
            reply: Reply {
                status: 200,
                content_type: "text/plain",
                body: Bytes::from_static(b"taken"),
            },
        }
    }

    fn answered(&self, stable_keys: &[String], kept: bool) {
        self.1.lock().unwrap().push((stable_keys.to_vec(), kept));
    }

    fn secret_headers(&self) -> &'static [&'static str] {
        &["x-secret"]
    }

    fn secret_parameters(&self) -> &'static [&'static str] {
        &["token"]
    }
}

struct FakeChannel(Arc<Semaphore>, Option<Arc<AtomicBool>>);

#[async_trait::async_trait]
impl Channel for FakeChannel {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            channel: "fake".into(),
            ..Capabilities::default()
        }
    }

    fn piece_count(&self, message: &Message) -> Result<u32, SendError> {
        match words(message).as_str() {
            "too long" => Err(SendError {
                class: ErrorClass::Content.into(),
                ..SendError::default()
            }),
            _ => Ok(2),
        }
    }

    fn sends_through(&self) -> Vec<String> {
        self.1.iter().map(|_| "tx-1".to_owned()).collect()
    }

    fn is_connected(&self) -> bool {
        self.1.as_ref().is_none_or(|up| up.load(Ordering::SeqCst))
    }

    async fn send(&self, outgoing: &Outgoing, host: &dyn ChannelHost) -> Result<SendAccepted, SendError> {
        if !self.is_connected() {
            return Err(SendError {
                class: ErrorClass::NotSent.into(),
                text: "not connected".into(),
                ..SendError::default()
            });
        }
        match words(&outgoing.message).as_str() {
            "panic" => panic!("as the test asked"),
            "token" => return with_token(host, None).await,
            refused if refused.starts_with("refused ") => {
                return with_token(host, refused.strip_prefix("refused ")).await;
            }
            "wait" => self.0.acquire().await.unwrap().forget(),
            _ => {}
        }
        Ok(SendAccepted {
            provider_message_id: format!(
                "{}:{}:{}",
                outgoing.send_key,
                outgoing.piece,
                outgoing.time_limit.as_millis()
            ),
            state: ReceiptState::Accepted.into(),
            ..SendAccepted::default()
        })
    }

    async fn look_up_template(
        &self,
        template_id: &str,
        _: &dyn ChannelHost,
    ) -> Result<Option<Vec<ProviderTemplate>>, SendError> {
        match template_id {
            "panic" => panic!("as the test asked"),
            "wait" => self.0.acquire().await.unwrap().forget(),
            "away" => {
                return Err(SendError {
                    text: "the provider is away".into(),
                    ..SendError::default()
                });
            }
            "unsupported" => return Ok(None),
            _ => {}
        }
        Ok(Some(vec![ProviderTemplate {
            template_id: template_id.to_owned(),
            ..ProviderTemplate::default()
        }]))
    }
}

/// Tells the token as the provider's id, or why there is none.
async fn with_token(host: &dyn ChannelHost, refused: Option<&str>) -> Result<SendAccepted, SendError> {
    let token = host.access_token(refused).await.map_err(|missing| SendError {
        class: match &missing {
            NoAccessToken::Unauthorized(_) => ErrorClass::Account.into(),
            NoAccessToken::NotReady(_) => ErrorClass::NotSent.into(),
        },
        text: missing.to_string(),
        ..SendError::default()
    })?;
    Ok(SendAccepted {
        provider_message_id: token.0,
        ..SendAccepted::default()
    })
}

fn words(message: &Message) -> String {
    match &message.parts[0].content {
        Some(Content::Text(text)) => text.text.clone(),
        _ => String::new(),
    }
}

/// Gives the lease to everybody, or takes it away.
#[derive(Default)]
pub(crate) struct FakeSessions {
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) cursor: Mutex<Bytes>,
    pub(crate) held_elsewhere: Mutex<u32>,
    pub(crate) lost: Mutex<bool>,
    pub(crate) away: Mutex<bool>,
    /// Where other edges hold sessions.
    pub(crate) holders: Mutex<Vec<String>>,
    /// Address in the last Acquire.
    pub(crate) address: Mutex<String>,
}

impl FakeSessions {
    fn note(&self, what: &str) {
        self.log.lock().unwrap().push(what.to_owned());
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|entry| *entry == what).count()
    }

    fn check(&self) -> Result<(), Status> {
        if *self.away.lock().unwrap() {
            return Err(Status::unavailable("away"));
        }
        match *self.lost.lock().unwrap() {
            true => Err(Status::aborted("lost")),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl SessionService for FakeSessions {
    async fn acquire(&self, request: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        self.note("acquire");
        *self.address.lock().unwrap() = request.into_inner().address;
        let mut held = self.held_elsewhere.lock().unwrap();
        if *held > 0 {
            *held -= 1;
            return Err(Status::failed_precondition("held"));
        }
        Ok(Response::new(AcquireResponse {
            epoch: 7,
            cursor: self.cursor.lock().unwrap().clone(),
            lease_ms: 30_000,
        }))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        self.note("renew");
        assert_eq!(request.into_inner().epoch, 7);
        self.check()?;
        Ok(Response::new(RenewResponse { lease_ms: 30_000 }))
    }

    async fn checkpoint(&self, request: Request<CheckpointRequest>) -> Result<Response<CheckpointResponse>, Status> {
        self.note("checkpoint");
        self.check()?;
        *self.cursor.lock().unwrap() = request.into_inner().cursor;
        Ok(Response::new(CheckpointResponse { lease_ms: 30_000 }))
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        self.note("release");
        Ok(Response::new(ReleaseResponse {}))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateResponse>, Status> {
        self.note("locate");
        self.check()?;
        let request = request.into_inner();
        assert_eq!(
            (request.account_id.as_str(), request.sessions),
            ("shop", vec!["tx-1".to_owned()])
        );
        assert!(!request.owner_id.is_empty());
        let addresses = self.holders.lock().unwrap().clone();
        Ok(Response::new(LocateResponse { addresses }))
    }
}

struct NoTransport;

#[async_trait::async_trait]
impl Transport for NoTransport {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        Err(TransportError::NotSent("there is none".into()))
    }
}

pub(crate) fn account(id: &str) -> Account {
    Account {
        id: id.into(),
        tenant_id: "acme".into(),
        channel: "fake".into(),
        provider: String::new(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: id.into(),
        settings: AdapterSettings::default(),
        limits: Limits::default(),
    }
}

pub(crate) fn directory(accounts: Vec<Account>) -> Directory {
    let app = |account: &Account| App {
        id: account.app_id.clone(),
        tenant_id: account.tenant_id.clone(),
        channel: account.channel.clone(),
        provider: String::new(),
        settings: AdapterSettings::default(),
        implicit: true,
    };
    Directory {
        apps: accounts
            .iter()
            .map(|account| (account.app_id.clone(), app(account)))
            .collect(),
        accounts: accounts
            .into_iter()
            .map(|account| (account.id.clone(), account))
            .collect::<BTreeMap<_, _>>(),
        ..Directory::default()
    }
}

pub(crate) fn parts(kind: FakeKind, accounts: Vec<Account>, ingest: Arc<FakeIngest>, settings: Settings) -> Parts {
    let kind: &'static dyn Kind = Box::leak(Box::new(kind));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOON));
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new().unwrap());
    Parts {
        kinds: Box::leak(Box::new([kind])),
        directory: Arc::new(directory(accounts)),
        ingest,
        sessions: None,
        edges: Arc::new(|address| panic!("no edge is known at {address}")),
        address: String::new(),
        credentials: None,
        transport: Arc::new(NoTransport),
        dialer: Arc::new(omnigate_edge::TcpDialer::default()),
        clock,
        entropy,
        settings,
        metrics: Metrics::new().unwrap(),
    }
}

/// A running edge on a port of its own.
pub(crate) struct Running {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) async fn start(parts: Parts) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let edge = Edge::new(parts).unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move { edge.run(listener, stopped).await });
    Running { address, stop, task }
}

/// Waits for a condition, with a deadline.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(600), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}
