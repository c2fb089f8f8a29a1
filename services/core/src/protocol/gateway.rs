//! What must not change between two starts of a gateway.

use super::context::{Context, Ended, Loaded, MAX_TRIES, Stop};
use super::lease::COMMON;
use super::resolve::{expect_record, put};
use crate::keyring::{Closed, nonce};
use crate::keys;
use crate::port::store::StoreError;
use omnigate_proto::state::v1::GatewayRecord;

/// Version of the stored format that this release reads and writes.
pub const FORMAT: u32 = 1;

/// Why this gateway must not start on this store.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Another number of partitions would tear running threads apart.
    #[error(
        "broker.partitions is {configured}, but this store was started with {stored}; the number is fixed at first start, \
         set it back to {stored} or start on an empty store"
    )]
    Partitions {
        /// What the configuration says.
        configured: u16,
        /// What the store says.
        stored: u32,
    },
    /// A newer release wrote the store.
    #[error("the store has format {stored}, this release knows up to {known}")]
    Format {
        /// Format of the store.
        stored: u32,
        /// Newest format known here.
        known: u32,
    },
    /// The store was started with a key that is not configured.
    #[error("the store does not open: {0}")]
    Key(#[from] Closed),
    /// The store did not answer.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for GatewayError {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// Where the word is sealed for.
const PLACE: &[u8] = b"gateway";
/// What is sealed there.
const WORD: &[u8] = b"omnigate";

/// Compares the configuration with the first start's; the first start writes it down, and so does the first one with a new
/// key. True for a gateway in which no process is older than the sealing of what lies on the broker.
pub async fn check(context: &Context<'_>, partitions: u16) -> Result<bool, GatewayError> {
    for _ in 0..MAX_TRIES {
        let record: Loaded<GatewayRecord> = context.record(COMMON, keys::gateway(), "gateway").await?;
        if let Some(stored) = &record.value {
            compare(stored, partitions)?;
            context.keyring.open(PLACE, &stored.sealed_word)?;
            if !context.keyring.seals() || context.keyring.is_present(&stored.sealed_word) {
                return Ok(stored.seals_broker);
            }
        }
        let seals_broker = record.value.is_none_or(|stored| stored.seals_broker);
        let first = GatewayRecord {
            partitions: partitions.into(),
            format: FORMAT,
            sealed_word: sealed_word(context),
            seals_broker,
        };
        let expect = vec![expect_record(keys::gateway(), record.stamp)];
        if let Ended::Committed(_) = context
            .commit(COMMON, expect, vec![put(keys::gateway(), &first)])
            .await?
        {
            return Ok(seals_broker);
        }
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

fn sealed_word(context: &Context<'_>) -> bytes::Bytes {
    if !context.keyring.seals() {
        return bytes::Bytes::new();
    }
    let sealed = context.keyring.seal(PLACE, nonce(context.entropy), WORD);
    sealed.unwrap_or_default()
}

fn compare(stored: &GatewayRecord, configured: u16) -> Result<(), GatewayError> {
    if stored.format > FORMAT {
        return Err(GatewayError::Format {
            stored: stored.format,
            known: FORMAT,
        });
    }
    if stored.partitions != u32::from(configured) {
        return Err(GatewayError::Partitions {
            configured,
            stored: stored.partitions,
        });
    }
    Ok(())
}
