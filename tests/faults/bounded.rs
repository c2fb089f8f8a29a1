//! Floods while the broker or the store is slow: memory stays bounded, callers are told to come again, and nothing that was
//! acknowledged is lost.

use crate::SHOP;
use crate::load::{Provider, message, peer};
use crate::world::World;
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::list_entries_request::Of;
use omnigate_proto::v1::{Event, ListEntriesRequest, PushRequest, PushStatus};
use omnigate_rpc::client::Connection;
use omnigate_tests::gateway::Keys;
use omnigate_tests::reading::customer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::Code;

/// Bytes that ingest holds unconfirmed.
const IN_FLIGHT_BYTES: u64 = 4 << 20;
/// Bytes by which no process may grow, whatever is thrown at it. Much less than is thrown at it.
const BOUND: u64 = 120 << 20;
/// Callers who push at the same time.
const PUSHERS: usize = 16;
/// Events of one push.
const EVENTS: usize = 40;
/// Bytes of one event.
const EVENT_BYTES: usize = 8000;
/// People who write through the webhook at the same time.
const WRITERS: usize = 60;
/// Bytes that are thrown at a gateway whose broker is silent, at least.
const ATTEMPTED: u64 = 300 << 20;
/// Bytes that a gateway with a slow store takes, at least.
const TAKEN: u64 = 130 << 20;
/// Longest flood.
const LONGEST: Duration = Duration::from_secs(90);
/// Delay of every piece of bytes from and to a slow store.
const SLOW: Duration = Duration::from_millis(150);

/// Small limits, so that they are met soon.
pub(crate) fn limits() -> Keys {
    let mut keys = Keys::new();
    keys.insert("limits.push_bytes_in_flight".to_owned(), IN_FLIGHT_BYTES.to_string());
    keys.insert("limits.push_events_in_flight".to_owned(), "2000".to_owned());
    keys
}

pub(crate) async fn floods(world: &mut World) -> anyhow::Result<()> {
    let before = resident(world);
    let mut expected = BTreeMap::new();
    world.broker.pause();
    let silent = Flood::start(world, 0).await?;
    let most = silent.watch(world, &before, |tally| {
        tally.attempted >= ATTEMPTED && tally.come_again > 0 && tally.exhausted > 0
    });
    let most = most.await.context("while the broker was silent");
    world.broker.resume();
    let tally = silent.stop(&mut expected).await?;
    println!("silent broker: {tally:?}, grew by at most {:?} MiB", mebibytes(&most?));
    ensure!(tally.without_retry_after == 0, "503 without retry-after: {tally:?}");

    world.store.delay(SLOW);
    let slow = Flood::start(world, 1).await?;
    let most = slow.watch(world, &before, |tally| tally.taken >= TAKEN).await;
    let tally = slow.stop(&mut expected).await?;
    println!(
        "slow store: {tally:?}, grew by at most {:?} MiB",
        mebibytes(&most.context("while the store was slow")?)
    );

    world.store.delay(Duration::ZERO);
    world.store.pause();
    let away = Flood::start(world, 2).await?;
    let most = away.watch(world, &before, |tally| tally.taken >= TAKEN).await;
    world.store.resume();
    let tally = away.stop(&mut expected).await?;
    println!(
        "silent store: {tally:?}, grew by at most {:?} MiB",
        mebibytes(&most.context("while the store was silent")?)
    );
    world.nobody_ended()?;
    arrived(&world.connection, &expected).await
}

/// What became of a flood so far.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Bytes pushed or posted.
    attempted: u64,
    /// Bytes acknowledged.
    taken: u64,
    /// Pushes answered RESOURCE_EXHAUSTED.
    exhausted: u64,
    /// Posts answered 503.
    come_again: u64,
    without_retry_after: u64,
}

#[derive(Default)]
struct Counters {
    stop: AtomicBool,
    attempted: AtomicU64,
    taken: AtomicU64,
    exhausted: AtomicU64,
    come_again: AtomicU64,
    without_retry_after: AtomicU64,
}

/// People and adapters that bring more than can be taken.
struct Flood {
    counters: Arc<Counters>,
    tasks: JoinSet<anyhow::Result<(i64, u64)>>,
}

impl Flood {
    async fn start(world: &World, round: usize) -> anyhow::Result<Self> {
        let mut flood = Self {
            counters: Arc::default(),
            tasks: JoinSet::new(),
        };
        let provider = Provider::new(world);
        let ingest = world.gateway.connect_ingest(&world.gateway.token()?).await?;
        for number in 0..PUSHERS {
            let chat = world.sandbox.user(&format!("pusher {round} {number}")).id();
            let (ingest, counters) = (ingest.clone(), flood.counters.clone());
            flood.tasks.spawn(async move { push(&ingest, &counters, chat).await });
        }
        for number in 0..WRITERS {
            let chat = world.sandbox.user(&format!("writer {round} {number}")).id();
            let (provider, counters) = (provider.clone(), flood.counters.clone());
            flood
                .tasks
                .spawn(async move { write(&provider, &counters, chat).await });
        }
        Ok(flood)
    }

    fn tally(&self) -> Tally {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            attempted: of(&self.counters.attempted),
            taken: of(&self.counters.taken),
            exhausted: of(&self.counters.exhausted),
            come_again: of(&self.counters.come_again),
            without_retry_after: of(&self.counters.without_retry_after),
        }
    }

    /// Watches the processes until enough was brought; by how much each grew at most.
    async fn watch(
        &self,
        world: &World,
        before: &BTreeMap<String, u64>,
        enough: impl Fn(&Tally) -> bool,
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        let begun = Instant::now();
        let mut most: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            for (name, now) in resident(world) {
                let grown = now.saturating_sub(before.get(&name).copied().unwrap_or_default());
                ensure!(grown <= BOUND, "{name} grew by {} MiB; {:?}", grown >> 20, self.tally());
                let most = most.entry(name).or_default();
                *most = grown.max(*most);
            }
            if enough(&self.tally()) {
                return Ok(most);
            }
            ensure!(begun.elapsed() < LONGEST, "not enough happened: {:?}", self.tally());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops once everybody has an answer; `taken` gets how many messages of each chat were acknowledged.
    async fn stop(mut self, taken: &mut BTreeMap<i64, u64>) -> anyhow::Result<Tally> {
        let tally = self.tally();
        self.counters.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            let (chat, count) = ended??;
            taken.insert(chat, count);
        }
        Ok(tally)
    }
}

/// Pushes until told to stop, the same again until it is taken; how many events were.
async fn push(ingest: &Connection, counters: &Counters, chat: i64) -> anyhow::Result<(i64, u64)> {
    let mut taken = 0;
    let bytes = (EVENTS * EVENT_BYTES) as u64;
    let mut last = false;
    while !last {
        let events = (0..EVENTS as u64).map(|number| event(chat, taken + number)).collect();
        let request = PushRequest {
            events,
            ..PushRequest::default()
        };
        loop {
            last = counters.stop.load(Ordering::Relaxed);
            counters.attempted.fetch_add(bytes, Ordering::Relaxed);
            match ingest.ingest().push(request.clone()).await {
                Ok(answer) => {
                    let results = answer.into_inner().results;
                    ensure!(
                        results.iter().all(|result| result.status() == PushStatus::Accepted),
                        "{results:?}"
                    );
                    break;
                }
                Err(status) if status.code() == Code::ResourceExhausted => {
                    counters.exhausted.fetch_add(1, Ordering::Relaxed);
                }
                Err(status)
                    if matches!(
                        status.code(),
                        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled
                    ) => {}
                Err(status) => return Err(status.into()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        taken += EVENTS as u64;
        counters.taken.fetch_add(bytes, Ordering::Relaxed);
    }
    Ok((chat, taken))
}

/// Writes until told to stop, the same again until it is taken; how many messages were.
async fn write(provider: &Provider, counters: &Counters, chat: i64) -> anyhow::Result<(i64, u64)> {
    let mut taken = 0;
    let mut last = false;
    while !last {
        let update = provider.update(chat, taken, &"x".repeat(4000));
        loop {
            last = counters.stop.load(Ordering::Relaxed);
            counters.attempted.fetch_add(4000, Ordering::Relaxed);
            let Ok(answer) = provider.post(&update).await else {
                continue;
            };
            let status = answer.status().as_u16();
            if status == 200 {
                break;
            }
            ensure!(status == 503, "the webhook answered {status}");
            counters.come_again.fetch_add(1, Ordering::Relaxed);
            if !answer.headers().contains_key("retry-after") {
                counters.without_retry_after.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        taken += 1;
        counters.taken.fetch_add(4000, Ordering::Relaxed);
    }
    Ok((chat, taken))
}

fn event(chat: i64, number: u64) -> Event {
    Event {
        account_id: SHOP.to_owned(),
        peer: Some(peer(chat)),
        provider_message_id: (1_000_000 + number).to_string(),
        kind: Some(Kind::Message(message(&"y".repeat(EVENT_BYTES)))),
        ..Event::default()
    }
}

/// Everything acknowledged is numbered on its thread; the numbers are without gaps, so the newest one tells how many.
/// How long a flood takes to be worked off is the machine's matter; that nothing moves any more would be ours.
async fn arrived(connection: &Connection, expected: &BTreeMap<i64, u64>) -> anyhow::Result<()> {
    let mut missing: BTreeMap<i64, u64> = expected.clone();
    let (mut best, mut moved) = (0, Instant::now());
    while !missing.is_empty() {
        let mut numbered = BTreeMap::new();
        for (chat, taken) in &missing {
            let count = newest(connection, *chat).await?;
            ensure!(count <= *taken, "chat {chat}: {count} entries of {taken} messages");
            numbered.insert(*chat, count);
        }
        missing.retain(|chat, taken| numbered.get(chat) != Some(taken));
        let left = missing.iter().map(|(chat, taken)| taken - numbered[chat]);
        let sum: u64 = expected.values().sum::<u64>() - left.sum::<u64>();
        if sum > best {
            (best, moved) = (sum, Instant::now());
        }
        ensure!(
            moved.elapsed() < LONGEST,
            "{best} messages arrived, and no more; of {missing:?} there are {numbered:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for (chat, taken) in expected {
        let counted = customer(connection, SHOP, *chat)
            .await?
            .map(|customer| customer.entry_count);
        ensure!(
            counted == Some(*taken),
            "chat {chat}: {counted:?} counted of {taken} messages"
        );
    }
    println!(
        "{} messages of {} chats arrived",
        expected.values().sum::<u64>(),
        expected.len()
    );
    Ok(())
}

async fn newest(connection: &Connection, chat: i64) -> anyhow::Result<u64> {
    let Some(customer) = customer(connection, SHOP, chat).await? else {
        return Ok(0);
    };
    let asked = ListEntriesRequest {
        of: Some(Of::CustomerId(customer.customer_id)),
        page_size: 1,
        ..ListEntriesRequest::default()
    };
    let page = connection.timelines().list_entries(asked).await?.into_inner();
    Ok(page.entries.first().map_or(0, |entry| entry.thread_seq))
}

/// Memory of each process.
fn resident(world: &World) -> BTreeMap<String, u64> {
    let processes = world.gateway.processes.values();
    let known = processes.filter_map(|process| Some((process.name().to_owned(), process.resident_bytes()?)));
    known.collect()
}

fn mebibytes(most: &BTreeMap<String, u64>) -> BTreeMap<&str, u64> {
    most.iter().map(|(name, bytes)| (name.as_str(), bytes >> 20)).collect()
}
