//! Messages that can still be edited, answered and reacted to.

use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Whether the bot sent it.
    pub(super) outgoing: bool,
    /// Seconds since 1970.
    pub(super) unix: i64,
    pub(super) value: Arc<Value>,
}

/// A ring over all chats of a bot, by `(chat, message)`.
#[derive(Debug)]
pub(super) struct Messages {
    by_key: HashMap<(i64, i64), Message>,
    order: VecDeque<(i64, i64)>,
    limit: usize,
}

impl Messages {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            order: VecDeque::new(),
            limit,
        }
    }

    pub(super) fn add(&mut self, chat: i64, id: i64, message: Message) {
        if self.by_key.insert((chat, id), message).is_none() {
            self.order.push_back((chat, id));
        }
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
    }

    pub(super) fn get(&self, chat: i64, id: i64) -> Option<&Message> {
        self.by_key.get(&(chat, id))
    }

    /// Puts `value` in the message's place.
    pub(super) fn replace(&mut self, chat: i64, id: i64, value: Arc<Value>) {
        if let Some(message) = self.by_key.get_mut(&(chat, id)) {
            message.value = value;
        }
    }

    pub(super) fn remove(&mut self, chat: i64, id: i64) {
        // Its place in the ring stays until its turn comes; a second removal of the key does nothing.
        self.by_key.remove(&(chat, id));
    }

    /// The bot's newest message in `chat` that satisfies `wanted`.
    pub(super) fn newest_outgoing(&self, chat: i64, wanted: impl Fn(&Value) -> bool) -> Option<(i64, Arc<Value>)> {
        self.order.iter().rev().filter(|key| key.0 == chat).find_map(|key| {
            let message = self.by_key.get(key)?;
            (message.outgoing && wanted(&message.value)).then(|| (key.1, Arc::clone(&message.value)))
        })
    }
}
