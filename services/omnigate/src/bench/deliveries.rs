//! `omnigate bench inbound --channel sms`: from what people write at an SMSC to the answer that it is kept, and to its
//! CustomerEvent, beside a loop over the same adapter with nothing behind it.
//!
//! The SMSC keeps the window of every bind full. A message is accepted when its `deliver_sm` was answered: then it is
//! durable on the broker. It is published when its CustomerEvent was read from the events log. That time runs until the
//! last message is published, so what still waited when the writing ended is in the rate, and every message has to have
//! come once. Other gateways are measured in the same round on the same SMSC, where their programs are given.

use super::bare::{Bare, measured};
use super::gateway::{Gateway, roles};
use super::load::{Speed, processor_time};
use super::peer::{self, Peers, Told, Work};
use super::progress::Progress;
use super::provider::{Binding, LOOK, Provider, Writing};
use super::published::{self, LOST};
use super::resident;
use super::servers::Servers;
use super::table::{self, BARE, Line, median};
use crate::cli::BenchInbound;
use anyhow::Context as _;
use omnigate_core::port::Clock as _;
use omnigate_proto::v1::{Event, event::Kind, part::Content};
use omnigate_runtime::clock::SystemClock;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Measurements in one round; the second is not taken where everything works in one process.
const STEPS: usize = 4;
/// What people write. Whatever the reader takes for an opt-out stands nowhere in it.
const TEXT: &str = "Chao shop, ao nay con size M khong a, giao ve Da Nang mat may ngay?";

/// One round.
#[derive(Clone, Default, Debug, Serialize)]
struct Round {
    /// Messages per second of the loop over the adapter with a push that does nothing.
    bare: f64,
    /// Processor time of this process for each, SMSC included, in microseconds.
    bare_cpu_us: f64,
    /// Messages per second that were answered for while nobody read the queues; absent with the embedded broker.
    accepted: Option<f64>,
    /// …
    accepted_cpu_us: Option<f64>,
    /// The same while everything was at work.
    accepted_at_work: f64,
    /// Messages per second until they were published.
    published: f64,
    /// …
    published_cpu_us: f64,
    /// Resident memory at the end of the load, in MiB.
    resident_mib: f64,
    /// Other gateways.
    peers: Vec<Told>,
}

/// What was measured.
#[derive(Serialize)]
struct Figures {
    servers: &'static str,
    binds: usize,
    window: usize,
    people: u64,
    seconds: u64,
    rounds: Vec<Round>,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchInbound) -> anyhow::Result<()> {
    let bench = Deliveries {
        binding: Binding {
            binds: arguments.binds,
            window: arguments.window,
        },
        people: u64::try_from(arguments.customers.max(1))?,
        servers: Servers::new(&arguments.broker, &arguments.store)?,
        time: Duration::from_secs(arguments.seconds),
        texts: AtomicU32::new(0),
    };
    bench.servers.nothing_is_there(arguments.again).await?;
    let mut peers = Peers::new(&arguments.peers);
    let steps = (STEPS + peers.count()) * arguments.rounds;
    let mut progress = Progress::new(steps, bench.time + bench.warm_up());
    let mut figures = Figures {
        servers: bench.servers.told(),
        binds: arguments.binds,
        window: arguments.window,
        people: bench.people,
        seconds: arguments.seconds,
        rounds: Vec::new(),
    };
    for _ in 0..arguments.rounds {
        figures.rounds.push(bench.round(&mut peers, &mut progress).await?);
    }
    drop(progress);
    let title = format!(
        "inbound sms, {}, {} binds of window {}, {} people, {} rounds of {} s each",
        figures.servers, figures.binds, figures.window, figures.people, arguments.rounds, figures.seconds
    );
    table::print(arguments.output, &title, &figures, &figures.lines())
}

struct Deliveries<'a> {
    binding: Binding,
    people: u64,
    servers: Servers<'a>,
    time: Duration,
    texts: AtomicU32,
}

impl Deliveries<'_> {
    fn warm_up(&self) -> Duration {
        self.time / 5
    }

    /// Words that nobody wrote before: what says the same again after a restart is taken for a repetition.
    fn writing(&self) -> Writing {
        let number = self.texts.fetch_add(1, Ordering::Relaxed);
        Writing {
            text: format!("{TEXT} {:x}-{number}", SystemClock.now().0),
            people: self.people,
        }
    }

    async fn round(&self, peers: &mut Peers, progress: &mut Progress) -> anyhow::Result<Round> {
        let mut round = Round::default();
        let provider = Provider::start(self.binding)?;
        progress.step("bare loop over the adapter");
        let bare = Bare::open(&provider).await?;
        let speed = bare.takes(&self.writing(), self.warm_up(), self.time).await?;
        (round.bare, round.bare_cpu_us) = (speed.rate, speed.cpu_us);
        if !self.servers.are_embedded() {
            progress.step("SMSC → accepted");
            let speed = self.accepted(&provider).await?;
            (round.accepted, round.accepted_cpu_us) = (Some(speed.rate), Some(speed.cpu_us));
        }
        self.published(&provider, &mut round, progress).await?;
        for program in peers.programs() {
            progress.step(&program.to_string_lossy());
            let work = Work {
                inbound: true,
                seconds: self.time.as_secs(),
                text: TEXT,
                people: self.people,
            };
            round.peers.extend(peers.measure(&program, &provider, work).await?);
        }
        provider.stop().await;
        Ok(round)
    }

    async fn start(&self, provider: &Provider, nobody_reads: bool) -> anyhow::Result<Gateway> {
        let started = Gateway::start_bound(self.servers, &roles(nobody_reads, true), provider).await;
        started.context("the gateway under test cannot start")
    }

    async fn accepted(&self, provider: &Provider) -> anyhow::Result<Speed> {
        let gateway = self.start(provider, true).await?;
        let writing = self.writing();
        provider.write_on(&writing)?;
        let speed = measured(self.warm_up(), self.time, || provider.acknowledged()).await;
        provider.written(&writing).await?;
        self.servers.purge(&gateway).await?;
        gateway.stop().await?;
        provider.quiet().await?;
        Ok(speed)
    }

    async fn published(&self, provider: &Provider, round: &mut Round, progress: &mut Progress) -> anyhow::Result<()> {
        let gateway = self.start(provider, false).await?;
        let (writing, before) = (self.writing(), provider.acknowledged());
        let (seen, reading) = self::seen(&gateway, &writing).await?;
        progress.step("everybody writes once");
        provider.write(&writing, self.people).await?;
        let first = all_published(&seen, provider.acknowledged() - before).await;
        first.context("of those that everybody wrote once")?;
        drop((seen, reading));
        progress.step("SMSC → unified → published");
        let (writing, before) = (self.writing(), provider.acknowledged());
        let (seen, _reading) = self::seen(&gateway, &writing).await?;
        let (begun, worked) = (Instant::now(), processor_time());
        provider.write_on(&writing)?;
        tokio::time::sleep(self.time).await;
        let answered = Speed::new(provider.acknowledged() - before, begun.elapsed(), Duration::ZERO);
        round.accepted_at_work = answered.rate;
        provider.written(&writing).await?;
        let accepted = provider.acknowledged() - before;
        let ended = all_published(&seen, accepted).await?;
        let speed = Speed::new(accepted, ended - begun, processor_time() - worked);
        (round.published, round.published_cpu_us) = (speed.rate, speed.cpu_us);
        round.resident_mib = resident()?;
        gateway.stop().await?;
        provider.quiet().await
    }
}

/// Counts the messages of these words that are published from now on, until the tasks are given up.
async fn seen(gateway: &Gateway, writing: &Writing) -> anyhow::Result<(Arc<AtomicU64>, JoinSet<()>)> {
    let count = Arc::new(AtomicU64::new(0));
    let (counted, text) = (Arc::clone(&count), Arc::<str>::from(writing.text.as_str()));
    let saw = move |event: &Event| {
        if says(event).is_some_and(|said| said.starts_with(&*text)) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    let tasks = published::watch(&gateway.broker, gateway.partitions, saw).await?;
    Ok((count, tasks))
}

fn says(event: &Event) -> Option<&str> {
    let Some(Kind::Message(message)) = &event.kind else {
        return None;
    };
    match message.parts.first()?.content.as_ref()? {
        Content::Text(text) => Some(&text.text),
        _ => None,
    }
}

/// Waits until so many are published; tells when that was.
async fn all_published(seen: &AtomicU64, all: u64) -> anyhow::Result<Instant> {
    let mut last = (seen.load(Ordering::Relaxed), Instant::now());
    while last.0 < all {
        tokio::time::sleep(LOOK).await;
        let now = seen.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        anyhow::ensure!(
            last.1.elapsed() < LOST,
            "{} accepted messages were not published within {} s",
            all - last.0,
            LOST.as_secs()
        );
    }
    anyhow::ensure!(last.0 == all, "{} messages were published twice", last.0 - all);
    Ok(last.1)
}

/// Times as fast as Kannel with its spool (DESIGN §10).
const OF_KANNEL: f64 = 4.0;

impl Figures {
    fn lines(&self) -> Vec<Line> {
        let rate = |what: &str, figure: fn(&Round) -> f64| {
            Line::new(what, self.median(figure), "messages/s")
                .beside(BARE, self.median(|round| figure(round) / round.bare))
        };
        let beside = |line: Line, ours: fn(&Round) -> f64, theirs: fn(&Told) -> f64| {
            let rounds = self.rounds.iter().map(|round| (ours(round), round.peers.as_slice()));
            peer::beside(line, rounds, theirs).at_least("kannel", OF_KANNEL)
        };
        let accepted: fn(&Told) -> f64 = |told| told.accepted_per_second;
        let mut lines = vec![rate("bare loop over the adapter", |round| round.bare)];
        if self.rounds.iter().all(|round| round.accepted.is_some()) {
            let ours: fn(&Round) -> f64 = |round| round.accepted.unwrap_or_default();
            lines.push(beside(rate("SMSC → accepted, nobody reads", ours), ours, accepted));
        }
        let ours: fn(&Round) -> f64 = |round| round.accepted_at_work;
        lines.push(beside(rate("SMSC → accepted, all at work", ours), ours, accepted));
        let ours: fn(&Round) -> f64 = |round| round.published;
        let published = rate("SMSC → unified → published", ours);
        lines.push(beside(published, ours, |told| told.messages_per_second));
        lines.extend(peer::lines(
            self.rounds.iter().map(|round| round.peers.as_slice()),
            true,
        ));
        let worked = |what: &str, figure: fn(&Round) -> f64| Line::new(what, self.median(figure), "µs/message");
        lines.push(worked("processor: bare loop, SMSC included", |round| round.bare_cpu_us));
        if self.rounds.iter().all(|round| round.accepted_cpu_us.is_some()) {
            lines.push(worked("processor: accepted, SMSC included", |round| {
                round.accepted_cpu_us.unwrap_or_default()
            }));
        }
        lines.push(worked("processor: published, SMSC included", |round| {
            round.published_cpu_us
        }));
        lines.push(Line::new(
            "resident memory",
            self.median(|round| round.resident_mib),
            "MiB",
        ));
        lines
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_is_held_against_accepting_and_the_whole_way_against_the_whole_way() {
        let kannel = Told {
            peer: "kannel".to_owned(),
            accepted_per_second: 8.0,
            messages_per_second: 5.0,
            ..Told::default()
        };
        let round = Round {
            bare: 100.0,
            accepted: Some(40.0),
            accepted_at_work: 24.0,
            published: 20.0,
            peers: vec![kannel],
            ..Round::default()
        };
        let figures = Figures {
            servers: "RabbitMQ and Redis",
            binds: 1,
            window: 1,
            people: 1,
            seconds: 1,
            rounds: vec![round],
        };
        let lines = figures.lines();
        let told: Vec<_> = lines[1..4]
            .iter()
            .map(|line| (line.ratios[0].times, line.ratios[1].times, line.goals[0].is_met))
            .collect();
        assert_eq!(told, [(0.4, 5.0, true), (0.24, 3.0, false), (0.2, 4.0, true)]);
    }

    #[tokio::test]
    async fn a_message_that_is_published_twice_is_told() {
        let seen = AtomicU64::new(3);
        assert!(all_published(&seen, 3).await.is_ok());
        let told = all_published(&seen, 2).await.unwrap_err().to_string();
        assert_eq!(told, "1 messages were published twice");
    }
}
