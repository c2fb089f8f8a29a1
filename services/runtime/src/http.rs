//! The HTTP server of webhooks and admin pages: bounded in connections, headers and time, so that slow or many strangers
//! cost little.

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Headers of one request.
const MAX_HEADERS: usize = 100;
/// Pause after the system could not give us a connection (too many open files).
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// What strangers may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Open connections; further ones wait to be accepted.
    pub connections: usize,
    /// Largest headers of a request, together.
    pub header_bytes: usize,
    /// How long a client may take to send its headers.
    pub headers_within: Duration,
    /// How long a stop waits for open requests.
    pub drain_within: Duration,
}

/// Address at the other end of the connection, among a request's extensions. Behind a proxy it is the proxy's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote(pub SocketAddr);

/// Serves until stopped; then lets open requests end for a while, and gives how many had to be cut.
pub async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: &CancellationToken) -> usize {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers_within)
        .max_buf_size(limits.header_bytes.max(8192))
        .max_headers(MAX_HEADERS);
    loop {
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let Ok((stream, remote, permit)) = accepted else {
            tokio::time::sleep(AFTER_ACCEPT_ERROR).await;
            continue;
        };
        let service = TowerToHyperService::new(routes.clone().layer(Extension(Remote(remote))));
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    match tokio::time::timeout(limits.drain_within, graceful.shutdown()).await {
        Ok(()) => 0,
        Err(_) => tasks.len(),
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    // The place is taken first, so that a connection is never accepted and then left waiting.
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, remote) = listener.accept().await.inspect_err(|error| {
        tracing::warn!(%error, "cannot accept a connection");
    })?;
    stream.set_nodelay(true).ok();
    Ok((stream, remote, permit))
}
