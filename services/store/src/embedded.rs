//! The embedded store: one file of redb, nothing to install.
//!
//! One writer thread joins the commits that wait together into one durable transaction; reader threads answer from
//! snapshots. What has expired is invisible at once; its rows are swept along with later commits.

mod change;
mod place;
mod reader;
mod view;
mod writer;

#[cfg(test)]
mod tests;

use crate::OpenError;
use omnigate_core::{
    port::{
        Clock,
        store::{Answer, Commit, Outcome, Query, Stamp, Store, StoreError},
    },
    shard::Shard,
};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, TableDefinition, TableError,
    backends::{FileBackend, InMemoryBackend},
};
use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};
use tokio::sync::{mpsc, oneshot};

/// Name of the store's file in the data folder.
pub const FILE_NAME: &str = "store.redb";

/// Layout of the tables below; a file with a newer one is refused.
const FORMAT: u64 = 1;
const FORMAT_TABLE: TableDefinition<&str, u64> = TableDefinition::new("format");

/// Place and name → value.
const DATA: TableDefinition<&[u8], &[u8]> = TableDefinition::new("data");
/// Place → moment of expiry.
const DUES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("dues");
/// Moment of expiry and place → nothing.
const QUEUE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("queue");

/// Pages kept in memory, in bytes; redb would take a gigabyte.
const CACHE: usize = 128 << 20;
/// Commits or reads that may wait; further callers wait for room.
const WAITING: usize = 4096;
/// More than one, so that a long read does not hold up the short ones.
const READERS: usize = 2;

/// A store in one file.
pub struct EmbeddedStore {
    /// Both `Some` until the store is dropped.
    commits: Option<mpsc::Sender<writer::Job>>,
    reads: Option<mpsc::Sender<reader::Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the store in the file `path`, which is created if it does not exist.
    ///
    /// # Errors
    /// When another process holds the file, or it cannot be used.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let failed = |source: Box<dyn Error + Send + Sync>| OpenError::File {
            path: path.to_owned(),
            source,
        };
        let file = create(path).map_err(|error| failed(error.into()))?;
        let backend = FileBackend::new(file).map_err(|error| failed(error.into()))?;
        let database = match builder().create_with_backend(backend) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(error) => return Err(failed(error.into())),
        };
        Self::start(database, path, clock)
    }

    /// A store of the same kind that forgets everything when dropped, for tests.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = Path::new("in memory");
        let database = builder()
            .create_with_backend(InMemoryBackend::new())
            .map_err(|error| OpenError::File {
                path: path.to_owned(),
                source: error.into(),
            })?;
        Self::start(database, path, clock)
    }

    fn start(database: Database, path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let failed = |source: Box<dyn Error + Send + Sync>| OpenError::File {
            path: path.to_owned(),
            source,
        };
        let found = prepare(&database).map_err(|fault| failed(fault.into()))?;
        if found > FORMAT {
            return Err(OpenError::Format {
                path: path.to_owned(),
                found,
                known: FORMAT,
            });
        }
        let database = Arc::new(database);
        let (commits, commit_queue) = mpsc::channel(WAITING);
        let (reads, read_queue) = mpsc::channel(WAITING);
        let read_queue = Arc::new(Mutex::new(read_queue));
        let mut store = Self {
            commits: Some(commits),
            reads: Some(reads),
            threads: Vec::new(),
        };
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(|error| failed(error.into()))
        };
        for _ in 0..READERS {
            let (database, clock, queue) = (Arc::clone(&database), Arc::clone(&clock), Arc::clone(&read_queue));
            let read = Box::new(move || reader::run(&database, &*clock, &queue));
            store.threads.push(spawn("store-reader", read)?);
        }
        let write = Box::new(move || writer::run(&database, &*clock, commit_queue));
        store.threads.push(spawn("store-writer", write)?);
        Ok(store)
    }
}

impl Drop for EmbeddedStore {
    /// Waits until what was asked for is done and the file is closed, so that it can be opened again at once.
    fn drop(&mut self) {
        self.commits = None;
        self.reads = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a store thread panicked");
            }
        }
    }
}

#[async_trait::async_trait]
impl Store for EmbeddedStore {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        let (reply, answers) = oneshot::channel();
        let reads = self.reads.as_ref().ok_or_else(stopped)?;
        let job = reader::Job { shard, queries, reply };
        reads.send(job).await.map_err(|_| stopped())?;
        answers.await.map_err(|_| stopped())?
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        let (reply, outcome) = oneshot::channel();
        let commits = self.commits.as_ref().ok_or_else(stopped)?;
        let job = writer::Job { shard, commit, reply };
        commits.send(job).await.map_err(|_| stopped())?;
        outcome.await.unwrap_or(Ok(Outcome::Unknown))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        // A commit of nothing writes to the disk like any other, so a full or broken one is found out.
        let nothing = Commit {
            stamp: Stamp([0; 8]),
            expect: Vec::new(),
            write: Vec::new(),
        };
        match self.commit(Shard::new(0), nothing).await? {
            Outcome::Committed => self.read(Shard::new(0), Vec::new()).await.map(drop),
            _ => Err(StoreError::Unavailable("the store cannot write".to_owned())),
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".to_owned())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Opens the file, which only its owner may read: it holds messages and tokens.
fn create(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let is_new = !path.try_exists()?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if is_new {
        // Else the file's name could be lost with the power, and with it everything in it.
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// Creates the tables of a new file; returns the file's format.
fn prepare(database: &Database) -> Result<u64, Fault> {
    match database.begin_read()?.open_table(FORMAT_TABLE) {
        Ok(table) => {
            let found = table.get("format")?;
            return found
                .map(|format| format.value())
                .ok_or(Fault::Corrupt("the format is missing"));
        }
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let transaction = database.begin_write()?;
    transaction.open_table(FORMAT_TABLE)?.insert("format", FORMAT)?;
    for table in [DATA, DUES, QUEUE] {
        transaction.open_table(table)?;
    }
    transaction.commit()?;
    Ok(FORMAT)
}

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    File(Box<redb::Error>),
    #[error("{0}")]
    Corrupt(&'static str),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::File(Box::new(error.into()))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Corrupt(what) => Self::Corrupt(what.to_owned()),
            Fault::File(error) => match *error {
                redb::Error::Corrupted(what) => Self::Corrupt(what),
                other => Self::Unavailable(other.to_string()),
            },
        }
    }
}
