//! Protocols over a store in memory, one step after the other; what happens when several run at once is the simulation's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it is surprised")]

mod audience;
mod campaign;
mod campaign_run;
mod consent;
mod consumer_group;
mod conversation;
mod credential;
mod details;
mod echo;
mod erased_meanwhile;
mod erasure;
mod event_webhook;
mod faults;
mod lease;
mod link;
mod meddled;
mod notes;
mod outbox;
mod park;
mod reassign;
mod repair;
mod repeats;
mod replay;
mod reseal;
mod sealed_messages;
mod stories;
mod template_library;
mod templates;
mod trim;
mod wishes;

use bytes::Bytes;
use omnigate_core::conversation::AccountRules;
use omnigate_core::keyring::{KEY_BYTES, Keyring};
use omnigate_core::port::store::{Answer, Commit, Outcome, Query, Store, StoreError};
use omnigate_core::port::{Clock, Entropy};
use omnigate_core::protocol::Context;
use omnigate_core::protocol::cache::Cache;
use omnigate_core::protocol::gateway::{self, GatewayError};
use omnigate_core::protocol::outbox::Outbox;
use omnigate_core::shard::Shard;
use omnigate_core::tenant::TenantRules;
use omnigate_core::time::Moment;
use omnigate_store::memory::MemoryStore;
use std::pin::pin;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Poll, Waker};

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| Keyring::new(&[7; KEY_BYTES], &[]).unwrap().with_content(true));

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

/// A store whose first answer to every commit gets lost, when wanted: every second one.
struct Forgetful {
    memory: MemoryStore,
    loses: bool,
    commits: AtomicU64,
    /// Commits until it cannot be reached any more.
    left: AtomicU64,
    /// How often the server behind it was replaced.
    replaced: AtomicU64,
}

impl Forgetful {
    /// Cannot be reached after so many more commits: what a process that is killed there has done.
    fn stops_after(&self, commits: u64) {
        self.left.store(commits, Ordering::Relaxed);
    }

    fn goes_on(&self) {
        self.stops_after(u64::MAX);
    }
}

#[async_trait::async_trait]
impl Store for Forgetful {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.memory.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        assert!(commit.falsifies_itself(), "{commit:?}");
        if self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_err()
        {
            return Err(StoreError::Unavailable("killed".into()));
        }
        let number = self.commits.fetch_add(1, Ordering::Relaxed);
        let lost = self.loses && number.is_multiple_of(2);
        if lost && number.is_multiple_of(4) {
            return Ok(Outcome::Unknown);
        }
        let outcome = self.memory.commit(shard, commit).await?;
        Ok(if lost { Outcome::Unknown } else { outcome })
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn incarnation(&self, _: Shard) -> Result<Bytes, StoreError> {
        Ok(match self.replaced.load(Ordering::Relaxed) {
            0 => Bytes::new(),
            number => number.to_string().into(),
        })
    }
}

struct World {
    clock: Arc<Hands>,
    entropy: Counting,
    store: Arc<Forgetful>,
    outbox: Outbox,
    cache: Cache,
    rules: AccountRules,
    tenants: TenantRules,
}

impl World {
    fn new(loses: bool) -> Self {
        let clock = Arc::new(Hands::default());
        Self {
            store: Arc::new(Forgetful {
                memory: MemoryStore::new(clock.clone()),
                loses,
                commits: AtomicU64::new(0),
                left: AtomicU64::new(u64::MAX),
                replaced: AtomicU64::new(0),
            }),
            entropy: Counting::default(),
            outbox: Outbox::default(),
            cache: Cache::new(100),
            rules: AccountRules::default(),
            tenants: TenantRules::default(),
            clock,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &*self.store,
            clock: &*self.clock,
            entropy: &self.entropy,
            outbox: &self.outbox,
            cache: &self.cache,
            keyring: &KEYRING,
            rules: &self.rules,
            tenants: &self.tenants,
        }
    }

    fn pass(&self, milliseconds: i64) {
        self.clock.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

/// The memory store never waits, so one poll is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store never waits"),
    }
}

#[test]
fn the_number_of_partitions_is_fixed_at_first_start() {
    for loses in [false, true] {
        let world = World::new(loses);
        now(gateway::check(&world.context(), 16)).unwrap();
        now(gateway::check(&world.context(), 16)).unwrap();
        let refused = now(gateway::check(&world.context(), 8)).unwrap_err();
        assert!(matches!(
            refused,
            GatewayError::Partitions {
                configured: 8,
                stored: 16
            }
        ));
        assert!(refused.to_string().contains("set it back to 16"), "{refused}");
    }
}
