//! A message of ours as it stands on a timeline.

use crate::append::{ThreadKey, thread_of};
use crate::customer_event::Happened;
use crate::id::{CustomerId, MessageId, ThreadId};
use crate::identifier;
use crate::keys;
use crate::port::store::{StoreError, Write};
use crate::protocol::append::insert_entry;
use crate::protocol::context::Context;
use crate::protocol::delivery::entry_event;
use crate::protocol::outbox::Outgoing;
use crate::protocol::resolve::{insert_outgoing, to_outbox};
use crate::time::Moment;
use crate::timeline::stored::give_keys;
use crate::timeline::{Place, Spot};
use omnigate_proto::state::v1::{EntryRecord, HomeRecord};
use omnigate_proto::v1::{Direction, Event, Message, event::Kind};
use prost::Message as _;

/// A message that becomes an entry.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Written<'a> {
    pub(in crate::protocol) id: MessageId,
    pub(in crate::protocol) tenant_id: &'a str,
    pub(in crate::protocol) message: &'a Message,
    pub(in crate::protocol) trace_id: &'a str,
}

impl Written<'_> {
    /// Writes the entry down in its home as it was read, whose thread has its key afterwards.
    pub(in crate::protocol) fn enter(
        &self,
        context: &Context<'_>,
        (home_id, home): (CustomerId, &mut HomeRecord),
        thread: &ThreadKey,
        now: Moment,
    ) -> Result<Entered, StoreError> {
        let event = entry_event(self.id);
        let entry = self.entry(home, thread, now);
        let spot = Spot {
            shown_at: now,
            home_seq: home.home_seq,
        };
        give_keys(home, home_id, context.keyring, context.entropy);
        let happened = Happened {
            tenant_id: self.tenant_id,
            home: home_id,
            home_seq: home.home_seq,
            at: now,
            trace_id: self.trace_id,
        };
        let added = to_outbox(home_id, home.home_seq, happened.entry_added(event, now, &entry));
        let write = vec![
            insert_entry(context, (home_id, home), event, spot, &entry)?,
            place_entry(home_id, self.id, spot),
            insert_outgoing(&added),
        ];
        Ok(Entered { spot, added, write })
    }

    /// The entry, numbered in its home and its thread.
    fn entry(&self, home: &mut HomeRecord, thread: &ThreadKey, now: Moment) -> EntryRecord {
        home.home_seq += 1;
        home.entry_count += 1;
        home.newest_shown_ms = home.newest_shown_ms.max(now.0);
        let home_seq = home.home_seq;
        let of_home = thread_of(home, thread);
        of_home.thread_seq += 1;
        of_home.last_outbound_ms = of_home.last_outbound_ms.max(now.0);
        of_home.outbound_count += 1;
        let thread_id = ThreadId::new(identifier::key(self.tenant_id, &thread.peer), &thread.account_id);
        let event = Event {
            event_id: entry_event(self.id).to_string(),
            tenant_id: self.tenant_id.to_owned(),
            account_id: thread.account_id.clone(),
            channel: thread.channel.clone(),
            occurred_at: Some(now.to_timestamp()),
            received_at: Some(now.to_timestamp()),
            direction: Direction::Outbound.into(),
            peer: Some(thread.peer.clone()),
            thread_id: thread_id.to_string(),
            trace_id: self.trace_id.to_owned(),
            kind: Some(Kind::Message(self.message.clone())),
            ..Event::default()
        };
        EntryRecord {
            event: event.encode_to_vec().into(),
            birth: thread.birth.to_bytes(),
            received_at_ms: now.0,
            thread_seq: of_home.thread_seq,
            thread: of_home.number,
            home_seq,
            applied_at_ms: now.0,
            message_id: self.id.to_bytes(),
            ..EntryRecord::default()
        }
    }
}

/// An entry that is written down.
pub(in crate::protocol) struct Entered {
    pub(in crate::protocol) spot: Spot,
    /// What others are told of it.
    pub(in crate::protocol) added: Outgoing,
    /// Everything but the home itself.
    pub(in crate::protocol) write: Vec<Write>,
}

/// Lets the entry be found by its event.
fn place_entry(home_id: CustomerId, id: MessageId, spot: Spot) -> Write {
    let entry = entry_event(id);
    Write::SetField {
        key: keys::places(home_id),
        field: entry.to_bytes(),
        value: Place::At { spot, entry }.encode(entry),
    }
}
