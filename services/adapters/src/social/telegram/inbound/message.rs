//! Messages, edits and the service messages that have a shape.

use super::super::wire::{Message as WireMessage, Str};
use super::text::nfc;
use super::who::phone;
use super::{MessageUpdate, Translator, content, timestamp, unsupported};
use omnigate_proto::v1::{
    Author, Direction, Edit, Event, Message, Postback, Profile, ProfileUpdate, Subscription, SubscriptionState,
    event::Kind,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Fields of a `Message` that say something about it rather than being its content.
const ABOUT: &[&str] = &[
    "author_signature",
    "business_connection_id",
    "caption",
    "caption_entities",
    "chat",
    "date",
    "direct_messages_topic",
    "edit_date",
    "effect_id",
    "entities",
    "external_reply",
    "forward_date",
    "forward_from",
    "forward_from_chat",
    "forward_from_message_id",
    "forward_origin",
    "forward_sender_name",
    "forward_signature",
    "from",
    "guest_bot_caller_chat",
    "guest_bot_caller_user",
    "guest_query_id",
    "has_media_spoiler",
    "has_protected_content",
    "is_automatic_forward",
    "is_from_offline",
    "is_paid_post",
    "is_topic_message",
    "link_preview_options",
    "media_group_id",
    "message_id",
    "message_thread_id",
    "paid_star_count",
    "quote",
    "reply_markup",
    "reply_to_checklist_task_id",
    "reply_to_message",
    "reply_to_poll_option_id",
    "reply_to_story",
    "sender_boost_count",
    "sender_business_bot",
    "sender_chat",
    "sender_tag",
    "show_caption_above_media",
    "suggested_post_info",
    "text",
    "via_bot",
];

impl Translator<'_> {
    /// The events of a message of any kind of chat, new or edited; at least one.
    pub(super) fn message(&self, of: &MessageUpdate<'_>, raw: &[u8]) -> Vec<Event> {
        let message = of.message;
        let mut event = self.message_event(of);
        if let Some(kind) = self.service(message) {
            event.kind = Some(kind);
            return vec![event];
        }
        let parts = content::parts(message, &|id| self.chat_identifier(id));
        if parts.is_empty() {
            event.kind = Some(unsupported(&content_name(of.name, raw), raw, ""));
            return vec![event];
        }
        let is_echo = event.direction == i32::from(Direction::Outbound);
        let start = started(of, is_echo);
        let body = Message {
            parts,
            reply_to_provider_message_id: reply_to(message).map_or_else(String::new, |id| id.to_string()),
            is_echo,
            is_automatic: message.is_automatic_forward || message.is_from_offline,
            group_key: owned(message.media_group_id.as_ref()),
            quoted_text: quoted(message),
            forwarded_from: content::forwarded_from(message),
            ..Message::default()
        };
        if of.edited {
            event.kind = Some(Kind::Edit(Edit {
                message: Some(body),
                edited_at: timestamp(message.edit_date),
            }));
            return vec![event];
        }
        let subscription = start.map(|source| Event {
            kind: Some(Kind::Subscription(Subscription {
                state: SubscriptionState::Subscribed.into(),
                topic: String::new(),
                source: source.to_owned(),
                ..Subscription::default()
            })),
            ..event.clone()
        });
        event.kind = Some(Kind::Message(body));
        std::iter::once(event).chain(subscription).collect()
    }

    /// Everything about a message but its content.
    fn message_event(&self, of: &MessageUpdate<'_>) -> Event {
        let message = of.message;
        let edited_at = timestamp(message.edit_date).filter(|_| of.edited);
        let mut event = Event {
            occurred_at: edited_at.or_else(|| timestamp(message.date)),
            provider_message_id: message.message_id.to_string(),
            ..self.event()
        };
        let business = message.business_connection_id.as_deref();
        self.with_chat(&mut event, &message.chat, business, message.from.as_ref());
        if !message.chat.is_private() {
            event.author = self.writer(message).or(event.author);
        }
        if self.is_ours(message) {
            event.direction = Direction::Outbound.into();
        }
        event.identifiers.extend(own_phone(message));
        event
    }

    /// Whether our own side wrote it: the bot, or in a business chat its owner, whose private chats have the customer's id.
    fn is_ours(&self, message: &WireMessage<'_>) -> bool {
        let is_bot = |id: i64| self.bot_id == Some(id);
        let from = message.from.as_ref();
        let through_business = message.business_connection_id.is_some() && message.chat.is_private();
        from.is_some_and(|user| user.is_bot && is_bot(user.id))
            || message.sender_business_bot.as_ref().is_some_and(|bot| is_bot(bot.id))
            || (through_business && from.is_some_and(|user| user.id != message.chat.id))
    }

    /// Who wrote, where it is not the person in `from`: `sender_chat` stands for channels and anonymous administrators.
    fn writer(&self, message: &WireMessage<'_>) -> Option<Author> {
        let chat = message.sender_chat.as_ref();
        let signature = message.author_signature.as_deref().map(nfc);
        match (chat, signature) {
            (Some(chat), None) if chat.id == message.chat.id => None,
            (Some(chat), None) => Some(self.chat_author(chat)),
            (chat, Some(signature)) if chat.is_some() || message.from.is_none() => Some(Author {
                identifier: chat
                    .filter(|chat| chat.id != message.chat.id)
                    .and_then(|chat| self.chat_identifier(chat.id)),
                profile: Some(Profile {
                    display_name: signature.into_owned(),
                    ..Profile::default()
                }),
            }),
            _ => None,
        }
    }

    /// Service messages with a shape of their own.
    fn service(&self, message: &WireMessage<'_>) -> Option<Kind> {
        if let Some(data) = &message.web_app_data {
            return Some(Kind::Postback(Postback {
                payload: data.data.to_string(),
                title: nfc(data.button_text.as_deref().unwrap_or_default()).into_owned(),
                callback_id: String::new(),
            }));
        }
        let chat = |id: Option<i64>| id.and_then(|id| self.chat_identifier(id));
        let moved = message.migrate_to_chat_id.is_some() || message.migrate_from_chat_id.is_some();
        // The new title is the chat's by now, so the event's profile has it.
        (moved || message.new_chat_title.is_some()).then(|| {
            Kind::ProfileUpdate(ProfileUpdate {
                moved_to: chat(message.migrate_to_chat_id),
                moved_from: chat(message.migrate_from_chat_id),
            })
        })
    }
}

/// Start parameter of a deep link: `/start` opens a private chat, `/start parameter` also a group (Bot API, deep linking).
fn started<'a>(of: &'a MessageUpdate<'_>, is_echo: bool) -> Option<&'a str> {
    let message = of.message;
    if of.edited || is_echo || message.forward_origin.is_some() || message.business_connection_id.is_some() {
        return None;
    }
    let mut words = message.text.as_deref()?.split_whitespace();
    let command = words.next()?;
    let named = command == "/start" || command.starts_with("/start@");
    let payload = words.next().unwrap_or_default();
    (named && (message.chat.is_private() || !payload.is_empty())).then_some(payload)
}

/// The sender's own number. The server fills `user_id` in from the number, so a card with the sender's id names the
/// sender's account; a forwarded card may be an old one.
fn own_phone(message: &WireMessage<'_>) -> Option<omnigate_proto::v1::IdentifierEvidence> {
    let contact = message.contact.as_ref()?;
    let sender = message.from.as_ref()?.id;
    let own = contact.user_id == Some(sender) && message.chat.is_private() && message.chat.id == sender;
    let forwarded = message.forward_origin.is_some() || message.forward_from.is_some();
    (own && !forwarded).then(|| phone(&contact.phone_number))?
}

/// The message answered, when it stands in the same chat. In a forum every message "answers" the topic's first one.
fn reply_to(message: &WireMessage<'_>) -> Option<i64> {
    let target = message.reply_to_message.as_ref().map(|reply| reply.message_id);
    let topic = message.message_thread_id.filter(|_| message.is_topic_message);
    let elsewhere = message.external_reply.as_ref();
    let here = elsewhere.filter(|reply| reply.chat.as_ref().is_some_and(|chat| chat.id == message.chat.id));
    target
        .filter(|_| target != topic)
        .or_else(|| here.and_then(|reply| reply.message_id))
}

fn quoted(message: &WireMessage<'_>) -> String {
    let quote = message.quote.as_ref().and_then(|quote| quote.text.as_deref());
    nfc(quote.unwrap_or_default()).into_owned()
}

fn owned(text: Option<&Str<'_>>) -> String {
    text.map_or_else(String::new, |text| text.to_string())
}

/// `message.giveaway`: the kind of update and the first field that is content.
fn content_name(update: &str, raw: &[u8]) -> String {
    let outer = serde_json::from_slice::<BTreeMap<Str<'_>, &RawValue>>(raw).unwrap_or_default();
    let message = outer.iter().find(|(key, _)| &***key == update);
    let fields = message
        .and_then(|(_, value)| serde_json::from_str::<BTreeMap<Str<'_>, &RawValue>>(value.get()).ok())
        .unwrap_or_default();
    let content = fields.keys().find(|key| !ABOUT.contains(&&***key));
    content.map_or_else(|| update.to_owned(), |name| format!("{update}.{}", &**name))
}
