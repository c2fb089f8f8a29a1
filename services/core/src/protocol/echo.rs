//! Echoes of our own messages that are faster than the provider's answer to us.

use super::append::peer_of;
use super::context::{Context, Stop, as_fields};
use super::resolve::{Asking, known};
use crate::append::{Arrival, is_thread};
use crate::delivery;
use crate::id::MessageId;
use crate::keys;
use crate::port::store::Query;
use omnigate_proto::v1::{DeliveryState, Direction, event::Kind};

/// True while an echo among the arrivals may be of the thread's message that is being submitted: appended now, that message
/// would stand on the timeline twice. Once its answer is recorded, the echo is known for what it is.
pub async fn is_early(context: &Context<'_>, arrivals: &[Arrival]) -> Result<bool, Stop> {
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
    let places = Query::Fields {
        key: keys::places(owner.home),
        fields: echoes.iter().map(|echo| echo.id.to_bytes()).collect(),
    };
    let answers = context.store.read(owner.home.shard(), vec![places]).await?;
    if as_fields(answers.into_iter().next())?.iter().all(Option::is_some) {
        return Ok(false);
    }
    // What this process remembers may be older than a send of another one.
    let home = context.home(owner.home).await?;
    let threads = home.value.iter().flat_map(|home| &home.threads);
    let mut ours = threads.filter(|thread| is_thread(thread, &owner.birth.0, &first.event.account_id));
    let Some(leaving) = ours
        .next()
        .and_then(|thread| MessageId::from_bytes(thread.chain.first()?))
    else {
        return Ok(false);
    };
    let record = super::delivery::outline(context, leaving).await?;
    Ok(record.is_some_and(|record| delivery::state_of(&record) == DeliveryState::Submitting))
}
