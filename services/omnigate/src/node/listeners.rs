//! The listeners of a process, bound before anything is started.

use omnigate_runtime::config::Config;
use omnigate_runtime::listen::{BindError, bind};
use omnigate_runtime::role::{Role, RoleSet};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Listeners, for the roles that have some.
#[derive(Debug, Default)]
pub struct Listeners {
    /// gRPC of the api.
    pub api: Option<TcpListener>,
    /// gRPC of ingest.
    pub ingest: Option<TcpListener>,
    /// gRPC of edge.
    pub edge: Option<TcpListener>,
    /// gRPC of the scheduler's sessions.
    pub sessions: Option<TcpListener>,
    /// HTTP of webhooks.
    pub webhooks: Option<TcpListener>,
    /// HTTP of health and metrics.
    pub admin: Option<TcpListener>,
}

/// Where a process listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// gRPC of the api.
    pub api: Option<SocketAddr>,
    /// gRPC of ingest.
    pub ingest: Option<SocketAddr>,
    /// gRPC of edge.
    pub edge: Option<SocketAddr>,
    /// gRPC of the scheduler's sessions.
    pub sessions: Option<SocketAddr>,
    /// HTTP of webhooks.
    pub webhooks: Option<SocketAddr>,
    /// HTTP of health and metrics.
    pub admin: Option<SocketAddr>,
}

impl Listeners {
    /// Binds what the roles need.
    pub async fn bind(config: &Config, roles: &RoleSet) -> Result<Self, BindError> {
        let listen = &config.listen;
        let mut bound = Self {
            admin: Some(bind("listen.admin", &listen.admin.0).await?),
            ..Self::default()
        };
        if roles.contains(&Role::Api) {
            bound.api = Some(bind("listen.api", &listen.api.0).await?);
        }
        if roles.contains(&Role::Ingest) {
            bound.ingest = Some(bind("listen.ingest", &listen.ingest.0).await?);
        }
        if roles.contains(&Role::Scheduler) {
            bound.sessions = Some(bind("listen.sessions", &listen.sessions.0).await?);
        }
        if roles.contains(&Role::Edge) {
            bound.edge = Some(bind("listen.edge", &listen.edge.0).await?);
            bound.webhooks = Some(bind("listen.webhooks", &listen.webhooks.0).await?);
        }
        Ok(bound)
    }

    /// Where they listen.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let of = |listener: &Option<TcpListener>| listener.as_ref().and_then(|listener| listener.local_addr().ok());
        Addresses {
            api: of(&self.api),
            ingest: of(&self.ingest),
            edge: of(&self.edge),
            sessions: of(&self.sessions),
            webhooks: of(&self.webhooks),
            admin: of(&self.admin),
        }
    }

    /// Where other edges reach the one of this process; empty when nobody said and the listener does not tell.
    pub(super) fn edge_address(&self, config: &Config) -> String {
        if let Some(address) = &config.cluster.edge_address {
            return address.url();
        }
        match self.addresses().edge {
            Some(address) if address.ip().is_unspecified() => {
                tracing::warn!(
                    %address,
                    "other edges are not told where this one is: set cluster.edge_address if there are any"
                );
                String::new()
            }
            Some(address) if config.tls.cert_file.is_some() => format!("https://{address}"),
            Some(address) => format!("http://{address}"),
            None => String::new(),
        }
    }
}
