//! Timelines: how an event becomes an entry, and how later events change earlier entries.

use crate::id::EventId;
use crate::identifier;
use crate::time::Moment;
use bytes::{BufMut as _, Bytes, BytesMut};
use omnigate_proto::state::v1::{EntryRecord, ReactionRecord};
use omnigate_proto::v1::{EntryKind, Event, event::Kind};
use std::time::Duration;

pub mod stored;

/// A provider's time is believed this far into the past.
const BELIEVED_PAST: Duration = Duration::from_secs(7 * 24 * 3600);
/// A provider's time is believed this far into the future.
const BELIEVED_FUTURE: Duration = Duration::from_secs(120);
/// Most amendments that wait for one message.
const MAX_AWAITED: usize = 32;

/// Time by which an event is shown: the provider's, within believable bounds of the time it was received.
#[must_use]
pub fn shown_at(event: &Event, received_at: Moment) -> Moment {
    let occurred = event.occurred_at.as_ref().map_or(received_at, Moment::from_timestamp);
    occurred.clamp(received_at - BELIEVED_PAST, received_at + BELIEVED_FUTURE)
}

/// The message event that this event changes, if it changes one.
#[must_use]
pub fn target(event: &Event) -> Option<EventId> {
    match event.kind {
        Some(Kind::Edit(_) | Kind::Deletion(_) | Kind::Reaction(_)) => Some(message_event_id(event)),
        _ => None,
    }
}

/// What an entry is, by the kind of its event.
#[must_use]
pub const fn kind_of(event: &Event) -> EntryKind {
    match event.kind {
        None => EntryKind::Unspecified,
        Some(Kind::Message(_)) => EntryKind::Message,
        Some(Kind::Edit(_)) => EntryKind::Edit,
        Some(Kind::Deletion(_)) => EntryKind::Deletion,
        Some(Kind::Reaction(_)) => EntryKind::Reaction,
        Some(Kind::Receipt(_)) => EntryKind::Receipt,
        Some(Kind::Postback(_)) => EntryKind::Postback,
        Some(Kind::Subscription(_)) => EntryKind::Subscription,
        Some(Kind::ProfileUpdate(_)) => EntryKind::ProfileUpdate,
        Some(Kind::Call(_)) => EntryKind::Call,
        Some(Kind::AccountNotice(_)) => EntryKind::AccountNotice,
        Some(Kind::Unsupported(_)) => EntryKind::Unsupported,
        Some(Kind::PrivacyRequest(_)) => EntryKind::PrivacyRequest,
        Some(Kind::Rating(_)) => EntryKind::Rating,
        Some(Kind::Reachability(_)) => EntryKind::Reachability,
        Some(Kind::Note(_)) => EntryKind::Note,
        Some(Kind::IdentityChange(_)) => EntryKind::IdentityChange,
    }
}

/// Id of the message event that `event.provider_message_id` names.
fn message_event_id(event: &Event) -> EventId {
    crate::event::event_id_of_message(
        &event.tenant_id,
        &event.account_id,
        event.peer.as_ref(),
        &event.provider_message_id,
    )
}

/// Length of a spot in keys.
pub const SPOT: usize = 16;

/// Where an entry stands in its home: by the time it is shown, and among those of one instant in the order in which they
/// took effect (providers count in seconds).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Spot {
    /// Time by which it is shown.
    pub shown_at: Moment,
    /// Its number in the home.
    pub home_seq: u64,
}

impl Spot {
    /// As a key part that sorts like the spot.
    #[must_use]
    pub fn to_key(self) -> [u8; SPOT] {
        let mut key = [0; SPOT];
        key[..8].copy_from_slice(&self.shown_at.to_key());
        key[8..].copy_from_slice(&self.home_seq.to_be_bytes());
        key
    }

    /// Back from [`Spot::to_key`].
    #[must_use]
    pub fn from_key(key: [u8; SPOT]) -> Self {
        let both = u128::from_be_bytes(key);
        let [shown_at, home_seq] =
            [both >> 64, both].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
        Self {
            shown_at: Moment::from_key(shown_at.to_be_bytes()),
            home_seq,
        }
    }
}

/// What the home knows of an event id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// It is on the timeline.
    At {
        /// Where it stands.
        spot: Spot,
        /// Event id of the entry; differs from the field for echoes of our own messages.
        entry: EventId,
    },
    /// It is not there yet, but these entries want to change it.
    Awaited(Vec<(Spot, EventId)>),
}

impl Place {
    /// As stored under the event's id.
    #[must_use]
    pub fn encode(&self, event: EventId) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::At { spot, entry } if *entry == event => {
                out.put_u8(2);
                out.put_slice(&spot.to_key());
            }
            Self::At { spot, entry } => {
                out.put_u8(0);
                out.put_slice(&spot.to_key());
                out.put_slice(&entry.0);
            }
            Self::Awaited(amendments) => {
                out.put_u8(1);
                for (spot, entry) in amendments {
                    out.put_slice(&spot.to_key());
                    out.put_slice(&entry.0);
                }
            }
        }
        out.freeze()
    }

    /// Back from [`Place::encode`]; `None` when it cannot be read.
    #[must_use]
    pub fn decode(event: EventId, bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (places, remainder) = rest.as_chunks::<{ SPOT + 16 }>();
        let mut read = places
            .iter()
            .filter_map(|place| crate::keys::read_timeline_member(place));
        match (kind, remainder) {
            (0, []) => read.next().map(|(spot, entry)| Self::At { spot, entry }),
            (1, []) => Some(Self::Awaited(read.collect())),
            (2, spot) => Some(Self::At {
                spot: Spot::from_key(*spot.first_chunk().filter(|_| spot.len() == SPOT)?),
                entry: event,
            }),
            _ => None,
        }
    }

    /// With one more amendment waiting; the oldest go when there are too many (their own entries stay).
    #[must_use]
    pub fn awaiting(place: Option<Self>, spot: Spot, amendment: EventId) -> Self {
        let mut waiting = match place {
            Some(Self::Awaited(waiting)) => waiting,
            _ => Vec::new(),
        };
        if waiting.len() == MAX_AWAITED {
            waiting.remove(0);
        }
        waiting.push((spot, amendment));
        Self::Awaited(waiting)
    }
}

/// Applies an edit, deletion or reaction to the entry it is about. An older one never replaces a newer one; of
/// two with the same time (Telegram counts seconds) the one that arrived later stands. True when something changed.
pub fn amend(entry: &mut EntryRecord, change: &Event, received_at: Moment) -> bool {
    match &change.kind {
        Some(Kind::Edit(edit)) => {
            let at = edit.edited_at.as_ref().map_or(received_at, Moment::from_timestamp);
            if at.0 < entry.edited_at_ms {
                return false;
            }
            entry.current.clone_from(&edit.message);
            entry.edited_at_ms = at.0;
            entry.revision += 1;
            true
        }
        Some(Kind::Deletion(_)) => !std::mem::replace(&mut entry.deleted, true),
        Some(Kind::Reaction(reaction)) => {
            let at = change.occurred_at.as_ref().map_or(received_at, Moment::from_timestamp);
            let actor = reaction.actor.as_ref().map(identifier::text).unwrap_or_default();
            let given = ReactionRecord {
                actor,
                emojis: reaction.emojis.clone(),
                at_ms: at.0,
            };
            react(entry, given)
        }
        _ => false,
    }
}

/// Keeps the newest reaction of each actor; a taken-back one stays as an empty mark, so that an older one cannot return.
fn react(entry: &mut EntryRecord, given: ReactionRecord) -> bool {
    match entry
        .reactions
        .iter_mut()
        .find(|standing| standing.actor == given.actor)
    {
        Some(standing) if standing.at_ms > given.at_ms || *standing == given => false,
        Some(standing) => {
            *standing = given;
            true
        }
        None => {
            entry.reactions.push(given);
            true
        }
    }
}
