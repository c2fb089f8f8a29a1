//! Attachments into parts.

use super::super::wire::{Attachment, Card, Coordinates, Payload, object, said};
use super::Malformed;
use super::message::nfc;
use omnigate_proto::v1::{
    Contact, Link, Location, Media, MediaKind, Part, Sticker, TemplateRef, Text as TextPart, part::Content,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Characters kept of the name of an unknown type.
const MAX_KIND: usize = 32;

/// What an attachment comes to.
pub(super) enum Attached {
    /// Parts, in order; at least one.
    Parts(Vec<Part>),
    /// A type without a shape, by its name.
    Unknown(String),
}

/// Reads an attachment. Its payload may also stand in it directly.
pub(super) fn read(raw: &RawValue) -> Result<Attached, Malformed> {
    let attachment: Attachment<'_> = object(raw.get().as_bytes()).map_err(|_| Malformed)?;
    let payload = attachment.payload.unwrap_or(raw);
    let payload: Payload<'_> = object(payload.get().as_bytes()).map_err(|_| Malformed)?;
    let kind = said(attachment.r#type.as_ref());
    let parts = match kind {
        "image" | "photo" => media(MediaKind::Image, &payload).into_iter().collect(),
        "gif" => media(MediaKind::Animation, &payload).into_iter().collect(),
        // Recordings in AMR, made with the microphone button.
        "audio" => media(MediaKind::Voice, &payload).into_iter().collect(),
        "video" => media(MediaKind::Video, &payload).into_iter().collect(),
        "file" => file(&payload).into_iter().collect(),
        "sticker" => sticker(&payload).into_iter().collect(),
        "location" => vec![location(&payload).ok_or(Malformed)?],
        "link" => linked(&payload),
        "template" => template(&payload),
        other => return Ok(Attached::Unknown(other.chars().take(MAX_KIND).collect())),
    };
    if parts.is_empty() {
        Err(Malformed)
    } else {
        Ok(Attached::Parts(parts))
    }
}

/// A place that stands beside the attachments.
pub(super) fn place(raw: &RawValue) -> Result<Part, Malformed> {
    let payload: Payload<'_> = object(raw.get().as_bytes()).map_err(|_| Malformed)?;
    location(&payload).ok_or(Malformed)
}

/// A picture of which only the address is known.
pub(super) fn image(url: &str) -> Part {
    part(Content::Media(Media {
        kind: MediaKind::Image.into(),
        url: url.to_owned(),
        ..Media::default()
    }))
}

/// A part.
pub(super) fn part(content: Content) -> Part {
    Part { content: Some(content) }
}

fn media(kind: MediaKind, payload: &Payload<'_>) -> Option<Part> {
    let (url, thumbnail) = (said(payload.url.as_ref()), said(payload.thumbnail.as_ref()));
    if url.is_empty() && thumbnail.is_empty() {
        return None;
    }
    Some(part(Content::Media(Media {
        kind: kind.into(),
        url: if url.is_empty() { thumbnail } else { url }.to_owned(),
        thumbnail_url: thumbnail.to_owned(),
        caption: nfc(said(payload.description.as_ref())),
        ..Media::default()
    })))
}

fn file(payload: &Payload<'_>) -> Option<Part> {
    let url = said(payload.url.as_ref());
    let kind = said(payload.r#type.as_ref());
    (!url.is_empty()).then(|| {
        part(Content::Media(Media {
            kind: MediaKind::File.into(),
            url: url.to_owned(),
            // Seen are MIME types and bare endings.
            mime_type: if kind.contains('/') { kind } else { "" }.to_owned(),
            size: said(payload.size.as_ref()).parse().unwrap_or(0),
            file_name: nfc(said(payload.name.as_ref())),
            thumbnail_url: said(payload.thumbnail.as_ref()).to_owned(),
            ..Media::default()
        }))
    })
}

fn sticker(payload: &Payload<'_>) -> Option<Part> {
    let (id, url) = (said(payload.id.as_ref()), said(payload.url.as_ref()));
    (!id.is_empty() || !url.is_empty()).then(|| {
        part(Content::Sticker(Sticker {
            provider_media_id: id.to_owned(),
            url: url.to_owned(),
            ..Sticker::default()
        }))
    })
}

fn location(payload: &Payload<'_>) -> Option<Part> {
    let beside = Coordinates {
        latitude: payload.latitude.clone(),
        longitude: payload.longitude.clone(),
    };
    let coordinates = payload.coordinates.as_deref().unwrap_or(&beside);
    let latitude: f64 = said(coordinates.latitude.as_ref()).parse().ok()?;
    let longitude: f64 = said(coordinates.longitude.as_ref()).parse().ok()?;
    let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    on_earth.then(|| {
        part(Content::Location(Location {
            latitude,
            longitude,
            title: nfc(said(payload.title.as_ref().or(payload.name.as_ref()))),
            address: nfc(said(payload.description.as_ref())),
            live_period_s: 0,
        }))
    })
}

/// A link. A business card comes as one whose description is a JSON text.
fn linked(payload: &Payload<'_>) -> Vec<Part> {
    let description = said(payload.description.as_ref());
    if let Some(card) = card(description) {
        let mut parts = vec![part(Content::Contact(Contact {
            display_name: nfc(said(card.name.as_ref().or(payload.title.as_ref()))),
            phone_numbers: Vec::from_iter(card.phone.as_ref().map(|phone| phone.to_string())),
            ..Contact::default()
        }))];
        let qr_code = said(card.qr_code_url.as_ref());
        if !qr_code.is_empty() {
            parts.push(image(qr_code));
        }
        return parts;
    }
    let url = said(payload.url.as_ref());
    if url.is_empty() {
        return Vec::new();
    }
    vec![part(Content::Link(Link {
        url: url.to_owned(),
        title: nfc(said(payload.title.as_ref())),
        description: nfc(description),
    }))]
}

fn card(description: &str) -> Option<Card<'_>> {
    let card: Card<'_> = object(description.as_bytes()).ok()?;
    (card.phone.is_some() || card.qr_code_url.is_some()).then_some(card)
}

/// What the OA's template showed; Zalo's own rendering is not to be had.
fn template(payload: &Payload<'_>) -> Vec<Part> {
    let (text, url) = (said(payload.text.as_ref()), said(payload.link_url.as_ref()));
    let mut parts = Vec::new();
    if !text.is_empty() {
        parts.push(part(Content::Text(TextPart {
            text: nfc(text),
            ..TextPart::default()
        })));
    }
    if !url.is_empty() {
        parts.push(part(Content::Link(Link {
            url: url.to_owned(),
            ..Link::default()
        })));
    }
    let id = said(payload.zinstant_id.as_ref());
    if parts.is_empty() && !id.is_empty() {
        parts.push(part(Content::Template(TemplateRef {
            template_id: id.to_owned(),
            locale: String::new(),
            parameters: BTreeMap::new(),
        })));
    }
    parts
}
