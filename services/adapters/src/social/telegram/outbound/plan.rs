//! How a message is divided into calls; pure, and the same at every attempt.

use super::super::limits::{
    LIVE_FOR_EVER, LIVE_PERIODS, MAX_BUTTONS, MAX_CALLBACK_DATA, MAX_CAPTION, MAX_PHOTO_UPLOAD, MAX_TEXT, MAX_UPLOAD,
    MAX_VCARD,
};
use super::markup::Styled;
use crate::split::utf16_len;
use omnigate_proto::v1::{
    Choice, Contact, Link, Location, Media, MediaKind, Message, Sticker, part::Content as Wanted,
};

/// Why a message cannot be sent.
pub(super) type Problem = &'static str;

/// One call.
pub(super) struct Piece<'a> {
    pub(super) content: Content<'a>,
    /// Message it answers; only the first piece answers.
    pub(super) reply_to: Option<i64>,
    /// Whether the choices hang on it; only on the last piece.
    pub(super) has_choices: bool,
}

/// What a call sends.
pub(super) enum Content<'a> {
    Text(Styled),
    Media(File<'a>),
    Sticker(&'a str),
    Location(&'a Location),
    Contact(&'a Contact),
}

/// Media with the names Telegram has for its kind.
pub(super) struct File<'a> {
    pub(super) method: &'static str,
    pub(super) parameter: &'static str,
    pub(super) source: Source<'a>,
    pub(super) caption: &'a str,
    pub(super) media: &'a Media,
}

/// Where the bytes of media come from.
pub(super) enum Source<'a> {
    /// A `file_id` or an address that Telegram fetches.
    Named(&'a str),
    /// Bytes of ours.
    Upload,
}

impl Piece<'_> {
    /// Whether there is mark-up that the piece could do without.
    pub(super) fn has_markup(&self) -> bool {
        matches!(&self.content, Content::Text(text) if text.is_marked())
    }

    /// Goes on as plain text.
    pub(super) fn drop_markup(&mut self) {
        if let Content::Text(text) = &mut self.content {
            text.drop_markup();
        }
    }
}

/// The calls of a message; at least one.
pub(super) fn plan(message: &Message) -> Result<Vec<Piece<'_>>, Problem> {
    check_choices(&message.choices)?;
    let mut contents = Vec::new();
    for part in &message.parts {
        match &part.content {
            Some(Wanted::Text(text)) => texts(&mut contents, &Styled::of(text)),
            Some(Wanted::Media(media)) => files(&mut contents, media)?,
            Some(Wanted::Location(location)) => contents.push(Content::Location(checked(location)?)),
            Some(Wanted::Contact(contact)) => contents.push(Content::Contact(callable(contact)?)),
            Some(Wanted::Sticker(sticker)) => contents.push(Content::Sticker(stuck(sticker)?)),
            Some(Wanted::Link(link)) => texts(&mut contents, &Styled::plain(&linked(link))),
            Some(Wanted::Template(_)) => return Err("telegram has no templates"),
            Some(Wanted::InfoRequest(_)) => return Err("telegram has no forms"),
            None => {}
        }
    }
    if contents.is_empty() {
        return Err("there is nothing to send");
    }
    let reply_to = answered(message)?;
    let last = contents.len() - 1;
    let pieces = contents.into_iter().enumerate().map(|(index, content)| Piece {
        content,
        reply_to: reply_to.filter(|_| index == 0),
        has_choices: index == last && !message.choices.is_empty(),
    });
    Ok(pieces.collect())
}

fn texts(contents: &mut Vec<Content<'_>>, text: &Styled) {
    contents.extend(text.split(MAX_TEXT).into_iter().map(Content::Text));
}

/// Media, and behind it a caption that is too long to stand under it.
fn files<'a>(contents: &mut Vec<Content<'a>>, media: &'a Media) -> Result<(), Problem> {
    let (method, parameter) = match media.kind() {
        MediaKind::Image => ("sendPhoto", "photo"),
        MediaKind::Video => ("sendVideo", "video"),
        MediaKind::Audio => ("sendAudio", "audio"),
        MediaKind::Voice => ("sendVoice", "voice"),
        MediaKind::Animation => ("sendAnimation", "animation"),
        MediaKind::File | MediaKind::Unspecified => ("sendDocument", "document"),
    };
    let fits = utf16_len(&media.caption) <= MAX_CAPTION;
    contents.push(Content::Media(File {
        method,
        parameter,
        source: source(media)?,
        caption: if fits { &media.caption } else { "" },
        media,
    }));
    if !fits {
        texts(contents, &Styled::plain(&media.caption));
    }
    Ok(())
}

fn source(media: &Media) -> Result<Source<'_>, Problem> {
    let limit = if media.kind() == MediaKind::Image {
        MAX_PHOTO_UPLOAD
    } else {
        MAX_UPLOAD
    };
    if !media.provider_media_id.is_empty() {
        Ok(Source::Named(&media.provider_media_id))
    } else if !media.url.is_empty() {
        fetched(&media.url).map(Source::Named)
    } else if media.content.is_empty() {
        Err("media has neither handle nor address nor bytes")
    } else if media.content.len() > limit {
        Err("media is larger than telegram takes (photos 10 MB, files 50 MB)")
    } else {
        Ok(Source::Upload)
    }
}

/// An address that Telegram fetches. Other texts would be taken for handles.
fn fetched(url: &str) -> Result<&str, Problem> {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web.then_some(url)
        .ok_or("the address of media must begin with https:// or http://")
}

fn checked(location: &Location) -> Result<&Location, Problem> {
    let on_earth = (-90.0..=90.0).contains(&location.latitude) && (-180.0..=180.0).contains(&location.longitude);
    let period = location.live_period_s;
    if !on_earth {
        Err("the location is not on earth")
    } else if period != 0 && period != LIVE_FOR_EVER && !LIVE_PERIODS.contains(&period) {
        Err("a live location lasts 60 to 86400 seconds")
    } else {
        Ok(location)
    }
}

fn callable(contact: &Contact) -> Result<&Contact, Problem> {
    let has_number = contact.phone_numbers.first().is_some_and(|number| !number.is_empty());
    if has_number && !contact.display_name.trim().is_empty() {
        Ok(contact)
    } else {
        Err("telegram needs a name and a phone number of a contact")
    }
}

/// The card itself, when it is within Telegram's limit; the name and the number go in any case.
pub(super) fn vcard(contact: &Contact) -> Option<&str> {
    let card = contact.vcard.as_str();
    (!card.is_empty() && card.len() <= MAX_VCARD).then_some(card)
}

fn stuck(sticker: &Sticker) -> Result<&str, Problem> {
    if !sticker.provider_media_id.is_empty() {
        Ok(&sticker.provider_media_id)
    } else if !sticker.url.is_empty() {
        fetched(&sticker.url)
    } else {
        Err("a sticker needs a handle or an address")
    }
}

fn linked(link: &Link) -> String {
    if link.title.is_empty() {
        link.url.clone()
    } else {
        format!("{}\n{}", link.title, link.url)
    }
}

fn answered(message: &Message) -> Result<Option<i64>, Problem> {
    let id = message.reply_to_provider_message_id.as_str();
    if id.is_empty() {
        return Ok(None);
    }
    let number = id.parse().ok().filter(|&number: &i64| number > 0);
    number
        .map(Some)
        .ok_or("the id of the answered message is none of telegram's")
}

fn check_choices(choices: &[Choice]) -> Result<(), Problem> {
    if choices.len() > MAX_BUTTONS {
        return Err("telegram takes at most 100 buttons");
    }
    for choice in choices {
        if choice.label.trim().is_empty() {
            return Err("a choice needs a label");
        }
        if choice.url.is_empty() && choice.payload.is_empty() {
            return Err("a choice needs a payload or an address");
        }
        if choice.url.is_empty() && choice.payload.len() > MAX_CALLBACK_DATA {
            return Err("the payload of a choice is longer than 64 bytes");
        }
    }
    Ok(())
}
