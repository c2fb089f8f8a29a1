//! The admin listener: `/livez`, `/readyz` and `/metrics`, on a thread and runtime of their own, so that probes are
//! answered while everything else is busy.

use super::Health;
use crate::telemetry::metrics::Metrics;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// How often readiness is looked at without being asked, for gRPC health.
const LOOK: Duration = Duration::from_millis(250);
/// Probes and scrapers are few; strangers must not exhaust file descriptors.
const MAX_CONNECTIONS: usize = 64;
/// How long answers under way may take when the server stops.
const LINGER: Duration = Duration::from_millis(500);

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
    let listener = Few {
        listener: TcpListener::from_std(listener)?,
        free: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    };
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
    let serve = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let linger = async {
        stop.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        served = serve.into_future() => served,
        () = look => Ok(()),
        () = linger => Ok(()),
    }
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

/// A listener with a bound on its connections; more wait in the kernel.
struct Few {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

/// A connection that gives its place back when it ends.
struct Counted {
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
}

impl Listener for Few {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = Arc::clone(&self.free).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Counted { stream, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

mod counted {
    //! Reading and writing pass through.

    use super::Counted;
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{listen, role::Role};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
