//! The role over a store in memory and a broker that is played; time is tokio's and runs only when everybody waits.

mod broker;
mod failing;
mod shares;
mod store;

use crate::{Settings, Unify};
use broker::FakeBroker;
use bytes::Bytes;
use omnigate_core::id::{CustomerId, EventId, hash};
use omnigate_core::identifier;
use omnigate_core::identity::stored::decode_claim;
use omnigate_core::keyring::Keyring;
use omnigate_core::keys;
use omnigate_core::port::store::{Answer, Query, Store};
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::protocol::Context;
use omnigate_core::protocol::Ports;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::outbox::Outbox;
use omnigate_core::shard::{Partition, Shard};
use omnigate_core::time::Moment;
use omnigate_core::timeline::stored::Stored;
use omnigate_core::{partition, topology};
use omnigate_proto::state::v1::{Claim, CustomerEventBatch, EntryRecord, EventBatch, HomeRecord, Stamped};
use omnigate_proto::v1::{CustomerEvent, Event, Evidence, Identifier, IdentifierEvidence, Message, Part, Text};
use omnigate_proto::v1::{event::Kind, part::Content};
use omnigate_runtime::telemetry::metrics::Metrics;
use prost::Message as _;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::FaultyStore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const TENANT: &str = "t";
const PARTITIONS: u16 = 4;

struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Moment {
        Moment(1_800_000_000_000) + self.0.elapsed()
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn bytes(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash("counting", &[&count])[..16]);
        bytes
    }
}

/// A gateway without everything but unify.
struct World {
    clock: Arc<TokioClock>,
    entropy: Arc<Counting>,
    store: Arc<FaultyStore>,
    broker: Arc<FakeBroker>,
}

/// A process with the role; dropped, it dies.
struct Process {
    stop: CancellationToken,
    work: JoinSet<()>,
    role: Unify,
}

impl Process {
    async fn stop(mut self) {
        self.stop.cancel();
        self.work.join_next().await.unwrap().unwrap();
    }
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(TokioClock(Instant::now()));
        Self {
            store: Arc::new(FaultyStore::new(clock.clone())),
            entropy: Arc::default(),
            broker: FakeBroker::new(),
            clock,
        }
    }

    fn start(&self, owner: &str) -> Process {
        let ports = Arc::new(Ports::new(self.store.clone(), self.clock.clone(), self.entropy.clone()));
        let settings = Settings {
            partitions: PARTITIONS,
            owner: owner.to_owned(),
            prefetch: 8,
            ..Settings::default()
        };
        let role = Unify::new(ports, self.broker.clone(), settings, Metrics::new().unwrap());
        let stop = CancellationToken::new();
        let mut work = JoinSet::new();
        let (running, until) = (role.clone(), stop.clone());
        work.spawn(async move { running.run(until).await });
        Process { stop, work, role }
    }

    /// Ingest puts events on their queues, each partition's as one message.
    fn push(&self, events: &[Event]) {
        for number in 0..PARTITIONS {
            let of_partition = events
                .iter()
                .filter(|event| partition::of(event, PARTITIONS) == Partition(number));
            let events: Vec<Stamped> = of_partition
                .map(|event| self.stamped(event.encode_to_vec().into()))
                .collect();
            if !events.is_empty() {
                self.put(number, EventBatch { events }.encode_to_vec().into());
            }
        }
    }

    fn put(&self, partition: u16, body: Bytes) {
        self.broker.put(&topology::inbound(Partition(partition)), body, 1);
    }

    fn stamped(&self, event: Bytes) -> Stamped {
        Stamped {
            event,
            received_at_ms: self.clock.now().0,
            traceparent: String::new(),
            ..Stamped::default()
        }
    }

    /// What the timeline of a peer says, in the order of its thread.
    async fn thread(&self, peer: &str) -> Vec<EntryRecord> {
        let Some((home, claim)) = self.home(peer).await else {
            return Vec::new();
        };
        let range = Query::Range {
            key: keys::timeline(home),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            limit: 10_000,
            reverse: false,
        };
        let Some(Answer::Range(members)) = self.read(home.shard(), range).await else {
            panic!("a range")
        };
        let record = self.home_record(peer).await;
        let stored = Stored {
            id: home,
            home: &record,
            keyring: &Keyring::none(),
        };
        let entries = members
            .into_iter()
            .filter_map(|(member, value)| stored.unpack(&member, value).unwrap());
        let mut entries: Vec<EntryRecord> = entries.filter(|entry| entry.birth == claim.birth).collect();
        entries.sort_by_key(|entry| entry.thread_seq);
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.thread_seq).collect();
        assert_eq!(
            numbers,
            (1..=entries.len() as u64).collect::<Vec<_>>(),
            "numbers without gaps"
        );
        entries
    }

    async fn words(&self, peer: &str) -> Vec<String> {
        self.thread(peer)
            .await
            .into_iter()
            .map(|entry| words_of(&Event::decode(entry.event).unwrap()))
            .collect()
    }

    async fn home(&self, peer: &str) -> Option<(CustomerId, Claim)> {
        let key = identifier::key(TENANT, &chat(peer));
        let Some(Answer::Record(Some(found))) = self.read(key.shard(), Query::Record(keys::claim(key))).await else {
            return None;
        };
        let claim = decode_claim(found.value).unwrap();
        Some((CustomerId::from_bytes(&claim.home)?, claim))
    }

    async fn home_record(&self, peer: &str) -> HomeRecord {
        let (home, _) = self.home(peer).await.unwrap();
        self.record(home.shard(), keys::home(home)).await.unwrap()
    }

    async fn record<T: prost::Message + Default>(&self, shard: Shard, key: Bytes) -> Option<T> {
        match self.read(shard, Query::Record(key)).await {
            Some(Answer::Record(Some(record))) => Some(T::decode(record.value).unwrap()),
            _ => None,
        }
    }

    async fn read(&self, shard: Shard, query: Query) -> Option<Answer> {
        self.store
            .memory()
            .read(shard, vec![query])
            .await
            .unwrap()
            .into_iter()
            .next()
    }

    async fn outbox_is_empty(&self) -> bool {
        for shard in Shard::all() {
            let range = Query::Range {
                key: keys::outbox(),
                from: Bound::Unbounded,
                to: Bound::Unbounded,
                limit: 1,
                reverse: false,
            };
            if self.read(shard, range).await != Some(Answer::Range(Vec::new())) {
                return false;
            }
        }
        true
    }

    /// Everything published, decoded.
    fn published(&self) -> Vec<CustomerEvent> {
        let logs = topology::event_logs(PARTITIONS).flat_map(|log| self.broker.log(&topology::events(log)));
        let batches = logs.map(|body| CustomerEventBatch::decode(body).unwrap());
        batches
            .flat_map(|batch| batch.events)
            .map(|event| CustomerEvent::decode(event).unwrap())
            .collect()
    }

    async fn parked(&self) -> Vec<omnigate_proto::v1::ParkedItem> {
        let (outbox, cache) = (Outbox::default(), Cache::new(1));
        let context = Context {
            store: self.store.memory(),
            clock: &*self.clock,
            entropy: &*self.entropy,
            outbox: &outbox,
            cache: &cache,
            keyring: &omnigate_core::keyring::Keyring::none(),
            rules: &omnigate_core::conversation::DEFAULT_RULES,
            tenants: &omnigate_core::tenant::DEFAULT_RULES,
        };
        omnigate_core::protocol::park::list(&context, &[TENANT, ""], None, 100)
            .await
            .unwrap()
            .0
    }

    /// Waits until every message of the queues is acknowledged.
    async fn settled(&self) {
        until("everything is acknowledged", || async { self.broker.waiting() == 0 }).await;
    }
}

/// Waits for a condition; tokio's time runs on meanwhile.
async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition().await {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn chat(peer: &str) -> Identifier {
    Identifier {
        r#type: "tg_chat".into(),
        scope: "bot".into(),
        value: peer.into(),
    }
}

fn event(peer: &str, id: &str, kind: Kind) -> Event {
    let key = format!("{peer}/{id}");
    let mut event_id = [0; 16];
    event_id.copy_from_slice(&hash("event", &[key.as_bytes()])[..16]);
    Event {
        event_id: EventId(event_id).to_string(),
        tenant_id: TENANT.into(),
        account_id: "bot".into(),
        channel: "telegram".into(),
        peer: Some(chat(peer)),
        identifiers: vec![IdentifierEvidence {
            identifier: Some(chat(peer)),
            evidence: Evidence::Vouched.into(),
            provider_form: String::new(),
        }],
        provider_message_id: id.into(),
        kind: Some(kind),
        ..Event::default()
    }
}

fn message(peer: &str, words: &str) -> Event {
    let content = Content::Text(Text {
        text: words.into(),
        ..Text::default()
    });
    let parts = vec![Part { content: Some(content) }];
    event(
        peer,
        words,
        Kind::Message(Message {
            parts,
            ..Message::default()
        }),
    )
}

fn words_of(event: &Event) -> String {
    let Some(Kind::Message(message)) = &event.kind else {
        return String::new();
    };
    match message.parts.first().and_then(|part| part.content.as_ref()) {
        Some(Content::Text(text)) => text.text.clone(),
        _ => String::new(),
    }
}

/// Messages 1 to `count` of each peer, peers taking turns.
fn talk(peers: &[&str], count: usize) -> Vec<Event> {
    let numbers = 1..=count;
    numbers
        .flat_map(|number| peers.iter().map(move |peer| message(peer, &number.to_string())))
        .collect()
}

fn counted(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

const PEERS: &[&str] = &["1", "2", "3", "4", "5"];

#[tokio::test(start_paused = true)]
async fn events_take_effect_in_order_are_published_and_acknowledged() {
    let world = World::new();
    for events in talk(PEERS, 30).chunks(7) {
        world.push(events);
    }
    let process = world.start("a");
    world.settled().await;
    for peer in PEERS {
        assert_eq!(world.words(peer).await, counted(30), "peer {peer}");
    }
    let published = world.published();
    let mut ids: Vec<String> = published.iter().map(|event| event.event_id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(
        (ids.len(), published.len()),
        (5 * 33, 5 * 33),
        "a birth, an identifier, 30 entries and a conversation each, once"
    );
    until("the outbox is empty", || world.outbox_is_empty()).await;
    process.stop().await;
    assert!(world.parked().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_takes_effect_once() {
    let world = World::new();
    let events = talk(PEERS, 5);
    world.push(&events);
    let doubled: Vec<Event> = events.iter().chain(&events).cloned().collect();
    world.push(&doubled);
    let process = world.start("a");
    world.settled().await;
    process.stop().await;
    let again = world.start("b");
    world.push(&doubled);
    world.settled().await;
    for peer in PEERS {
        assert_eq!(world.words(peer).await, counted(5));
    }
    again.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_acknowledges_what_is_in_hand_and_gives_partitions_back() {
    let world = World::new();
    let process = world.start("a");
    until("it reads", || async {
        world.broker.subscriptions() == usize::from(PARTITIONS)
    })
    .await;
    world.push(&talk(PEERS, 20));
    tokio::task::yield_now().await;
    process.stop().await;
    assert_eq!(world.broker.subscriptions(), 0);
    let begun = Instant::now();
    let next = world.start("b");
    world.settled().await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "leases were released, not waited for: {:?}",
        begun.elapsed()
    );
    assert_eq!(world.words("1").await, counted(20));
    assert_eq!(next.role.check(), Ok(()));
    next.stop().await;
}
