//! Updates that wait for the bot, in the order of their ids.

use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// The kind of an update, as far as the sandbox makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    EditedMessage,
    CallbackQuery,
    MessageReaction,
    MyChatMember,
    ChatMember,
    /// Any other, given as it is; kept in the message queue of no chat.
    Other,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::EditedMessage => "edited_message",
            Self::CallbackQuery => "callback_query",
            Self::MessageReaction => "message_reaction",
            Self::MyChatMember => "my_chat_member",
            Self::ChatMember => "chat_member",
            Self::Other => "other",
        }
    }

    /// How long after the event the update is still worth delivering.
    pub(super) fn lifetime(self) -> Duration {
        match self {
            Self::CallbackQuery => Duration::from_secs(150),
            _ => Duration::from_hours(24),
        }
    }

    /// The updates of one kind and of one chat or person are delivered in order; edits share the messages' queue.
    pub(super) fn queue(self, id: i64) -> Queue {
        let family = match self {
            Self::Message | Self::EditedMessage => 0,
            Self::CallbackQuery => 3,
            Self::MyChatMember => 5,
            Self::ChatMember => 6,
            Self::MessageReaction => 8,
            Self::Other => 12,
        };
        Queue { family, id }
    }
}

/// Kinds that are delivered only to who asked for them by name.
const ASKED_FOR: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// One of the queues that are delivered side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Queue {
    family: u8,
    id: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Update {
    pub(super) queue: Queue,
    pub(super) body: Bytes,
    pub(super) expires_at: Instant,
}

/// The updates, and which kinds the bot wants.
#[derive(Debug)]
pub(super) struct Backlog {
    updates: BTreeMap<u32, Update>,
    next_id: u32,
    limit: usize,
    /// Empty means the default: all but those in [`ASKED_FOR`].
    allowed: Vec<String>,
    /// Updates already handed over, so that they can be delivered again.
    past: VecDeque<(u32, Bytes)>,
    past_limit: usize,
}

impl Backlog {
    pub(super) fn new(first_id: u32, limit: usize, past_limit: usize) -> Self {
        Self {
            updates: BTreeMap::new(),
            next_id: first_id,
            limit: limit.max(1),
            allowed: Vec::new(),
            past: VecDeque::new(),
            past_limit,
        }
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        if self.allowed.is_empty() {
            return !ASKED_FOR.contains(&name);
        }
        self.allowed.iter().any(|allowed| allowed == name)
    }

    pub(super) fn allow(&mut self, allowed: Vec<String>) {
        self.allowed = allowed;
    }

    pub(super) fn allowed(&self) -> &[String] {
        &self.allowed
    }

    /// Adds an update; answers its id and how many were dropped to make room.
    pub(super) fn add(&mut self, name: &str, content: &Value, queue: Queue, expires_at: Instant) -> (u32, u64) {
        let id = self.next_id;
        self.next_id += 1;
        let body = Bytes::from(json!({"update_id": id, name: content}).to_string());
        self.updates.insert(
            id,
            Update {
                queue,
                body,
                expires_at,
            },
        );
        let mut dropped = 0;
        while self.updates.len() > self.limit {
            self.updates.pop_first();
            dropped += 1;
        }
        (id, dropped)
    }

    pub(super) fn len(&self) -> usize {
        self.updates.len()
    }

    pub(super) fn get(&self, id: u32) -> Option<&Update> {
        self.updates.get(&id)
    }

    /// The body of an update, waiting or past.
    pub(super) fn body(&self, id: u32) -> Option<Bytes> {
        let past = || {
            self.past
                .iter()
                .rev()
                .find(|(past, _)| *past == id)
                .map(|(_, body)| body.clone())
        };
        self.updates.get(&id).map(|update| update.body.clone()).or_else(past)
    }

    /// Waiting updates from `id` on.
    pub(super) fn from(&self, id: u32) -> impl Iterator<Item = (u32, &Update)> {
        self.updates.range(id..).map(|(id, update)| (*id, update))
    }

    /// The id from which the last `count` waiting updates begin.
    pub(super) fn tail(&self, count: usize) -> u32 {
        let first_kept = count
            .checked_sub(1)
            .and_then(|before| self.updates.keys().rev().nth(before));
        let first_waiting = self.updates.keys().next();
        let none_kept = if count == 0 { Some(&self.next_id) } else { None };
        first_kept
            .or(none_kept)
            .or(first_waiting)
            .copied()
            .unwrap_or(self.next_id)
    }

    /// Takes the update away; it was delivered, expired or unwanted.
    pub(super) fn forget(&mut self, id: u32) {
        let Some(update) = self.updates.remove(&id) else { return };
        if self.past_limit > 0 {
            if self.past.len() == self.past_limit {
                self.past.pop_front();
            }
            self.past.push_back((id, update.body));
        }
    }

    /// Forgets all updates before `id`, which is how a poll confirms them; answers how many.
    pub(super) fn forget_before(&mut self, id: u32) -> u64 {
        let mut count = 0;
        while let Some((&first, _)) = self.updates.first_key_value()
            && first < id
        {
            self.forget(first);
            count += 1;
        }
        count
    }

    /// Forgets what is too old; answers how many.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        let before = self.updates.len();
        self.updates.retain(|_, update| update.expires_at >= now);
        (before - self.updates.len()) as u64
    }
}
