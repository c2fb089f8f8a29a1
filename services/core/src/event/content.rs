//! Limits and forms of what events carry.

use super::Refusal;
use omnigate_proto::v1::{
    Contact, Direction, Message, Part, Piece, Profile, TemplateRef, Text, Unsupported, Writer, part::Content,
};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

const MAX_PARTS: usize = 32;
const MAX_TEXT: usize = 65_536;
const MAX_CHOICES: usize = 64;
/// Characters of a button's label and of a name.
const MAX_LABEL: usize = 256;
/// Characters of the company's id of who wrote.
const MAX_WRITER: usize = 128;
/// Bytes of a provider's id, a payload, a file name or the like.
pub(super) const MAX_HANDLE: usize = 2048;
/// Bytes of an address; signed ones are long.
const MAX_URL: usize = 8192;
/// Bytes kept of what nobody understood.
pub(super) const MAX_RAW: usize = 256 * 1024;
/// Pieces of one message; their number is a byte in every SMS.
const MAX_PIECES: u32 = 255;
/// Bytes of a piece's text; an SMS has 160 characters, `message_payload` may hold more.
const MAX_PIECE: usize = 8192;
/// Answers of a rating.
pub(super) const MAX_ANSWERS: usize = 64;
/// Entries of a list inside a contact card.
const MAX_CARD: usize = 64;

/// Puts a text into NFC.
pub(super) fn nfc(text: &mut String) {
    if !is_nfc(text) {
        *text = text.nfc().collect();
    }
}

/// Refuses what is longer than this many bytes.
pub(super) fn within(field: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    if text.len() > limit {
        return Err(Refusal::new(
            field,
            format!("is {} bytes long, at most {limit} are taken", text.len()),
        ));
    }
    Ok(())
}

/// Normalises words and refuses what is longer than a text may be.
pub(super) fn words(field: &str, text: &mut String) -> Result<(), Refusal> {
    nfc(text);
    within(field, text, MAX_TEXT)
}

/// Refuses lists that are too long.
pub(super) fn at_most(field: &str, count: usize, limit: usize) -> Result<(), Refusal> {
    if count > limit {
        return Err(Refusal::new(
            field,
            format!("has {count} elements, at most {limit} are taken"),
        ));
    }
    Ok(())
}

/// Normalises what the channel says about somebody. It is decoration: what is too long is cut, never refused.
pub(super) fn profile(profile: &mut Profile) {
    nfc(&mut profile.display_name);
    cut_characters(&mut profile.display_name, MAX_LABEL);
    cut_characters(&mut profile.username, MAX_LABEL);
    if profile.avatar_url.len() > MAX_URL {
        profile.avatar_url.clear();
    }
    if profile.locale.len() > 35 {
        profile.locale.clear();
    }
}

fn cut_characters(text: &mut String, limit: usize) {
    if let Some((at, _)) = text.char_indices().nth(limit) {
        text.truncate(at);
    }
}

/// Cuts what nobody understood to what is kept of it.
pub(super) fn unsupported(unsupported: &mut Unsupported) -> Result<(), Refusal> {
    within("unsupported.type_name", &unsupported.type_name, MAX_LABEL)?;
    within("unsupported.reason", &unsupported.reason, MAX_LABEL)?;
    if unsupported.raw.len() > MAX_RAW {
        unsupported.raw.truncate(MAX_RAW);
        unsupported.truncated = true;
    }
    Ok(())
}

/// Normalises a message and checks its limits; `field` is where it stands.
pub(super) fn message(field: &str, message: &mut Message, direction: Direction) -> Result<(), Refusal> {
    at_most(&format!("{field}.parts"), message.parts.len(), MAX_PARTS)?;
    at_most(&format!("{field}.choices"), message.choices.len(), MAX_CHOICES)?;
    words(&format!("{field}.subject"), &mut message.subject)?;
    words(&format!("{field}.quoted_text"), &mut message.quoted_text)?;
    nfc(&mut message.forwarded_from);
    within(&format!("{field}.forwarded_from"), &message.forwarded_from, MAX_HANDLE)?;
    within(&format!("{field}.group_key"), &message.group_key, MAX_HANDLE)?;
    let reply = &message.reply_to_provider_message_id;
    within(&format!("{field}.reply_to_provider_message_id"), reply, MAX_HANDLE)?;
    for (index, choice) in message.choices.iter_mut().enumerate() {
        let field = format!("{field}.choices[{index}]");
        nfc(&mut choice.label);
        if choice.label.chars().count() > MAX_LABEL {
            return Err(Refusal::new(
                field + ".label",
                format!("is longer than {MAX_LABEL} characters"),
            ));
        }
        within(&field, &choice.payload, MAX_HANDLE)?;
        within(&field, &choice.phone, MAX_LABEL)?;
        words(&field, &mut choice.sms_text)?;
        within(&field, &choice.url, MAX_URL)?;
    }
    if let Some(piece) = &message.piece {
        self::piece(&format!("{field}.piece"), piece)?;
    }
    if let Some(writer) = &mut message.writer {
        self::writer(&format!("{field}.writer"), writer)?;
    }
    if let Some(alternative) = &mut message.alternative {
        let field = format!("{field}.alternative");
        let template = alternative
            .template
            .as_mut()
            .ok_or_else(|| Refusal::new(field.clone() + ".template", "is missing"))?;
        self::template(&(field + ".template"), template)?;
    }
    for (index, content) in message.parts.iter_mut().enumerate() {
        part(&format!("{field}.parts[{index}]"), content, direction)?;
    }
    Ok(())
}

fn writer(field: &str, writer: &mut Writer) -> Result<(), Refusal> {
    nfc(&mut writer.display_name);
    for (name, text, limit) in [
        ("id", &writer.id, MAX_WRITER),
        ("display_name", &writer.display_name, MAX_LABEL),
    ] {
        if text.chars().count() > limit {
            let problem = format!("is longer than {limit} characters");
            return Err(Refusal::new(format!("{field}.{name}"), problem));
        }
    }
    Ok(())
}

fn part(field: &str, part: &mut Part, direction: Direction) -> Result<(), Refusal> {
    match &mut part.content {
        None => Err(Refusal::new(field, "has no content that this version knows")),
        Some(Content::Text(Text { text, .. })) => words(field, text),
        Some(Content::Media(media)) => {
            if direction == Direction::Inbound && !media.content.is_empty() {
                return Err(Refusal::new(
                    format!("{field}.content"),
                    "is only for sending; say where to fetch it",
                ));
            }
            nfc(&mut media.file_name);
            handles(field, &[&media.file_name, &media.mime_type, &media.provider_media_id])?;
            addresses(field, &[&media.url, &media.thumbnail_url])?;
            words(field, &mut media.caption)
        }
        Some(Content::Location(place)) => {
            if !(place.latitude.is_finite() && place.longitude.is_finite()) {
                return Err(Refusal::new(field, "is no place on earth"));
            }
            words(field, &mut place.title)?;
            words(field, &mut place.address)
        }
        Some(Content::Contact(card)) => contact(field, card),
        Some(Content::Sticker(sticker)) => {
            handles(field, &[&sticker.provider_media_id, &sticker.emoji, &sticker.set_name])?;
            addresses(field, &[&sticker.url])
        }
        Some(Content::Link(link)) => {
            words(field, &mut link.title)?;
            words(field, &mut link.description)?;
            addresses(field, &[&link.url])
        }
        Some(Content::Template(template)) => self::template(field, template),
        Some(Content::InfoRequest(form)) => {
            words(field, &mut form.title)?;
            words(field, &mut form.subtitle)?;
            addresses(field, &[&form.image_url])
        }
    }
}

fn template(field: &str, template: &mut TemplateRef) -> Result<(), Refusal> {
    if template.template_id.is_empty() {
        return Err(Refusal::new(format!("{field}.template_id"), "is missing"));
    }
    handles(field, &[&template.template_id, &template.locale])?;
    at_most(field, template.parameters.len(), MAX_CHOICES)?;
    template
        .parameters
        .values_mut()
        .try_for_each(|value| words(field, value))
}

fn piece(field: &str, piece: &Piece) -> Result<(), Refusal> {
    within(&format!("{field}.reference"), &piece.reference, MAX_HANDLE)?;
    if !(2..=MAX_PIECES).contains(&piece.total) || !(1..=piece.total).contains(&piece.number) {
        return Err(Refusal::new(
            field,
            format!(
                "is number {} of {}: a message has 2 to {MAX_PIECES}",
                piece.number, piece.total
            ),
        ));
    }
    if piece.utf16.len() > MAX_PIECE || !piece.utf16.len().is_multiple_of(2) {
        return Err(Refusal::new(
            format!("{field}.utf16"),
            format!("must be whole UTF-16 units, at most {MAX_PIECE} bytes"),
        ));
    }
    Ok(())
}

fn contact(field: &str, card: &mut Contact) -> Result<(), Refusal> {
    words(field, &mut card.display_name)?;
    within(field, &card.vcard, MAX_TEXT)?;
    for list in [&card.phone_numbers, &card.email_addresses] {
        at_most(field, list.len(), MAX_CARD)?;
        list.iter().try_for_each(|value| within(field, value, MAX_HANDLE))?;
    }
    Ok(())
}

fn handles(field: &str, values: &[&str]) -> Result<(), Refusal> {
    values.iter().try_for_each(|value| within(field, value, MAX_HANDLE))
}

fn addresses(field: &str, values: &[&str]) -> Result<(), Refusal> {
    values.iter().try_for_each(|value| within(field, value, MAX_URL))
}
