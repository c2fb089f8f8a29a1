//! Changing what was sent, reacting, and answering a button.

use super::send::{caption, text};
use crate::telegram::{
    answer::ApiError,
    bot::{Bot, DELETABLE},
    clock::Now,
    keyboard,
    params::Params,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The emoji that can be a reaction, as far as clients offer them most.
const REACTIONS: [&str; 36] = [
    "👍", "👎", "❤", "🔥", "🥰", "👏", "😁", "🤔", "🤯", "😱", "🤬", "😢", "🎉", "🤩", "🤮", "💩", "🙏", "👌", "🕊",
    "🤡", "🥱", "🥴", "😍", "🐳", "🌚", "💯", "🤣", "⚡", "🍌", "🏆", "💔", "🤨", "😐", "🍓", "🤝", "😇",
];

impl Bot {
    /// `editMessageText`, `…Caption` and `…ReplyMarkup`.
    pub(super) fn edit(&mut self, method: &str, params: &Params, now: Now) -> Result<Value, ApiError> {
        let chat = self.target(params)?;
        let id = message_id(params)?;
        let content = match method {
            "editmessagetext" => text(params)?,
            "editmessagecaption" => caption(params)?,
            _ => serde_json::Map::new(),
        };
        let markup = keyboard::read(params)?;
        let message = self
            .messages
            .get(chat, id)
            .ok_or_else(|| ApiError::bad_request("message to edit not found"))?;
        if !message.outgoing {
            return Err(ApiError::bad_request("message can't be edited"));
        }
        if method == "editmessagetext" && message.value.get("text").is_none() {
            return Err(ApiError::bad_request("there is no text in the message to edit"));
        }
        let mut edited = Value::clone(&message.value);
        let Some(object) = edited.as_object_mut() else {
            return Err(ApiError::bad_request("message can't be edited"));
        };
        match method {
            "editmessagetext" => drop(object.remove("entities")),
            "editmessagecaption" => {
                object.remove("caption");
                object.remove("caption_entities");
            }
            _ => {}
        }
        object.extend(content);
        match markup {
            Some(markup) => drop(object.insert("reply_markup".to_owned(), markup)),
            None => drop(object.remove("reply_markup")),
        }
        if edited == *message.value {
            return Err(not_modified());
        }
        edited["edit_date"] = json!(now.unix);
        let edited = Arc::new(edited);
        self.messages.replace(chat, id, Arc::clone(&edited));
        self.journal.counters.edited += 1;
        Ok(Value::clone(&edited))
    }

    pub(super) fn delete_message(&mut self, params: &Params, now: Now) -> Result<Value, ApiError> {
        let chat = self.target(params)?;
        let id = message_id(params)?;
        let message = self
            .messages
            .get(chat, id)
            .ok_or_else(|| ApiError::bad_request("message to delete not found"))?;
        let age = u64::try_from(now.unix - message.unix).unwrap_or_default();
        if age > DELETABLE.as_secs() {
            return Err(ApiError::bad_request("message can't be deleted"));
        }
        self.messages.remove(chat, id);
        self.journal.counters.deleted += 1;
        Ok(json!(true))
    }

    pub(super) fn set_message_reaction(&mut self, params: &Params) -> Result<Value, ApiError> {
        let chat = self.target(params)?;
        let id = message_id(params)?;
        if self.messages.get(chat, id).is_none() {
            return Err(ApiError::bad_request("message to react not found"));
        }
        let reactions = match params.nested("reaction")? {
            Some(Value::Array(reactions)) => reactions,
            Some(_) => return Err(ApiError::bad_request("can't parse reaction types JSON object")),
            None => Vec::new(),
        };
        if reactions.len() > 1 {
            return Err(ApiError::bad_request("REACTIONS_TOO_MANY"));
        }
        if reactions.iter().any(|reaction| !is_reaction(reaction)) {
            return Err(ApiError::bad_request("REACTION_INVALID"));
        }
        self.journal.counters.reactions += 1;
        Ok(json!(true))
    }

    pub(super) fn answer_callback_query(&mut self, params: &Params, now: Now) -> Result<Value, ApiError> {
        let id = params.text("callback_query_id").unwrap_or_default();
        if !self.callbacks.is_live(&id, now.at) {
            return Err(ApiError::bad_request(
                "query is too old and response timeout expired or query ID is invalid",
            ));
        }
        if params.text("text").is_some_and(|text| text.chars().count() > 200) {
            return Err(ApiError::bad_request("MESSAGE_TOO_LONG"));
        }
        self.journal.counters.callbacks_answered += 1;
        Ok(json!(true))
    }
}

fn is_reaction(reaction: &Value) -> bool {
    match reaction["type"].as_str() {
        // Clients send the heart with and without the selector that makes it red.
        Some("emoji") => reaction["emoji"]
            .as_str()
            .is_some_and(|emoji| REACTIONS.contains(&emoji.trim_end_matches('\u{fe0f}'))),
        Some("custom_emoji") => reaction["custom_emoji_id"].is_string(),
        _ => false,
    }
}

fn message_id(params: &Params) -> Result<i64, ApiError> {
    params
        .integer("message_id")
        .ok_or_else(|| ApiError::bad_request("message identifier is not specified"))
}

fn not_modified() -> ApiError {
    ApiError::bad_request(
        "message is not modified: specified new message content and reply markup are exactly the same as a current \
         content and reply markup of the message",
    )
}
