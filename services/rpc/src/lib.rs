//! Generated gRPC services, clients of the same traits, and server set-up.
//!
//! A role holds a port such as [`IngestPort`] and does not know whether the other role is in its process ([`local`]) or in
//! another one ([`remote`]).

pub mod auth;
pub mod client;
pub mod deadline;
pub mod error;
pub mod local;
pub mod page;
pub mod push;
pub mod remote;
pub mod server;
pub mod trace;

use std::sync::Arc;

/// Generated services of package `omnigate.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/omnigate.v1.rs"));
}

/// The ingest role, wherever it runs.
pub type IngestPort = Arc<dyn v1::ingest_service_server::IngestService>;
/// A sender: the edge role, or an adapter of somebody else's.
pub type AdapterPort = Arc<dyn v1::adapter_service_server::AdapterService>;
/// The scheduler role's access tokens, wherever it runs.
pub type CredentialPort = Arc<dyn v1::credential_service_server::CredentialService>;
/// The scheduler role's session leases, wherever it runs.
pub type SessionPort = Arc<dyn v1::session_service_server::SessionService>;
