//! The implementations under test.

use omnigate_core::keyring::{KEY_BYTES, Keyring};
use omnigate_core::{
    port::{Clock, Entropy, store::Store},
    time::Moment,
};
use omnigate_servers::redis::{Redis, RedisCluster};
use omnigate_store::{
    embedded::EmbeddedStore,
    memory::MemoryStore,
    redis::{RedisConfig, RedisStore},
    sealed::SealedStore,
};
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// One implementation with what is needed to try it.
pub(crate) trait Subject: Sized + Send {
    /// True if time passes only when told.
    const TIME_STANDS_STILL: bool;

    /// Starts one; `None` where its server is not installed.
    async fn start() -> Option<Self>;

    fn store(&self) -> Arc<dyn Store>;

    /// Lets time pass.
    async fn pass(&self, time: Duration);

    /// Stops what keeps the data as rudely as may happen, and starts it again; false if it keeps nothing.
    async fn restart(&mut self) -> bool;
}

/// A clock that stands still until told.
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_790_000_000_000)))
    }

    pub(crate) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Memory {
    clock: Arc<StillClock>,
    store: Arc<MemoryStore>,
}

impl Subject for Memory {
    const TIME_STANDS_STILL: bool = true;

    async fn start() -> Option<Self> {
        let clock = StillClock::new();
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Some(Self { clock, store })
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    async fn restart(&mut self) -> bool {
        false
    }
}

/// Everything is secret, in front of the store in memory.
pub(crate) struct Sealed {
    memory: Memory,
    store: Arc<SealedStore>,
}

struct Counting(AtomicU64);

impl Entropy for Counting {
    fn bytes(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::SeqCst)).to_le_bytes()
    }
}

impl Subject for Sealed {
    const TIME_STANDS_STILL: bool = true;

    async fn start() -> Option<Self> {
        let memory = Memory::start().await?;
        let keys = Keyring::new(&[1; KEY_BYTES], &[])?;
        let entropy = Arc::new(Counting(AtomicU64::new(0)));
        let store = Arc::new(SealedStore::new(memory.store(), keys, entropy, |_| true));
        Some(Self { memory, store })
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        self.memory.pass(time).await;
    }

    async fn restart(&mut self) -> bool {
        false
    }
}

pub(crate) struct Embedded {
    clock: Arc<StillClock>,
    folder: TempDir,
    /// `None` only while it is being opened again.
    store: Option<Arc<EmbeddedStore>>,
}

impl Embedded {
    fn open(folder: &TempDir, clock: &Arc<StillClock>) -> Arc<EmbeddedStore> {
        let path = folder.path().join("data").join("store.redb");
        Arc::new(EmbeddedStore::open(&path, clock.clone()).unwrap())
    }
}

impl Subject for Embedded {
    const TIME_STANDS_STILL: bool = true;

    async fn start() -> Option<Self> {
        let clock = StillClock::new();
        let folder = tempfile::tempdir().unwrap();
        let store = Some(Self::open(&folder, &clock));
        Some(Self { clock, folder, store })
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    async fn restart(&mut self) -> bool {
        // A test gives the store back before the restart.
        drop(Arc::into_inner(self.store.take().unwrap()).unwrap());
        self.store = Some(Self::open(&self.folder, &self.clock));
        true
    }
}

/// Long enough for a server to come back; a busy machine takes a while.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Connects with keys that no other test has.
pub(crate) async fn connect(url: &str) -> Arc<RedisStore> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut config = RedisConfig::new(url);
    config.prefix = format!("test.{}.{number}:", std::process::id());
    Arc::new(RedisStore::connect(&config).await.unwrap())
}

/// Waits until the store answers.
pub(crate) async fn ready(store: &dyn Store) {
    let start = Instant::now();
    while let Err(error) = store.probe().await {
        assert!(start.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) struct OnRedis {
    redis: Redis,
    store: Arc<RedisStore>,
}

impl Subject for OnRedis {
    const TIME_STANDS_STILL: bool = false;

    async fn start() -> Option<Self> {
        let redis = Redis::start().await?;
        let store = connect(redis.url()).await;
        Some(Self { redis, store })
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn restart(&mut self) -> bool {
        self.redis.kill9();
        self.redis.restart().await.unwrap();
        ready(&*self.store).await;
        true
    }
}

pub(crate) struct OnCluster {
    /// Held so that it runs as long as any test uses it.
    _cluster: Arc<RedisCluster>,
    store: Arc<RedisStore>,
}

/// One cluster for all tests: it takes seconds to form.
async fn shared_cluster() -> Option<Arc<RedisCluster>> {
    static SHARED: Mutex<Weak<RedisCluster>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(cluster) = shared.upgrade() {
        return Some(cluster);
    }
    let cluster = Arc::new(RedisCluster::start().await?);
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}

impl Subject for OnCluster {
    const TIME_STANDS_STILL: bool = false;

    async fn start() -> Option<Self> {
        let cluster = shared_cluster().await?;
        let store = connect(&cluster.url()).await;
        Some(Self {
            _cluster: cluster,
            store,
        })
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn restart(&mut self) -> bool {
        false
    }
}
