//! Changes what is known about a customer besides identifiers and timeline.
//!
//! What is said is kept in the record of the customer as it is now; what is removed is removed from every record that it
//! consists of, one commit each. A command bears one moment, so that repeating it after a crash finishes it and changes
//! nothing else.

use super::context::{Context, Ended, MAX_TRIES, Stop};
use super::identity::wait;
use super::read::{self, Whole};
use super::resolve::{expect_record, put};
use crate::details::{self as decide, Change, TooMany, is_applied};
use crate::id::CustomerId;
use crate::keys;
use crate::port::store::StoreError;
use omnigate_proto::state::v1::{CustomerState, DetailsRecord};

/// A command of a person or a system.
#[derive(Clone, Debug)]
pub struct Command {
    /// Tenant.
    pub tenant_id: String,
    /// The customer, by present or former id.
    pub customer: CustomerId,
    /// What is changed. Its `conditional` names the command where there is an etag.
    pub change: Change,
    /// The version of the customer that it holds for; any when empty.
    pub etag: String,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// There is no such customer.
    #[error("no such customer")]
    NoSuchCustomer,
    /// The customer is another version than the etag names.
    #[error("the customer has changed")]
    Changed,
    /// There is no room.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The store did not let it happen; trying again with the same request id goes on.
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<StoreError> for NotChanged {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

/// Carries out a command.
pub async fn change(context: &Context<'_>, command: &Command) -> Result<(), NotChanged> {
    let mut waited = 0;
    for _ in 0..MAX_TRIES {
        let found = read::customer(context, &command.tenant_id, command.customer).await?;
        let whole = found.ok_or(NotChanged::NoSuchCustomer)?;
        // Of a record that is frozen nobody knows whose it will be: what is written now could outlive an erasure.
        if whole.record.state() != CustomerState::Active {
            wait(context, whole.id, &mut waited).await?;
            continue;
        }
        if !change_own(context, command, &whole).await? {
            continue;
        }
        let others = whole.details.keys().filter(|id| **id != whole.id);
        for id in others {
            remove_of(context, *id, &command.change).await?;
        }
        return Ok(());
    }
    Err(Stop::Contended(MAX_TRIES).into())
}

/// Changes the customer's own record. False when something has changed since it was read.
async fn change_own(context: &Context<'_>, command: &Command, whole: &Whole) -> Result<bool, NotChanged> {
    let id = whole.id;
    let known = whole.details.get(&id);
    let none = DetailsRecord::default();
    let record = known.map_or(&none, |(_, record)| record);
    if let Some(name) = &command.change.conditional
        && !is_applied(record, name)
        && command.etag != whole.etag()
    {
        return Err(NotChanged::Changed);
    }
    let Some(next) = decide::apply(record, &command.tenant_id, &command.change)? else {
        return Ok(true);
    };
    // The customer's record is expected too: it is theirs still, and neither merged nor erased meanwhile.
    let expect = vec![
        expect_record(keys::details(id), known.map(|(stamp, _)| *stamp)),
        expect_record(keys::customer(id), whole.stamp),
    ];
    let written = context
        .commit(id.shard(), expect, vec![put(keys::details(id), &next)])
        .await?;
    Ok(matches!(written, Ended::Committed(_)))
}

/// Carries out the removals in a record that the customer consists of.
async fn remove_of(context: &Context<'_>, id: CustomerId, change: &Change) -> Result<(), Stop> {
    let remove = |record: Option<&DetailsRecord>, _| decide::remove(record?, change);
    context
        .change((id.shard(), keys::details(id)), "details", remove)
        .await
        .map(drop)
}

/// Deletes what is known about an erased customer.
pub(super) async fn forget(context: &Context<'_>, id: CustomerId) -> Result<(), Stop> {
    context.delete(id.shard(), keys::details(id)).await
}
