//! Role edge: hosts adapters and faces the Internet. It has no credentials of broker or store: what comes in it pushes
//! to ingest, what goes out it is told over gRPC.
//!
//! [`Edge::run`] answers webhooks and hosts sessions; [`Edge::sending`] is the service through which dispatch sends.

mod catalog;
mod credentials;
mod dialer;
mod failure;
mod holders;
mod metrics;
mod pushes;
mod refused;
mod sending;
mod session;
mod settings;
mod transport;
mod webhook;

pub use catalog::{Misfit, check};
pub use dialer::TcpDialer;
pub use sending::Sending;
pub use settings::Settings;
pub use transport::{HttpTransport, SetupError};

use catalog::Catalog;
use credentials::Credentials;
use metrics::Metrics;
use omnigate_core::{
    account::Directory,
    port::{
        Clock, Entropy,
        adapter::{Dialer, Kind, Transport},
    },
};
use omnigate_rpc::v1::ingest_service_server::IngestService;
use omnigate_rpc::{AdapterPort, CredentialPort, SessionPort, remote::ClientError};
use omnigate_runtime::http;
use pushes::Pushes;
use session::Sessions;
use std::sync::Arc;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use webhook::{Reception, pages, routes};

/// The way to another edge at an address.
pub type Edges = Arc<dyn Fn(&str) -> Result<AdapterPort, ClientError> + Send + Sync>;

/// What the role is given.
pub struct Parts {
    /// Every kind of channel there is.
    pub kinds: &'static [&'static dyn Kind],
    /// Apps and accounts.
    pub directory: Arc<Directory>,
    /// Takes events.
    pub ingest: Arc<dyn IngestService>,
    /// Gives leases; without it no session is hosted.
    pub sessions: Option<SessionPort>,
    /// Other edges, for sends whose connection one of them holds.
    pub edges: Edges,
    /// Where other edges reach the sends of this one, as `http://host:port` or `https://host:port`; empty when they cannot.
    pub address: String,
    /// Gives access tokens; without it accounts that need one cannot send.
    pub credentials: Option<CredentialPort>,
    /// Outbound HTTP.
    pub transport: Arc<dyn Transport>,
    /// Outbound connections of sessions.
    pub dialer: Arc<dyn Dialer>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Source of random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Limits.
    pub settings: Settings,
    /// Counters.
    pub metrics: omnigate_runtime::telemetry::metrics::Metrics,
}

/// The role.
pub struct Edge {
    settings: Settings,
    pushes: Arc<Pushes>,
    reception: Arc<Reception>,
    sessions: Option<Sessions>,
    sending: Arc<Sending>,
}

impl Edge {
    /// Opens all adapters, or says everything in the configuration that they cannot work with.
    pub fn new(parts: Parts) -> Result<Self, Vec<Misfit>> {
        let settings = parts.settings;
        let metrics = Metrics::new(parts.metrics);
        let catalog = Arc::new(Catalog::open(parts.kinds, &parts.directory)?);
        let pushes = Arc::new(Pushes::new(parts.ingest, settings.push_within, metrics.clone()));
        let owner: String = parts.entropy.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let holders = holders::Parts {
            sessions: parts.sessions.clone(),
            edges: parts.edges,
            clock: Arc::clone(&parts.clock),
            owner: owner.clone(),
        };
        let sending = Sending::new(
            Arc::clone(&catalog),
            Arc::clone(&parts.transport),
            (Credentials::new(parts.credentials, Arc::clone(&parts.clock)), holders),
            Arc::clone(&parts.clock),
            metrics.clone(),
            settings.clone(),
        );
        let reception = Reception {
            catalog: Arc::clone(&catalog),
            pushes: Arc::clone(&pushes),
            clock: Arc::clone(&parts.clock),
            memory: Semaphore::new(pages(settings.in_flight_bytes)),
            settings: settings.clone(),
            metrics: metrics.clone(),
        };
        let sessions = parts.sessions.map(|service| Sessions {
            owner,
            address: parts.address,
            catalog,
            service,
            pushes: Arc::clone(&pushes),
            transport: parts.transport,
            dialer: parts.dialer,
            clock: parts.clock,
            entropy: parts.entropy,
            metrics,
            settings: settings.clone(),
        });
        Ok(Self {
            settings,
            pushes,
            reception: Arc::new(reception),
            sessions,
            sending: Arc::new(sending),
        })
    }

    /// The service that sends through the built-in channels.
    #[must_use]
    pub fn sending(&self) -> Arc<Sending> {
        Arc::clone(&self.sending)
    }

    /// Answers webhooks on the listener and hosts sessions until stopped; pushes end last, because the others need them.
    pub async fn run(&self, listener: TcpListener, stop: CancellationToken) {
        let intake_ended = CancellationToken::new();
        let intake = async {
            let webhooks = async {
                let routes = routes(Arc::clone(&self.reception));
                let cut = http::serve(listener, routes, self.settings.http(), &stop).await;
                if cut > 0 {
                    tracing::warn!(
                        connections = cut,
                        "stopped with open webhook requests; their providers will come again"
                    );
                }
            };
            let sessions = async {
                match &self.sessions {
                    Some(sessions) => sessions.run(&stop).await,
                    None => stop.cancelled().await,
                }
            };
            tokio::join!(webhooks, sessions);
            intake_ended.cancel();
        };
        tokio::join!(intake, self.pushes.run(&intake_ended));
    }
}
