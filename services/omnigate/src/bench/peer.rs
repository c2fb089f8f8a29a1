//! Other gateways on the same work: programs that bind one to the SMSC of the run, drive it, and print what came of it as a
//! line of JSON. `tests/bench/peers` has those for Kannel and Jasmin, and says what they are told and what they tell.

use super::provider::Provider;
use super::table::{Line, median};
use crate::commands::print;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// What a program answers whose gateway is not installed here.
const MISSING: i32 = 3;

/// What a program tells of its gateway.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) peer: String,
    #[serde(default)]
    pub(super) version: String,
    /// Whether what it accepted outlives it.
    #[serde(default)]
    pub(super) durable: bool,
    /// From end to end.
    pub(super) messages_per_second: f64,
    /// Inbound: that it answered the SMSC for, while it was told them.
    #[serde(default)]
    pub(super) accepted_per_second: f64,
    /// Processor time of its own processes.
    #[serde(default)]
    pub(super) cpu_us_per_message: f64,
}

impl Told {
    fn title(&self) -> String {
        let durable = if self.durable { "durable" } else { "not durable" };
        format!("{} {}, {durable}", self.peer, self.version)
    }
}

/// What is measured.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    /// People write, in place of a client that sends.
    pub(super) inbound: bool,
    pub(super) seconds: u64,
    /// What is written, before a number that may follow.
    pub(super) text: &'a str,
    /// How many people.
    pub(super) people: u64,
}

/// The programs.
pub(super) struct Peers {
    programs: Vec<PathBuf>,
    /// Those that could not be measured, which are left out from then on.
    left_out: BTreeSet<PathBuf>,
}

impl Peers {
    pub(super) fn new(programs: &[PathBuf]) -> Self {
        Self {
            programs: programs.to_vec(),
            left_out: BTreeSet::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.programs.len()
    }

    /// Those that can be measured.
    pub(super) fn programs(&self) -> Vec<PathBuf> {
        let here = |program: &&PathBuf| !self.left_out.contains(*program);
        self.programs.iter().filter(here).cloned().collect()
    }

    /// Measures one; `None`, with a word on standard error, when that cannot be done here.
    pub(super) async fn measure(
        &mut self,
        program: &Path,
        provider: &Provider,
        work: Work<'_>,
    ) -> anyhow::Result<Option<Told>> {
        provider.quiet().await?;
        let told = run(program, provider, work).await;
        match told {
            Ok(told) => Ok(Some(told)),
            Err(error) => {
                print::aside(&format!("omnigate: {} is left out: {error:#}", program.display()));
                self.left_out.insert(program.to_owned());
                Ok(None)
            }
        }
    }
}

async fn run(program: &Path, provider: &Provider, work: Work<'_>) -> anyhow::Result<Told> {
    let mut command = Command::new(program);
    command
        .args(["--smsc", &provider.address().to_string()])
        .args(["--control", &provider.control()?])
        .args(["--account", &provider.account()])
        .args(["--window", &provider.binding().window.to_string()])
        .args(["--binds", &provider.binding().binds.to_string()])
        .args(["--seconds", &work.seconds.to_string()])
        .args(["--people", &work.people.to_string()])
        .args(["--text", work.text])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if work.inbound {
        command.arg("--inbound");
    }
    let child = command.spawn().context("it cannot be run")?;
    let ended = child.wait_with_output().await?;
    anyhow::ensure!(ended.status.code() != Some(MISSING), "it is not installed here");
    anyhow::ensure!(ended.status.success(), "it failed, {}", ended.status);
    serde_json::from_slice(&ended.stdout).context("it told nothing that can be read")
}

/// A figure of ours beside theirs of the same rounds.
pub(super) fn beside<'a>(
    line: Line,
    rounds: impl Iterator<Item = (f64, &'a [Told])> + Clone,
    theirs: impl Fn(&Told) -> f64,
) -> Line {
    names(rounds.clone().map(|(_, peers)| peers))
        .into_iter()
        .fold(line, |line, name| {
            let ratios = rounds.clone().filter_map(|(ours, peers)| {
                let rate = theirs(of(peers, name)?);
                (rate > 0.0).then(|| ours / rate)
            });
            line.beside(name, median(ratios))
        })
}

/// What they were measured to do.
pub(super) fn lines<'a>(rounds: impl Iterator<Item = &'a [Told]> + Clone, inbound: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for name in names(rounds.clone()) {
        let all = || rounds.clone().filter_map(|peers| of(peers, name));
        let title = all().next().map(Told::title).unwrap_or_default();
        let mut add = |what: &str, unit, figure: fn(&Told) -> f64| {
            lines.push(Line::new(format!("{title}{what}"), median(all().map(figure)), unit));
        };
        if inbound {
            add(": SMSC → accepted", "messages/s", |told| told.accepted_per_second);
            add(": SMSC → a URL", "messages/s", |told| told.messages_per_second);
        } else {
            add(": a URL → SMSC", "messages/s", |told| told.messages_per_second);
        }
        add(": processor", "µs/message", |told| told.cpu_us_per_message);
    }
    lines
}

fn names<'a>(rounds: impl Iterator<Item = &'a [Told]>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for told in rounds.flatten() {
        if !names.contains(&told.peer.as_str()) {
            names.push(&told.peer);
        }
    }
    names
}

fn of<'a>(peers: &'a [Told], name: &str) -> Option<&'a Told> {
    peers.iter().find(|told| told.peer == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(peer: &str, messages_per_second: f64) -> Told {
        Told {
            peer: peer.to_owned(),
            messages_per_second,
            ..Told::default()
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let rounds = [
            (100.0, vec![told("kannel", 50.0), told("jasmin", 1.0)]),
            (30.0, vec![told("kannel", 10.0)]),
            (80.0, vec![told("kannel", 20.0)]),
        ];
        let line = beside(
            Line::new("ours", 80.0, "messages/s"),
            rounds.iter().map(|(ours, peers)| (*ours, peers.as_slice())),
            |told| told.messages_per_second,
        );
        let ratios: Vec<_> = line
            .ratios
            .iter()
            .map(|ratio| (ratio.to.as_str(), ratio.times))
            .collect();
        assert_eq!(ratios, [("kannel", 3.0), ("jasmin", 100.0)]);
    }

    #[test]
    fn what_a_program_prints_is_read() {
        let printed = r#"{"peer": "kannel", "version": "1.4.5", "direction": "inbound", "durable": true,
            "messages_per_second": 6100.5, "accepted_per_second": 6200, "cpu_us_per_message": 300.0, "lost": 3}"#;
        let told: Told = serde_json::from_str(printed).unwrap();
        assert_eq!(told.title(), "kannel 1.4.5, durable");
        let lines = lines([[told].as_slice()].into_iter(), true);
        let rates: Vec<_> = lines.iter().map(|line| (line.what.as_str(), line.median)).collect();
        assert_eq!(rates[0], ("kannel 1.4.5, durable: SMSC → accepted", 6200.0));
        assert_eq!(rates[1], ("kannel 1.4.5, durable: SMSC → a URL", 6100.5));
    }
}
