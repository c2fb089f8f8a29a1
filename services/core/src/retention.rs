//! What stays on a home's timeline: so many entries, for so long. What has to go goes oldest first, by the time by which it
//! is shown, and in its own time: appending only sets a timer.
//!
//! An entry's place outlives it until its event can come no more, and with it the delivery of a message of ours: a request
//! or an echo that is repeated must find it.

use crate::delivery;
use crate::event::event_id_of_message;
use crate::id::EventId;
use crate::time::Moment;
use crate::timeline::{self, Spot};
use bytes::Bytes;
use omnigate_proto::state::v1::{DeliveryRecord, EntryRecord, HomeRecord, ThreadRecord, TrimmedPlace};
use omnigate_proto::v1::Event;
use prost::Message as _;
use std::time::Duration;

/// For how long after its receipt an event is known to have been there, whatever becomes of its entry.
pub const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a home may have too many entries: a lively thread is trimmed once for all that comes meanwhile.
const AT_MOST_TOO_MANY: Duration = Duration::from_secs(10);
/// How much later than due what is only old may go, so that a home is not looked at for each entry.
const AT_MOST_TOO_OLD: Duration = Duration::from_secs(3600);

/// What a tenant keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most entries of a home; `None` for all.
    pub max_entries: Option<u64>,
    /// How long after the time by which it is shown an entry stays; `None` for ever.
    pub max_age: Option<Duration>,
}

impl Limits {
    /// Everything stays.
    pub const NONE: Self = Self {
        max_entries: None,
        max_age: None,
    };

    /// True when the oldest entry of a home, which is shown by this time, has to go.
    #[must_use]
    pub fn is_trimmed(&self, home: &HomeRecord, shown_at: Moment, now: Moment) -> bool {
        self.is_over(home) || self.is_old(shown_at, now)
    }

    /// True when the home has more entries than stay.
    fn is_over(&self, home: &HomeRecord) -> bool {
        self.max_entries.is_some_and(|most| home.entry_count > most)
    }

    /// True when an entry that is shown by this time has been there long enough.
    fn is_old(&self, shown_at: Moment, now: Moment) -> bool {
        self.max_age.is_some_and(|age| shown_at + age <= now)
    }
}

/// Entries of a thread that are still on the timeline.
#[must_use]
pub fn kept(thread: &ThreadRecord) -> u64 {
    thread.thread_seq.saturating_sub(thread.trimmed_entries)
}

/// A timer that moves: where it stood, if it did, and where it goes, if it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Where it stood.
    pub from: Option<Moment>,
    /// Where it goes.
    pub to: Option<Moment>,
}

/// Notes in the home when it has to be looked at, after something was added to it; `None` when it will be soon enough.
pub fn note_due(home: &mut HomeRecord, limits: &Limits, now: Moment) -> Option<Moved> {
    let due = match limits.max_age {
        _ if limits.is_over(home) => now + AT_MOST_TOO_MANY,
        // The only entry is the newest one.
        Some(age) if home.entry_count <= 1 => Moment(home.newest_shown_ms.max(0)) + age,
        Some(_) => now + AT_MOST_TOO_MANY,
        None => return None,
    };
    let is_known = home.trim_ms != 0;
    // A timer that is there was set for the oldest entry: only too many entries are more urgent.
    if is_known && (!limits.is_over(home) || home.trim_ms <= due.0) {
        return None;
    }
    Some(move_to(home, Some(due)))
}

fn move_to(home: &mut HomeRecord, due: Option<Moment>) -> Moved {
    let from = (home.trim_ms != 0).then_some(Moment(home.trim_ms));
    home.trim_ms = due.map_or(0, |due| due.0);
    Moved { from, to: due }
}

/// What is left after a home was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// True when there was more to do than is done at once.
    pub more: bool,
    /// Time by which the oldest entry is shown.
    pub oldest: Option<Moment>,
    /// When the next place is forgotten.
    pub forgets: Option<Moment>,
}

/// Notes in the home when it has to be looked at again.
pub fn note_next(home: &mut HomeRecord, limits: &Limits, left: Left, now: Moment) -> Moved {
    let soon = now + Duration::from_secs(1);
    let later = now + AT_MOST_TOO_OLD;
    let dues = [
        left.more.then_some(soon),
        // Those that stay although they are too many still travel.
        limits.is_over(home).then_some(later),
        left.oldest
            .and_then(|oldest| Some((oldest + limits.max_age?).max(later))),
        left.forgets.map(|forgets| forgets.max(later)),
    ];
    move_to(home, dues.into_iter().flatten().min())
}

/// An entry that may have to go.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it stands.
    pub spot: Spot,
    /// Its event.
    pub event: EventId,
    /// It; of one whose thread is gone, what can be read without the thread's key.
    pub entry: EntryRecord,
    /// Its delivery, where it is a message of ours that has one.
    pub delivery: Option<DeliveryRecord>,
}

/// What goes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trimmed {
    /// Entries.
    pub entries: Vec<(Spot, EventId)>,
    /// Places whose events can come no more.
    pub forgotten: Vec<EventId>,
    /// Places that stay, and until when.
    pub remembered: Vec<(Moment, EventId, TrimmedPlace)>,
    /// True when an entry was met that stays, and with it everything after it.
    pub finished: bool,
}

/// Takes out of a home what has to go of its oldest entries, which are given in their order.
pub fn trim(home: &mut HomeRecord, limits: &Limits, oldest: &[Seen], now: Moment) -> Trimmed {
    let mut trimmed = Trimmed::default();
    for seen in oldest {
        if !limits.is_trimmed(home, seen.spot.shown_at, now) {
            trimmed.finished = true;
            break;
        }
        if seen.delivery.as_ref().is_some_and(travels) {
            continue;
        }
        uncount(home, seen.entry.thread);
        trimmed.entries.push((seen.spot, seen.event));
        let received_at = Moment(seen.entry.received_at_ms);
        let until = last_heard(seen) + REMEMBERED;
        let place = |awaited, message_id: &Bytes| TrimmedPlace {
            message_id: message_id.clone(),
            thread: seen.entry.thread,
            received_at_ms: received_at.0,
            awaited,
        };
        for (number, event) in names_of(seen).into_iter().enumerate() {
            let message_id = if number == 0 {
                &seen.entry.message_id
            } else {
                &Bytes::new()
            };
            match until <= now && message_id.is_empty() {
                true => trimmed.forgotten.push(event),
                false => trimmed.remembered.push((until, event, place(false, message_id))),
            }
        }
        if let Some(target) = awaits(&seen.entry) {
            trimmed.remembered.push((until, target, place(true, &Bytes::new())));
        }
    }
    trimmed
}

/// When an entry was received, or last heard of, where it is a message of ours.
fn last_heard(seen: &Seen) -> Moment {
    let delivery = seen.delivery.as_ref().and_then(|record| record.delivery.as_ref());
    let updated = delivery.and_then(|delivery| delivery.updated_at.as_ref());
    let received = Moment(seen.entry.received_at_ms);
    updated.map_or(received, |updated| Moment::from_timestamp(updated).max(received))
}

/// True for a message of ours whose end is not known.
fn travels(delivery: &DeliveryRecord) -> bool {
    !delivery::has_ended(delivery::state_of(delivery))
}

/// One entry of a thread less; what erasure has left of a thread was taken from the count before.
fn uncount(home: &mut HomeRecord, thread: u32) {
    let mut threads = home.threads.iter_mut();
    let Some(thread) = threads.find(|record| record.number == thread && thread != 0) else {
        return;
    };
    if kept(thread) > 0 {
        thread.trimmed_entries += 1;
        home.entry_count = home.entry_count.saturating_sub(1);
    }
}

/// Event ids whose places lead to the entry, its own first: of pieces it was put together from, and those under which the
/// provider would show us a message of ours.
fn names_of(seen: &Seen) -> Vec<EventId> {
    let mut names = vec![seen.event];
    names.extend(seen.entry.pieces.iter().filter_map(|piece| EventId::from_bytes(piece)));
    let delivery = seen.delivery.as_ref().and_then(|record| record.delivery.as_ref());
    for delivery in delivery.into_iter() {
        let known = delivery.pieces.iter().map(|piece| &piece.provider_message_id);
        let known = known.filter(|provider_id| !provider_id.is_empty());
        names.extend(known.map(|provider_id| {
            event_id_of_message(
                &delivery.tenant_id,
                &delivery.account_id,
                delivery.peer.as_ref(),
                provider_id,
            )
        }));
    }
    names
}

/// The message that an entry wants to change and that has not come.
fn awaits(entry: &EntryRecord) -> Option<EventId> {
    if !entry.target.is_empty() {
        return None;
    }
    timeline::target(&Event::decode(entry.event.clone()).ok()?)
}

#[cfg(test)]
mod tests;
