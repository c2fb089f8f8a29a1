//! The store port: embedded and Redis.
//!
//! [`embedded::EmbeddedStore`] keeps everything in one file and needs nothing installed. [`redis::RedisStore`] keeps it in
//! Redis, alone, behind Sentinel or a cluster. [`memory::MemoryStore`] forgets everything with the process and is the
//! reference that the others are compared with. [`sealed::SealedStore`] stands in front of any of them and encrypts secrets.

pub mod embedded;
pub mod memory;
pub mod redis;
pub mod sealed;

use crate::redis::{RedisConfig, RedisStore};
use omnigate_core::port::{Clock, store::Store};
use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, holds the file.
    #[error("store {path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be used.
    #[error("store {path} cannot be opened")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file was written by a newer release.
    #[error("store {path} has format {found}, this release knows up to {known}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format this release reads.
        known: u64,
    },
    /// The address is none.
    #[error("store.url: {0}")]
    Address(String),
    /// The server cannot be reached or must not be used.
    #[error("store server: {0}")]
    Server(String),
}

/// Opens the store that `url` names: an empty one or `embedded` means the embedded store in `data_dir`, for all others see
/// [`RedisConfig::url`].
///
/// # Errors
/// When the address is none, or the store there cannot be used.
pub async fn open(url: &str, data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, OpenError> {
    match url {
        "" | "embedded" => {
            let path = data_dir.join(embedded::FILE_NAME);
            Ok(Arc::new(embedded::EmbeddedStore::open(&path, clock)?))
        }
        url => Ok(Arc::new(RedisStore::connect(&RedisConfig::new(url)).await?)),
    }
}
