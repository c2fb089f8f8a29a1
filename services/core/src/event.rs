//! Events: from what an adapter pushed to what everybody reads.
//!
//! [`normalise`] is the one gate: after it an event keeps the contract of `event.proto`, carries its id, and a second
//! pass changes nothing.

mod content;
mod fact;
mod incoming;
#[cfg(test)]
mod tests;
mod wire;

pub use fact::event_id_of_message;
pub use incoming::{Incoming, Taken};

use crate::{
    account::Account,
    id::{EventId, ThreadId},
    identifier,
    time::Moment,
};
use content::{MAX_ANSWERS, MAX_HANDLE, at_most, nfc, within, words};
use omnigate_proto::v1::{
    Direction, Event, Evidence, Identifier, IdentifierEvidence, PrivacyRequestKind, ProfileUpdate, Rating,
    ReachabilityState, Reaction, Receipt, ReceiptState, Subscription, SubscriptionState, event::Kind, part::Content,
};
use pbjson_types::Timestamp;
use std::time::Duration;

/// Identifiers that one event may tell.
const MAX_IDENTIFIERS: usize = 64;
/// Emoji in one reaction.
const MAX_EMOJIS: usize = 64;
/// How far ahead of ours the clock of another process may run.
const CLOCK_SKEW: Duration = Duration::from_mins(2);

/// Why an event is not taken. Names no personal data.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Refusal {
    /// The field that is wrong, such as `message.parts[2]`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Refusal {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// What normalising found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Normalised {
    /// The event's id.
    pub event_id: EventId,
    /// Identifiers without a canonical form; they were removed.
    pub identifiers_removed: usize,
}

/// Checks an event and brings it into the one form: canonical identifiers, NFC, its id, and everything that ingest stamps.
/// `trace_id` is used when the event brings none.
pub fn normalise(event: &mut Event, account: &Account, now: Moment, trace_id: &str) -> Result<Normalised, Refusal> {
    normalise_beside(&[], event, account, now, trace_id)
}

/// Normalises an event beside which `unknown` was written: fields that this version does not know. Where it has no kind
/// that this version knows, they are its kind.
fn normalise_beside(
    unknown: &[u8],
    event: &mut Event,
    account: &Account,
    now: Moment,
    trace_id: &str,
) -> Result<Normalised, Refusal> {
    check_handles(event)?;
    stamp(event, account, now, trace_id);
    canonical_peer(event)?;
    let mut identifiers_removed = canonical_identifiers(event)?;
    identifiers_removed += canonical_author(event);
    if let Some(profile) = &mut event.profile {
        content::profile(profile);
    }
    let event_id = match event.kind.take() {
        Some(mut kind) => {
            let checked = check_kind(event, &mut kind);
            let event_id = fact::event_id(event, &kind);
            event.kind = Some(kind);
            checked.map(|()| event_id)?
        }
        None if unknown.is_empty() => return Err(Refusal::new("kind", "is missing")),
        None => fact::event_id_of_newer(event, unknown),
    };
    event.event_id = event_id.to_string();
    event.thread_id = event.peer.as_ref().map_or_else(String::new, |peer| {
        ThreadId::new(identifier::key(&account.tenant_id, peer), &account.id).to_string()
    });
    Ok(Normalised {
        event_id,
        identifiers_removed,
    })
}

fn check_handles(event: &Event) -> Result<(), Refusal> {
    within("provider_message_id", &event.provider_message_id, MAX_HANDLE)?;
    within("stable_key", &event.stable_key, MAX_HANDLE)?;
    within("provider_time", &event.provider_time, MAX_HANDLE)
}

/// What ingest knows better than the adapter.
fn stamp(event: &mut Event, account: &Account, now: Moment, trace_id: &str) {
    event.tenant_id.clone_from(&account.tenant_id);
    event.account_id.clone_from(&account.id);
    event.channel.clone_from(&account.channel);
    if event.direction() != Direction::Outbound {
        event.set_direction(Direction::Inbound);
    }
    if !is_trace_id(&event.trace_id) {
        trace_id.clone_into(&mut event.trace_id);
    }
    let received = event.received_at.as_ref().filter(|at| is_possible(at));
    if received.is_none_or(|at| Moment::from_timestamp(at) > now + CLOCK_SKEW) {
        event.received_at = Some(now.to_timestamp());
    }
    // A provider's impossible time is kept as words: refusing the message would lose more than its time.
    if let Some(at) = event.occurred_at.take_if(|at| !is_possible(at))
        && event.provider_time.is_empty()
    {
        event.provider_time = format!("{}.{:09}", at.seconds, at.nanos);
    }
}

/// True for the text of a W3C trace id.
fn is_trace_id(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 32 && text.bytes().all(hex) && text.bytes().any(|byte| byte != b'0')
}

/// True for times that JSON can write: years 1 to 9999.
fn is_possible(at: &Timestamp) -> bool {
    (-62_135_596_800..=253_402_300_799).contains(&at.seconds) && (0..1_000_000_000).contains(&at.nanos)
}

fn canonical_peer(event: &mut Event) -> Result<(), Refusal> {
    if let Some(peer) = &mut event.peer {
        *peer = canonical("peer", peer)?;
    }
    Ok(())
}

fn canonical(field: &str, identifier: &Identifier) -> Result<Identifier, Refusal> {
    identifier::canonical(identifier).map_err(|error| Refusal::new(field, error.to_string()))
}

/// Brings the evidence into canonical form. What has none says nothing about who somebody is and is removed.
fn canonical_identifiers(event: &mut Event) -> Result<usize, Refusal> {
    let told = event.identifiers.len();
    at_most("identifiers", told, MAX_IDENTIFIERS)?;
    event.identifiers.retain_mut(canonical_evidence);
    Ok(told - event.identifiers.len())
}

fn canonical_evidence(told: &mut IdentifierEvidence) -> bool {
    let Some(identifier) = &told.identifier else {
        return false;
    };
    let Ok(canonical) = identifier::canonical(identifier) else {
        return false;
    };
    if told.provider_form.len() > MAX_HANDLE {
        told.provider_form.clear();
    }
    if told.provider_form.is_empty() && canonical.value != identifier.value {
        told.provider_form.clone_from(&identifier.value);
    }
    if Evidence::try_from(told.evidence).unwrap_or_default() == Evidence::Unspecified {
        told.set_evidence(Evidence::Stated);
    }
    told.identifier = Some(canonical);
    true
}

/// Returns how many identifiers were removed.
fn canonical_author(event: &mut Event) -> usize {
    let Some(author) = &mut event.author else {
        return 0;
    };
    if let Some(profile) = &mut author.profile {
        content::profile(profile);
    }
    let told = author.identifier.take();
    author.identifier = told.as_ref().and_then(|told| identifier::canonical(told).ok());
    usize::from(told.is_some() && author.identifier.is_none())
}

/// Checks what the kind demands; `event.kind` is empty meanwhile.
fn check_kind(event: &mut Event, kind: &mut Kind) -> Result<(), Refusal> {
    match kind {
        Kind::Message(message) => {
            needs_peer(event)?;
            content::message("message", message, event.direction())
        }
        Kind::Edit(edit) => {
            needs_message(event)?;
            edit.edited_at.take_if(|at| !is_possible(at));
            let message = edit
                .message
                .as_mut()
                .ok_or_else(|| Refusal::new("edit.message", "is missing"))?;
            content::message("edit.message", message, event.direction())
        }
        Kind::Deletion(_) => needs_message(event),
        Kind::Reaction(reaction) => {
            needs_message(event)?;
            check_reaction(reaction)
        }
        Kind::Receipt(receipt) => check_receipt(event, receipt),
        Kind::Postback(postback) => {
            needs_peer(event)?;
            nfc(&mut postback.title);
            within("postback.title", &postback.title, MAX_HANDLE)?;
            within("postback.payload", &postback.payload, MAX_HANDLE)?;
            within("postback.callback_id", &postback.callback_id, MAX_HANDLE)
        }
        Kind::Subscription(subscription) => {
            needs_peer(event)?;
            check_subscription(subscription)
        }
        Kind::ProfileUpdate(update) => {
            needs_peer(event)?;
            check_move(update)
        }
        Kind::Call(call) => {
            needs_peer(event)?;
            within("call.outcome", &call.outcome, MAX_HANDLE)
        }
        Kind::AccountNotice(notice) => {
            within("account_notice.code", &notice.code, MAX_HANDLE)?;
            words("account_notice.text", &mut notice.text)
        }
        Kind::Unsupported(unsupported) => content::unsupported(unsupported),
        Kind::PrivacyRequest(request) => {
            needs_peer(event)?;
            is_said(
                "privacy_request.kind",
                request.kind() != PrivacyRequestKind::Unspecified,
            )
        }
        Kind::Rating(rating) => check_rating(rating),
        Kind::Reachability(told) => {
            needs_peer(event)?;
            is_said("reachability.state", told.state() != ReachabilityState::Unspecified)
        }
        Kind::Note(_) => Err(Refusal::new("note", "is not a channel's to write")),
        Kind::IdentityChange(_) => Err(Refusal::new("identity_change", "is not a channel's to tell")),
    }
}

fn is_said(field: &str, said: bool) -> Result<(), Refusal> {
    said.then_some(()).ok_or_else(|| Refusal::new(field, "is missing"))
}

fn check_move(update: &mut ProfileUpdate) -> Result<(), Refusal> {
    for (field, moved) in [
        ("moved_to", &mut update.moved_to),
        ("moved_from", &mut update.moved_from),
    ] {
        if let Some(moved) = moved {
            *moved = canonical(&format!("profile_update.{field}"), moved)?;
        }
    }
    Ok(())
}

fn check_subscription(subscription: &mut Subscription) -> Result<(), Refusal> {
    if subscription.state() == SubscriptionState::Unspecified {
        return Err(Refusal::new("subscription.state", "is missing"));
    }
    within("subscription.topic", &subscription.topic, MAX_HANDLE)?;
    within("subscription.source", &subscription.source, MAX_HANDLE)?;
    subscription.expires_at.take_if(|at| !is_possible(at));
    words("subscription.confirmation", &mut subscription.confirmation)
}

fn check_rating(rating: &mut Rating) -> Result<(), Refusal> {
    if !(rating.score.is_finite() && rating.max_score.is_finite()) {
        return Err(Refusal::new("rating", "is no number"));
    }
    words("rating.comment", &mut rating.comment)?;
    at_most("rating.answers", rating.answers.len(), MAX_ANSWERS)?;
    let mut answers = rating.answers.iter_mut();
    answers.try_for_each(|answer| words("rating.answers", answer))
}

fn check_reaction(reaction: &mut Reaction) -> Result<(), Refusal> {
    at_most("reaction.emojis", reaction.emojis.len(), MAX_EMOJIS)?;
    for emoji in &reaction.emojis {
        within("reaction.emojis", emoji, MAX_HANDLE)?;
    }
    if let Some(actor) = &mut reaction.actor {
        *actor = canonical("reaction.actor", actor)?;
    }
    Ok(())
}

/// The message of a receipt may be named in the event, in the receipt or in both; afterwards it is in both.
fn check_receipt(event: &mut Event, receipt: &mut Receipt) -> Result<(), Refusal> {
    if receipt.state() == ReceiptState::Unspecified {
        return Err(Refusal::new("receipt.state", "is missing"));
    }
    within("receipt.provider_message_id", &receipt.provider_message_id, MAX_HANDLE)?;
    within("receipt.client_reference", &receipt.client_reference, MAX_HANDLE)?;
    if receipt.watermark.as_ref().is_some_and(|at| !is_possible(at)) {
        return Err(Refusal::new("receipt.watermark", "is no possible time"));
    }
    match (
        event.provider_message_id.is_empty(),
        receipt.provider_message_id.is_empty(),
    ) {
        (true, false) => event.provider_message_id.clone_from(&receipt.provider_message_id),
        (false, true) => receipt.provider_message_id.clone_from(&event.provider_message_id),
        (false, false) if event.provider_message_id != receipt.provider_message_id => {
            return Err(Refusal::new("receipt.provider_message_id", "differs from the event's"));
        }
        _ => {}
    }
    if receipt.watermark.is_some() {
        return needs_peer(event);
    }
    if receipt.provider_message_id.is_empty() && receipt.client_reference.is_empty() {
        return Err(Refusal::new(
            "receipt",
            "names no message: no id, no reference, no watermark",
        ));
    }
    Ok(())
}

fn needs_peer(event: &Event) -> Result<(), Refusal> {
    match event.peer {
        Some(_) => Ok(()),
        None => Err(Refusal::new("peer", "is missing")),
    }
}

fn needs_message(event: &Event) -> Result<(), Refusal> {
    needs_peer(event)?;
    if event.provider_message_id.is_empty() {
        return Err(Refusal::new(
            "provider_message_id",
            "is missing: nothing says which message is meant",
        ));
    }
    Ok(())
}

/// Normalises a message that is to be sent and checks its limits.
pub fn normalise_outbound(message: &mut omnigate_proto::v1::Message) -> Result<(), Refusal> {
    content::message("message", message, Direction::Outbound)?;
    for (index, part) in message.parts.iter().enumerate() {
        if matches!(&part.content, Some(Content::Text(text)) if text.text.trim().is_empty()) {
            return Err(Refusal::new(format!("message.parts[{index}].text.text"), "is empty"));
        }
    }
    Ok(())
}
