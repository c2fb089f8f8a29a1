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
use omnigate_rpc::v1::{
    account_service_server::AccountServiceServer, customer_service_server::CustomerServiceServer,
    event_service_server::EventServiceServer, message_service_server::MessageServiceServer,
    parked_service_server::ParkedServiceServer, timeline_service_server::TimelineServiceServer,
};
use std::sync::Arc;
use tonic::service::{Routes, RoutesBuilder};

/// What the api works with.
#[derive(Clone)]
pub struct Api {
    ports: Arc<Ports>,
    broker: Arc<dyn Broker>,
    directory: Arc<Directory>,
    adapters: Option<AdapterPort>,
    partitions: u16,
    tokens: Tokens,
}

impl Api {
    /// An api over these ports. `adapters` answers for the capabilities of accounts; without it they are left out.
    /// `tokens` must be made of the same secret in every api process.
    #[must_use]
    pub fn new(
        ports: Arc<Ports>,
        broker: Arc<dyn Broker>,
        directory: Arc<Directory>,
        adapters: Option<AdapterPort>,
        partitions: u16,
        tokens: Tokens,
    ) -> Self {
        Self {
            ports,
            broker,
            directory,
            adapters,
            partitions,
            tokens,
        }
    }

    /// All services of the role, ready to be served with messages of at most `max_bytes`.
    #[must_use]
    pub fn routes(&self, max_bytes: usize) -> Routes {
        let mut routes = RoutesBuilder::default();
        macro_rules! add {
            ($($server:ident),*) => {$(
                routes.add_service(
                    $server::new(self.clone())
                        .max_decoding_message_size(max_bytes)
                        .max_encoding_message_size(usize::MAX),
                );
            )*};
        }
        add!(
            MessageServiceServer,
            CustomerServiceServer,
            TimelineServiceServer,
            AccountServiceServer,
            ParkedServiceServer,
            EventServiceServer
        );
        routes.routes()
    }

    fn context(&self) -> Context<'_> {
        self.ports.context()
    }
}

/// A page size as the store counts.
fn as_limit(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
