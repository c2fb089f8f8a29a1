//! Conversations in the store: what a change of them writes, commands of people, timers, lists, erasure.
//!
//! Words of messages change them in the commit of the message, see [`super::append`] and [`super::send`].

mod carry;
mod command;
mod erase;
mod join;
mod list;
mod part;
mod ring;

pub(super) use carry::carry;
pub use command::{Asked, Done, NotDone, carry_out, create};
pub(super) use erase::erase;
pub use join::{join, leave};
pub use list::{Filter, Page, of_customer, of_tenant};
pub(super) use part::part;
pub use ring::ring;

use super::context::{Context, Loaded, as_range, as_record};
use super::entries::Interval;
use super::outbox::Outgoing;
use super::read;
use super::resolve::to_outbox;
use crate::append::is_wiped;
use crate::conversation::{Changes, key_of, show};
use crate::id::{Birth, ConversationId, CustomerId};
use crate::identity::built_in;
use crate::keys::{self, Timer};
use crate::port::store::{Query, Stamp, StoreError, Write};
use bytes::Bytes;
use omnigate_proto::state::v1::{ConversationRecord, HomeRecord};
use omnigate_proto::v1::Conversation;
use prost::Message as _;

/// What is written beside the home's record; CustomerEvents are not among it.
pub(super) fn writes(tenant_id: &str, home: CustomerId, changes: Changes) -> Vec<Write> {
    let mut write = Vec::new();
    for (key, outline) in changes.outlines {
        let list = keys::open_conversations(tenant_id);
        let member = ConversationId::new(home, key).to_bytes();
        write.push(match outline {
            Some(outline) => Write::Insert {
                key: list,
                member,
                value: outline.encode_to_vec().into(),
            },
            None => Write::Remove { key: list, member },
        });
    }
    write.extend(changes.closed.into_iter().map(|(key, record)| Write::Insert {
        key: keys::closed_conversations(home),
        member: key.to_bytes(),
        value: record.encode_to_vec().into(),
    }));
    write.extend(changes.due.into_iter().map(|due| Write::Insert {
        key: keys::timers(),
        member: keys::timer_member(due, Timer::Conversations(home)),
        value: Bytes::new(),
    }));
    write
}

/// What others are told, ready for the outbox.
pub(super) fn told_of(home: CustomerId, changes: &mut Changes) -> Vec<Outgoing> {
    let told = std::mem::take(&mut changes.outbox).into_iter();
    told.map(|(number, event)| to_outbox(home, number, event)).collect()
}

/// A home with one of its conversations that may be closed.
struct Found {
    home: HomeRecord,
    stamp: Option<Stamp>,
    /// The conversation, where it is closed.
    closed: Option<ConversationRecord>,
}

impl Found {
    /// The conversation; `None` where there is none, or where it was erased.
    fn record(&self, id: ConversationId) -> Option<&ConversationRecord> {
        let key = id.key();
        let mut present = self.home.conversations.iter();
        let found = present.find(|record| record.key == key.0.as_slice());
        let found = found.or(self.closed.as_ref())?;
        let birth = Birth::from_bytes(&found.birth)?;
        (!is_wiped(&self.home, birth, key.opened())).then_some(found)
    }
}

/// Reads a conversation with its home at one instant; `None` when the tenant has no such home.
async fn find(context: &Context<'_>, tenant_id: &str, id: ConversationId) -> Result<Option<Found>, StoreError> {
    let home = id.home();
    let queries = vec![
        Query::Record(keys::home(home)),
        Query::member(keys::closed_conversations(home), id.key().to_bytes()),
    ];
    let mut answers = context.store.read(home.shard(), queries).await?.into_iter();
    let loaded: Loaded<HomeRecord> = Loaded::decode(as_record(answers.next())?, "home")?;
    let closed = as_range(answers.next())?.into_iter().next();
    let closed = closed.map(|(_, value)| decode(value)).transpose()?;
    let home = loaded.value.filter(|home| home.tenant_id == tenant_id);
    Ok(home.map(|home| Found {
        home,
        stamp: loaded.stamp,
        closed,
    }))
}

fn decode(value: Bytes) -> Result<ConversationRecord, StoreError> {
    ConversationRecord::decode(value).map_err(|error| StoreError::Corrupt(format!("conversation: {error}")))
}

/// A conversation as readers see it; `None` when the tenant has none of this id.
pub async fn get(
    context: &Context<'_>,
    tenant_id: &str,
    id: ConversationId,
) -> Result<Option<Conversation>, StoreError> {
    let Some(found) = find(context, tenant_id, id).await? else {
        return Ok(None);
    };
    match found.record(id) {
        Some(record) => Ok(Some(shown(context, &found.home, id.home(), record).await?)),
        None => Ok(None),
    }
}

/// A conversation with the customer who has it now.
async fn shown(
    context: &Context<'_>,
    home: &HomeRecord,
    id: CustomerId,
    record: &ConversationRecord,
) -> Result<Conversation, StoreError> {
    let customer = customer_of(context, home, id, record).await?;
    let mut shown = show(&home.tenant_id, id, id, record);
    shown.customer_id = customer.map(|customer| customer.to_string()).unwrap_or_default();
    Ok(shown)
}

/// Who has a conversation: whoever has the identifier it began by, for the time in which it began. Where the identifier got a
/// new holder since, that is who has the home.
async fn customer_of(
    context: &Context<'_>,
    home: &HomeRecord,
    id: CustomerId,
    record: &ConversationRecord,
) -> Result<Option<CustomerId>, StoreError> {
    let thread = home.threads.iter().find(|thread| thread.birth == record.birth);
    let Some(opened) = key_of(record).map(|key| key.opened()) else {
        return Ok(None);
    };
    let holders = [
        read::holder_of(context, &home.tenant_id, thread.and_then(|thread| thread.peer.as_ref())).await?,
        read::holder(context, &home.tenant_id, &built_in(id), id).await?,
    ];
    let has_it = |members: &[omnigate_proto::state::v1::Membership]| {
        let mut intervals = members.iter().filter_map(Interval::of);
        intervals.any(|interval| interval.covers(&record.birth, opened))
    };
    let theirs = holders
        .into_iter()
        .flatten()
        .find(|(_, record)| has_it(&record.members));
    Ok(theirs.map(|(customer, _)| customer))
}
