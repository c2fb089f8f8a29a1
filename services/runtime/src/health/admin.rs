//! The admin listener: `/livez`, `/readyz` and `/metrics`, on a thread and runtime of their own, so that probes are
//! answered while everything else is busy.

use super::Health;
use crate::http::{self, Limits};
use crate::telemetry::metrics::Metrics;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{
    io,
    net::SocketAddr,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How often readiness is looked at without being asked, for gRPC health.
const LOOK: Duration = Duration::from_millis(250);
/// Probes and scrapers are few and near.
const LIMITS: Limits = Limits {
    connections: 64,
    header_bytes: 16 * 1024,
    headers_within: Duration::from_secs(5),
    drain_within: Duration::from_millis(500),
};

/// What the pages show.
#[derive(Clone, Debug)]
struct Pages {
    health: Health,
    metrics: Metrics,
}

/// The running admin server.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

/// Serves health and metrics on a listener.
pub fn serve(listener: TcpListener, health: Health, metrics: Metrics) -> io::Result<Admin> {
    let address = listener.local_addr()?;
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(run(listener, Pages { health, metrics }, stopped)) {
            tracing::error!(%error, "admin server ended");
        }
    })?;
    Ok(Admin { address, stop, thread })
}

impl Admin {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it; to be done last. Blocks for half a second at most.
    pub fn stop(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::error!("admin server had panicked");
        }
    }
}

async fn run(listener: std::net::TcpListener, pages: Pages, stop: CancellationToken) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let health = pages.health.clone();
    let look = async {
        loop {
            health.report(Instant::now());
            tokio::time::sleep(LOOK).await;
        }
    };
    let router = Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages);
    tokio::select! {
        _cut = http::serve(listener, router, LIMITS, &stop) => {}
        () = look => {}
    }
    Ok(())
}

async fn readyz(State(pages): State<Pages>) -> Response {
    let report = pages.health.report(Instant::now());
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({ "ready": report.ready, "unwell": report.unwell });
    (status, Json(body)).into_response()
}

async fn metrics(State(pages): State<Pages>) -> Response {
    match pages.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{listen, role::Role};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_pages_tell_health_and_metrics_while_the_main_runtime_is_blocked() {
        let listener = listen::bind("listen.admin", "127.0.0.1:0").await.unwrap();
        let (health, metrics) = (Health::new(), Metrics::new().unwrap());
        metrics.red(Role::Edge, "telegram").requests.inc();
        let latch = health.latch("broker");
        let ready = health.watch();
        let admin = serve(listener, health, metrics).unwrap();
        let address = admin.address();
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains(r#""broker":"is starting""#), "{answer}");
        drop(latch);
        // This thread is the main runtime: while it blocks here, the probe of another thread is answered.
        let probe = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(get(address, "/readyz"))
        });
        let answer = probe.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && *ready.borrow(), "{answer}");
        let answer = get(address, "/metrics").await;
        let line = r#"omnigate_requests_total{channel="telegram",role="edge"} 1"#;
        assert!(answer.contains(line), "{answer}");
        assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404"));
        admin.stop();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
