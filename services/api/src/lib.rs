//! Role api: answers internal services. It reads the store, accepts messages for sending, and streams what took effect;
//! everything it decides is decided in the domain.

mod accounts;
mod customers;
mod explain;
mod messages;
mod parked;
mod problems;
mod resume;
mod streams;
mod timeline;

use omnigate_core::account::Directory;
use omnigate_core::port::broker::Broker;
use omnigate_core::protocol::{Context, Ports};
use omnigate_rpc::AdapterPort;
use omnigate_rpc::page::Tokens;
use omnigate_runtime::stop::Stop;
use std::sync::Arc;

/// What the api works with.
#[derive(Clone)]
pub struct Api {
    ports: Arc<Ports>,
    broker: Arc<dyn Broker>,
    directory: Arc<Directory>,
    adapters: Option<AdapterPort>,
    partitions: u16,
    tokens: Tokens,
    stop: Stop,
}

impl Api {
    /// An api over these ports. `adapters` answers for the capabilities of accounts; without it they are left out.
    /// `tokens` must be made of the same secret in every api process. Streams end when somebody asks for the `stop`.
    #[must_use]
    pub fn new(
        ports: Arc<Ports>,
        broker: Arc<dyn Broker>,
        directory: Arc<Directory>,
        adapters: Option<AdapterPort>,
        partitions: u16,
        tokens: Tokens,
        stop: Stop,
    ) -> Self {
        Self {
            ports,
            broker,
            directory,
            adapters,
            partitions,
            tokens,
            stop,
        }
    }

    fn context(&self) -> Context<'_> {
        self.ports.context()
    }
}

/// A page size as the store counts.
fn as_limit(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
