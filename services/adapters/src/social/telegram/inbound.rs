//! Updates into events.

mod content;
mod member;
mod message;
mod text;
mod who;

use super::wire::{About, DeletedMessages, Message as WireMessage, MessageReaction, Str, Update};
use omnigate_core::{account::Account, event::normalise, id::hash, time::Moment};
use omnigate_proto::v1::{AccountNotice, Deletion, Direction, Event, Identifier, Reaction, Unsupported, event::Kind};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, fmt::Write as _};

/// The contract's limit of `Unsupported.raw`.
const MAX_RAW: usize = 256 * 1024;
/// Characters kept of a type's name; within the contract's 256 bytes.
const MAX_TYPE_NAME: usize = 64;
/// The contract's smallest limit of a text that Telegram sends: handles and payloads.
const MIN_BOUND: usize = 2048;
/// A text in NFC is at most three times as long in UTF-8 (Unicode, UAX #15, "Maximum expansion factors").
const MAX_GROWTH: usize = 3;
/// Latest second a protobuf timestamp can name: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;
/// Numbers from here on are milliseconds: as seconds they would lie beyond the year 33,000.
const FIRST_MILLISECONDS: i64 = 1_000_000_000_000;

/// Kinds of update that the Bot API 10.0 knows and this adapter has no shape for.
const WITHOUT_SHAPE: &[&str] = &[
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "shipping_query",
    "pre_checkout_query",
    "poll",
    "poll_answer",
    "chat_member",
    "chat_boost",
    "removed_chat_boost",
    "purchased_paid_media",
    "managed_bot",
    "guest_message",
];

/// Kinds of update with a shape; met here only when their content could not be read.
const WITH_SHAPE: &[&str] = &[
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "business_connection",
    "message_reaction",
    "callback_query",
    "my_chat_member",
    "chat_join_request",
];

/// What one update comes to.
#[derive(Default)]
pub(super) struct Translated {
    /// Its events, in order; at least one.
    pub(super) events: Vec<Event>,
    /// The button press to acknowledge.
    pub(super) callback_id: Option<String>,
    /// Number of the update, when it could be read.
    pub(super) update_id: Option<i64>,
}

/// Translates the updates of one bot.
pub(super) struct Translator<'a> {
    /// Account the updates came through.
    pub(super) account: &'a Account,
    /// The bot's own user id, when known.
    pub(super) bot_id: Option<i64>,
    /// When the updates came.
    pub(super) received_at: Moment,
}

/// A message update, with what its kind says.
struct MessageUpdate<'a> {
    name: &'static str,
    message: &'a WireMessage<'a>,
    edited: bool,
}

impl Translator<'_> {
    /// One update; an error only when the bytes are no JSON.
    pub(super) fn update(&self, raw: &[u8]) -> Result<Translated, serde_json::Error> {
        let Ok(update) = serde_json::from_slice::<Update<'_>>(raw) else {
            return self.unreadable(raw);
        };
        let mut translated = Translated {
            update_id: Some(update.update_id),
            ..Translated::default()
        };
        if let Some(query) = &update.callback_query {
            translated.callback_id = Some(query.id.to_string());
        }
        match self.known(&update, raw) {
            Some(events) if events.iter().all(|event| self.is_acceptable(event, raw.len())) => {
                translated.events = events;
            }
            _ => translated.events = self.unreadable(raw)?.events,
        }
        Ok(translated)
    }

    /// Whether ingest will take the event; one that it refuses would be lost. What the contract bounds is at least
    /// [`MIN_BOUND`] bytes long, so an update that cannot hold as much, not even composed, needs no closer look.
    fn is_acceptable(&self, event: &Event, update_size: usize) -> bool {
        let about_nobody = matches!(event.kind, Some(Kind::AccountNotice(_) | Kind::Unsupported(_)));
        if event.peer.is_none() && !about_nobody {
            return false;
        }
        update_size <= MIN_BOUND / MAX_GROWTH
            || normalise(&mut event.clone(), self.account, self.received_at, "").is_ok()
    }

    /// The events of an update whose kind has a shape here.
    fn known(&self, update: &Update<'_>, raw: &[u8]) -> Option<Vec<Event>> {
        let kinds = [
            ("message", &update.message, false),
            ("edited_message", &update.edited_message, true),
            ("channel_post", &update.channel_post, false),
            ("edited_channel_post", &update.edited_channel_post, true),
            ("business_message", &update.business_message, false),
            ("edited_business_message", &update.edited_business_message, true),
        ];
        for (name, message, edited) in kinds {
            if let Some(message) = message {
                let of = MessageUpdate { name, message, edited };
                return Some(self.message(&of, raw));
            }
        }
        let key = update.update_id.to_string();
        if let Some(query) = &update.callback_query {
            return Some(vec![self.callback(key, query, raw)]);
        }
        if let Some(reaction) = &update.message_reaction {
            return Some(vec![self.reaction(key, reaction)]);
        }
        if let Some(change) = &update.my_chat_member {
            return Some(vec![self.own_membership(key, change, raw)]);
        }
        if let Some(request) = &update.chat_join_request {
            return Some(vec![self.join_request(key, request)]);
        }
        if let Some(deleted) = &update.deleted_business_messages {
            return Some(self.deletions(&key, deleted));
        }
        let connection = update.business_connection.as_ref()?;
        let state = if connection.is_enabled { "enabled" } else { "disabled" };
        let notice = AccountNotice {
            code: "business_connection".to_owned(),
            text: format!("business connection {} is {state}", &*connection.id),
        };
        Some(vec![Event {
            occurred_at: timestamp(connection.date),
            stable_key: key,
            kind: Some(Kind::AccountNotice(notice)),
            ..self.event()
        }])
    }

    /// An event with what all have in common.
    fn event(&self) -> Event {
        Event {
            account_id: self.account.id.clone(),
            received_at: Some(self.received_at.to_timestamp()),
            direction: Direction::Inbound.into(),
            ..Event::default()
        }
    }

    fn reaction(&self, key: String, update: &MessageReaction<'_>) -> Event {
        let mut event = Event {
            occurred_at: timestamp(update.date),
            provider_message_id: update.message_id.to_string(),
            stable_key: key,
            ..self.event()
        };
        self.with_chat(&mut event, &update.chat, None, update.user.as_ref());
        if event.author.is_none() {
            event.author = update
                .actor_chat
                .as_ref()
                .filter(|actor| actor.id != update.chat.id)
                .map(|actor| self.chat_author(actor));
        }
        let actor = event.author.as_ref().and_then(|author| author.identifier.clone());
        let emojis = update.new_reaction.iter().map(|reaction| {
            let name = reaction.emoji.as_deref().unwrap_or(&reaction.r#type);
            match &reaction.custom_emoji_id {
                Some(id) => format!("custom_emoji:{}", &**id),
                None => name.to_owned(),
            }
        });
        event.kind = Some(Kind::Reaction(Reaction {
            emojis: emojis.collect(),
            actor,
        }));
        event
    }

    /// One event for each deleted message. Telegram does not say who deleted them nor in whose view.
    fn deletions(&self, key: &str, update: &DeletedMessages<'_>) -> Vec<Event> {
        let connection = Some(&*update.business_connection_id);
        let ids = update.message_ids.iter().enumerate();
        let events = ids.map(|(index, id)| {
            let mut event = self.event();
            self.with_chat(&mut event, &update.chat, connection, None);
            if let Ok(id) = serde_json::from_str::<i64>(id.get()) {
                event.provider_message_id = id.to_string();
                event.kind = Some(Kind::Deletion(Deletion { for_everyone: false }));
            } else {
                event.stable_key = format!("{key}.{index}");
                event.kind = Some(unsupported(
                    "deleted_business_messages",
                    id.get().as_bytes(),
                    "malformed",
                ));
            }
            event
        });
        events.collect()
    }

    /// What is no known update, or a known one whose content cannot be read: kept whole.
    fn unreadable(&self, raw: &[u8]) -> Result<Translated, serde_json::Error> {
        // Skipping values is lenient where reading texts is not (lone surrogates, broken UTF-8), so nothing that Telegram
        // could call JSON is refused.
        serde_json::from_slice::<IgnoredAny>(raw)?;
        let fields = serde_json::from_slice::<BTreeMap<Str<'_>, &RawValue>>(raw).unwrap_or_default();
        let field = |name: &str| fields.iter().find(|(key, _)| &***key == name).map(|(_, value)| *value);
        let update_id = field("update_id").and_then(|id| serde_json::from_str::<i64>(id.get()).ok());
        let named = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| field(name).map(|value| ((*name).to_owned(), Some(value))))
        };
        let unknown = || {
            let mut others = fields.iter().filter(|(key, _)| !matches!(&***key, "update_id" | ""));
            others.next().map(|(key, value)| (key.to_string(), Some(*value)))
        };
        let broken = named(WITH_SHAPE);
        let malformed = update_id.is_none() || broken.is_some();
        let known = broken.or_else(|| named(WITHOUT_SHAPE)).or_else(unknown);
        let malformed = malformed || known.is_none();
        let (name, value) = known.unwrap_or_else(|| ("update".to_owned(), None));
        let mut event = Event {
            stable_key: update_id.map_or_else(|| content_key(raw), |id| id.to_string()),
            kind: Some(unsupported(&name, raw, if malformed { "malformed" } else { "" })),
            ..self.event()
        };
        let about = value.and_then(|value| serde_json::from_str::<About<'_>>(value.get()).ok());
        self.with_about(&mut event, &about.unwrap_or_default());
        Ok(Translated {
            events: vec![event],
            callback_id: None,
            update_id,
        })
    }

    /// Fills in whom an event is about from the usual places.
    fn with_about(&self, event: &mut Event, about: &About<'_>) {
        event.occurred_at = timestamp(about.date);
        let person = about.from.as_ref().or(about.user.as_ref());
        if let Some(chat) = &about.chat {
            self.with_chat(event, chat, about.business_connection_id.as_deref(), person);
        } else if let Some(user) = person {
            self.with_user(event, user);
        }
    }

    /// Identifier of a chat with the bot itself; none for 0 and -1, which stand for nobody.
    fn chat_identifier(&self, id: i64) -> Option<Identifier> {
        (id != 0 && id != -1).then(|| Identifier {
            r#type: "tg_chat".to_owned(),
            scope: self.account.id.clone(),
            value: id.to_string(),
        })
    }
}

/// A fact without a shape, its bytes cut to the contract's limit.
fn unsupported(type_name: &str, raw: &[u8], reason: &str) -> Kind {
    Kind::Unsupported(Unsupported {
        type_name: type_name.chars().take(MAX_TYPE_NAME).collect(),
        raw: bytes::Bytes::copy_from_slice(&raw[..raw.len().min(MAX_RAW)]),
        truncated: raw.len() > MAX_RAW,
        reason: reason.to_owned(),
    })
}

/// A stable key for bytes that carry none.
fn content_key(raw: &[u8]) -> String {
    let mut key = "sha256:".to_owned();
    for byte in hash("telegram update", &[raw]) {
        write!(key, "{byte:02x}").unwrap_or_default();
    }
    key
}

/// Telegram's seconds; milliseconds are told by their size. Zero and what no calendar has is no time.
fn timestamp(time: i64) -> Option<pbjson_types::Timestamp> {
    let milliseconds = if time >= FIRST_MILLISECONDS {
        time
    } else {
        time.checked_mul(1000)?
    };
    (1..=LAST_SECOND * 1000)
        .contains(&milliseconds)
        .then(|| Moment(milliseconds).to_timestamp())
}
