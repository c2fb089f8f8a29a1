//! The HTTP server of the webhooks: bounded in connections, headers and time, so that slow or many strangers cost little.

use crate::settings::Settings;
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{io, sync::Arc, time::Duration};
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

/// Serves until stopped; then lets open requests end for a while.
pub(crate) async fn serve(listener: TcpListener, routes: Router, settings: &Settings, stop: &CancellationToken) {
    let connections = Arc::new(Semaphore::new(settings.connections));
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.headers_within)
        .max_buf_size(settings.header_bytes.max(8192))
        .max_headers(MAX_HEADERS);
    loop {
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let Ok((stream, permit)) = accepted else {
            tokio::time::sleep(AFTER_ACCEPT_ERROR).await;
            continue;
        };
        let service = TowerToHyperService::new(routes.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "webhook connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.drain_within, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = tasks.len(),
            "stopped with open webhook requests; their providers will come again"
        );
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The place is taken first, so that a connection is never accepted and then left waiting.
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await.inspect_err(|error| {
        tracing::warn!(%error, "cannot accept a connection");
    })?;
    stream.set_nodelay(true).ok();
    Ok((stream, permit))
}
