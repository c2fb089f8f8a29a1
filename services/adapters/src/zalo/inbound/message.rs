//! What somebody wrote: to the OA, from it, in a group or through the web widget.

use super::super::wire::{Content, said};
use super::attachment::{self, Attached};
use super::{Malformed, Translator, unsupported};
use omnigate_proto::v1::{
    Direction, Event, Message, Part, Text as TextPart, event::Kind, part::Content as PartContent,
};
use serde_json::value::RawValue;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// The contract's limit of a message's parts, less one for its text.
const MAX_ATTACHMENTS: usize = 31;

/// Which way a message went, and through what.
pub(super) struct Way {
    direction: Direction,
    through: Through,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    Chat,
    Group,
    Widget,
}

impl Way {
    /// Reads the name of an event; `None` when it is none of a message.
    pub(super) fn of(name: &str) -> Option<Self> {
        const WAYS: &[(&str, Direction, Through)] = &[
            ("user_send_group_", Direction::Inbound, Through::Group),
            ("oa_send_group_", Direction::Outbound, Through::Group),
            ("anonymous_send_", Direction::Inbound, Through::Widget),
            ("oa_send_anonymous_", Direction::Outbound, Through::Widget),
            ("user_send_", Direction::Inbound, Through::Chat),
            ("oa_send_", Direction::Outbound, Through::Chat),
        ];
        if name == "oa_send_consent" {
            return None;
        }
        let way = WAYS.iter().find(|(prefix, ..)| name.starts_with(prefix));
        way.map(|&(_, direction, through)| Self { direction, through })
    }
}

impl Translator<'_> {
    /// The message, and beside it an event for each attachment without a shape.
    pub(super) fn message(&self, way: &Way) -> Result<Vec<Event>, Malformed> {
        let content: Content<'_> = self.content()?;
        let mut event = self.event();
        event.set_direction(way.direction);
        event.provider_message_id = said(content.msg_id.as_ref()).to_owned();
        if event.provider_message_id.is_empty() {
            event.stable_key = self.key(self.sides.user.unwrap_or_default());
        }
        self.with_thread(&mut event, way, &content);
        if way.direction == Direction::Outbound {
            event.author = self.administrator().or(event.author);
        }
        let (attached, left) = self.attached(&content)?;
        let parts = parts(nfc(content.text.as_deref().unwrap_or_default()), attached);
        let mut events = Vec::with_capacity(1 + left.len());
        let beside: Vec<Event> = left.iter().map(|left| self.left_over(&event, left)).collect();
        if !parts.is_empty() {
            event.kind = Some(Kind::Message(Message {
                parts,
                reply_to_provider_message_id: said(content.quote_msg_id.as_ref()).to_owned(),
                is_echo: way.direction == Direction::Outbound,
                ..Message::default()
            }));
            events.push(event);
        } else if beside.is_empty() {
            event.kind = Some(unsupported(self.name(), self.raw, ""));
            events.push(event);
        }
        events.extend(beside);
        Ok(events)
    }

    /// Whom a reply would reach, and who wrote in a group.
    fn with_thread(&self, event: &mut Event, way: &Way, content: &Content<'_>) {
        match way.through {
            Through::Chat => self.with_user(event),
            Through::Widget => {
                let conversation = said(content.conversation_id.as_ref());
                // An answer names the visitor as well.
                let form = self
                    .sides
                    .user
                    .map_or_else(String::new, |user| format!("{user}/{conversation}"));
                self.with_peer(event, self.visitor(conversation), &form);
            }
            Through::Group => {
                let group = said(content.group_id.as_ref());
                self.with_group(event, group);
                if way.direction == Direction::Inbound {
                    self.with_writer(event);
                }
            }
        }
    }

    /// The parts of all attachments, and what has no shape.
    fn attached<'m>(&'m self, content: &Content<'m>) -> Result<(Vec<Part>, Vec<Left<'m>>), Malformed> {
        let mut parts = Vec::new();
        let mut left = Vec::new();
        let lists = [content.attachments, self.envelope().attachments];
        for raw in lists
            .into_iter()
            .flatten()
            .map(elements)
            .collect::<Result<Vec<_>, _>>()?
            .concat()
        {
            match attachment::read(raw) {
                Ok(Attached::Parts(found)) => parts.extend(found),
                Ok(Attached::Unknown(kind)) => left.push(Left { raw, kind, reason: "" }),
                Err(Malformed) => left.push(Left {
                    raw,
                    kind: String::new(),
                    reason: "malformed",
                }),
            }
        }
        if let Some(raw) = content.location {
            let place = attachment::place(raw)?;
            parts.push(place);
        }
        let photo = said(content.photo_url.as_ref());
        if !photo.is_empty() {
            parts.push(attachment::image(photo));
        }
        if parts.len() + left.len() > MAX_ATTACHMENTS {
            return Err(Malformed);
        }
        Ok((parts, left))
    }

    /// An attachment that has no shape, as an event beside its message.
    fn left_over(&self, message: &Event, left: &Left<'_>) -> Event {
        let name = match left.kind.as_str() {
            "" => format!("{}.attachments", self.name()),
            kind => format!("{}.attachments.{kind}", self.name()),
        };
        Event {
            kind: Some(unsupported(&name, left.raw.get().as_bytes(), left.reason)),
            ..message.clone()
        }
    }
}

/// An attachment that has no shape.
struct Left<'a> {
    raw: &'a RawValue,
    kind: String,
    reason: &'static str,
}

/// The elements of `attachments`; a lone one may stand there by itself.
fn elements(raw: &RawValue) -> Result<Vec<&RawValue>, Malformed> {
    if raw.get().starts_with('{') {
        return Ok(vec![raw]);
    }
    serde_json::from_str::<Option<Vec<&RawValue>>>(raw.get())
        .map(Option::unwrap_or_default)
        .map_err(|_| Malformed)
}

/// The text stands under a lone picture or file and before anything else; where it only repeats a link, it is left out.
fn parts(text: String, mut attached: Vec<Part>) -> Vec<Part> {
    if text.trim().is_empty() {
        return attached;
    }
    if let [Part { content: Some(only) }] = attached.as_mut_slice() {
        match only {
            PartContent::Media(media) if media.caption.is_empty() => {
                media.caption = text;
                return attached;
            }
            PartContent::Link(link) if link.url == text.trim() => return attached,
            PartContent::Text(only) if only.text == text => return attached,
            _ => {}
        }
    }
    attached.insert(
        0,
        attachment::part(PartContent::Text(TextPart {
            text,
            ..TextPart::default()
        })),
    );
    attached
}

/// Composed form; the usual text is in it already.
pub(super) fn nfc(text: &str) -> String {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        text.to_owned()
    } else {
        text.nfc().collect()
    }
}
