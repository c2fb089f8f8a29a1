//! What a message consists of.

use super::super::wire::{Contact as Card, File, Location as Place, Message, Poll, Sticker as WireSticker, User};
use super::text::{hidden_links, nfc, part, text_part};
use super::who::name;
use omnigate_proto::v1::{Contact, Identifier, Location, Media, MediaKind, Part, Sticker, part::Content};

/// The parts of a message; empty when its content has no shape.
pub(super) fn parts(message: &Message<'_>, chat_identifier: &dyn Fn(i64) -> Option<Identifier>) -> Vec<Part> {
    if let Some(text) = &message.text {
        let mut parts = vec![text_part(text)];
        parts.extend(hidden_links(text, &message.entities));
        return parts;
    }
    if let Some(media) = media(message) {
        let caption = message.caption.as_deref().unwrap_or_default();
        let mut parts = vec![part(Content::Media(media))];
        parts.extend(hidden_links(caption, &message.caption_entities));
        return parts;
    }
    single(message, chat_identifier).map_or_else(Vec::new, |content| vec![part(content)])
}

/// Content that stands alone.
fn single(message: &Message<'_>, chat_identifier: &dyn Fn(i64) -> Option<Identifier>) -> Option<Content> {
    if let Some(wire) = &message.sticker {
        return Some(Content::Sticker(sticker(wire)));
    }
    // A venue fills `location` in as well.
    if let Some(venue) = &message.venue {
        let title = nfc(venue.title.as_deref().unwrap_or_default()).into_owned();
        let address = nfc(venue.address.as_deref().unwrap_or_default()).into_owned();
        return Some(Content::Location(location(&venue.location, title, address)));
    }
    if let Some(place) = &message.location {
        return Some(Content::Location(location(place, String::new(), String::new())));
    }
    if let Some(card) = &message.contact {
        return Some(Content::Contact(contact(card, chat_identifier)));
    }
    if let Some(dice) = &message.dice {
        return text_part(&format!("{} {}", &*dice.emoji, dice.value)).content;
    }
    message.poll.as_ref().and_then(|poll| poll_text(poll).content)
}

fn media(message: &Message<'_>) -> Option<Media> {
    // An animation fills `document` in as well, so documents come last.
    let files = [
        (&message.animation, MediaKind::Animation),
        (&message.audio, MediaKind::Audio),
        (&message.voice, MediaKind::Voice),
        (&message.video, MediaKind::Video),
        (&message.video_note, MediaKind::Video),
        (&message.document, MediaKind::File),
    ];
    // Sizes of a photo ascend; the last one is the original.
    let photo = message.photo.as_deref().and_then(<[File<'_>]>::last);
    let photo = photo.map(|file| (file, MediaKind::Image));
    let file = || {
        let mut present = files
            .iter()
            .filter_map(|(file, kind)| file.as_ref().map(|file| (file, *kind)));
        present.next()
    };
    let (file, kind) = photo.or_else(file)?;
    let caption = message.caption.as_deref().unwrap_or_default();
    // A video note is a square; `length` is its side.
    let side = file.length.filter(|_| message.video_note.is_some()).unwrap_or(0);
    Some(Media {
        kind: kind.into(),
        mime_type: text(file.mime_type.as_deref()),
        size: file.file_size.unwrap_or(0),
        file_name: nfc(file.file_name.as_deref().unwrap_or_default()).into_owned(),
        caption: nfc(caption).into_owned(),
        duration_ms: file.duration.unwrap_or(0).saturating_mul(1000),
        provider_media_id: file.file_id.to_string(),
        width: file.width.unwrap_or(side),
        height: file.height.unwrap_or(side),
        ..Media::default()
    })
}

fn sticker(wire: &WireSticker<'_>) -> Sticker {
    Sticker {
        provider_media_id: wire.file_id.to_string(),
        emoji: text(wire.emoji.as_deref()),
        set_name: text(wire.set_name.as_deref()),
        url: String::new(),
        is_animated: wire.is_animated || wire.is_video,
    }
}

fn location(place: &Place, title: String, address: String) -> Location {
    Location {
        latitude: place.latitude,
        longitude: place.longitude,
        title,
        address,
        live_period_s: place.live_period.unwrap_or(0),
    }
}

fn contact(card: &Card<'_>, chat_identifier: &dyn Fn(i64) -> Option<Identifier>) -> Contact {
    Contact {
        display_name: name(card.first_name.as_ref(), card.last_name.as_ref()),
        phone_numbers: vec![card.phone_number.to_string()],
        email_addresses: Vec::new(),
        vcard: text(card.vcard.as_deref()),
        identifier: card.user_id.and_then(chat_identifier),
    }
}

fn poll_text(poll: &Poll<'_>) -> Part {
    let mut text = poll.question.to_string();
    for option in &poll.options {
        text.push_str("\n- ");
        text.push_str(&option.text);
    }
    text_part(&text)
}

/// Name of whoever wrote a forwarded message first, else the provider's word for what they are.
pub(super) fn forwarded_from(message: &Message<'_>) -> String {
    let person = |user: &User<'_>| name(user.first_name.as_ref(), user.last_name.as_ref());
    let origin = message.forward_origin.as_ref();
    let user = origin
        .and_then(|origin| origin.sender_user.as_ref())
        .or(message.forward_from.as_ref());
    let chat = origin
        .and_then(|origin| origin.sender_chat.as_ref().or(origin.chat.as_ref()))
        .or(message.forward_from_chat.as_ref());
    let hidden = origin
        .and_then(|origin| origin.sender_user_name.as_deref())
        .or(message.forward_sender_name.as_deref());
    let candidates = [
        user.map(person),
        chat.map(|chat| name(chat.title.as_ref().or(chat.first_name.as_ref()), None)),
        hidden.map(|hidden| nfc(hidden).into_owned()),
        origin.and_then(|origin| origin.r#type.as_deref().map(str::to_owned)),
    ];
    let mut named = candidates.into_iter().flatten().filter(|name| !name.is_empty());
    named.next().unwrap_or_default()
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}
