//! Addresses that providers say are no good to write to.

use super::suppression::{NotListed, id, suppress};
use crate::consent::fault;
use crate::id::EventId;
use crate::protocol::context::{Context, Stop};
use crate::time::Moment;
use omnigate_proto::state::v1::SuppressionCause;
use omnigate_proto::v1::{Identifier, SendError};

/// Puts an address onto the suppression list of a channel where a failure says that it is no good to write to. An event that
/// comes again puts back nobody who was taken off since.
pub(in crate::protocol) async fn note_fault(
    context: &Context<'_>,
    (tenant_id, address, channel): (&str, &Identifier, &str),
    error: &SendError,
    said: (Moment, Option<EventId>),
) -> Result<(), Stop> {
    let Some(cause) = fault(error, said) else {
        return Ok(());
    };
    let cause = SuppressionCause {
        channel: channel.to_owned(),
        ..cause
    };
    let id = id(context, tenant_id, address).await?;
    match suppress(context, tenant_id, id, &cause).await {
        Ok(_) => Ok(()),
        Err(NotListed::Stop(stop)) => Err(stop),
        // There are so many reasons not to write there that one more changes nothing.
        Err(NotListed::TooManyCauses(problem)) => {
            tracing::warn!(%problem, "an address that a provider calls no good is not listed again");
            Ok(())
        }
    }
}
