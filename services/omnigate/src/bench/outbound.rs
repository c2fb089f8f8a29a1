//! `omnigate bench outbound`: single sends over gRPC, each with its ledger, to an SMSC that takes everything, beside a loop
//! that only calls the same adapter.
//!
//! A message counts when the SMSC took it. So many may wait between its acceptance by the gateway and that moment as are
//! asked for with `--backlog`; then the senders pause, so that what is measured is the whole way and not a queue that fills.
//! Everybody was written to once before it counts: the recipients are customers already, as they are for `bench inbound`.
//! Other gateways are measured in the same round on the same SMSC, where their programs are given.

use super::bare::{Bare, text};
use super::gateway::{Gateway, roles};
use super::load::{Speed, processor_time};
use super::peer::{self, Peers, Told, Work};
use super::progress::Progress;
use super::provider::{Binding, Provider};
use super::resident;
use super::servers::Servers;
use super::table::{self, BARE, Line, median};
use crate::cli::{BenchOutbound, Output};
use anyhow::Context as _;
use omnigate_proto::v1::send_message_request::Target;
use omnigate_proto::v1::{Identifier, Lane, Message, Part, SendMessageRequest, Text, part::Content};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Measurements in one round.
const STEPS: usize = 2;
/// How often is looked what the SMSC took, which makes room for more.
const LOOK: Duration = Duration::from_millis(1);
/// Connections that the calls share.
const CONNECTIONS: usize = 4;
/// How long everything accepted may take to reach the SMSC once nothing more is sent.
const LAST: Duration = Duration::from_secs(120);

/// One round.
#[derive(Clone, Default, Debug, Serialize)]
struct Round {
    /// Messages per second of the loop that only calls the adapter.
    bare: f64,
    /// Processor time of this process for each, SMSC included, in microseconds.
    bare_cpu_us: f64,
    /// Messages per second from the call to the SMSC.
    single: f64,
    /// …
    single_cpu_us: f64,
    /// Resident memory at the end, in MiB.
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
    concurrency: usize,
    recipients: u64,
    seconds: u64,
    rounds: Vec<Round>,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchOutbound) -> anyhow::Result<()> {
    let bench = Outbound {
        arguments,
        servers: Servers::new(&arguments.broker, &arguments.store)?,
        time: Duration::from_secs(arguments.seconds),
        run: format!("{:x}", std::process::id()),
    };
    let mut peers = Peers::new(&arguments.peers);
    let steps = (STEPS + peers.count()) * arguments.rounds;
    let mut progress = Progress::new(steps, bench.time + bench.warm_up());
    let mut figures = Figures {
        servers: bench.servers.told(),
        binds: arguments.binds,
        window: arguments.window,
        concurrency: arguments.concurrency,
        recipients: arguments.recipients,
        seconds: arguments.seconds,
        rounds: Vec::new(),
    };
    for number in 0..arguments.rounds {
        figures
            .rounds
            .push(bench.round(number, &mut peers, &mut progress).await?);
    }
    drop(progress);
    figures.print(arguments.output)
}

struct Outbound<'a> {
    arguments: &'a BenchOutbound,
    servers: Servers<'a>,
    time: Duration,
    /// Tells the requests of this run from those of an earlier one on the same servers.
    run: String,
}

impl Outbound<'_> {
    fn warm_up(&self) -> Duration {
        self.time / 4
    }

    async fn round(&self, number: usize, peers: &mut Peers, progress: &mut Progress) -> anyhow::Result<Round> {
        let mut round = Round::default();
        let provider = Provider::start(Binding {
            binds: self.arguments.binds,
            window: self.arguments.window,
        })?;
        progress.step("bare loop over the adapter");
        let bare = Bare::open(&provider).await?;
        let speed = bare.submits(self.warm_up(), self.time).await?;
        (round.bare, round.bare_cpu_us) = (speed.rate, speed.cpu_us);
        progress.step("single sends");
        let gateway = Gateway::start_bound(self.servers, &roles(false, true), &provider).await?;
        let speed = self.single(number, &gateway, &provider).await?;
        (round.single, round.single_cpu_us) = (speed.rate, speed.cpu_us);
        round.resident_mib = resident()?;
        gateway.stop().await?;
        for program in peers.programs() {
            progress.step(&program.to_string_lossy());
            let work = Work {
                inbound: false,
                seconds: self.arguments.seconds,
                text: &text(1_234_567),
                people: self.arguments.recipients,
            };
            round.peers.extend(peers.measure(&program, &provider, work).await?);
        }
        provider.stop().await;
        Ok(round)
    }

    async fn single(&self, round: usize, gateway: &Gateway, provider: &Provider) -> anyhow::Result<Speed> {
        let before = provider.taken();
        let accepted = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let room = Arc::new(Semaphore::new(self.arguments.backlog));
        let next = Arc::new(AtomicU64::new(0));
        let mut senders = JoinSet::new();
        for place in 0..self.arguments.concurrency {
            let messages = gateway.connection(place % CONNECTIONS)?.messages();
            let sender = Sender {
                requests: format!("{}-{round}", self.run),
                recipients: self.arguments.recipients,
                room: Arc::clone(&room),
                accepted: Arc::clone(&accepted),
                next: Arc::clone(&next),
                stop: Arc::clone(&stop),
            };
            senders.spawn(async move { sender.run(messages).await });
        }
        let making = tokio::spawn(make_room(Arc::clone(&room), provider.counter(), before));
        let known = Instant::now() + LAST;
        while provider.taken() - before < self.arguments.recipients && Instant::now() < known {
            tokio::time::sleep(LOOK * 20).await;
        }
        tokio::time::sleep(self.warm_up()).await;
        let (begun, count, worked) = (Instant::now(), provider.taken(), processor_time());
        tokio::time::sleep(self.time).await;
        let speed = Speed::new(provider.taken() - count, begun.elapsed(), processor_time() - worked);
        stop.store(true, Ordering::Relaxed);
        room.add_permits(self.arguments.concurrency);
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        let all = before + accepted.load(Ordering::Relaxed);
        let deadline = Instant::now() + LAST;
        while provider.taken() < all {
            anyhow::ensure!(
                Instant::now() < deadline,
                "{} accepted messages did not reach the SMSC within {} s",
                all - provider.taken(),
                LAST.as_secs()
            );
            tokio::time::sleep(LOOK * 20).await;
        }
        making.abort();
        anyhow::ensure!(
            provider.taken() == all,
            "the SMSC got {} messages, {} were accepted",
            provider.taken() - before,
            all - before
        );
        Ok(speed)
    }
}

/// Lets as many more be sent as the SMSC took.
async fn make_room(room: Arc<Semaphore>, taken: impl Fn() -> u64, mut before: u64) {
    loop {
        tokio::time::sleep(LOOK).await;
        let now = taken();
        room.add_permits(usize::try_from(now - before).unwrap_or_default());
        before = now;
    }
}

type Messages = omnigate_rpc::v1::message_service_client::MessageServiceClient<omnigate_rpc::client::Authorized>;

/// Sends one message after the other.
struct Sender {
    requests: String,
    recipients: u64,
    room: Arc<Semaphore>,
    accepted: Arc<AtomicU64>,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Sender {
    async fn run(&self, mut messages: Messages) -> anyhow::Result<()> {
        loop {
            self.room.acquire().await?.forget();
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let request = self.request(number);
            messages.send_message(request).await.context("a send was refused")?;
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn request(&self, number: u64) -> SendMessageRequest {
        SendMessageRequest {
            request_id: format!("{}-{number}", self.requests),
            target: Some(Target::Identifier(Identifier {
                r#type: "phone".to_owned(),
                scope: String::new(),
                value: format!("+8490{:07}", number % self.recipients),
            })),
            account_id: super::gateway::ACCOUNT.to_owned(),
            message: Some(Message {
                parts: vec![Part {
                    content: Some(Content::Text(Text {
                        text: text(number),
                        ..Text::default()
                    })),
                }],
                ..Message::default()
            }),
            lane: Lane::Transactional.into(),
            ..SendMessageRequest::default()
        }
    }
}

impl Figures {
    fn print(&self, output: Output) -> anyhow::Result<()> {
        let title = format!(
            "outbound sms, {}, {} binds of window {}, {} calls in flight, {} recipients, {} rounds of {} s each",
            self.servers,
            self.binds,
            self.window,
            self.concurrency,
            self.recipients,
            self.rounds.len(),
            self.seconds
        );
        table::print(output, &title, self, &self.lines())
    }

    fn lines(&self) -> Vec<Line> {
        let rounds = self.rounds.iter();
        let bare = Line::new(
            "bare loop over the adapter",
            self.median(|round| round.bare),
            "messages/s",
        );
        let single = Line::new("single sends → SMSC", self.median(|round| round.single), "messages/s")
            .beside(BARE, self.median(|round| round.single / round.bare));
        let single = peer::beside(
            single,
            rounds.clone().map(|round| (round.single, round.peers.as_slice())),
            |told| told.messages_per_second,
        );
        let mut lines = vec![
            bare,
            single
                .at_least(BARE, 0.5)
                .at_least("kannel", 1.5)
                .at_least("jasmin", 10.0),
        ];
        lines.extend(peer::lines(rounds.map(|round| round.peers.as_slice()), false));
        let worked = |what: &str, figure: fn(&Round) -> f64| Line::new(what, self.median(figure), "µs/message");
        lines.extend([
            worked("processor: bare loop, SMSC included", |round| round.bare_cpu_us),
            worked("processor: single sends, callers and SMSC included", |round| {
                round.single_cpu_us
            }),
            Line::new("resident memory", self.median(|round| round.resident_mib), "MiB"),
        ]);
        lines
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }
}
