//! One node's process.

use std::{
    io,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{self, Instant},
};

/// Debian's wrappers in `/usr/sbin` change user and hide the environment; these do not.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
/// A node starts in 4 to 10 seconds; a busy machine takes longer.
const READY: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(100);
/// No plugins, and no refusal because a test machine's disk is rather full.
const CONFIGURATION: &str = "disk_free_limit.absolute = 50MB\nlog.file.level = warning\nlog.console = false\n";
const COOKIE: &str = "omnigate-test";

/// A node with its ports and folder, running or killed.
pub(super) struct Node {
    port: u16,
    distribution_port: u16,
    folder: TempDir,
    running: Option<Leashed>,
}

impl Node {
    /// Starts a node on free ports; `None` where RabbitMQ is not installed.
    pub(super) async fn start() -> Option<Self> {
        if !program("rabbitmq-server").is_file() {
            return missing("rabbitmq-server is not installed");
        }
        // A free port may be taken before the node binds it: then another one is tried.
        for _ in 0..3 {
            match Self::try_start().await {
                Ok(node) => return Some(node),
                Err(error) => note(&format!("rabbitmq-server did not start: {error}")),
            }
        }
        missing("rabbitmq-server does not start")
    }

    async fn try_start() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("rabbitmq-").tempdir()?;
        let cookie = folder.path().join(".erlang.cookie");
        std::fs::write(&cookie, COOKIE)?;
        std::fs::set_permissions(&cookie, PermissionsExt::from_mode(0o400))?;
        std::fs::write(folder.path().join("rabbitmq.conf"), CONFIGURATION)?;
        std::fs::write(folder.path().join("enabled_plugins"), "[].")?;
        let mut node = Self {
            port: free_port()?,
            distribution_port: free_port()?,
            folder,
            running: None,
        };
        node.restart().await?;
        Ok(node)
    }

    pub(super) fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    pub(super) fn kill9(&mut self) {
        self.running = None;
    }

    pub(super) async fn restart(&mut self) -> io::Result<()> {
        self.kill9();
        let start = Instant::now();
        let mut running = Leashed::start(self.command("rabbitmq-server"), self.folder.path())?;
        while !answers(&self.addr()).await {
            if running.has_ended()? || start.elapsed() > READY {
                return Err(io::Error::other("ended or was not ready in time"));
            }
            time::sleep(PAUSE).await;
        }
        self.running = Some(running);
        Ok(())
    }

    pub(super) async fn control(&self, arguments: &[&str]) -> io::Result<String> {
        let mut command = tokio::process::Command::from(self.command("rabbitmqctl"));
        let output = command.args(arguments).output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(io::Error::other(format!(
                "rabbitmqctl: {} {}",
                text(&output.stdout),
                text(&output.stderr)
            )))
        }
    }

    fn command(&self, name: &str) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(program(name));
        command
            .env("HOME", folder)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("omnigate{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("enabled_plugins"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none")
            .stdin(Stdio::null());
        command
    }
}

/// A process that ends with this value, and also with the process that started it, together with its folder.
struct Leashed {
    server: Child,
    /// Kills the server and removes its folder when its standard input ends, which it does when we are gone.
    leash: Child,
}

impl Leashed {
    fn start(mut command: Command, folder: &Path) -> io::Result<Self> {
        let log = std::fs::File::create(folder.join("out"))?;
        // Groups of their own, so that a Ctrl-C reaches only us, and the leash then ends the node. `detached` makes the node
        // replace the script that starts it, so that the child's id is the node's.
        command
            .process_group(0)
            .env("detached", "yes")
            .stdout(log.try_clone()?)
            .stderr(log);
        let server = command.spawn()?;
        let leash = Command::new("sh")
            .process_group(0)
            .args(["-c", "read _; kill -9 \"$0\"; sleep 1; rm -rf \"$1\""])
            .arg(server.id().to_string())
            .arg(folder)
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

/// True when an AMQP client is answered: the listener opens before the node is ready for one.
async fn answers(addr: &str) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read_u8().await
    };
    // A method frame begins with 1.
    matches!(time::timeout(Duration::from_secs(5), greeting).await, Ok(Ok(1)))
}

fn program(name: &str) -> PathBuf {
    Path::new(PROGRAMS).join(name)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Lets the test skip, unless `CI` is set.
fn missing<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    note(&format!("skipped: {why}"));
    None
}

#[expect(clippy::print_stderr, reason = "tests print what they skip")]
fn note(what: &str) {
    eprintln!("{what}");
}
