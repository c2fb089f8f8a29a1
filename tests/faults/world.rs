//! A fleet whose broker and store lie behind proxies.

use crate::SHOP;
use omnigate_rpc::client::Connection;
use omnigate_sandbox::telegram::TelegramHandle;
use omnigate_servers::{proxy::Proxy, rabbitmq::RabbitMq, redis::Redis};
use omnigate_tests::bot;
use omnigate_tests::gateway::{Gateway, Keys};
use std::time::Duration;

/// Lines of each process's log that a failing test shows.
const TAIL: usize = 40;
/// How long the provider waits for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Delay of each piece of bytes from and to broker and store: it widens the gaps between steps, into which faults fall.
const NEAR: Duration = Duration::from_millis(1);
/// The same of the provider, who is far away.
const FAR: Duration = Duration::from_millis(120);

/// The fleet, the provider, and what faults act on.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) connection: Connection,
    pub(crate) http: reqwest::Client,
    pub(crate) sandbox: TelegramHandle,
    pub(crate) broker: Proxy,
    pub(crate) store: Proxy,
    pub(crate) provider: Proxy,
    pub(crate) rabbitmq: RabbitMq,
    pub(crate) redis: Redis,
}

impl World {
    /// Starts everything; `None` when the servers are not installed and need not be.
    pub(crate) async fn start(more: &Keys) -> anyhow::Result<Option<Self>> {
        let (Some(rabbitmq), Some(redis)) = (RabbitMq::start().await, Redis::start().await) else {
            return Ok(None);
        };
        let broker = Proxy::start(rabbitmq.addr()).await?;
        let store = Proxy::start(redis.addr()).await?;
        let sandbox = bot::sandbox(1).await?;
        let mut keys = more.clone();
        bot::account(&mut keys, &sandbox, SHOP, 1, false);
        let provider = Proxy::start(sandbox.address().to_string()).await?;
        let provider_url = format!("http://{}", provider.addr());
        keys.insert(format!("accounts.{SHOP}.settings.api_url"), provider_url);
        let store_url = format!("redis://{}", store.addr());
        let gateway = Gateway::fleet(&keys, &rabbitmq.url_through(broker.addr()), &store_url).await?;
        let connection = gateway.connect().await?;
        broker.delay(NEAR);
        store.delay(NEAR);
        provider.delay(FAR);
        let http = reqwest::Client::builder().timeout(ANSWER).build()?;
        Ok(Some(Self {
            gateway,
            connection,
            http,
            sandbox,
            broker,
            store,
            provider,
            rabbitmq,
            redis,
        }))
    }

    /// Fails when a process ended that nobody ended, or panicked.
    pub(crate) fn nobody_ended(&mut self) -> anyhow::Result<()> {
        for process in self.gateway.processes.values_mut() {
            let ended = process.has_ended();
            anyhow::ensure!(ended.is_none(), "{} ended by itself: {ended:?}", process.name());
            anyhow::ensure!(!process.said().contains("panicked at"), "{} panicked", process.name());
        }
        Ok(())
    }

    /// The end of every log.
    pub(crate) fn tails(&self) -> String {
        let mut all = String::new();
        for process in self.gateway.processes.values() {
            let said = process.said();
            let lines: Vec<&str> = said.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
            all.push_str(&format!("==== {}\n{tail}\n", process.name()));
        }
        all
    }
}
