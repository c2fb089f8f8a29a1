use super::*;
use crate::embedded::EmbeddedBroker;
use omnigate_core::hourly::MARGIN;
use omnigate_core::port::broker::{Delivery, Settled};
use omnigate_core::port::store::{Answer, Commit, Outcome, Query, Shape, Stamp, Store, StoreError, Write};
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::shard::{Partition, Shard};
use omnigate_core::time::Moment;
use omnigate_core::topology::Plan;
use omnigate_core::{hourly, keys};
use omnigate_proto::state::v1::{CustomerEventBatch, EventBatch, RawBatch, Stamped};
use omnigate_proto::v1::{CustomerEvent, Event};
use omnigate_store::memory::MemoryStore;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use tempfile::TempDir;

const SECRET: &str = "what nobody may read";

#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Moment {
        Moment(1_800_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn bytes(&self) -> [u8; 16] {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        u128::from(count)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes()
    }
}

/// A store that can be away, and counts how often it was asked.
struct Leaving {
    memory: MemoryStore,
    away: AtomicBool,
    asked: AtomicU64,
}

impl Leaving {
    fn there(&self) -> Result<(), StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.away.load(Ordering::Relaxed) {
            true => Err(StoreError::Unavailable("away".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Store for Leaving {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.there()?;
        self.memory.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.there()?;
        self.memory.commit(shard, commit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.there()
    }
}

struct World {
    clock: Arc<Hands>,
    entropy: Arc<Counting>,
    store: Arc<Leaving>,
    disks: Arc<EmbeddedBroker>,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hands::default());
        let disks = Arc::new(EmbeddedBroker::open(folder.path(), clock.clone()).unwrap());
        let plan = Plan {
            partitions: 2,
            ..Plan::default()
        };
        disks.declare(topology::topology(&plan, ["shop"])).await.unwrap();
        let store = Leaving {
            memory: MemoryStore::new(clock.clone()),
            away: AtomicBool::new(false),
            asked: AtomicU64::new(0),
        };
        Self {
            entropy: Arc::default(),
            store: Arc::new(store),
            disks,
            clock,
            _folder: folder,
        }
    }

    /// A process that begins now: it knows no key.
    fn process(&self, seals: bool) -> SealedBroker {
        let ports = Ports::new(self.store.clone(), self.clock.clone(), self.entropy.clone());
        SealedBroker::new(self.disks.clone(), Arc::new(ports), seals, Duration::from_hours(72))
    }

    fn pass(&self, time: Duration) {
        let milliseconds = i64::try_from(time.as_millis()).unwrap();
        self.clock.0.fetch_add(milliseconds, Ordering::Relaxed);
    }

    fn goes_away(&self, away: bool) {
        self.store.away.store(away, Ordering::Relaxed);
    }

    fn asked(&self) -> u64 {
        self.store.asked.load(Ordering::Relaxed)
    }

    /// What a failover of the store does to the key of this hour.
    async fn forgets(&self, tenant_id: &str) {
        let hour = Hour::of(self.clock.now());
        let commit = Commit {
            stamp: Stamp([1; 8]),
            expect: Vec::new(),
            write: vec![Write::Delete {
                shape: Shape::Record,
                key: keys::hour_key(tenant_id, hour),
            }],
        };
        let outcome = self
            .store
            .memory
            .commit(hourly::shard_of(tenant_id, hour), commit)
            .await;
        assert_eq!(outcome.unwrap(), Outcome::Committed);
    }
}

fn stamped(tenant_id: &str, number: u32) -> Stamped {
    let event = Event {
        event_id: format!("{number}"),
        tenant_id: tenant_id.to_owned(),
        provider_message_id: SECRET.to_owned(),
        ..Event::default()
    };
    Stamped {
        event: event.encode_to_vec().into(),
        ..Stamped::default()
    }
}

fn batch(events: Vec<Stamped>) -> Bytes {
    EventBatch { events }.encode_to_vec().into()
}

fn inbound() -> QueueName {
    topology::inbound(Partition(1))
}

async fn publish(broker: &dyn Broker, queue: &QueueName, body: &Bytes) -> Result<(), PublishError> {
    let message = Publication {
        queue: queue.clone(),
        body: body.clone(),
        traceparent: String::new(),
    };
    broker.publish(vec![message]).await.remove(0)
}

/// Takes the next message out of its queue for good.
async fn settled(broker: &dyn Broker, queue: &QueueName, parked: bool) {
    let mut subscription = broker.subscribe(queue, 8).await.unwrap();
    let settle = subscription.next().await.unwrap().settle;
    let answer = match parked {
        true => settle.park("undecodable").await,
        false => settle.ack().await,
    };
    assert_eq!(answer, Settled::Done);
}

async fn next(broker: &dyn Broker, queue: &QueueName) -> Delivery {
    broker.subscribe(queue, 8).await.unwrap().next().await.unwrap()
}

async fn first(broker: &dyn Broker, log: &LogName) -> Bytes {
    broker.read(log, From::Oldest).await.unwrap().next().await.unwrap().body
}

fn shows(body: &[u8]) -> bool {
    body.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

#[tokio::test]
async fn nothing_that_people_wrote_lies_open_and_every_process_reads_it() {
    let world = World::new().await;
    let (ours, other) = (world.process(true), world.process(true));
    let body = batch(vec![stamped("a", 1), stamped("a", 2)]);
    publish(&ours, &inbound(), &body).await.unwrap();
    let told = CustomerEvent {
        tenant_id: "a".to_owned(),
        trace_id: SECRET.to_owned(),
        ..CustomerEvent::default()
    };
    let told = Bytes::from(
        CustomerEventBatch {
            events: vec![told.encode_to_vec().into()],
        }
        .encode_to_vec(),
    );
    let raw = Bytes::from(
        RawBatch {
            requests: vec![SECRET.into()],
        }
        .encode_to_vec(),
    );
    let events = topology::events(Partition(0));
    ours.append(&events, vec![told.clone()]).await.remove(0).unwrap();
    ours.append(&topology::raw(), vec![raw.clone()])
        .await
        .remove(0)
        .unwrap();
    assert!(!shows(&next(&*world.disks, &inbound()).await.body));
    assert_eq!(next(&other, &inbound()).await.body, body);
    for (log, expected) in [(topology::journal(), &body), (events, &told), (topology::raw(), &raw)] {
        let lies = first(&*world.disks, &log).await;
        assert!(!shows(&lies) && hourly::is_sealed(&lies), "{log}");
        assert_eq!(first(&other, &log).await, *expected, "{log}");
    }
}

#[tokio::test]
async fn hints_and_intents_hold_nothing_to_seal() {
    let world = World::new().await;
    let broker = world.process(true);
    let queue = topology::outbound("shop", omnigate_proto::v1::Lane::Bulk);
    let body = Bytes::from_static(b"\x0a\x05msg_1");
    publish(&broker, &queue, &body).await.unwrap();
    broker
        .append(&topology::intents(), vec![body.clone()])
        .await
        .remove(0)
        .unwrap();
    assert_eq!(next(&*world.disks, &queue).await.body, body);
    assert_eq!(first(&*world.disks, &topology::intents()).await, body);
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn sealing_can_be_switched_on_and_off_while_messages_wait() {
    let world = World::new().await;
    let (plain, sealed) = (world.process(false), world.process(true));
    let bodies = [batch(vec![stamped("a", 1)]), batch(vec![stamped("a", 2)])];
    publish(&plain, &inbound(), &bodies[0]).await.unwrap();
    publish(&sealed, &inbound(), &bodies[1]).await.unwrap();
    for broker in [&plain, &sealed] {
        let mut subscription = broker.subscribe(&inbound(), 8).await.unwrap();
        let found = [
            subscription.next().await.unwrap().body,
            subscription.next().await.unwrap().body,
        ];
        assert_eq!(found, bodies);
    }
}

#[tokio::test]
async fn a_key_is_asked_for_once_an_hour_and_ahead_of_it() {
    let world = World::new().await;
    let broker = world.process(true);
    let tenants = ["a".to_owned()];
    broker.look_ahead(&tenants).await;
    let asked = world.asked();
    for _ in 0..3 {
        world.pass(Duration::from_mins(50));
        if Hour::of(world.clock.now()) > Hour::of(Moment(1_800_000_000_000)).next() {
            break;
        }
        publish(&broker, &inbound(), &batch(vec![stamped("a", 1)]))
            .await
            .unwrap();
    }
    assert_eq!(world.asked(), asked, "this hour's key and the next one's were at hand");
}

#[tokio::test]
async fn pushes_are_taken_while_the_store_is_away_for_less_than_a_day() {
    let world = World::new().await;
    let broker = world.process(true);
    broker.look_ahead(&["a".to_owned()]).await;
    world.goes_away(true);
    world.pass(MARGIN);
    let body = batch(vec![stamped("a", 1)]);
    publish(&broker, &inbound(), &body).await.unwrap();
    // Who never met the store has no key, and sends nothing without.
    assert!(publish(&world.process(true), &inbound(), &body).await.is_err());
    let lies = next(&*world.disks, &inbound()).await.body;
    assert!(hourly::is_sealed(&lies) && !shows(&lies));
    world.pass(MARGIN);
    assert!(
        publish(&broker, &inbound(), &body).await.is_err(),
        "it would end before what it seals"
    );
    world.goes_away(false);
    world.pass(Duration::from_mins(1));
    publish(&broker, &inbound(), &body).await.unwrap();
    assert_eq!(next(&world.process(true), &inbound()).await.body, body);
}

#[tokio::test]
async fn a_part_whose_key_is_gone_holds_nobody_up_and_comes_back_with_its_key() {
    let world = World::new().await;
    let ours = world.process(true);
    let body = batch(vec![stamped("a", 1), stamped("b", 2), stamped("a", 3)]);
    publish(&ours, &inbound(), &body).await.unwrap();
    world.forgets("a").await;
    let other = world.process(true);
    let found = EventBatch::decode(next(&other, &inbound()).await.body).unwrap().events;
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], stamped("b", 2));
    let (place, closed) = hourly::closed_in(&found[0].encode_to_vec().into()).unwrap();
    assert_eq!(place, inbound().0);
    // Who sealed with it gives it back to the store, and what was put aside is put back as it was.
    ours.look_ahead(&["a".to_owned(), "b".to_owned()]).await;
    world.pass(Duration::from_secs(10));
    let queue = topology::inbound(Partition(1));
    settled(&*world.disks, &queue, false).await;
    publish(&other, &QueueName(place), &closed).await.unwrap();
    assert_eq!(
        next(&other, &queue).await.body,
        batch(vec![stamped("a", 1), stamped("a", 3)])
    );
}

#[tokio::test]
async fn keys_that_two_processes_made_are_both_kept() {
    let world = World::new().await;
    let (ours, other) = (world.process(true), world.process(true));
    let bodies = [batch(vec![stamped("a", 1)]), batch(vec![stamped("a", 2)])];
    publish(&ours, &inbound(), &bodies[0]).await.unwrap();
    world.forgets("a").await;
    publish(&other, &inbound(), &bodies[1]).await.unwrap();
    ours.look_ahead(&["a".to_owned()]).await;
    let reader = world.process(false);
    let mut subscription = reader.subscribe(&inbound(), 8).await.unwrap();
    let found = [subscription.next().await.unwrap(), subscription.next().await.unwrap()];
    assert_eq!(found.map(|delivery| delivery.body), bodies);
}

#[tokio::test]
async fn a_body_that_was_moved_or_changed_is_not_opened() {
    let world = World::new().await;
    let broker = world.process(true);
    publish(&broker, &inbound(), &batch(vec![stamped("a", 1)]))
        .await
        .unwrap();
    let lies = next(&*world.disks, &inbound()).await.body;
    let elsewhere = topology::inbound(Partition(0));
    publish(&*world.disks, &elsewhere, &lies).await.unwrap();
    let found = next(&broker, &elsewhere).await;
    assert_eq!(found.body, lies);
    drop(found);
    let mut sealed = hourly::decode(&lies).unwrap();
    sealed.place = elsewhere.0.clone();
    settled(&*world.disks, &elsewhere, false).await;
    publish(&*world.disks, &elsewhere, &hourly::encode(&sealed))
        .await
        .unwrap();
    let found = EventBatch::decode(next(&broker, &elsewhere).await.body).unwrap();
    assert!(
        hourly::is_sealed(&found.events[0].event),
        "what was bound to another queue"
    );
}

#[tokio::test]
async fn who_has_to_read_waits_for_a_store_that_is_away() {
    let world = World::new().await;
    let body = batch(vec![stamped("a", 1)]);
    publish(&world.process(true), &inbound(), &body).await.unwrap();
    world.goes_away(true);
    let (asked, reader, queue) = (world.asked(), world.process(true), inbound());
    let comes_back = async {
        while world.asked() == asked {
            tokio::task::yield_now().await;
        }
        world.goes_away(false);
    };
    let (found, ()) = tokio::join!(next(&reader, &queue), comes_back);
    assert_eq!((found.body, found.attempt), (body, 1));
}

#[tokio::test]
async fn what_the_broker_parked_is_opened_where_parked_messages_are_read() {
    let world = World::new().await;
    let broker = world.process(true);
    let body = batch(vec![stamped("a", 1), stamped("b", 2)]);
    publish(&broker, &inbound(), &body).await.unwrap();
    settled(&broker, &inbound(), true).await;
    let lies = next(&*world.disks, &topology::parked()).await.body;
    assert!(!shows(&lies));
    let item = |body| ParkedItem::decode(Parked::decode(body).unwrap().item).unwrap();
    let found = item(next(&broker, &topology::parked()).await.body);
    assert_eq!((found.body, found.reason.as_str()), (body, "undecodable"));
    assert_eq!(found.origin, inbound().0);
}

#[tokio::test]
async fn what_is_parked_under_a_key_that_is_gone_stays_as_it_is() {
    let world = World::new().await;
    let item = ParkedItem {
        parked_id: "prk_1".to_owned(),
        tenant_id: "a".to_owned(),
        detail: SECRET.to_owned(),
        ..ParkedItem::default()
    };
    let parked = Bytes::from(
        Parked {
            item: item.encode_to_vec().into(),
        }
        .encode_to_vec(),
    );
    publish(&world.process(true), &topology::parked(), &parked)
        .await
        .unwrap();
    assert_eq!(next(&world.process(true), &topology::parked()).await.body, parked);
    world.forgets("a").await;
    let found = next(&world.process(true), &topology::parked()).await.body;
    assert!(hourly::is_sealed(&found) && !shows(&found));
}
