//! Processes of the gateway.

use crate::wait;
use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A process of the binary.
pub struct Process {
    name: String,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    log: PathBuf,
    child: Option<Child>,
    starts: u32,
}

/// The binary under test: what `OMNIGATE_BIN` names, else the one built beside the tests.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("OMNIGATE_BIN") {
        return Ok(named.into());
    }
    let test = std::env::current_exe()?;
    let built = test
        .ancestors()
        .nth(2)
        .context("the test has no target folder")?
        .join("omnigate");
    anyhow::ensure!(
        built.exists(),
        "{} is not built: run `cargo build -p omnigate` first, or set OMNIGATE_BIN",
        built.display()
    );
    Ok(built)
}

impl Process {
    /// Starts the binary with these arguments and this configuration, logging into `folder`.
    pub fn start(folder: &Path, name: &str, arguments: &[&str], env: BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut process = Self {
            name: name.to_owned(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            env,
            log: folder.join(format!("{name}.log")),
            child: None,
            starts: 0,
        };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it again after it ended.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.child.is_none(), "{} runs already", self.name);
        self.starts += 1;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(binary()?)
            .args(&self.arguments)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it listens with this key of the configuration; the address.
    pub async fn address(&mut self, key: &str) -> anyhow::Result<String> {
        let what = format!("{} listening with {key}", self.name);
        let ended = self.has_ended();
        let found = wait::until(&what, async || {
            if let Some(status) = &ended {
                bail!("it ended with {status}:\n{}", self.said());
            }
            let said = self.said();
            let lines = said
                .lines()
                .rev()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let mut listening = lines.filter(|line| field(line, "key") == Some(key));
            Ok(listening
                .find_map(|line| field(&line, "address").map(str::to_owned))
                .ok_or("nothing yet"))
        });
        found.await
    }

    /// Sets a key for the next start.
    pub fn set(&mut self, key: &str, value: &str) {
        self.env.insert(key.to_owned(), value.to_owned());
    }

    /// How it ended, if it did so by itself.
    pub fn has_ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        Some(status.to_string())
    }

    /// Its resident memory in bytes; `None` while it does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// Ends it at once, as a crash would.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to stop and waits; its exit code.
    pub async fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        let Some(mut child) = self.child.take() else {
            return Ok(None);
        };
        let asked = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status()?;
        anyhow::ensure!(asked.success(), "{} cannot be signalled", self.name);
        let status = wait::until("a graceful stop", async || Ok(child.try_wait()?.ok_or("still running"))).await?;
        Ok(status.code())
    }
}

/// A field of a log line, wherever the format puts it.
fn field<'a>(line: &'a serde_json::Value, name: &str) -> Option<&'a str> {
    let nested = line.get("fields").and_then(|fields| fields.get(name));
    line.get(name).or(nested)?.as_str()
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kill9().is_err() {
            // It is gone already.
        }
    }
}
