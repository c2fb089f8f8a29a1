//! Echoes of our own messages that are faster than the provider's answer to us.

use super::append::peer_of;
use super::context::{Context, as_fields, as_record};
use super::resolve::{Asking, known};
use crate::append::Arrival;
use crate::delivery;
use crate::id::MessageId;
use crate::keys;
use crate::port::store::{Query, StoreError};
use omnigate_proto::state::v1::HomeRecord;
use omnigate_proto::v1::{DeliveryState, Direction, event::Kind};
use prost::Message as _;

/// True while an echo among the arrivals may be of the thread's message that is being submitted: appended now, that message
/// would stand on the timeline twice. Once its answer is recorded, the echo is known for what it is.
pub async fn is_early(context: &Context<'_>, arrivals: &[Arrival]) -> Result<bool, StoreError> {
    let is_echo = |arrival: &&Arrival| {
        arrival.event.direction() == Direction::Outbound && matches!(arrival.event.kind, Some(Kind::Message(_)))
    };
    let echoes: Vec<&Arrival> = arrivals.iter().filter(is_echo).collect();
    let Some(first) = echoes.first() else {
        return Ok(false);
    };
    let asking = Asking {
        tenant_id: &first.event.tenant_id,
        received_at: first.received_at,
        trace_id: &first.event.trace_id,
        replaces: None,
    };
    let Some(peer) = peer_of(&first.event) else {
        return Ok(false);
    };
    let Some(owner) = known(context, &asking, &peer).await? else {
        return Ok(false);
    };
    // What this process remembers may be older than a send of another one.
    let queries = vec![
        Query::Record(keys::home(owner.home)),
        Query::Fields {
            key: keys::places(owner.home),
            fields: echoes.iter().map(|echo| echo.id.to_bytes()).collect(),
        },
    ];
    let mut answers = context.store.read(owner.home.shard(), queries).await?.into_iter();
    let home = as_record(answers.next())?;
    if as_fields(answers.next())?.iter().all(Option::is_some) {
        return Ok(false);
    }
    let home = home.map(|home| HomeRecord::decode(home.value)).transpose();
    let home = home.map_err(|error| StoreError::Corrupt(format!("home: {error}")))?;
    let threads = home.unwrap_or_default().threads;
    let birth = owner.birth.to_bytes();
    let thread = threads
        .iter()
        .find(|thread| thread.birth == birth && thread.account_id == first.event.account_id);
    let leaving = thread.and_then(|thread| MessageId::from_bytes(thread.chain.first()?));
    let Some(leaving) = leaving else {
        return Ok(false);
    };
    let record = super::delivery::get(context, leaving).await;
    match record {
        Ok(record) => Ok(record.is_some_and(|record| delivery::state_of(&record) == DeliveryState::Submitting)),
        Err(super::Stop::Store(error)) => Err(error),
        // A look meets no conflicts.
        Err(super::Stop::Contended(_)) => Ok(false),
    }
}
