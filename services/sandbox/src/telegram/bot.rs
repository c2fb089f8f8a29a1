//! One bot's world: people, messages, files, updates. Everything here is synchronous, under one lock per bot.

use super::{
    answer::ApiError,
    backlog::{Backlog, Kind},
    clock::Now,
    fault::Faults,
    files::Files,
    flood::{self, Bucket},
    journal::{Journal, SentMessage},
    messages::{Message, Messages},
    options::{BotOptions, Options},
    people::People,
    webhook::Webhook,
};
use serde_json::{Map, Value, json};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Bot {
    pub(super) id: i64,
    identity: BotOptions,
    pub(super) options: Arc<Options>,
    pub(super) rate_limits: bool,
    pub(super) deliver_twice: bool,
    pub(super) people: People,
    pub(super) messages: Messages,
    pub(super) files: Files,
    pub(super) backlog: Backlog,
    pub(super) webhook: Option<Webhook>,
    pub(super) webhook_generation: u64,
    /// The number of the newest long poll: an older one is terminated.
    pub(super) poll: u64,
    pub(super) callbacks: Callbacks,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    /// The reaction that a person has on a message, by chat, message and person.
    pub(super) reactions: HashMap<(i64, i64, i64), String>,
    flood: Bucket,
    albums: u64,
}

/// A message of the bot, ready but for its id.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) chat: i64,
    pub(super) method: String,
    /// Text, media and their like: what makes two messages the same to a reader.
    pub(super) content: Map<String, Value>,
    pub(super) reply_to: Option<Value>,
    pub(super) markup: Option<Value>,
}

impl Bot {
    pub(super) fn new(id: i64, identity: BotOptions, options: Arc<Options>) -> Self {
        Self {
            id,
            identity,
            rate_limits: options.rate_limits,
            deliver_twice: false,
            people: People::default(),
            messages: Messages::new(options.messages),
            files: Files::new(id, options.file_bytes),
            backlog: Backlog::new(options.first_update_id, options.pending_updates, options.journal),
            webhook: None,
            webhook_generation: 0,
            poll: 0,
            callbacks: Callbacks::default(),
            faults: Faults::default(),
            journal: Journal::new(options.journal, options.contents),
            reactions: HashMap::new(),
            flood: Bucket::default(),
            albums: 0,
            options,
        }
    }

    /// As in `getMe`, where `full`, or as a message's sender.
    pub(super) fn json(&self, full: bool) -> Value {
        let mut user = json!({
            "id": self.id, "is_bot": true, "first_name": self.identity.name, "username": self.identity.username,
        });
        if full {
            for (flag, value) in [
                ("can_join_groups", true),
                ("can_read_all_group_messages", true),
                ("supports_inline_queries", false),
                ("can_connect_to_business", false),
                ("has_main_web_app", false),
            ] {
                user[flag] = json!(value);
            }
        }
        user
    }

    /// Makes an update of `kind` about `subject` (a chat or a person, as the kind has it). None where the bot does not want it.
    pub(super) fn update(&mut self, kind: Kind, content: &Value, subject: i64, now: Now) -> Option<u32> {
        self.named_update(kind.name(), kind, content, subject, now)
    }

    pub(super) fn named_update(
        &mut self,
        name: &str,
        kind: Kind,
        content: &Value,
        subject: i64,
        now: Now,
    ) -> Option<u32> {
        if !self.backlog.wants(name) {
            self.journal.counters.unwanted += 1;
            return None;
        }
        let expires_at = now.at + self.options.scaled(kind.lifetime());
        let (id, dropped) = self.backlog.add(name, content, kind.queue(subject), expires_at);
        self.journal.counters.updates += 1;
        self.journal.counters.dropped += dropped;
        Some(id)
    }

    /// Checks what is checked last, whether the chat may be written to and the rates, for `count` messages.
    pub(super) fn admit(&mut self, chat: i64, count: usize, now: Now) -> Result<(), ApiError> {
        self.people.reachable(chat)?;
        if !self.rate_limits {
            return Ok(());
        }
        let Some(chat) = self.people.chat_mut(chat) else {
            return Err(ApiError::bad_request("chat not found"));
        };
        flood::admit(&mut self.flood, chat, count, now.at)
    }

    /// Sends `draft`, which was admitted, and answers the message.
    pub(super) fn post(&mut self, draft: Draft, now: Now) -> Arc<Value> {
        let Draft {
            chat,
            method,
            content,
            reply_to,
            markup,
        } = draft;
        let text = content
            .get("text")
            .or_else(|| content.get("caption"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut same = content.clone();
        same.remove("media_group_id");
        let same = json!([same, markup]);
        let mut message = content;
        if let Some(reply_to) = reply_to {
            message.insert("reply_to_message".to_owned(), reply_to);
        }
        if let Some(markup) = markup {
            message.insert("reply_markup".to_owned(), markup);
        }
        let sender = self.json(false);
        let (message_id, value) = self.append(chat, &sender, true, message, now);
        let sent = SentMessage {
            number: 0,
            unix: now.unix,
            chat_id: chat,
            message_id,
            method,
            text,
            copies: 0,
            message: Arc::clone(&value),
        };
        self.journal.message(sent, &same);
        value
    }

    /// Gives `content` an id, a sender and a date in `chat`, and remembers it.
    pub(super) fn append(
        &mut self,
        chat: i64,
        sender: &Value,
        outgoing: bool,
        content: Map<String, Value>,
        now: Now,
    ) -> (i64, Arc<Value>) {
        let id = self
            .people
            .chat_mut(chat)
            .map_or(1, super::people::Chat::next_message_id);
        let mut message = content;
        message.insert("message_id".to_owned(), json!(id));
        message.insert("from".to_owned(), sender.clone());
        message.insert("chat".to_owned(), self.people.chat_json(chat));
        message.insert("date".to_owned(), json!(now.unix));
        let value = Arc::new(Value::Object(message));
        self.messages.add(
            chat,
            id,
            Message {
                outgoing,
                unix: now.unix,
                value: Arc::clone(&value),
            },
        );
        (id, value)
    }

    /// What a reply shows of the message it answers: without what that one answered.
    pub(super) fn quoted(&self, chat: i64, message_id: i64) -> Option<Value> {
        let mut value = Value::clone(&self.messages.get(chat, message_id)?.value);
        if let Some(object) = value.as_object_mut() {
            object.remove("reply_to_message");
        }
        Some(value)
    }

    pub(super) fn new_album(&mut self) -> String {
        self.albums += 1;
        format!(
            "{}",
            13_500_000_000_000_000_i64 + i64::try_from(self.albums).unwrap_or_default()
        )
    }
}

/// Button presses that can still be answered.
#[derive(Debug, Default)]
pub(super) struct Callbacks {
    until: HashMap<String, Instant>,
    order: VecDeque<String>,
    made: u64,
}

/// Presses remembered; each lives 150 s anyway.
const MOST_CALLBACKS: usize = 50_000;

impl Callbacks {
    pub(super) fn add(&mut self, user: i64, until: Instant) -> String {
        self.made += 1;
        // Real ids are the person's id shifted and a random part: decimal, longer than 64 bits allow for signed numbers.
        let id = format!("{}{:09}", user, self.made);
        self.until.insert(id.clone(), until);
        self.order.push_back(id.clone());
        if self.order.len() > MOST_CALLBACKS
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
        id
    }

    pub(super) fn is_live(&self, id: &str, now: Instant) -> bool {
        self.until.get(id).is_some_and(|until| *until >= now)
    }
}

/// A bot may delete only what is younger.
pub(super) const DELETABLE: Duration = Duration::from_hours(48);
