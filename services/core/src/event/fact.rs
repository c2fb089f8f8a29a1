//! What makes two events the same fact.
//!
//! The key is the provider's message id, else the adapter's stable key, else the content. The discriminator tells apart
//! what may happen several times to one message. Where a provider leaves it open whether two reports are one fact, they
//! are two: a doubled line can be seen, a lost one cannot.

use crate::id::{EventId, hash};
use omnigate_proto::v1::{
    Event, Identifier, Message, Receipt, RecipientFault, SendError, Unsupported, event::Kind, part::Content,
};
use pbjson_types::Timestamp;
use prost::Message as _;
use std::borrow::Cow;

/// Id of the event that carries a message, for the edits, withdrawals and reactions that name it.
#[must_use]
pub fn event_id_of_message(
    tenant_id: &str,
    account_id: &str,
    peer: Option<&Identifier>,
    provider_message_id: &str,
) -> EventId {
    let place = Place {
        tenant_id,
        account_id,
        peer,
    };
    place.event_id(("provider", provider_message_id.as_bytes().into()), "message", &[])
}

/// Id of a normalised event.
pub(super) fn event_id(event: &Event, kind: &Kind) -> EventId {
    let key = match kind {
        // The discriminator of a receipt names its message in another way.
        Kind::Receipt(_) if event.provider_message_id.is_empty() => ("none", Cow::default()),
        _ => key(event, || said(kind).into()),
    };
    Place::of(event).event_id(key, name(kind), &discriminator(event, kind))
}

/// Id of a normalised event whose kind a newer version wrote: `unknown` is what this version cannot read of it. What it is
/// about is in there, so another fact about the same message has another id.
pub(super) fn event_id_of_newer(event: &Event, unknown: &[u8]) -> EventId {
    let key = key(event, || unknown.into());
    let discriminator = [hash(NEWER, &[unknown]).to_vec(), moment(event)];
    Place::of(event).event_id(key, NEWER, &discriminator)
}

/// What tells messages of a thread apart, and its name: the provider's id or the best substitute there is.
type Key<'a> = (&'static str, Cow<'a, [u8]>);

fn key<'a>(event: &'a Event, said: impl FnOnce() -> Cow<'a, [u8]>) -> Key<'a> {
    if !event.provider_message_id.is_empty() {
        ("provider", event.provider_message_id.as_bytes().into())
    } else if !event.stable_key.is_empty() {
        ("stable", event.stable_key.as_bytes().into())
    } else {
        ("content", content_key(event, &said()).into())
    }
}

/// Where a fact happened.
struct Place<'a> {
    tenant_id: &'a str,
    account_id: &'a str,
    peer: Option<&'a Identifier>,
}

impl<'a> Place<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            tenant_id: &event.tenant_id,
            account_id: &event.account_id,
            peer: event.peer.as_ref(),
        }
    }

    fn event_id(&self, (of, key): Key<'_>, kind: &str, discriminator: &[Vec<u8>]) -> EventId {
        let nobody = Identifier::default();
        let peer = self.peer.unwrap_or(&nobody);
        let mut parts: Vec<&[u8]> = vec![
            self.tenant_id.as_bytes(),
            self.account_id.as_bytes(),
            peer.r#type.as_bytes(),
            peer.scope.as_bytes(),
            peer.value.as_bytes(),
            of.as_bytes(),
            &key,
            kind.as_bytes(),
        ];
        parts.extend(discriminator.iter().map(Vec::as_slice));
        let mut id = [0; 16];
        id.copy_from_slice(&hash("event", &parts)[..16]);
        EventId(id)
    }
}

/// In the place of a kind's name; no kind may ever be called so.
const NEWER: &str = "newer";

/// Name of a kind; part of every id, so it must never change.
const fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Message(_) => "message",
        Kind::Edit(_) => "edit",
        Kind::Deletion(_) => "deletion",
        Kind::Reaction(_) => "reaction",
        Kind::Receipt(_) => "receipt",
        Kind::Postback(_) => "postback",
        Kind::Subscription(_) => "subscription",
        Kind::ProfileUpdate(_) => "profile_update",
        Kind::Call(_) => "call",
        Kind::AccountNotice(_) => "account_notice",
        Kind::Unsupported(_) => "unsupported",
        Kind::PrivacyRequest(_) => "privacy_request",
        Kind::Rating(_) => "rating",
        Kind::Reachability(_) => "reachability",
        Kind::Note(_) => "note",
        Kind::IdentityChange(_) => "identity_change",
    }
}

fn discriminator(event: &Event, kind: &Kind) -> Vec<Vec<u8>> {
    match kind {
        // The pieces of a long message may carry its id all together.
        Kind::Message(message) => match &message.piece {
            None => vec![],
            Some(piece) => vec![text(&piece.reference), piece.number.to_be_bytes().to_vec()],
        },
        // Several edits may fall into one second of the provider's clock.
        Kind::Edit(edit) => vec![
            edit.edited_at.as_ref().map_or_else(|| moment(event), timestamp),
            edit.message.as_ref().map(content_hash).unwrap_or_default(),
        ],
        Kind::Deletion(deletion) => vec![vec![u8::from(deletion.for_everyone)]],
        Kind::Reaction(reaction) => {
            let author = event.author.as_ref().and_then(|author| author.identifier.as_ref());
            let actor = identifier(reaction.actor.as_ref().or(author));
            // Given, taken back and given again within one second of the provider's clock are three facts.
            let mut parts = vec![moment(event), actor, text(&event.stable_key)];
            parts.extend(reaction.emojis.iter().map(|emoji| emoji.clone().into_bytes()));
            parts
        }
        Kind::Receipt(receipt) => about_receipt(event, receipt),
        Kind::Postback(postback) => {
            let press = if postback.callback_id.is_empty() {
                moment(event)
            } else {
                text(&postback.callback_id)
            };
            vec![text(&postback.payload), press]
        }
        Kind::Subscription(subscription) => vec![
            subscription.state.to_be_bytes().to_vec(),
            text(&subscription.topic),
            moment(event),
        ],
        Kind::ProfileUpdate(update) => {
            let profile = event.profile.as_ref().map(prost::Message::encode_to_vec);
            vec![update.encode_to_vec(), profile.unwrap_or_default(), moment(event)]
        }
        Kind::Call(call) => vec![call.encode_to_vec(), moment(event)],
        Kind::AccountNotice(notice) => vec![text(&notice.code), text(&notice.text), moment(event)],
        Kind::PrivacyRequest(request) => vec![request.kind.to_be_bytes().to_vec(), moment(event)],
        Kind::Rating(rating) => vec![rating.encode_to_vec(), moment(event)],
        Kind::Reachability(told) => vec![told.state.to_be_bytes().to_vec(), moment(event)],
        Kind::Unsupported(Unsupported { type_name, raw, .. }) => vec![text(type_name), raw.to_vec()],
        // Refused: they come by no channel.
        Kind::Note(_) | Kind::IdentityChange(_) => vec![],
    }
}

/// State and piece (every piece has a provider id or send key of its own), in a group whose device it was, and whether it is
/// a complaint.
fn about_receipt(event: &Event, receipt: &Receipt) -> Vec<Vec<u8>> {
    let author = event.author.as_ref().and_then(|author| author.identifier.as_ref());
    let mut parts = vec![
        receipt.state.to_be_bytes().to_vec(),
        text(&receipt.client_reference),
        receipt.watermark.as_ref().map(timestamp).unwrap_or_default(),
        identifier(author),
    ];
    // A complaint about what was delivered is not the delivery.
    let fault = receipt.error.as_ref().map(SendError::recipient_fault);
    parts.extend((fault == Some(RecipientFault::Complained)).then(|| b"complained".to_vec()));
    parts
}

/// When it happened, by the best thing known that a repetition of the same report repeats.
fn moment(event: &Event) -> Vec<u8> {
    match &event.occurred_at {
        Some(at) => timestamp(at),
        None if !event.provider_time.is_empty() => text(&event.provider_time),
        None => text(&event.stable_key),
    }
}

/// Key of an event that has none: what was said, by whom and when. Without any time of the provider it is the moment of
/// receipt, because "ok" said twice is two messages.
fn content_key(event: &Event, content: &[u8]) -> Vec<u8> {
    let author = event.author.as_ref().and_then(|author| author.identifier.as_ref());
    let mut when = moment(event);
    if when.is_empty() {
        when = event.received_at.as_ref().map(timestamp).unwrap_or_default();
    }
    let direction = event.direction.to_be_bytes();
    hash("content", &[content, &identifier(author), &when, &direction]).to_vec()
}

/// What a kind says.
fn said(kind: &Kind) -> Vec<u8> {
    match kind {
        Kind::Message(message) => content_hash(message),
        other => {
            let alone = Event {
                kind: Some(other.clone()),
                ..Event::default()
            };
            alone.encode_to_vec()
        }
    }
}

/// Hash of what a message says. Addresses of media that have a handle of their own are left out: providers sign them anew
/// at every repetition.
fn content_hash(message: &Message) -> Vec<u8> {
    let mut message = message.clone();
    for part in &mut message.parts {
        match &mut part.content {
            Some(Content::Media(media)) if !media.provider_media_id.is_empty() => {
                media.url.clear();
                media.thumbnail_url.clear();
            }
            Some(Content::Sticker(sticker)) if !sticker.provider_media_id.is_empty() => sticker.url.clear(),
            _ => {}
        }
    }
    hash("message", &[&message.encode_to_vec()]).to_vec()
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn timestamp(at: &Timestamp) -> Vec<u8> {
    let mut bytes = at.seconds.to_be_bytes().to_vec();
    bytes.extend(at.nanos.to_be_bytes());
    bytes
}

fn identifier(identifier: Option<&Identifier>) -> Vec<u8> {
    identifier.map(prost::Message::encode_to_vec).unwrap_or_default()
}
