//! A gRPC server as every role runs it: health, reflection, limits, deadlines, tokens, TLS.

mod connection;
mod gate;
mod services;
#[cfg(test)]
pub(crate) mod tests;

pub use services::Services;

use crate::auth::Tokens;
use gate::GateLayer;
use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::{ServingStatus, server::HealthReporter};

/// Pings on a silent connection, so that a dead peer gives its place back.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a ping may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Metadata of one call; tokens and trace headers are far smaller.
const MAX_HEADERS: u32 = 16 * 1024;

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name for logs: `api`, `ingest`, ….
    pub name: &'static str,
    /// Tokens of callers.
    pub tokens: Arc<Tokens>,
    /// Readiness of the process, told to gRPC health.
    pub ready: watch::Receiver<bool>,
    /// Connections at once; further ones are closed at once.
    pub max_connections: usize,
    /// Calls at once on one connection; further ones wait at the caller.
    pub calls_per_connection: u32,
    /// How long a call may take that has no deadline, or a later one. Streams only have to begin within it.
    pub call_limit: Duration,
    /// TLS; without it plain text.
    pub tls: Option<Tls>,
}

/// Files of a listener's TLS, as PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificate chain.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
    /// Authority that must have signed callers' certificates (mTLS).
    pub client_ca_file: Option<PathBuf>,
}

/// A server cannot be started or failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file of the TLS set-up cannot be read.
    #[error("cannot read {}: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Reflection cannot be built from the contract.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed, or its TLS files are no certificates.
    #[error("gRPC server: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until `shutdown`, then lets calls under way end; drop the future to cut them.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    options: Options,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let mut server = Server::builder()
        .max_concurrent_streams(options.calls_per_connection)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADERS);
    if let Some(tls) = &options.tls {
        server = server.tls_config(tls_config(tls).await?)?;
    }
    let (names, routes) = services.into_routes();
    let (reporter, health) = tonic_health::server::health_reporter();
    let router = server
        .layer(GateLayer::new(Arc::clone(&options.tokens), options.call_limit))
        .add_routes(routes)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let incoming = connection::incoming(listener, options.name, options.max_connections);
    let stopping = shutdown.clone();
    let serving = router.serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned());
    let reporting = report(reporter, names, options.ready, stopping);
    let (served, ()) = tokio::join!(boxed(serving), reporting);
    Ok(served?)
}

/// The transport's future is large; on the heap it does not weigh on every caller's.
fn boxed<'f, F: Future + Send + 'f>(future: F) -> std::pin::Pin<Box<dyn Future<Output = F::Output> + Send + 'f>> {
    Box::pin(future)
}

fn reflection<'b>() -> tonic_reflection::server::Builder<'b> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(omnigate_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
}

async fn tls_config(tls: &Tls) -> Result<ServerTlsConfig, ServeError> {
    let identity = Identity::from_pem(read(&tls.cert_file).await?, read(&tls.key_file).await?);
    let config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
    match &tls.client_ca_file {
        Some(file) => Ok(config.client_ca_root(Certificate::from_pem(read(file).await?))),
        None => Ok(config),
    }
}

async fn read(file: &PathBuf) -> Result<Vec<u8>, ServeError> {
    let read = tokio::fs::read(file).await;
    read.map_err(|source| ServeError::File {
        file: file.clone(),
        source,
    })
}

/// Tells gRPC health what the process says about itself, for the server as a whole and for each service.
async fn report(
    reporter: HealthReporter,
    names: Vec<&'static str>,
    mut ready: watch::Receiver<bool>,
    stopping: CancellationToken,
) {
    let all: Vec<&str> = names.into_iter().chain([""]).collect();
    loop {
        let is_ready = *ready.borrow_and_update() && !stopping.is_cancelled();
        let status = if is_ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in &all {
            reporter.set_service_status(*name, status).await;
        }
        if stopping.is_cancelled() {
            break;
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            changed = ready.changed() => if changed.is_err() {
                // Nobody reports any more: what was said last stays until the stop.
                stopping.cancelled().await;
            },
        }
    }
    // Watches of health would keep the server from ending; without an entry they end.
    let mut reporter = reporter;
    for name in &all {
        reporter.clear_service_status(name).await;
    }
}
