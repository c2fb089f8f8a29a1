//! How a message is divided into calls; pure, and the same at every attempt.

use super::super::limits::{MAX_FILE, MAX_GIF, MAX_IMAGE, MAX_SUBTITLE, MAX_TEXT, MAX_TITLE};
use super::button;
use crate::html;
use crate::split::{Unit, split};
use omnigate_proto::v1::{
    Choice, Contact, InfoRequest, Link, Location, Media, MediaKind, Message, Sticker, TemplateRef, Text, TextFormat,
    part::Content as Wanted,
};

/// Why a message cannot be sent.
pub(super) type Problem = &'static str;

/// One call.
pub(super) struct Piece<'a> {
    pub(super) content: Content<'a>,
    /// Message it answers; only the first text answers.
    pub(super) quoted: Option<&'a str>,
    /// Buttons under it; only under the last text.
    pub(super) choices: &'a [Choice],
}

/// What a call sends.
pub(super) enum Content<'a> {
    Text(String),
    Media(Shown<'a>),
    File(&'a Media),
    Sticker(&'a str),
    Form(&'a InfoRequest),
    Template(&'a TemplateRef),
}

/// A picture that is shown in the conversation.
pub(super) struct Shown<'a> {
    pub(super) media: &'a Media,
    pub(super) source: Source<'a>,
    /// Words beside it.
    pub(super) caption: String,
}

/// Where the bytes of media come from.
pub(super) enum Source<'a> {
    /// `attachment_id` of an earlier upload.
    Attachment(&'a str),
    /// An address that Zalo fetches.
    Url(&'a str),
    /// Bytes of ours.
    Upload,
}

/// The calls of a message; at least one.
pub(super) fn plan(message: &Message) -> Result<Vec<Piece<'_>>, Problem> {
    button::check(&message.choices)?;
    let mut contents = Vec::new();
    for part in &message.parts {
        match &part.content {
            Some(Wanted::Text(text)) => texts(&mut contents, &plain(text)),
            Some(Wanted::Media(media)) => file(&mut contents, media)?,
            Some(Wanted::Location(location)) => texts(&mut contents, &place(location)?),
            Some(Wanted::Contact(contact)) => texts(&mut contents, &card(contact)?),
            Some(Wanted::Sticker(sticker)) => contents.push(Content::Sticker(stuck(sticker)?)),
            Some(Wanted::Link(link)) => texts(&mut contents, &linked(link)?),
            Some(Wanted::Template(template)) => contents.push(Content::Template(named(template)?)),
            Some(Wanted::InfoRequest(form)) => contents.push(Content::Form(complete(form)?)),
            None => {}
        }
    }
    if !message.choices.is_empty() {
        under_text(&mut contents)?;
    }
    if contents.is_empty() {
        return Err("there is nothing to send");
    }
    let quoted = message.reply_to_provider_message_id.as_str();
    let first_text = contents
        .iter()
        .position(Content::has_text)
        .filter(|_| !quoted.is_empty());
    let last = contents.len() - 1;
    let pieces = contents.into_iter().enumerate().map(|(index, content)| Piece {
        content,
        quoted: (first_text == Some(index)).then_some(quoted),
        choices: if index == last { &message.choices } else { &[] },
    });
    Ok(pieces.collect())
}

impl Content<'_> {
    fn has_text(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Media(shown) => !shown.caption.is_empty(),
            _ => false,
        }
    }
}

/// Zalo hangs buttons on a text: the words beside a last picture become one behind it.
fn under_text(contents: &mut Vec<Content<'_>>) -> Result<(), Problem> {
    let caption = match contents.last_mut() {
        Some(Content::Text(_)) => return Ok(()),
        Some(Content::Media(shown)) if !shown.caption.is_empty() => std::mem::take(&mut shown.caption),
        _ => return Err("zalo hangs buttons on a text, and the message does not end with one"),
    };
    contents.push(Content::Text(caption));
    Ok(())
}

fn texts(contents: &mut Vec<Content<'_>>, text: &str) {
    let pieces = split(text, MAX_TEXT, Unit::Characters);
    contents.extend(pieces.into_iter().map(|piece| Content::Text(text[piece].to_owned())));
}

/// Zalo has no mark-up; the address of a link stands behind its words.
fn plain(text: &Text) -> String {
    if text.format() != TextFormat::Html {
        return text.text.clone();
    }
    let html::Html { text, spans } = html::read(&text.text);
    let mut links: Vec<(usize, &str)> = spans
        .iter()
        .filter_map(|span| Some((span, span.url.as_deref()?)))
        .filter(|(span, url)| text[span.range.clone()] != **url)
        .map(|(span, url)| (span.range.end, url))
        .collect();
    links.sort_by_key(|(end, _)| *end);
    let mut written = String::with_capacity(text.len());
    let mut done = 0;
    for (end, url) in links {
        written.push_str(&text[done..end]);
        written.push_str(" (");
        written.push_str(url);
        written.push(')');
        done = end;
    }
    written.push_str(&text[done..]);
    written
}

/// Pictures and loops are shown, everything else goes as a file; words that do not fit beside it follow.
fn file<'a>(contents: &mut Vec<Content<'a>>, media: &'a Media) -> Result<(), Problem> {
    let limit = match media.kind() {
        MediaKind::Image => MAX_IMAGE,
        MediaKind::Animation => MAX_GIF,
        _ => {
            contents.push(Content::File(document(media)?));
            texts(contents, &media.caption);
            return Ok(());
        }
    };
    let source = if !media.provider_media_id.is_empty() {
        Source::Attachment(&media.provider_media_id)
    } else if !media.url.is_empty() {
        Source::Url(fetched(&media.url)?)
    } else if media.content.is_empty() {
        return Err("media has neither attachment id nor address nor bytes");
    } else if media.content.len() > limit {
        return Err("media is larger than zalo takes (pictures 1 MB, GIFs 5 MB)");
    } else {
        Source::Upload
    };
    if media.kind() == MediaKind::Image && matches!(source, Source::Upload) && !is_picture(&media.content) {
        return Err("zalo takes pictures as JPEG or PNG");
    }
    if media.kind() == MediaKind::Animation && (media.width == 0 || media.height == 0) {
        return Err("zalo needs the width and height of a GIF");
    }
    let mut captions = split(&media.caption, MAX_TEXT, Unit::Characters).into_iter();
    let caption = captions
        .next()
        .map_or_else(String::new, |piece| media.caption[piece].to_owned());
    contents.push(Content::Media(Shown { media, source, caption }));
    contents.extend(captions.map(|piece| Content::Text(media.caption[piece].to_owned())));
    Ok(())
}

/// Zalo fetches no files: they are uploaded, or were before.
fn document(media: &Media) -> Result<&Media, Problem> {
    if !media.provider_media_id.is_empty() {
        Ok(media)
    } else if media.content.is_empty() {
        Err("zalo fetches no files from addresses; the file's bytes or the token of its upload are needed")
    } else if media.content.len() > MAX_FILE {
        Err("the file is larger than zalo takes (5 MB)")
    } else if is_document(media) {
        Ok(media)
    } else {
        Err("zalo takes files of type PDF, DOC, DOCX and CSV only")
    }
}

fn is_document(media: &Media) -> bool {
    const ENDINGS: &[&str] = &["pdf", "doc", "docx", "csv"];
    const TYPES: &[&str] = &[
        "application/pdf",
        "application/msword",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "text/csv",
    ];
    let ending = media
        .file_name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    match ending {
        Some(ending) => ENDINGS.contains(&ending.as_str()),
        None => TYPES.contains(&media.mime_type.to_ascii_lowercase().as_str()),
    }
}

fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\x89PNG")
}

fn fetched(url: &str) -> Result<&str, Problem> {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web.then_some(url)
        .ok_or("the address of media must begin with https:// or http://")
}

/// A place as words and a link to a map, which every phone opens.
fn place(location: &Location) -> Result<String, Problem> {
    let on_earth = (-90.0..=90.0).contains(&location.latitude) && (-180.0..=180.0).contains(&location.longitude);
    if !on_earth {
        return Err("the location is not on earth");
    }
    let map = format!(
        "https://maps.google.com/?q={},{}",
        location.latitude, location.longitude
    );
    Ok(lines([&location.title, &location.address, &map]))
}

fn card(contact: &Contact) -> Result<String, Problem> {
    let listed = contact.phone_numbers.iter().chain(&contact.email_addresses);
    let text = lines(std::iter::once(&contact.display_name).chain(listed));
    if text.is_empty() {
        Err("the contact card is empty")
    } else {
        Ok(text)
    }
}

fn linked(link: &Link) -> Result<String, Problem> {
    if link.url.is_empty() {
        return Err("a link needs an address");
    }
    Ok(lines([&link.title, &link.description, &link.url]))
}

fn lines<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let present = texts
        .into_iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty());
    present.collect::<Vec<_>>().join("\n")
}

fn stuck(sticker: &Sticker) -> Result<&str, Problem> {
    if sticker.provider_media_id.is_empty() {
        Err("zalo knows a sticker by its id only")
    } else {
        Ok(&sticker.provider_media_id)
    }
}

fn named(template: &TemplateRef) -> Result<&TemplateRef, Problem> {
    if template.template_id.is_empty() {
        Err("the template has no id")
    } else if template.parameters.is_empty() {
        // Error -111 of both servers.
        Err("zalo needs the parameters of a template; there are none")
    } else {
        Ok(template)
    }
}

fn complete(form: &InfoRequest) -> Result<&InfoRequest, Problem> {
    let long = |text: &str, limit: usize| text.chars().count() > limit;
    if form.title.trim().is_empty() || form.subtitle.trim().is_empty() || form.image_url.is_empty() {
        Err("a form needs a title, a subtitle and the address of a picture")
    } else if long(&form.title, MAX_TITLE) || long(&form.subtitle, MAX_SUBTITLE) {
        Err("the title of a form is longer than 100 characters or its subtitle than 500")
    } else {
        fetched(&form.image_url).map(|_| form)
    }
}

#[cfg(test)]
mod tests;
