//! A TCP proxy that cuts, pauses and delays connections when told.

use std::{
    io,
    net::SocketAddr,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time,
};

/// A way of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A proxy in front of one server; it ends with the value or its runtime.
pub struct Proxy {
    addr: SocketAddr,
    line: Arc<Line>,
    accepting: JoinHandle<()>,
}

/// What connections look at before they forward anything.
#[derive(Clone, Copy, Default)]
struct State {
    /// Raised by every cut: a connection of an older era ends.
    era: u64,
    /// True from a cut until it heals: new connections are closed at once.
    down: bool,
    paused: bool,
    delay: Duration,
}

struct Line {
    state: watch::Sender<State>,
    /// Bytes that may still pass in one direction before the line is cut.
    budget: Mutex<Option<(Direction, usize)>>,
    open: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy in front of `target` (`host:port`) on a free loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(target: impl Into<String>) -> io::Result<Self> {
        let target = target.into();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let line = Arc::new(Line {
            state: watch::Sender::default(),
            budget: Mutex::default(),
            open: AtomicUsize::default(),
        });
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&line)));
        Ok(Self { addr, line, accepting })
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Drops all connections and closes new ones at once, until [`Self::heal`].
    pub fn cut(&self) {
        self.line.cut();
    }

    /// Lets new connections live again.
    pub fn heal(&self) {
        self.line.state.send_modify(|state| state.down = false);
    }

    /// True from a cut until it heals.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.line.state.borrow().down
    }

    /// Holds all bytes back; connections stay open.
    pub fn pause(&self) {
        self.line.state.send_modify(|state| state.paused = true);
    }

    /// Lets bytes pass again, also those held back.
    pub fn resume(&self) {
        self.line.state.send_modify(|state| state.paused = false);
    }

    /// Holds each piece of bytes back for this long.
    pub fn delay(&self, delay: Duration) {
        self.line.state.send_modify(|state| state.delay = delay);
    }

    /// Lets `bytes` more bytes pass in one direction, on all connections together, and then cuts as [`Self::cut`] does.
    pub fn cut_after_bytes(&self, bytes: usize, direction: Direction) {
        *self.line.budget() = Some((direction, bytes));
    }

    /// Number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.line.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.line.cut();
    }
}

impl Line {
    fn cut(&self) {
        self.state.send_modify(|state| {
            state.era += 1;
            state.down = true;
        });
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, Option<(Direction, usize)>> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of `bytes` may pass, and whether the line is cut after them.
    fn spend(&self, direction: Direction, bytes: usize) -> ControlFlow<usize, usize> {
        let mut budget = self.budget();
        match &mut *budget {
            Some((limited, left)) if *limited == direction => {
                if bytes < *left {
                    *left -= bytes;
                    return ControlFlow::Continue(bytes);
                }
                let last = *left;
                *budget = None;
                ControlFlow::Break(last)
            }
            _ => ControlFlow::Continue(bytes),
        }
    }
}

async fn accept(listener: TcpListener, target: String, line: Arc<Line>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        if !line.state.borrow().down {
            tokio::spawn(connect(client, target.clone(), Arc::clone(&line)));
        }
    }
}

async fn connect(client: TcpStream, target: String, line: Arc<Line>) {
    let era = line.state.borrow().era;
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    line.open.fetch_add(1, Ordering::SeqCst);
    let (client, server) = (client.into_split(), server.into_split());
    let mut watched = line.state.subscribe();
    tokio::select! {
        () = forward(client.0, server.1, Direction::ToServer, &line) => {}
        () = forward(server.0, client.1, Direction::ToClient, &line) => {}
        // The sender lives in `line`; were it gone, ending would be right too.
        _ = watched.wait_for(|state| state.era != era) => {}
    }
    line.open.fetch_sub(1, Ordering::SeqCst);
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction, line: &Line) {
    let mut buffer = vec![0; 64 << 10];
    let mut watched = line.state.subscribe();
    loop {
        let Ok(bytes @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let Ok(delay) = watched.wait_for(|state| !state.paused).await.map(|state| state.delay) else {
            return;
        };
        time::sleep(delay).await;
        let spent = line.spend(direction, bytes);
        let (ControlFlow::Continue(pass) | ControlFlow::Break(pass)) = spent;
        if to.write_all(&buffer[..pass]).await.is_err() {
            return;
        }
        if spent.is_break() {
            line.cut();
            return;
        }
    }
}
