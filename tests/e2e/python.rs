//! The example adapter, written in Python from the contract alone.

use anyhow::{Context as _, bail};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longest wait for a line of the example.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running example.
pub(crate) struct Example {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Example {
    /// Starts it; `None` when there is no Python with gRPC and there need not be one.
    pub(crate) fn start(ingest: &str, listen: &str, account: &str, token: &str) -> anyhow::Result<Option<Self>> {
        let Some(python) = std::env::var_os("OMNIGATE_TEST_PYTHON") else {
            anyhow::ensure!(
                std::env::var_os("CI").is_none(),
                "OMNIGATE_TEST_PYTHON names no Python, and CI is set"
            );
            return Ok(None);
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no root")?;
        let mut child = Command::new(python)
            .arg(root.join("tests/python/adapter.py"))
            .args(["--proto", &root.join("proto").to_string_lossy()])
            .args([
                "--ingest",
                ingest,
                "--listen",
                listen,
                "--account",
                account,
                "--token",
                token,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Some(Self { child, input, lines }))
    }

    /// Waits for a line that begins like this.
    pub(crate) fn says(&self, beginning: &str) -> anyhow::Result<String> {
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.starts_with(beginning) {
                return Ok(line);
            }
            said.push(line);
        }
        bail!("the example never said {beginning:?}; it said {said:?}")
    }

    /// Lets a customer write.
    pub(crate) fn writes(&mut self, phone: &str, text: &str) -> anyhow::Result<()> {
        writeln!(self.input, "{phone} {text}")?;
        Ok(self.input.flush()?)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            // It ended by itself.
        }
    }
}
