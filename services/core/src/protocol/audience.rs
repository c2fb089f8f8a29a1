//! Audiences in the store: what they are, who is in them, and imports.

mod define;
mod forget;
mod import;
mod members;

pub use define::{Audience, MAX_LISTED, change, create, delete, get, go_on, list};
pub use forget::{Membership, memberships};
pub(super) use forget::{decode, forget};
pub use import::{Batch, Session, Standing, problems, standing};
pub use members::{Candidate, Found, Of, Page, Selection, candidates, look, page, select, size};

use super::context::Stop;
use crate::filter::NotAFilter;
use crate::id::AudienceId;
use crate::port::store::StoreError;

/// Why a command on an audience was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// There is no such audience.
    #[error("no such audience")]
    NoSuchAudience,
    /// An audience that is excluded is not there.
    #[error("no such audience: {0}, which is to be excluded")]
    NoSuchExclusion(AudienceId),
    /// The audience is another version than the etag names.
    #[error("the audience has changed")]
    Changed,
    /// Another audience excludes it.
    #[error("{0} excludes it")]
    InUse(AudienceId),
    /// It is a segment.
    #[error("only a list takes rows")]
    NotAList,
    /// The tenant has as many as it may.
    #[error("a tenant has at most {} audiences", crate::audience::MAX_AUDIENCES)]
    TooMany,
    /// The filter of a segment does not fit the schema any more.
    #[error("the filter of {0} does not fit customers any more: {1}")]
    Filter(AudienceId, NotAFilter),
    /// The import was begun in another way.
    #[error("the import was begun with another merge_customers")]
    ImportReused,
    /// Another call goes on with the import.
    #[error("another call goes on with the import")]
    TakenOver,
    /// Rows came in the wrong order.
    #[error("row {0} came after row {1}: rows come in ascending order of their numbers, from 1")]
    OutOfOrder(u64, u64),
    /// The store did not let it happen; trying again goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}
