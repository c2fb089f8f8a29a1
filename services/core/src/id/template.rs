//! Ids of templates.

use super::{TemplateId, hash};
use crate::shard::Shard;
use crate::time::Moment;

impl TemplateId {
    /// A new template of a tenant. All of a tenant's lie in one shard, the oldest first.
    #[must_use]
    pub fn new(tenant_id: &str, made: Moment, random: [u8; 16]) -> Self {
        let mut id = [0; 16];
        id[0] = Self::shard_of(tenant_id).number();
        id[1..7].copy_from_slice(&made.to_key()[2..]);
        id[7..].copy_from_slice(&random[..9]);
        Self(id)
    }

    /// Shard in which a tenant's templates live.
    #[must_use]
    pub fn shard_of(tenant_id: &str) -> Shard {
        Shard::new(hash("templates of", &[tenant_id.as_bytes()])[0])
    }

    /// Shard the template lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard::new(self.0[0])
    }
}
