//! Sessions and sends against an SMSC that does what each test says, in virtual time.

mod binding;
mod receiving;
mod segments;
mod sending;

use super::Adapter;
use super::pdu::{self, Pdu, command, tests::frame};
use crate::texting::text_part;
use bytes::BytesMut;
use omnigate_core::{
    account::{Account, AdapterRef, App, Limits, Settings},
    id::MessageId,
    port::adapter::{
        AccessToken, ChannelHost, Kind as _, NoAccessToken, Opened, Outgoing, Place, PushFailed, SessionError,
        SessionHost, Stream, Transport, TransportError,
    },
    shard::Shard,
    time::Moment,
};
use omnigate_proto::v1::{Event, Message, SendAccepted, SendError};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Longest virtual time that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(600);
/// 2026-01-02T03:04:05.678Z.
const BEGIN: Moment = Moment(1_767_323_045_678);

type Run = JoinHandle<Result<(), SessionError>>;
type Sent = JoinHandle<Result<SendAccepted, SendError>>;

/// What goes wrong with pushes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pushes {
    Work,
    Fail,
    Hang,
}

struct Host {
    began: Instant,
    dialled: mpsc::Sender<DuplexStream>,
    reachable: bool,
    pushed: mpsc::Sender<Vec<Event>>,
    pushes: watch::Sender<Pushes>,
    /// Keys of the events whose push failed.
    tried: Mutex<Vec<String>>,
    stop: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl SessionHost for Host {
    fn cursor(&self) -> bytes::Bytes {
        bytes::Bytes::new()
    }

    async fn push(&self, events: Vec<Event>) -> Result<(), PushFailed> {
        let mut state = self.pushes.subscribe();
        state.wait_for(|state| *state != Pushes::Hang).await.unwrap();
        if *self.pushes.borrow() == Pushes::Fail {
            let keys = events.into_iter().map(|event| event.stable_key);
            self.tried.lock().unwrap().extend(keys);
            return Err(PushFailed("the broker is away".to_owned()));
        }
        self.pushed.send(events).await.unwrap();
        Ok(())
    }

    async fn checkpoint(&self, _: bytes::Bytes) -> Result<(), PushFailed> {
        Ok(())
    }

    fn transport(&self) -> &dyn Transport {
        panic!("SMPP needs no HTTP")
    }

    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError> {
        assert_eq!((place.host.as_str(), place.port), ("smsc.example", 2775));
        if !self.reachable {
            return Err(TransportError::NotSent("connection refused".to_owned()));
        }
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        self.dialled.send(theirs).await.unwrap();
        Ok(Box::new(ours))
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

/// An account, its host, and the other end of what it dials.
struct Rig {
    opened: Opened,
    host: Arc<Host>,
    dialled: mpsc::Receiver<DuplexStream>,
    pushed: mpsc::Receiver<Vec<Event>>,
}

impl Rig {
    fn new(own: Value) -> Self {
        Self::with(own, true)
    }

    fn with(own: Value, reachable: bool) -> Self {
        let (dialled_to, dialled) = mpsc::channel(16);
        let (pushed_to, pushed) = mpsc::channel(1_000);
        let account = account(own);
        Self {
            opened: Adapter.open_account(&app(&account), &account).unwrap(),
            host: Arc::new(Host {
                began: Instant::now(),
                dialled: dialled_to,
                reachable,
                pushed: pushed_to,
                pushes: watch::Sender::new(Pushes::Work),
                tried: Mutex::default(),
                stop: watch::Sender::new(false),
            }),
            dialled,
            pushed,
        }
    }

    fn run(&self, index: usize) -> Run {
        let (session, host) = (Arc::clone(&self.opened.sessions[index].1), Arc::clone(&self.host));
        tokio::spawn(async move { session.run(&*host).await })
    }

    /// The other end of the next connection.
    async fn smsc(&mut self) -> Smsc {
        let stream = timeout(PATIENCE, self.dialled.recv()).await.unwrap().unwrap();
        Smsc {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// A session that is bound.
    async fn bound(&mut self, index: usize) -> (Smsc, Run) {
        let run = self.run(index);
        let mut smsc = self.smsc().await;
        smsc.accept().await;
        (smsc, run)
    }

    fn outgoing(text: &str, request: &str) -> Outgoing {
        Outgoing {
            peer_type: "phone".to_owned(),
            peer: "+84912345678".to_owned(),
            peer_provider_form: "+84912345678".to_owned(),
            message: Message {
                parts: vec![text_part(text)],
                ..Message::default()
            },
            piece: 0,
            send_key: MessageId::new(Shard::new(3), "t", request).send_key(0),
            time_limit: Duration::from_secs(30),
        }
    }

    fn send(&self, text: &str) -> Sent {
        let (channel, host) = (Arc::clone(&self.opened.channel), Arc::clone(&self.host));
        let outgoing = Self::outgoing(text, text);
        tokio::spawn(async move { channel.send(&outgoing, &*host).await })
    }

    async fn pushed(&mut self) -> Vec<Event> {
        timeout(PATIENCE, self.pushed.recv()).await.unwrap().unwrap()
    }

    fn stop(&self) {
        self.host.stop.send_replace(true);
    }
}

fn account(own: Value) -> Account {
    let mut all = json!({ "host": "smsc.example", "system_id": "shop", "password": "s3cret", "sender": "SHOP" });
    all.as_object_mut()
        .unwrap()
        .append(own.clone().as_object_mut().unwrap());
    let Value::Object(map) = all else {
        panic!("not an object")
    };
    Account {
        id: "shop".into(),
        tenant_id: "t".into(),
        channel: "sms".into(),
        provider: "smpp".into(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "shop".into(),
        settings: Settings(map),
        limits: Limits::default(),
    }
}

fn app(account: &Account) -> App {
    App {
        id: account.app_id.clone(),
        tenant_id: account.tenant_id.clone(),
        channel: account.channel.clone(),
        provider: account.provider.clone(),
        settings: account.settings.clone(),
        implicit: true,
    }
}

/// The other end of a connection.
struct Smsc {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Smsc {
    /// The next PDU, `None` when the connection ended.
    async fn read(&mut self) -> Option<Pdu> {
        loop {
            if let Some(pdu) = pdu::next(&mut self.buffer).unwrap() {
                return Some(pdu);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            if read.expect("nothing comes").unwrap() == 0 {
                return None;
            }
        }
    }

    /// The next PDU that is no `enquire_link`, which is answered.
    async fn next(&mut self) -> Pdu {
        loop {
            let pdu = self.read().await.expect("the connection ended");
            if pdu.command != command::ENQUIRE_LINK {
                return pdu;
            }
            self.write(&frame(command::ENQUIRE_LINK_RESP, 0, pdu.sequence, b""))
                .await;
        }
    }

    async fn expect(&mut self, command: u32) -> Pdu {
        let pdu = self.next().await;
        assert_eq!(pdu.command, command, "{pdu:?}");
        pdu
    }

    /// Whether the connection is ended from the other side.
    async fn is_left(&mut self) -> bool {
        self.read().await.is_none()
    }

    async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// Answers a request.
    async fn answer(&mut self, request: &Pdu, status: u32, body: &[u8]) {
        let octets = frame(request.command | command::RESPONSE, status, request.sequence, body);
        self.write(&octets).await;
    }

    async fn accept(&mut self) {
        let bind = self.next().await;
        self.answer(&bind, 0, b"smsc\0").await;
        // Who answers this has taken it in.
        self.write(&frame(command::ENQUIRE_LINK, 0, 1_000_000, b"")).await;
        self.expect(command::ENQUIRE_LINK_RESP).await;
    }
}
