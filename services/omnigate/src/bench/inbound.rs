//! `omnigate bench inbound`: from the push of a message to its confirm and to its CustomerEvent, beside the simplest loop that
//! stores messages on the same servers.
//!
//! The bare loop and push → confirmed run while nobody reads the queues, which are emptied afterwards; the embedded broker
//! knows no role alone, so there everything is at work. Events are pushed as edge pushes them, gathered while a call is in
//! flight; one measurement makes each event a call of its own. For push → published an event counts when its CustomerEvent was read
//! from the events log; ten times as many as are being pushed may wait for that.

use super::figures::{Figures, Round};
use super::gateway::{ACCOUNT, Gateway, roles};
use super::lanes::Lanes;
use super::load::{Full, Load};
use super::progress::Progress;
use super::published::Published;
use super::resident;
use super::servers::Servers;
use super::traffic::Traffic;
use crate::cli::BenchInbound;
use anyhow::Context as _;
use omnigate_broker::bare;
use omnigate_core::topology;
use std::sync::Arc;
use std::time::Duration;

/// Measurements in one round.
const STEPS: usize = 6;

/// Measures and prints.
pub(super) async fn run(arguments: &BenchInbound) -> anyhow::Result<()> {
    let bench = Inbound {
        arguments,
        servers: Servers::new(&arguments.broker, &arguments.store)?,
        traffic: Arc::new(Traffic::new(ACCOUNT, arguments.customers)),
        time: Duration::from_secs(arguments.seconds),
    };
    bench.servers.nothing_is_there(arguments.again).await?;
    let mut progress = Progress::new(STEPS * arguments.rounds, bench.time + bench.warm_up());
    let mut figures = Figures {
        servers: bench.servers.told(),
        concurrency: arguments.concurrency,
        customers: arguments.customers,
        seconds: arguments.seconds,
        resident_at_start_mib: resident()?,
        rounds: Vec::new(),
    };
    for _ in 0..arguments.rounds {
        figures.rounds.push(bench.round(&mut progress).await?);
    }
    drop(progress);
    figures.print(arguments.output)
}

struct Inbound<'a> {
    arguments: &'a BenchInbound,
    servers: Servers<'a>,
    traffic: Arc<Traffic>,
    time: Duration,
}

impl Inbound<'_> {
    fn embedded(&self) -> bool {
        self.servers.are_embedded()
    }

    fn warm_up(&self) -> Duration {
        self.time / 5
    }

    async fn round(&self, progress: &mut Progress) -> anyhow::Result<Round> {
        let mut round = Round::default();
        if self.embedded() {
            let gateway = self.start(false).await?;
            progress.step("bare file");
            round.bare = self.bare_file(&gateway).await?;
            self.unified(&gateway, &mut round, progress).await?;
            self.confirmed(&gateway, &mut round, progress).await?;
            gateway.stop().await?;
            return Ok(round);
        }
        let ingest = self.start(true).await?;
        progress.step("bare publisher");
        round.bare = self.bare_publisher(&ingest).await?;
        self.servers.purge(&ingest).await?;
        self.confirmed(&ingest, &mut round, progress).await?;
        self.servers.purge(&ingest).await?;
        ingest.stop().await?;
        let all = self.start(false).await?;
        self.unified(&all, &mut round, progress).await?;
        all.stop().await?;
        Ok(round)
    }

    async fn start(&self, ingest_alone: bool) -> anyhow::Result<Gateway> {
        let started = Gateway::start(self.servers, &roles(ingest_alone, false)).await;
        started.context("the gateway under test cannot start")
    }

    async fn confirmed(&self, gateway: &Gateway, round: &mut Round, progress: &mut Progress) -> anyhow::Result<()> {
        let mut load = Load {
            gateway,
            traffic: Arc::clone(&self.traffic),
            published: None,
            lanes: None,
        };
        progress.step("push of one → confirmed");
        let speed = load.full(self.full()).await?;
        (round.confirmed_singly, round.confirmed_singly_cpu_us) = (speed.rate, speed.cpu_us);
        progress.step("push → confirmed");
        load.lanes = Some(Lanes::open(gateway)?);
        let speed = load.full(self.full()).await?;
        (round.confirmed, round.confirmed_cpu_us) = (speed.rate, speed.cpu_us);
        Ok(())
    }

    async fn unified(&self, gateway: &Gateway, round: &mut Round, progress: &mut Progress) -> anyhow::Result<()> {
        let watching = Published::watch(&gateway.broker, gateway.partitions, &self.traffic);
        let (published, _reading) = watching.await?;
        let load = Load {
            gateway,
            traffic: Arc::clone(&self.traffic),
            published: Some(published),
            lanes: Some(Lanes::open(gateway)?),
        };
        progress.step("every customer writes once");
        load.everybody(self.arguments.customers, self.arguments.concurrency)
            .await?;
        progress.step("push → unified → published");
        let speed = load.full(self.full()).await?;
        (round.published, round.published_cpu_us) = (speed.rate, speed.cpu_us);
        round.resident_mib = resident()?;
        progress.step("half load");
        let latencies = load.paced(round.published / 2.0, self.warm_up(), self.time).await?;
        round.latencies(&latencies);
        Ok(())
    }

    fn full(&self) -> Full {
        Full {
            concurrency: self.arguments.concurrency,
            warm_up: self.warm_up(),
            time: self.time,
        }
    }

    async fn bare_publisher(&self, gateway: &Gateway) -> anyhow::Result<f64> {
        let messages = self.traffic.bodies(&gateway.account, gateway.partitions)?;
        let job = bare::Job {
            messages: &messages,
            window: self.arguments.concurrency,
            time: self.time,
        };
        Ok(bare::publish_rate(self.servers.broker, &topology::journal(), job).await?)
    }

    async fn bare_file(&self, gateway: &Gateway) -> anyhow::Result<f64> {
        let messages = self.traffic.bodies(&gateway.account, gateway.partitions)?;
        let (window, time) = (self.arguments.concurrency, self.time);
        let write = move || {
            let folder = tempfile::tempdir()?;
            let job = bare::Job {
                messages: &messages,
                window,
                time,
            };
            anyhow::Ok(bare::append_rate(folder.path(), job)?)
        };
        tokio::task::spawn_blocking(write).await?
    }
}
