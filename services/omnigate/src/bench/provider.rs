//! An SMSC that takes everything, on a thread of its own, and the loop that does nothing but call the adapter.

use super::load::{Speed, processor_time};
use anyhow::Context as _;
use bytes::Bytes;
use omnigate_core::account::{Account, AdapterRef, App, Limits, Settings};
use omnigate_core::port::Clock as _;
use omnigate_core::port::adapter::{
    AccessToken, Channel, ChannelHost, Dialer as _, HttpRequest, HttpResponse, NoAccessToken, Opened, Outgoing, Place,
    PushFailed, SessionHost, Stream, Transport, TransportError,
};
use omnigate_core::time::Moment;
use omnigate_edge::TcpDialer;
use omnigate_proto::v1::{Event, Message, Part, Text, part::Content};
use omnigate_runtime::clock::SystemClock;
use omnigate_sandbox::smsc::{AccountOptions, Null, Options, Smsc, SmscHandle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest one submission may take.
const CALL: Duration = Duration::from_secs(10);
/// Calls beside those that the window holds, so that it is never empty.
const AHEAD: usize = 28;

/// The SMSC.
pub(super) struct Provider {
    smsc: Arc<SmscHandle>,
    end: CancellationToken,
    thread: JoinHandle<()>,
}

impl Provider {
    pub(super) fn start(window: usize) -> anyhow::Result<Self> {
        let (started, starts) = std::sync::mpsc::sync_channel(1);
        let end = CancellationToken::new();
        let ended = end.clone();
        let thread = std::thread::Builder::new().name("smsc".to_owned()).spawn(move || {
            let run = async {
                let smsc = async {
                    let listener = TcpListener::bind("127.0.0.1:0").await?;
                    anyhow::Ok(Arc::new(Smsc::start(listener, None, options(window))?))
                };
                let is_up = started.send(smsc.await).is_ok();
                if is_up {
                    ended.cancelled().await;
                }
            };
            if let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(run);
            }
        })?;
        let smsc = starts.recv().context("the SMSC's thread ended")??;
        Ok(Self { smsc, end, thread })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.smsc.address()
    }

    /// Messages it took so far.
    pub(super) fn taken(&self) -> u64 {
        self.smsc.counters().submits
    }

    /// The same, for others to ask.
    pub(super) fn counter(&self) -> Box<dyn Fn() -> u64 + Send + Sync> {
        let smsc = Arc::clone(&self.smsc);
        Box::new(move || smsc.counters().submits)
    }

    pub(super) async fn stop(self) {
        self.end.cancel();
        // The thread ends by itself; it holds nothing that anybody waits for.
        tokio::task::spawn_blocking(move || self.thread.join()).await.ok();
    }

    /// Messages per second of a loop that only calls the adapter.
    pub(super) async fn bare(&self, warm_up: Duration, time: Duration, window: usize) -> anyhow::Result<Speed> {
        let opened = self.open(window)?;
        let stop = CancellationToken::new();
        let host = Arc::new(Host {
            dialer: TcpDialer::default(),
            stop: stop.clone(),
        });
        let mut tasks = JoinSet::new();
        for (_, session) in opened.sessions {
            let host = Arc::clone(&host);
            tasks.spawn(async move {
                // Sending tells when the session is not there.
                session.run(host.as_ref()).await.ok();
            });
        }
        let end = Arc::new(AtomicBool::new(false));
        let number = Arc::new(AtomicU64::new(0));
        for _ in 0..window + AHEAD {
            let (channel, host) = (Arc::clone(&opened.channel), Arc::clone(&host));
            let (end, number) = (Arc::clone(&end), Arc::clone(&number));
            tasks.spawn(async move {
                while !end.load(Ordering::Relaxed) {
                    one(channel.as_ref(), host.as_ref(), number.fetch_add(1, Ordering::Relaxed)).await;
                }
            });
        }
        tokio::time::sleep(warm_up).await;
        let (begun, count, worked) = (Instant::now(), self.taken(), processor_time());
        tokio::time::sleep(time).await;
        let speed = Speed::new(self.taken() - count, begun.elapsed(), processor_time() - worked);
        end.store(true, Ordering::Relaxed);
        stop.cancel();
        while tasks.join_next().await.is_some() {}
        anyhow::ensure!(speed.rate > 0.0, "the adapter got nothing to the SMSC");
        Ok(speed)
    }

    fn open(&self, window: usize) -> anyhow::Result<Opened> {
        let settings = settings(self.address(), window);
        let account = Account {
            id: "bare".to_owned(),
            tenant_id: "bench".to_owned(),
            channel: "sms".to_owned(),
            provider: "smpp".to_owned(),
            display_name: String::new(),
            adapter: AdapterRef::Builtin,
            app_id: "bare".to_owned(),
            settings: Settings(settings.clone()),
            limits: Limits::default(),
        };
        let app = App {
            id: "bare".to_owned(),
            tenant_id: "bench".to_owned(),
            channel: "sms".to_owned(),
            provider: "smpp".to_owned(),
            settings: Settings(settings),
            implicit: true,
        };
        Ok(omnigate_adapters::kind("sms", "smpp")?.open_account(&app, &account)?)
    }
}

/// Submits one message; one that cannot leave yet is tried again by whoever calls.
async fn one(channel: &dyn Channel, host: &Host, number: u64) {
    let outgoing = Outgoing {
        peer_type: "phone".to_owned(),
        peer: format!("+8490{:07}", number % 10_000_000),
        peer_provider_form: format!("+8490{:07}", number % 10_000_000),
        message: Message {
            parts: vec![Part {
                content: Some(Content::Text(Text {
                    text: format!("Ma don hang cua quy khach la {number}. Xin cam on!"),
                    ..Text::default()
                })),
            }],
            ..Message::default()
        },
        piece: 0,
        send_key: format!("{number:026}"),
        time_limit: CALL,
    };
    if channel.send(&outgoing, host).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn options(window: usize) -> Options {
    Options {
        accounts: vec![AccountOptions {
            window: window.saturating_mul(2),
            ..AccountOptions::default()
        }],
        null: Some(Null::default()),
        ..Options::default()
    }
}

/// Settings of an account at this SMSC.
pub(super) fn settings(address: SocketAddr, window: usize) -> serde_json::Map<String, serde_json::Value> {
    let account = AccountOptions::default();
    let settings = serde_json::json!({
        "host": address.ip().to_string(),
        "port": address.port(),
        "system_id": account.system_id,
        "password": account.password,
        "window": window,
        "sender": "OMNIGATE",
    });
    settings.as_object().cloned().unwrap_or_default()
}

/// What the session and the calls of the bare loop are given.
struct Host {
    dialer: TcpDialer,
    stop: CancellationToken,
}

#[async_trait::async_trait]
impl Transport for Host {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        Err(TransportError::Forbidden("an SMSC speaks no HTTP".to_owned()))
    }
}

#[async_trait::async_trait]
impl ChannelHost for Host {
    fn transport(&self) -> &dyn Transport {
        self
    }

    fn now(&self) -> Moment {
        SystemClock.now()
    }

    async fn access_token(&self, _: Option<&str>) -> Result<AccessToken, NoAccessToken> {
        Err(NoAccessToken::NotReady("an SMSC needs none".to_owned()))
    }
}

#[async_trait::async_trait]
impl SessionHost for Host {
    fn cursor(&self) -> Bytes {
        Bytes::new()
    }

    async fn push(&self, _: Vec<Event>) -> Result<(), PushFailed> {
        Ok(())
    }

    async fn checkpoint(&self, _: Bytes) -> Result<(), PushFailed> {
        Ok(())
    }

    fn transport(&self) -> &dyn Transport {
        self
    }

    async fn dial(&self, place: &Place) -> Result<Box<dyn Stream>, TransportError> {
        self.dialer.dial(place).await
    }

    fn now(&self) -> Moment {
        SystemClock.now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}
