//! The life of one outbound message: what may happen next, and what each answer changes.
//!
//! `PLANNED → SUBMITTING → … → ACCEPTED → SENT → DELIVERED → READ`, with `DEFERRED`, `FAILED`, `UNKNOWN`, `EXPIRED`,
//! `CANCELLED` and `SKIPPED`. Claim and intent of a single message are one step: it is SUBMITTING, durably, before the
//! provider is called. An attempt is begun once, so its number tells whose answer an answer is.

mod answer;
mod chain;
pub mod disposition;
mod plan;
mod policy;
pub mod receipt;
mod refuse;

pub use answer::{Next, answered, recover};
pub use chain::{MAX_CHAIN, is_first, join, leave, waits_in};
pub use plan::Plan;
pub use policy::{Leaving, leaving};
pub use refuse::refuse;

use crate::id::MessageId;
use crate::time::Moment;
use omnigate_proto::state::v1::{DeliveryRecord, DeliveryStep, ThreadRecord};
use omnigate_proto::v1::{
    Delivery, DeliveryPiece, DeliveryState, ErrorClass, ReceiptState, ReplyWindowRule, SendAccepted, SendError,
};
use std::time::Duration;

/// Longest time one submission may take.
pub const CALL_TIME: Duration = Duration::from_secs(30);
/// How long a submission is somebody's; ends after any call that began within it.
pub const LEASE_TIME: Duration = Duration::from_secs(60);
/// How long after the lease a submission is given up as unknown: longer than any answer can be late.
pub const RECOVERY_MARGIN: Duration = Duration::from_secs(15);
/// When a message that waits is looked at again, in case its hint was lost.
pub const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// A timer that far ahead is not moved when an attempt begins: most attempts have ended by then.
const TIMER_SPARED: Duration = Duration::from_secs(5);
/// Most pieces of one message; one byte of the send key.
pub const MAX_PIECES: u32 = 255;
/// Steps kept at either end of a long history.
const HISTORY_HALF: usize = 32;

/// The delivery inside a record; an empty one when the record is damaged, which no state allows to be sent.
pub fn of(record: &mut DeliveryRecord) -> &mut Delivery {
    record.delivery.get_or_insert_default()
}

/// State of a record.
#[must_use]
pub fn state_of(record: &DeliveryRecord) -> DeliveryState {
    record
        .delivery
        .as_ref()
        .map_or(DeliveryState::Unspecified, Delivery::state)
}

fn moment(timestamp: Option<&pbjson_types::Timestamp>) -> Moment {
    timestamp.map(Moment::from_timestamp).unwrap_or_default()
}

/// True when nothing will be submitted any more, whatever receipts may still say.
#[must_use]
pub const fn has_ended(state: DeliveryState) -> bool {
    !matches!(
        state,
        DeliveryState::Planned | DeliveryState::Claimed | DeliveryState::Submitting | DeliveryState::Deferred
    )
}

/// One attempt at one piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// Message.
    pub id: MessageId,
    /// Which piece.
    pub piece: u32,
    /// Attempt at it, from 1.
    pub attempt: u32,
    /// Its key.
    pub send_key: String,
}

/// Whether a message may be submitted now.
#[derive(Clone, PartialEq, Debug)]
pub enum Begin {
    /// Yes, as soon as this record is durable.
    Go(Box<DeliveryRecord>, Submission),
    /// No: its time passed, or a rule forbids it; write this record.
    Lapsed(Box<DeliveryRecord>),
    /// Not before this moment.
    NotYet(Moment),
    /// Another message of the thread goes first.
    NotFirst,
    /// A submission is under way, or its end is not known yet.
    Held,
    /// There is nothing left to do.
    Ended,
}

/// What a message is measured against at the moment of sending.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Its thread, as far as it is known.
    pub thread: Option<&'a ThreadRecord>,
    /// The rule of its account's reply windows, if there is one.
    pub window: Option<&'a ReplyWindowRule>,
}

/// Decides whether the next piece may be submitted, and by this becomes its only submitter.
#[must_use]
pub fn begin(record: &DeliveryRecord, id: MessageId, terms: Terms<'_>, now: Moment, lease: &[u8; 16]) -> Begin {
    let mut next = record.clone();
    let state = state_of(record);
    let delivery = of(&mut next);
    let due = match state {
        DeliveryState::Planned => moment(delivery.send_at.as_ref()),
        DeliveryState::Deferred => moment(delivery.deferred_until.as_ref()),
        // Our own commit whose answer was lost.
        DeliveryState::Submitting if record.lease.as_ref() == lease.as_slice() => return gone(next, id),
        DeliveryState::Submitting | DeliveryState::Claimed => return Begin::Held,
        _ => return Begin::Ended,
    };
    if now >= moment(delivery.expire_at.as_ref()) {
        end(
            &mut next,
            DeliveryState::Expired,
            now,
            "dispatch",
            "its time passed before it left",
        );
        return Begin::Lapsed(Box::new(next));
    }
    if due > now {
        return Begin::NotYet(due);
    }
    if !is_first(terms.thread, id) {
        return Begin::NotFirst;
    }
    match policy::check(&next, terms, now) {
        policy::Verdict::AsItIs => {}
        policy::Verdict::Alternative(why) => policy::use_alternative(&mut next, now, why),
        policy::Verdict::Refused(error) => return Begin::Lapsed(Box::new(refuse::refused(next, error, now))),
    }
    gone(attempt(next, id, now, lease), id)
}

/// The next piece under way, in these hands.
fn attempt(mut next: DeliveryRecord, id: MessageId, now: Moment, lease: &[u8; 16]) -> DeliveryRecord {
    let delivery = of(&mut next);
    let accepted = delivery
        .pieces
        .iter()
        .take_while(|piece| receipt::is_proven(piece))
        .count();
    if delivery.pieces.len() == accepted {
        delivery.pieces.push(DeliveryPiece::default());
    }
    let number = u8::try_from(accepted).unwrap_or(u8::MAX);
    let piece = &mut delivery.pieces[accepted];
    piece.attempts += 1;
    // An attempt before this one that may have left stays in mind until something settles it.
    if piece.state() != DeliveryState::Unknown {
        piece.state = DeliveryState::Submitting.into();
    }
    piece.send_key = id.send_key(number);
    let attempt = piece.attempts;
    delivery.attempts += 1;
    delivery.state = DeliveryState::Submitting.into();
    delivery.deferred_until = None;
    delivery.updated_at = Some(now.to_timestamp());
    next.lease = bytes::Bytes::copy_from_slice(lease);
    next.lease_until_ms = (now + LEASE_TIME).0;
    let given_up = now + LEASE_TIME + RECOVERY_MARGIN;
    // A timer that fires meanwhile finds the attempt under way and moves on by itself: it need not be moved now.
    if !(now + TIMER_SPARED..=given_up).contains(&Moment(next.timer_ms)) {
        next.timer_ms = given_up.0;
    }
    note(
        &mut next,
        now,
        "dispatch",
        "attempted",
        format!("piece {number} attempt {attempt}"),
    );
    next
}

/// The attempt that is under way.
fn gone(mut record: DeliveryRecord, id: MessageId) -> Begin {
    let pieces = &of(&mut record).pieces;
    let Some(position) = under_way(pieces) else {
        return Begin::Held;
    };
    let submission = Submission {
        id,
        piece: u32::try_from(position).unwrap_or(MAX_PIECES),
        attempt: pieces[position].attempts,
        send_key: pieces[position].send_key.clone(),
    };
    Begin::Go(Box::new(record), submission)
}

/// The piece that was attempted last: pieces go one after the other.
fn under_way(pieces: &[DeliveryPiece]) -> Option<usize> {
    pieces.iter().rposition(|piece| piece.attempts > 0)
}

/// Takes a message back. `None` when it has begun to leave, or has ended.
#[must_use]
pub fn cancel(record: &DeliveryRecord, now: Moment) -> Option<DeliveryRecord> {
    let untouched = record
        .delivery
        .as_ref()?
        .pieces
        .iter()
        .all(|piece| !receipt::is_proven(piece) && piece.state() != DeliveryState::Unknown);
    if !untouched || !matches!(state_of(record), DeliveryState::Planned | DeliveryState::Deferred) {
        return None;
    }
    let mut next = record.clone();
    end(&mut next, DeliveryState::Cancelled, now, "api", "taken back");
    Some(next)
}

/// The account that a message waits for: its provider, or the lack of a token, said that it cannot send.
#[must_use]
pub fn waits_for_account(record: &DeliveryRecord) -> Option<&str> {
    let delivery = record.delivery.as_ref()?;
    let class = delivery.error.as_ref().map(SendError::class);
    let waits = delivery.state() == DeliveryState::Deferred && class == Some(ErrorClass::Account);
    waits.then_some(delivery.account_id.as_str())
}

/// Lets a message that waits for its account go now; `None` when it waits for something else, or may go already.
#[must_use]
pub fn hasten(record: &DeliveryRecord, now: Moment) -> Option<DeliveryRecord> {
    waits_for_account(record)?;
    let until = moment(record.delivery.as_ref()?.deferred_until.as_ref());
    if until <= now {
        return None;
    }
    let mut next = record.clone();
    next.timer_ms = (now + LOOK_AGAIN).0;
    let delivery = of(&mut next);
    delivery.deferred_until = Some(now.to_timestamp());
    delivery.updated_at = Some(now.to_timestamp());
    note(
        &mut next,
        now,
        "scheduler",
        "hastened",
        "the account can send again".to_owned(),
    );
    Some(next)
}

/// Ends a message that waits and whose time has passed; `None` when it has not, or when it does not wait.
#[must_use]
pub fn lapse(record: &DeliveryRecord, now: Moment) -> Option<DeliveryRecord> {
    let waits = matches!(state_of(record), DeliveryState::Planned | DeliveryState::Deferred);
    if !waits || now < moment(record.delivery.as_ref()?.expire_at.as_ref()) {
        return None;
    }
    let mut next = record.clone();
    end(
        &mut next,
        DeliveryState::Expired,
        now,
        "scheduler",
        "its time passed before it left",
    );
    Some(next)
}

fn end(record: &mut DeliveryRecord, state: DeliveryState, now: Moment, role: &str, detail: &str) {
    record.timer_ms = 0;
    record.lease.clear();
    record.lease_until_ms = 0;
    let in_doubt = of(record)
        .pieces
        .iter()
        .any(|piece| piece.state() == DeliveryState::Unknown);
    let what = match state {
        DeliveryState::Expired => "expired",
        DeliveryState::Cancelled => "cancelled",
        DeliveryState::Skipped => "refused",
        _ => "ended",
    };
    let delivery = of(record);
    // What may have left did not simply lapse, whatever forbids its repetition.
    let stays_in_doubt = in_doubt && matches!(state, DeliveryState::Expired | DeliveryState::Skipped);
    delivery.state = if stays_in_doubt { DeliveryState::Unknown } else { state }.into();
    delivery.deferred_until = None;
    delivery.updated_at = Some(now.to_timestamp());
    let detail = if detail.is_empty() {
        state.as_str_name().to_owned()
    } else {
        detail.to_owned()
    };
    note(record, now, role, what, detail);
}

/// Adds a step to the history; of a very long one the middle is dropped.
pub fn note(record: &mut DeliveryRecord, at: Moment, role: &str, what: &str, detail: String) {
    if record.history.len() >= 2 * HISTORY_HALF {
        record.history.remove(HISTORY_HALF);
    }
    record.history.push(DeliveryStep {
        at_ms: at.0,
        role: role.to_owned(),
        what: what.to_owned(),
        detail,
    });
}

/// Whether the provider's answer means that the thread cannot be written to any more.
#[must_use]
pub fn closes_thread(answer: &Result<SendAccepted, SendError>) -> bool {
    matches!(answer, Err(error) if matches!(error.class(), ErrorClass::RecipientPermanent | ErrorClass::Refused))
}

/// An acceptance with the least that it proves, for adapters that say nothing.
#[must_use]
pub fn accepted(provider_message_id: &str) -> SendAccepted {
    SendAccepted {
        provider_message_id: provider_message_id.to_owned(),
        state: ReceiptState::Accepted.into(),
        ..SendAccepted::default()
    }
}

#[cfg(test)]
mod tests;
