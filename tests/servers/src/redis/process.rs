//! One server process.

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{self, Instant},
};

const PROGRAM: &str = "redis-server";
/// Starting and loading a small append-only file take milliseconds; a busy machine takes longer.
const READY: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// A server with its port, arguments and folder, running or killed.
pub(super) struct Server {
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    running: Option<Leashed>,
}

impl Server {
    /// Starts a server on a free port; `None` where it is not installed.
    pub(super) async fn start(arguments: &[&str]) -> Option<Self> {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::start_configured(|_| arguments.clone(), None).await
    }

    /// Starts a server with the arguments for a free port, and a configuration file if there is to be one.
    pub(super) async fn start_configured(arguments: impl Fn(u16) -> Vec<String>, file: Option<&str>) -> Option<Self> {
        if !is_installed() {
            return missing("redis-server is not installed");
        }
        // A free port may be taken before the server binds it: then another one is tried.
        for _ in 0..5 {
            match Self::try_start(&arguments, file).await {
                Ok(server) => return Some(server),
                Err(error) => note(&format!("redis-server did not start: {error}")),
            }
        }
        missing("redis-server does not start")
    }

    async fn try_start(more: &impl Fn(u16) -> Vec<String>, file: Option<&str>) -> io::Result<Self> {
        let port = free_port()?;
        let folder = tempfile::tempdir()?;
        let mut arguments = Vec::new();
        if let Some(text) = file {
            let path = folder.path().join("server.conf");
            std::fs::write(&path, text)?;
            arguments.push(path.display().to_string());
        }
        arguments.extend(["--port", &port.to_string(), "--bind", "127.0.0.1"].map(str::to_owned));
        arguments.extend(more(port));
        let running = None;
        let mut server = Self {
            port,
            arguments,
            folder,
            running,
        };
        server.restart().await?;
        Ok(server)
    }

    pub(super) fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn kill9(&mut self) {
        self.running = None;
    }

    pub(super) async fn restart(&mut self) -> io::Result<()> {
        self.kill9();
        let mut running = Leashed::start(&self.arguments, self.folder.path())?;
        let start = Instant::now();
        while !matches!(command(&self.addr(), "PING").await.as_deref(), Ok("+PONG")) {
            if running.has_ended()? || start.elapsed() > READY {
                return Err(io::Error::other("ended or was not ready in time"));
            }
            time::sleep(PAUSE).await;
        }
        self.running = Some(running);
        Ok(())
    }
}

/// A process that ends with this value, and also with the process that started it.
struct Leashed {
    server: Child,
    /// Kills the server when its standard input ends, which it does when we are gone.
    leash: Child,
}

impl Leashed {
    fn start(arguments: &[String], folder: &Path) -> io::Result<Self> {
        let log = std::fs::File::create(folder.join("log"))?;
        let server = Command::new(PROGRAM)
            .args(arguments)
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let leash = Command::new("sh")
            .args(["-c", "read _; kill -9 \"$0\""])
            .arg(server.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { server, leash })
    }

    fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.server.try_wait()?.is_some())
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        // The leash first: it must not kill another process that got the same id.
        for process in [&mut self.leash, &mut self.server] {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// Sends one command without spaces in its words and returns the first line of the answer, or the text it announces.
pub(super) async fn command(addr: &str, command: &str) -> io::Result<String> {
    let talk = async {
        let mut stream = BufReader::new(TcpStream::connect(addr).await?);
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(length) = line.strip_prefix('$').and_then(|length| length.trim().parse().ok()) {
            let mut text = vec![0; length];
            stream.read_exact(&mut text).await?;
            line = String::from_utf8_lossy(&text).into_owned();
        }
        Ok(line.trim_end().to_owned())
    };
    time::timeout(Duration::from_secs(5), talk).await?
}

/// Repeats a command until its answer is as wanted.
pub(super) async fn wait_for(addr: &str, question: &str, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    let start = Instant::now();
    loop {
        let answer = command(addr, question).await.unwrap_or_default();
        if wanted(&answer) {
            return Ok(());
        }
        if start.elapsed() > READY {
            return Err(io::Error::other(format!("{question}: {answer}")));
        }
        time::sleep(PAUSE).await;
    }
}

pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn is_installed() -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder: PathBuf| folder.join(PROGRAM))
        .any(|program| program.is_file())
}

/// Lets the test skip, unless `CI` is set.
pub(super) fn missing<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    note(&format!("skipped: {why}"));
    None
}

#[expect(clippy::print_stderr, reason = "tests print what they skip")]
fn note(what: &str) {
    eprintln!("{what}");
}
