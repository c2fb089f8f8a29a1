//! Connections: at most so many, and none that says nothing.

use futures_util::{Stream, stream};
use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long a new connection may take to say the first word of its protocol.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// Bytes of that word: HTTP/2's preface; a TLS hello is longer.
const PREFACE: usize = 24;
/// Pause after a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// At most one log line about refused connections in this time.
const QUIET: Duration = Duration::from_secs(10);

/// A connection that has a place among the allowed ones and gives it back when it ends.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes read and the time by which they must be the preface.
    silent: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

struct Acceptor {
    listener: TcpListener,
    free: Arc<Semaphore>,
    name: &'static str,
    told: Option<Instant>,
}

/// Connections of a listener, at most `most` at once; more are closed, so that callers go elsewhere.
pub(crate) fn incoming(
    listener: TcpListener,
    name: &'static str,
    most: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let acceptor = Acceptor {
        listener,
        free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
        name,
        told: None,
    };
    stream::unfold(acceptor, |mut acceptor| async {
        let connection = acceptor.next().await;
        Some((Ok(connection), acceptor))
    })
}

impl Acceptor {
    async fn next(&mut self) -> Connection {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "connection was not accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&self.free).try_acquire_owned() else {
                self.refused();
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(listener = self.name, %error, "connection without nodelay");
            }
            return Connection {
                stream,
                silent: Some((0, Box::pin(sleep(FIRST_WORD)))),
                _place: place,
            };
        }
    }

    fn refused(&mut self) {
        if self.told.is_none_or(|told| told.elapsed() > QUIET) {
            self.told = Some(Instant::now());
            tracing::warn!(
                listener = self.name,
                "too many connections, closing new ones: see limits.max_connections"
            );
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some((read, limit)) = &mut self.silent else {
            return polled;
        };
        *read += buffer.filled().len() - before;
        if *read >= PREFACE {
            self.silent = None;
        } else if polled.is_pending() && limit.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
