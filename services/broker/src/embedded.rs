//! A broker inside the process, durable in one file.
//!
//! One thread writes. It commits what gathered while it committed before: publications, settlements and appended entries
//! share one durable transaction, so the cost of each falls as load rises. What is out with subscribers is known in memory
//! only; after a restart it comes again, with its attempts counted on.

mod batch;
mod catalog;
mod log;
mod queue;
mod subscription;
mod tables;
mod writer;

use crate::topology::check_names;
use bytes::Bytes;
use catalog::{Catalog, Directory};
use log::Reader;
use omnigate_core::port::{
    Clock,
    broker::{
        Broker, BrokerError, From, LogName, LogReader, Publication, PublishError, QueueName, Subscription, Topology,
    },
};
use redb::{Builder, Database, DatabaseError, backends::InMemoryBackend};
use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};
use subscription::{Shared, Subscribed};
use tables::{Storage, StorageError};
use writer::{Answers, Operation};

/// File in the data folder.
const FILE: &str = "broker.redb";
/// Messages are nobody else's business.
const PRIVATE: u32 = 0o700;
/// Bytes of pages that the database keeps in memory.
const CACHE: usize = 64 << 20;

/// Why the embedded broker could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another process has it open.
    #[error("{0} is in use by another process; stop that one, or give this one a data folder of its own")]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("data folder {0} cannot be used")]
    Folder(PathBuf, #[source] std::io::Error),
    /// The file is not ours or is damaged.
    #[error("broker file {0} cannot be opened")]
    File(PathBuf, #[source] redb::Error),
    /// The file cannot be written.
    #[error("broker file {0} cannot be prepared")]
    Prepare(PathBuf, #[source] BrokerError),
    /// The writer could not be started.
    #[error("broker writer could not be started")]
    Writer(#[source] std::io::Error),
}

/// A broker inside this process.
pub struct EmbeddedBroker {
    shared: Arc<Shared>,
    directory: Arc<Directory>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedBroker {
    /// Opens the broker in a data folder, which is created when it is not there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used or another process uses it.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, EmbeddedError> {
        let created = DirBuilder::new().recursive(true).mode(PRIVATE).create(folder);
        created.map_err(|error| EmbeddedError::Folder(folder.to_owned(), error))?;
        let path = folder.join(FILE);
        let database = Builder::new()
            .set_cache_size(CACHE)
            .create(&path)
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => EmbeddedError::InUse(path.clone()),
                error => EmbeddedError::File(path.clone(), error.into()),
            })?;
        Self::start(database, &path, clock)
    }

    /// A broker that forgets everything when it is dropped, for tests.
    ///
    /// # Errors
    ///
    /// When its writer cannot be started.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, EmbeddedError> {
        let path = Path::new("(memory)");
        let database = Builder::new().create_with_backend(InMemoryBackend::new());
        let database = database.map_err(|error| EmbeddedError::File(path.to_owned(), error.into()))?;
        Self::start(database, path, clock)
    }

    fn start(database: Database, path: &Path, clock: Arc<dyn Clock>) -> Result<Self, EmbeddedError> {
        let storage = Arc::new(Storage::new(database));
        let failed = |error: StorageError| EmbeddedError::File(path.to_owned(), error.into_inner());
        let known = storage.prepare().map_err(failed)?;
        let directory = Arc::new(Directory::default());
        let mut catalog = Catalog::new(known, Arc::clone(&directory));
        // Declares the parked queue.
        storage
            .with(|database| Ok(catalog.declare(database, Topology::default())))
            .map_err(failed)?
            .transpose()
            .map_err(|error| EmbeddedError::Prepare(path.to_owned(), error))?;
        let (intake, thread) =
            writer::start(Arc::clone(&storage), catalog, Arc::clone(&clock)).map_err(EmbeddedError::Writer)?;
        Ok(Self {
            shared: Arc::new(Shared { storage, intake, clock }),
            directory,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Has the writer store something; nothing needs no writer.
    async fn write(&self, count: usize, bytes: usize, operation: impl FnOnce(Answer) -> Operation) -> Answers {
        if count == 0 {
            return Vec::new();
        }
        let answers = match self.shared.intake.slot(bytes).await {
            Some(slot) => slot.ask(operation).await,
            None => None,
        };
        answers
            .unwrap_or_else(|| vec![Err(PublishError::Unconfirmed("the embedded broker is closed".to_owned())); count])
    }
}

type Answer = tokio::sync::oneshot::Sender<Answers>;

#[async_trait::async_trait]
impl Broker for EmbeddedBroker {
    async fn declare(&self, topology: Topology) -> Result<(), BrokerError> {
        check_names(&topology)?;
        let declared = match self.shared.intake.slot(0).await {
            Some(slot) => slot.ask(|answer| Operation::Declare(topology, answer)).await,
            None => None,
        };
        declared.unwrap_or_else(|| Err(BrokerError::Unavailable("the embedded broker is closed".to_owned())))
    }

    async fn publish(&self, messages: Vec<Publication>) -> Vec<Result<(), PublishError>> {
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        self.write(messages.len(), bytes, |answer| Operation::Publish(messages, answer))
            .await
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Subscription>, BrokerError> {
        let queue = self
            .directory
            .queue(queue)
            .ok_or_else(|| BrokerError::Unusable(format!("no queue {queue}")))?;
        Ok(Box::new(Subscribed::new(queue, Arc::clone(&self.shared), prefetch)))
    }

    async fn append(&self, log: &LogName, entries: Vec<Bytes>) -> Vec<Result<(), PublishError>> {
        let bytes = entries.iter().map(Bytes::len).sum();
        self.write(entries.len(), bytes, |answer| {
            Operation::Append(log.clone(), entries, answer)
        })
        .await
    }

    async fn read(&self, log: &LogName, from: From) -> Result<Box<dyn LogReader>, BrokerError> {
        let log = self
            .directory
            .log(log)
            .ok_or_else(|| BrokerError::Unusable(format!("no log {log}")))?;
        Ok(Box::new(Reader::new(&log, Arc::clone(&self.shared.storage), from)))
    }

    fn is_connected(&self) -> bool {
        self.shared.intake.is_healthy()
    }
}

impl Drop for EmbeddedBroker {
    /// Writes what was accepted, ends subscriptions and readers and frees the file.
    fn drop(&mut self) {
        self.shared.intake.stop();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("embedded broker's writer had panicked");
        }
        self.directory.close();
        self.shared.storage.close();
    }
}

/// Reads from disk beside the asynchronous threads; `None`, logged, when that fails.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, StorageError> + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(read)) => Some(read),
        Ok(Err(error)) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "embedded broker could not read"
            );
            None
        }
        Err(_stopped) => None,
    }
}
