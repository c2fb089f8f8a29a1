//! Writes what comes by no channel onto timelines: notes.

use super::append::append_at;
use super::context::{Context, Stop};
use super::outbox::Outgoing;
use super::resolve::to_outbox;
use crate::append::{Arrival, ThreadKey};
use crate::id::CustomerId;

/// Appends a note, or a change of one, to the home that it was born in; the same one is there once. `None` when the customer
/// has been erased.
pub async fn write(
    context: &Context<'_>,
    tenant_id: &str,
    home: CustomerId,
    arrival: Arrival,
) -> Result<Option<Vec<Outgoing>>, Stop> {
    let thread = ThreadKey::of_itself(home);
    let appended = append_at(context, tenant_id, home, &thread, &[arrival]).await?;
    let appended = appended.filter(|appended| appended.dropped == 0);
    Ok(appended.map(|appended| {
        let numbered = appended.outbox.into_iter();
        numbered.map(|(number, event)| to_outbox(home, number, event)).collect()
    }))
}
