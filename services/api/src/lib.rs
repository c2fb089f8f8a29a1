//! Role api: answers internal services. It reads the store, accepts messages for sending, and streams what took effect;
//! everything it decides is decided in the domain.

mod abilities;
mod accounts;
mod announcer;
mod audiences;
mod campaigns;
mod consents;
mod conversations;
mod customers;
mod event_webhooks;
mod explain;
mod groups;
mod lookups;
mod messages;
mod notes;
mod parked;
mod problems;
mod replay;
mod resume;
mod settings;
mod streams;
mod template_library;
mod templates;
mod timeline;
mod watched;

pub use settings::{Copies, Settings};

use abilities::Abilities;
use announcer::Announcer;
use groups::Places;
use lookups::Lookups;
use omnigate_core::account::Directory;
use omnigate_core::consent::MarketingDefaults;
use omnigate_core::event_webhook::Endpoint;
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::{Context, Ports};
use omnigate_rpc::AdapterPort;
use omnigate_rpc::page::Tokens;
use omnigate_runtime::stop::Stop;
use std::{collections::BTreeMap, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Accounts that work with tokens somebody has to agree to, and where; the address may be empty.
pub type Authorized = BTreeMap<String, String>;

/// What the api works with.
#[derive(Clone)]
pub struct Api {
    ports: Arc<Ports>,
    broker: Arc<dyn Broker>,
    directory: Arc<Directory>,
    abilities: Arc<Abilities>,
    lookups: Arc<Lookups>,
    announcer: Arc<Announcer>,
    authorized: Arc<Authorized>,
    partitions: u16,
    tokens: Tokens,
    stop: Stop,
    settings: Settings,
    places: Places,
    event_webhooks: Arc<Vec<Endpoint>>,
    marketing: Arc<MarketingDefaults>,
}

/// What the role is given.
pub struct Parts {
    /// Store, clock and randomness.
    pub ports: Arc<Ports>,
    /// Broker.
    pub broker: Arc<dyn Broker>,
    /// Apps and accounts.
    pub directory: Arc<Directory>,
    /// Answers for the capabilities of accounts and for single templates; without it they are left out.
    pub adapters: Option<AdapterPort>,
    /// Accounts that work with tokens somebody has to agree to.
    pub authorized: Authorized,
    /// Partitions of the inbound queues.
    pub partitions: u16,
    /// Must be made of the same secret in every api process.
    pub tokens: Tokens,
    /// Streams end when somebody asks for it.
    pub stop: Stop,
    /// Consumer groups.
    pub settings: Settings,
    /// Outgoing webhooks.
    pub event_webhooks: Vec<Endpoint>,
    /// What holds for advertising to somebody of whom nothing is known.
    pub marketing: MarketingDefaults,
}

impl Api {
    /// An api over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let announcer = Announcer::new(Arc::clone(&parts.ports), Arc::clone(&parts.broker), parts.partitions);
        Self {
            announcer: Arc::new(announcer),
            ports: parts.ports,
            broker: parts.broker,
            directory: parts.directory,
            abilities: Arc::new(Abilities::new(parts.adapters.clone())),
            lookups: Arc::new(Lookups::new(parts.adapters)),
            authorized: Arc::new(parts.authorized),
            partitions: parts.partitions,
            tokens: parts.tokens,
            stop: parts.stop,
            settings: parts.settings,
            places: Places::default(),
            event_webhooks: Arc::new(parts.event_webhooks),
            marketing: Arc::new(parts.marketing),
        }
    }

    /// Tells others what was accepted, until stopped.
    pub async fn run(&self, stop: CancellationToken) {
        self.announcer.run(&stop).await;
    }

    fn context(&self) -> Context<'_> {
        self.ports.context()
    }
}

/// A page size as the store counts.
fn as_limit(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
