//! What is done to the gateway.

use crate::world::World;
use anyhow::Context as _;
use omnigate_servers::proxy::{Direction, Proxy};
use std::time::Duration;

/// How long a killed process stays away.
const AWAY: Duration = Duration::from_millis(500);
/// How long connections cannot be made.
const CUT: Duration = Duration::from_secs(2);
/// How long nothing passes.
const SILENCE: Duration = Duration::from_secs(3);
/// Processes of the fleet.
pub(crate) const PROCESSES: [&str; 8] = [
    "ingest",
    "scheduler",
    "edge",
    "unify-1",
    "unify-2",
    "dispatch-1",
    "dispatch-2",
    "api",
];
/// Bytes after which a line is cut at most: some frames.
const MIDWAY: u64 = 20_000;

/// Which line a fault is on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    Broker,
    Store,
    Provider,
}

const LINES: [Line; 3] = [Line::Broker, Line::Store, Line::Provider];

/// One fault.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// `kill -9` of these processes at once; they come back where they were.
    Killed(Vec<&'static str>),
    /// `kill -9` of RabbitMQ, and its restart.
    RabbitMqKilled,
    /// `kill -9` of Redis, and its restart.
    RedisKilled,
    /// RabbitMQ closes all connections.
    ConnectionsClosed,
    /// Connections break and cannot be made for a while.
    Cut(Line),
    /// The same, in the middle of what is being said.
    CutMidway(Line, Direction, usize),
    /// Connections stay, and nothing passes for a while.
    Silent(Line),
}

impl Fault {
    /// Every fault once. First come those that leave submissions behind whose recovery takes its time.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = on_line(Line::Provider);
        all.extend(["edge", "dispatch-1", "dispatch-2"].map(|name| Self::Killed(vec![name])));
        all.push(Self::Killed(vec!["dispatch-1", "dispatch-2"]));
        all.extend(["ingest", "scheduler", "unify-1", "unify-2", "api"].map(|name| Self::Killed(vec![name])));
        all.push(Self::Killed(vec!["unify-1", "unify-2"]));
        all.extend([Self::ConnectionsClosed, Self::RabbitMqKilled, Self::RedisKilled]);
        all.extend([Line::Broker, Line::Store].into_iter().flat_map(on_line));
        all
    }

    /// Any fault.
    pub(crate) fn random(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Killed(PROCESSES.into_iter().filter(|_| random.below(3) == 0).collect()),
            1 => {
                let line = LINES[usize::try_from(random.below(3)).unwrap_or_default()];
                let way = [Direction::ToServer, Direction::ToClient][usize::from(random.below(2) == 0)];
                Self::CutMidway(line, way, usize::try_from(random.below(MIDWAY)).unwrap_or_default())
            }
            _ => {
                let mut all = Self::all();
                let number = usize::try_from(random.below(all.len().try_into().unwrap_or(1)));
                all.swap_remove(number.unwrap_or_default())
            }
        }
    }

    /// Plays it; when this returns, nothing is broken any more.
    pub(crate) async fn play(&self, world: &mut World) -> anyhow::Result<()> {
        match self {
            Self::Killed(names) => return killed(world, names).await,
            Self::RabbitMqKilled => {
                world.rabbitmq.kill9();
                world.rabbitmq.restart().await?;
            }
            Self::RedisKilled => {
                world.redis.kill9();
                tokio::time::sleep(AWAY).await;
                world.redis.restart().await?;
            }
            Self::ConnectionsClosed => world.rabbitmq.close_all_connections().await?,
            Self::Cut(line) => {
                let proxy = line.proxy(world);
                proxy.cut();
                tokio::time::sleep(CUT).await;
                proxy.heal();
            }
            Self::CutMidway(line, direction, bytes) => {
                let proxy = line.proxy(world);
                proxy.cut_after_bytes(*bytes, *direction);
                tokio::time::sleep(CUT).await;
                // On an idle line nothing was cut so far: it must not be later.
                proxy.cut_after_bytes(usize::MAX, *direction);
                proxy.cut();
                proxy.heal();
            }
            Self::Silent(line) => {
                let proxy = line.proxy(world);
                proxy.pause();
                tokio::time::sleep(SILENCE).await;
                proxy.resume();
            }
        }
        Ok(())
    }
}

fn on_line(line: Line) -> Vec<Fault> {
    vec![
        Fault::Cut(line),
        Fault::CutMidway(line, Direction::ToServer, 3000),
        Fault::CutMidway(line, Direction::ToClient, 1000),
        Fault::Silent(line),
    ]
}

impl Line {
    fn proxy(self, world: &World) -> &Proxy {
        match self {
            Self::Broker => &world.broker,
            Self::Store => &world.store,
            Self::Provider => &world.provider,
        }
    }
}

async fn killed(world: &mut World, names: &[&str]) -> anyhow::Result<()> {
    let processes = &mut world.gateway.processes;
    for name in names {
        processes.get_mut(*name).context("no such process")?.kill9()?;
    }
    tokio::time::sleep(AWAY).await;
    for name in names {
        processes.get_mut(*name).context("no such process")?.start_again()?;
    }
    Ok(())
}

/// Numbers that a seed decides (xorshift64*).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }
}
