//! The loops that do nothing but work the adapter: what the codec and the session of SMPP can do where nothing is kept.

use super::host::Host;
use super::load::{Speed, processor_time};
use super::provider::{Provider, Writing, settings};
use omnigate_core::account::{Account, AdapterRef, App, Limits, Settings};
use omnigate_core::port::adapter::{Channel, Opened, Outgoing};
use omnigate_proto::v1::{Message, Part, Text, part::Content};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest one submission may take.
const CALL: Duration = Duration::from_secs(10);
/// Calls beside those that the window holds, so that it is never empty.
const AHEAD: usize = 28;

/// An account of the adapter, bound to the SMSC with nothing behind it.
pub(super) struct Bare<'a> {
    provider: &'a Provider,
    channel: Arc<dyn Channel>,
    host: Arc<Host>,
    sessions: JoinSet<()>,
    stop: CancellationToken,
}

impl<'a> Bare<'a> {
    /// Opens the account and its sessions.
    pub(super) async fn open(provider: &'a Provider) -> anyhow::Result<Self> {
        let opened = open(provider)?;
        let stop = CancellationToken::new();
        let host = Arc::new(Host::new(stop.clone()));
        let mut sessions = JoinSet::new();
        for (_, session) in opened.sessions {
            let host = Arc::clone(&host);
            sessions.spawn(async move {
                // The SMSC tells when the session is not there.
                session.run(host.as_ref()).await.ok();
            });
        }
        provider.bound().await?;
        Ok(Self {
            provider,
            channel: opened.channel,
            host,
            sessions,
            stop,
        })
    }

    /// Messages per second that the adapter submits.
    pub(super) async fn submits(self, warm_up: Duration, time: Duration) -> anyhow::Result<Speed> {
        let binding = self.provider.binding();
        let end = Arc::new(AtomicBool::new(false));
        let number = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..binding.window * binding.binds + AHEAD {
            let (channel, host) = (Arc::clone(&self.channel), Arc::clone(&self.host));
            let (end, number) = (Arc::clone(&end), Arc::clone(&number));
            callers.spawn(async move {
                while !end.load(Ordering::Relaxed) {
                    one(channel.as_ref(), host.as_ref(), number.fetch_add(1, Ordering::Relaxed)).await;
                }
            });
        }
        let speed = measured(warm_up, time, || self.provider.taken()).await;
        end.store(true, Ordering::Relaxed);
        while callers.join_next().await.is_some() {}
        self.close().await?;
        anyhow::ensure!(speed.rate > 0.0, "the adapter got nothing to the SMSC");
        Ok(speed)
    }

    /// Messages per second that the adapter takes.
    pub(super) async fn takes(self, writing: &Writing, warm_up: Duration, time: Duration) -> anyhow::Result<Speed> {
        self.provider.write_on(writing)?;
        let speed = measured(warm_up, time, || self.provider.acknowledged()).await;
        self.provider.written(writing).await?;
        self.close().await?;
        anyhow::ensure!(speed.rate > 0.0, "the adapter took nothing from the SMSC");
        Ok(speed)
    }

    async fn close(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while self.sessions.join_next().await.is_some() {}
        self.provider.quiet().await
    }
}

/// How fast something counts up.
pub(super) async fn measured(warm_up: Duration, time: Duration, count: impl Fn() -> u64) -> Speed {
    tokio::time::sleep(warm_up).await;
    let (begun, before, worked) = (Instant::now(), count(), processor_time());
    tokio::time::sleep(time).await;
    Speed::new(count() - before, begun.elapsed(), processor_time() - worked)
}

fn open(provider: &Provider) -> anyhow::Result<Opened> {
    let settings = settings(provider.address(), provider.binding());
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

/// Submits one message; one that cannot leave yet is tried again by whoever calls.
async fn one(channel: &dyn Channel, host: &Host, number: u64) {
    let outgoing = Outgoing {
        peer_type: "phone".to_owned(),
        peer: format!("+8490{:07}", number % 10_000_000),
        peer_provider_form: format!("+8490{:07}", number % 10_000_000),
        message: Message {
            parts: vec![Part {
                content: Some(Content::Text(Text {
                    text: text(number),
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

/// What is sent.
pub(super) fn text(number: u64) -> String {
    format!("Ma don hang cua quy khach la {number}. Xin cam on!")
}
