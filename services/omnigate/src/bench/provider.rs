//! An SMSC on a thread of its own: it takes everything that is sent, and its people write as fast as they are answered for.

use super::published::LOST;
use anyhow::Context as _;
use omnigate_sandbox::smsc::{AccountOptions, Flood, Null, Options, Smsc, SmscHandle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio_util::sync::CancellationToken;

/// More messages than any measurement has time for.
const ENDLESS: u64 = 1_000_000_000_000;
/// How often it is looked whether something has come to its end.
pub(super) const LOOK: Duration = Duration::from_millis(5);
/// How long binds may take to come, or to go.
const BOUND: Duration = Duration::from_secs(30);

/// How an account is bound to the SMSC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) binds: usize,
    /// Submissions, or deliveries, that may be unanswered on each bind.
    pub(super) window: usize,
}

/// What people write.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    /// A number follows.
    pub(super) text: String,
    /// How many people take turns.
    pub(super) people: u64,
}

/// The SMSC.
pub(super) struct Provider {
    smsc: Arc<SmscHandle>,
    binding: Binding,
    end: CancellationToken,
    thread: JoinHandle<()>,
}

impl Provider {
    pub(super) fn start(binding: Binding) -> anyhow::Result<Self> {
        let (started, starts) = std::sync::mpsc::sync_channel(1);
        let end = CancellationToken::new();
        let ended = end.clone();
        let thread = std::thread::Builder::new().name("smsc".to_owned()).spawn(move || {
            let run = async {
                let smsc = async {
                    let listener = TcpListener::bind("127.0.0.1:0").await?;
                    let control = TcpListener::bind("127.0.0.1:0").await?;
                    anyhow::Ok(Arc::new(Smsc::start(listener, Some(control), options(binding))?))
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
        Ok(Self {
            smsc,
            binding,
            end,
            thread,
        })
    }

    pub(super) fn binding(&self) -> Binding {
        self.binding
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.smsc.address()
    }

    /// Where others drive it.
    pub(super) fn control(&self) -> anyhow::Result<String> {
        self.smsc.control_url().context("the SMSC has no control")
    }

    /// Name and password, as others are told them.
    pub(super) fn account(&self) -> String {
        let account = AccountOptions::default();
        format!("{}:{}", account.system_id, account.password)
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

    /// Messages of its people that it was answered for.
    pub(super) fn acknowledged(&self) -> u64 {
        self.smsc.counters().acknowledged
    }

    /// So many messages are written, as fast as they are answered for; returns when all are.
    pub(super) async fn write(&self, writing: &Writing, count: u64) -> anyhow::Result<()> {
        let all = self.acknowledged() + count;
        self.flood(writing, count)?;
        self.settled(all).await
    }

    /// People write until they are told to stop.
    pub(super) fn write_on(&self, writing: &Writing) -> anyhow::Result<()> {
        self.flood(writing, ENDLESS)
    }

    /// Nothing new is written; returns when all that was is answered for.
    pub(super) async fn written(&self, writing: &Writing) -> anyhow::Result<()> {
        self.flood(writing, 0)?;
        self.settled(0).await
    }

    fn flood(&self, writing: &Writing, count: u64) -> anyhow::Result<()> {
        Ok(self.smsc.flood(Flood {
            count,
            people: writing.people,
            text: writing.text.clone(),
            window: self.binding.window,
            ..Flood::default()
        })?)
    }

    /// Waits until so many were answered for, and none is not. Where a window is answered as a whole, none is unanswered
    /// before the next one is written, so that alone says nothing while there is more to write.
    async fn settled(&self, all: u64) -> anyhow::Result<()> {
        let mut last = (self.acknowledged(), Instant::now());
        loop {
            let (answered, pending) = self.smsc.look(|view| (view.counters().acknowledged, view.pending()));
            if answered >= all && pending == 0 {
                return Ok(());
            }
            if answered != last.0 {
                last = (answered, Instant::now());
            }
            anyhow::ensure!(
                last.1.elapsed() < LOST,
                "{pending} messages were not answered for within {} s",
                LOST.as_secs()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until all binds are there.
    pub(super) async fn bound(&self) -> anyhow::Result<()> {
        self.binds(self.binding.binds).await
    }

    /// Waits until nobody is bound any more.
    pub(super) async fn quiet(&self) -> anyhow::Result<()> {
        self.binds(0).await
    }

    async fn binds(&self, many: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + BOUND;
        while self.smsc.look(|view| view.bound()) != many {
            anyhow::ensure!(
                Instant::now() < deadline,
                "the account did not come to have {many} binds within {} s",
                BOUND.as_secs()
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    pub(super) async fn stop(self) {
        self.end.cancel();
        // The thread ends by itself; it holds nothing that anybody waits for.
        tokio::task::spawn_blocking(move || self.thread.join()).await.ok();
    }
}

fn options(binding: Binding) -> Options {
    Options {
        accounts: vec![AccountOptions {
            window: binding.window.saturating_mul(2),
            max_binds: binding.binds,
            ..AccountOptions::default()
        }],
        null: Some(Null::default()),
        ..Options::default()
    }
}

/// Settings of an account at this SMSC.
pub(super) fn settings(address: SocketAddr, binding: Binding) -> serde_json::Map<String, serde_json::Value> {
    let account = AccountOptions::default();
    let settings = serde_json::json!({
        "host": address.ip().to_string(),
        "port": address.port(),
        "system_id": account.system_id,
        "password": account.password,
        "binds": binding.binds,
        "window": binding.window,
        "sender": "OMNIGATE",
    });
    settings.as_object().cloned().unwrap_or_default()
}
