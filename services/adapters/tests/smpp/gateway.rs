//! What the edge is to the adapter: holds the sessions of one account and sends through it.

use bytes::Bytes;
use omnigate_core::{
    account::{Account, AdapterRef, App, Limits, Settings},
    id::MessageId,
    port::adapter::{
        AccessToken, ChannelHost, NoAccessToken, Opened, Outgoing, Place, PushFailed, SessionHost, Stream, Transport,
        TransportError,
    },
    shard::Shard,
    time::Moment,
};
use omnigate_proto::v1::{ErrorClass, Event, Message, Part, SendAccepted, SendError, Text, part::Content};
use omnigate_sandbox::smsc::{AccountOptions, Options, Smsc, SmscHandle};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest time that anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Before a session that ended is run again.
const PAUSE: Duration = Duration::from_millis(20);
const BEGIN: Moment = Moment(1_767_323_045_678);

struct Host {
    began: Instant,
    pushed: mpsc::Sender<Event>,
    /// Pushes that fail from now on.
    failing: AtomicUsize,
    /// Keys of the events of pushes that failed.
    failed: Mutex<Vec<String>>,
    stop: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl SessionHost for Host {
    fn cursor(&self) -> Bytes {
        Bytes::new()
    }

    async fn push(&self, events: Vec<Event>) -> Result<(), PushFailed> {
        let take = |count: usize| count.checked_sub(1);
        if self
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
        {
            let keys = events.into_iter().map(|event| event.stable_key);
            self.failed.lock().unwrap().extend(keys);
            return Err(PushFailed("the broker is away".to_owned()));
        }
        for event in events {
            self.pushed.send(event).await.unwrap();
        }
        Ok(())
    }

    async fn checkpoint(&self, _: Bytes) -> Result<(), PushFailed> {
        Ok(())
    }

    fn transport(&self) -> &dyn Transport {
        panic!("SMPP needs no HTTP")
    }

    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError> {
        let stream = TcpStream::connect((place.host.as_str(), place.port)).await;
        let stream = stream.map_err(|error| TransportError::NotSent(error.to_string()))?;
        stream.set_nodelay(true).unwrap();
        Ok(Box::new(stream))
    }

    fn now(&self) -> Moment {
        BEGIN + self.began.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn stopped(&self) {
        self.stop.subscribe().wait_for(|stop| *stop).await.unwrap();
    }
}

#[async_trait::async_trait]
impl ChannelHost for Host {
    fn transport(&self) -> &dyn Transport {
        panic!("SMPP needs no HTTP")
    }

    fn now(&self) -> Moment {
        SessionHost::now(self)
    }

    async fn access_token(&self, _: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        panic!("SMPP needs no token")
    }
}

/// One account with its SMSC.
pub(crate) struct Gateway {
    /// The SMSC.
    pub(crate) smsc: SmscHandle,
    opened: Opened,
    host: Arc<Host>,
    pushed: mpsc::Receiver<Event>,
    sessions: JoinSet<()>,
    binds: usize,
}

impl Gateway {
    /// Starts an SMSC with one account and binds to it.
    pub(crate) async fn start(options: AccountOptions, own: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (system_id, password) = (options.system_id.clone(), options.password.clone());
        let options = Options {
            accounts: vec![options],
            speed: 100,
            ..Options::default()
        };
        let smsc = Smsc::start(listener, None, options).unwrap();
        let mut settings = json!({
            "host": "127.0.0.1", "port": smsc.address().port(), "system_id": system_id, "password": password,
            "sender": "SHOP",
        });
        settings
            .as_object_mut()
            .unwrap()
            .append(own.clone().as_object_mut().unwrap());
        let account = account(settings);
        let app = App {
            id: account.app_id.clone(),
            tenant_id: account.tenant_id.clone(),
            channel: account.channel.clone(),
            provider: account.provider.clone(),
            settings: account.settings.clone(),
            implicit: true,
        };
        let kind = omnigate_adapters::kind("sms", "smpp").unwrap();
        let opened = kind.open_account(&app, &account).unwrap();
        let (pushed_to, pushed) = mpsc::channel(1_000);
        let host = Arc::new(Host {
            began: Instant::now(),
            pushed: pushed_to,
            failing: AtomicUsize::new(0),
            failed: Mutex::default(),
            stop: watch::Sender::new(false),
        });
        let mut sessions = JoinSet::new();
        for (_, session) in &opened.sessions {
            let (session, host) = (Arc::clone(session), Arc::clone(&host));
            sessions.spawn(async move {
                while !*host.stop.borrow() {
                    session.run(&*host).await.ok();
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        let gateway = Self {
            smsc,
            binds: opened.sessions.len(),
            opened,
            host,
            pushed,
            sessions,
        };
        gateway.bound().await;
        gateway
    }

    /// Waits until all binds are up.
    pub(crate) async fn bound(&self) {
        let up = self.smsc.wait_for(|view| view.bound() == self.binds, PATIENCE).await;
        up.unwrap();
    }

    /// Pieces of a text.
    pub(crate) fn pieces(&self, text: &str) -> u32 {
        self.opened.channel.piece_count(&message(text)).unwrap()
    }

    /// Sends a piece of a text; again where it did not leave because no bind is up, as dispatch does.
    pub(crate) async fn send(&self, to: &str, text: &str, piece: u32) -> Result<SendAccepted, SendError> {
        let outgoing = Outgoing {
            peer_type: "phone".to_owned(),
            peer: to.to_owned(),
            peer_provider_form: to.to_owned(),
            message: message(text),
            piece,
            send_key: MessageId::new(Shard::new(3), "t", text).send_key(u8::try_from(piece).unwrap()),
            time_limit: PATIENCE,
        };
        let sent = async {
            loop {
                let outcome = self.opened.channel.send(&outgoing, &*self.host).await;
                let is_up = outcome
                    .as_ref()
                    .err()
                    .is_none_or(|error| error.class() != ErrorClass::NotSent || !error.provider_code.is_empty());
                if is_up {
                    return outcome;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        timeout(PATIENCE, sent).await.expect("the send does not end")
    }

    /// Sends until it is accepted, as dispatch does.
    pub(crate) async fn until_sent(&self, to: &str, text: &str) {
        let tried = async {
            while self.send(to, text, 0).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        timeout(PATIENCE, tried).await.expect("it is never accepted");
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.pushed.recv()).await;
        event.expect("nothing is pushed").unwrap()
    }

    /// Lets the next pushes fail.
    pub(crate) fn fail_pushes(&self, count: usize) {
        self.host.failing.store(count, Ordering::SeqCst);
    }

    /// Keys of the events whose pushes failed.
    pub(crate) fn failed_keys(&self) -> Vec<String> {
        self.host.failed.lock().unwrap().clone()
    }

    /// Unbinds; the SMSC sees all of it.
    pub(crate) async fn stop(mut self) {
        self.host.stop.send_replace(true);
        let ended = async { while self.sessions.join_next().await.is_some() {} };
        timeout(PATIENCE, ended).await.expect("the sessions do not end");
        let left = self.smsc.wait_for(|view| view.connected() == 0, PATIENCE).await;
        left.unwrap();
        assert!(self.smsc.counters().unbinds >= 1);
        self.smsc.stop().await;
    }
}

fn message(text: &str) -> Message {
    let text = Text {
        text: text.to_owned(),
        ..Text::default()
    };
    Message {
        parts: vec![Part {
            content: Some(Content::Text(text)),
        }],
        ..Message::default()
    }
}

fn account(settings: Value) -> Account {
    let Value::Object(settings) = settings else {
        panic!("not an object")
    };
    Account {
        id: "shop".into(),
        tenant_id: "default".into(),
        channel: "sms".into(),
        provider: "smpp".into(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings: Settings(settings),
        limits: Limits::default(),
    }
}
